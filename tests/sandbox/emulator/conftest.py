"""An emulated cluster, and clients with all rights (root) and with few (runner)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.emulator.server import EmulatedCluster
from sandbox.net.certificates import Authority
from tests.sandbox.emulator.client import SET_UP, Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def cluster(authority: Authority) -> Iterator[EmulatedCluster]:
    with EmulatedCluster(authority) as cluster:
        cluster.apply(SET_UP)
        yield cluster


@pytest.fixture
def root(cluster: EmulatedCluster) -> Client:
    return Client(cluster, cluster.user("root", ["system:masters"]))


@pytest.fixture
def runner(cluster: EmulatedCluster) -> Client:
    return Client(cluster, cluster.user("octocat", ["runners"]))
