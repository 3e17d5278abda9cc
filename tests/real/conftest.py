"""Fixtures for tests against a real control plane and container engine (`make test-real`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.control_plane.cluster import RealCluster
from sandbox.control_plane.control_plane import ControlPlane
from sandbox.names import CLUSTER, REGION
from tests.real import corpus
from tests.real.api_server import ApiServer, server_minor
from tests.real.images import engine, exclude_builds_from_timeouts, from_image, image, in_image, root
from tests.real.manifests import MANIFESTS, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.github.runner import Launcher
    from tests.real.api_server import Object

__all__ = ["engine", "from_image", "image", "in_image", "root"]  # fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "a folder of CronJobs, from which our Jobs are compared with kubectl's"
    parser.addoption("--corpus", type=corpus.folder_with_cronjobs, metavar="FOLDER", help=text)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the test of a corpus if none is given."""
    return True if collection_path.name == "test_corpus.py" and not config.getoption("--corpus") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    exclude_builds_from_timeouts(items)
    # Side by side, these tests mostly run on one worker. Each further worker starts an API server of its own.
    items.sort(key=lambda item: not (isinstance(item, pytest.Function) and "api_server" in item.fixturenames))


@pytest.fixture
def sandbox(from_image: Launcher) -> Iterator[Sandbox]:
    """A local GitHub and AWS, and a real cluster whose Jobs run."""
    with Sandbox(partial(RealCluster, runs_jobs=True)) as sandbox:
        sandbox.launch = from_image
        yield sandbox


@pytest.fixture
def cluster(sandbox: Sandbox) -> RealCluster:
    assert isinstance(sandbox.cluster, RealCluster)
    return sandbox.cluster


@pytest.fixture(scope="session")
def api_server(from_image: Launcher) -> ApiServer:
    """An API server with every feature gate enabled that the manifests need."""
    gates = {gate for each in MANIFESTS if each.since <= server_minor() for gate in each.gates}
    return ApiServer(ControlPlane(cluster=CLUSTER, region=REGION, features=sorted(gates)), from_image)


@pytest.fixture(scope="session")
def cronjobs(api_server: ApiServer) -> dict[Manifest, Object]:
    """The stored CronJob of each manifest whose fields this API server knows."""
    valid = [each for each in MANIFESTS if each.since <= api_server.minor]
    read, _ = api_server.kubectls[0].read(*(each.path for each in valid))
    return dict(zip(valid, api_server.store(read), strict=True))
