"""The whole process, `entrypoint.py`, as a runner starts it, against the sandbox."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import NAMESPACE, Sandbox
from sandbox.control_plane.cluster import RealCluster
from sandbox.environment import emulated
from tests.real.images import engine, from_image, image, leave_time_to_build, root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.aws.server import AWS
    from sandbox.emulator.server import EmulatedCluster
    from sandbox.net.certificates import Authority

CLUSTERS: dict[str, Callable[[Authority, AWS], EmulatedCluster | RealCluster]] = {
    "emulator": emulated,
    "real": RealCluster,
}

__all__ = ["engine", "from_image", "image", "root"]  # fixtures, for a real cluster


def pytest_addoption(parser: pytest.Parser) -> None:
    told = (
        "which API server: the emulator, or a real one, with the real verifier of EKS tokens and the files and the "
        "Python of the action's image (see make test-real)"
    )
    parser.addoption("--cluster", choices=list(CLUSTERS), default="emulator", help=told)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Its time-outs take the longest: begun last, they would be waited for when nothing else is left to do.
    items.sort(key=lambda item: item.path.name != "test_network.py")
    if config.getoption("--cluster") == "emulator":
        return
    leave_time_to_build(items)
    ending_before = [item for item in items if item.get_closest_marker("no_cluster")]
    config.hook.pytest_deselected(items=ending_before)
    items[:] = [item for item in items if item not in ending_before]
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
            assert not sandbox.cluster.journal, "this test speaks to the cluster: it is no `no_cluster`"


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    """A kubeconfig with a token that has the rights of the group run-cronjob."""
    token = sandbox.cluster.user("ci", ["run-cronjob"])
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}},
            {"name": "elsewhere", "context": {"cluster": "c", "user": "stranger"}},
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
        "users": [{"name": "u", "user": {"token": token}}, {"name": "stranger", "user": {"token": "unknown-token"}}],
    }


@pytest.fixture
def direct_config(sandbox: Sandbox, config: dict[str, Any]) -> dict[str, Any]:
    """The same, past the proxy that keeps a real cluster's journal: it ends TLS, and with it a client certificate."""
    config["clusters"][0]["cluster"] = {
        "server": sandbox.cluster.direct_url,
        "certificate-authority-data": base64.b64encode(sandbox.cluster.direct_ca_pem.encode()).decode(),
    }
    return config
