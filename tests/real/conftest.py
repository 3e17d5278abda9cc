"""The same promises where the borders are real: see `make test-real`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.realcluster import RealCluster
from tests.real import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "a folder of CronJobs, from which our Jobs are compared with kubectl's"
    parser.addoption("--corpus", type=corpus.files, metavar="FOLDER", help=told)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the test of a corpus aside where there is none."""
    return True if collection_path.name == "test_corpus.py" and not config.getoption("--corpus") else None


@pytest.fixture
def world() -> Iterator[Sandbox]:
    """A local GitHub and AWS, and a real cluster whose Jobs run."""
    with Sandbox(partial(RealCluster, runs_jobs=True)) as sandbox:
        yield sandbox


@pytest.fixture
def cluster(world: Sandbox) -> RealCluster:
    assert isinstance(world.cluster, RealCluster)
    return world.cluster
