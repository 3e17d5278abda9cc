"""Fixtures of the tests that run `entrypoint.py` as a runner does, in the sandbox."""

from __future__ import annotations

import base64
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.core.timeouts import Timeouts
from sandbox import ENTRYPOINT, NAMESPACE, Sandbox
from sandbox.control_plane.cluster import RealCluster
from sandbox.environment import emulated_cluster
from tests.real.images import engine, exclude_builds_from_timeouts, from_image, image, root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.environment import StartCluster

CLUSTERS: dict[str, StartCluster] = {"emulator": emulated_cluster, "real": RealCluster}

__all__ = ["engine", "from_image", "image", "root"]  # fixtures, for a real cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    text = (
        "which API server: the emulator, or a real one, with the real verifier of EKS tokens and the files and the "
        "Python of the action's image (see make test-real)"
    )
    parser.addoption("--cluster", choices=list(CLUSTERS), default="emulator", help=text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # The time-outs of test_network.py take longest. Started last, they would run when no other test is left.
    items.sort(key=lambda item: item.path.name != "test_network.py")
    if config.getoption("--cluster") == "emulator":
        return
    exclude_builds_from_timeouts(items)
    without_cluster = [item for item in items if item.get_closest_marker("no_cluster")]
    config.hook.pytest_deselected(items=without_cluster)
    items[:] = [item for item in items if item not in without_cluster]
    for item in items:
        found = item.get_closest_marker("emulator")
        if found:
            item.add_marker(pytest.mark.skip(reason=f"emulator only: {found.args[0]}"))


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    cluster = request.config.getoption("--cluster")
    with Sandbox(CLUSTERS[cluster]) as sandbox:
        if cluster == "real":
            sandbox.launch = request.getfixturevalue("from_image")
        yield sandbox
        if request.node.get_closest_marker("no_cluster"):
            assert not sandbox.cluster.journal, (
                "this test sends requests to the cluster: it can't be marked `no_cluster`"
            )


SHORT_ENTRYPOINT = """
import os, sys
sys.path[:0] = [{source!r}]
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.main import main
from run_cronjob.supervisor import WakeupPipe
wakeups = WakeupPipe()
wakeups.listen()
status = main(os.environ, wakeups, {timeouts!r})
sys.stdout.flush()
os._exit(status)
"""


@pytest.fixture
def with_timeouts(sandbox: Sandbox) -> Callable[..., Path]:
    """Makes an entrypoint that differs from the action's in some of its Timeouts alone.

    The files of the image have no such entrypoint: with them, the action's own runs, with the real limits.
    """

    def entrypoint(**seconds: int) -> Path:
        if sandbox.launch:
            return ENTRYPOINT
        shutil.copy(ENTRYPOINT.with_name("action.yml"), sandbox.folder)
        path = sandbox.folder / "entrypoint.py"
        source = str(ENTRYPOINT.with_name("src"))
        path.write_text(SHORT_ENTRYPOINT.format(source=source, timeouts=Timeouts(**seconds)))
        return path

    return entrypoint


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    """A kubeconfig whose token has the rights of the group run-cronjob."""
    token = sandbox.cluster.user("ci", ["run-cronjob"])
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}},
            {"name": "elsewhere", "context": {"cluster": "c", "user": "unknown"}},
        ],
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": sandbox.cluster.url,
                    "certificate-authority-data": base64.b64encode(sandbox.cluster.ca_pem.encode()).decode(),
                },
            }
        ],
        "users": [{"name": "u", "user": {"token": token}}, {"name": "unknown", "user": {"token": "unknown-token"}}],
    }


@pytest.fixture
def direct_config(sandbox: Sandbox, config: dict[str, Any]) -> dict[str, Any]:
    """The kubeconfig without a real cluster's proxy, which terminates TLS and drops the client certificate."""
    config["clusters"][0]["cluster"] = {
        "server": sandbox.cluster.direct_url,
        "certificate-authority-data": base64.b64encode(sandbox.cluster.direct_ca_pem.encode()).decode(),
    }
    return config
