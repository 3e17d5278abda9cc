"""The same promises where the borders are real: see `make test-real`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from sandbox.realcluster import RealCluster
from tests.real.images import engine, image, in_image, root

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["engine", "image", "in_image", "root"]  # fixtures


@pytest.fixture
def world() -> Iterator[Sandbox]:
    """A local GitHub and AWS, and a real cluster whose Jobs run."""
    with Sandbox(partial(RealCluster, runs_jobs=True)) as sandbox:
        yield sandbox


@pytest.fixture
def cluster(world: Sandbox) -> RealCluster:
    assert isinstance(world.cluster, RealCluster)
    return world.cluster
