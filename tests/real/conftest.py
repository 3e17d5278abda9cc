"""The same promises where the borders are real: see `make test-real`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.control_plane.cluster import RealCluster
from sandbox.control_plane.control_plane import ControlPlane
from sandbox.names import CLUSTER, REGION
from tests.real import corpus
from tests.real.images import engine, from_image, image, in_image, leave_time_to_build, root
from tests.real.laboratory import Laboratory, server_minor
from tests.real.manifests import MANIFESTS, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.github.runner import Launcher
    from tests.real.laboratory import Object

__all__ = ["engine", "from_image", "image", "in_image", "root"]  # fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "a folder of CronJobs, from which our Jobs are compared with kubectl's"
    parser.addoption("--corpus", type=corpus.checked, metavar="FOLDER", help=told)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the test of a corpus aside where there is none."""
    return True if collection_path.name == "test_corpus.py" and not config.getoption("--corpus") else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    leave_time_to_build(items)
    # Together they stay with one worker, as a rule; each other one would start a laboratory of its own for some.
    items.sort(key=lambda item: not (isinstance(item, pytest.Function) and "laboratory" in item.fixturenames))


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
def laboratory(from_image: Launcher) -> Laboratory:
    """One whose API server has every gate open that the manifests need."""
    gates = {gate for each in MANIFESTS if each.since <= server_minor() for gate in each.gates}
    return Laboratory(ControlPlane(cluster=CLUSTER, region=REGION, features=sorted(gates)), from_image)


@pytest.fixture(scope="session")
def cronjobs(laboratory: Laboratory) -> dict[Manifest, Object]:
    """What became of each manifest that this API server keeps all of."""
    valid = [each for each in MANIFESTS if each.since <= laboratory.minor]
    read, _ = laboratory.kubectls[0].read(*(each.path for each in valid))
    return dict(zip(valid, laboratory.store(read), strict=True))
