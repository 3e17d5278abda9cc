"""A server, a fault proxy in front of it, and a client, with and without TLS."""

from __future__ import annotations

import itertools
import queue
import socket
from typing import TYPE_CHECKING

import pytest
import urllib3
from werkzeug.wrappers import Request, Response

from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from sandbox.net.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = urllib3.Timeout(20)


class Upstream:
    """A server that answers 201 and `created`; at /watch, it streams what a test puts into `lines` (None: end)."""

    def __init__(self, authority: Authority | None) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.server = Server(self._app, tls=authority.server_context() if authority else None)

    def _app(self, request: Request) -> Response:
        if request.path == "/watch":
            # With the empty chunk, werkzeug sends the head at once, as an API server does.
            return Response(itertools.chain([b""], iter(self.lines.get, None)))
        return Response(b"created", status=201, headers=[("Warning", '299 - "one"'), ("Warning", '299 - "two"')])


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> Authority | None:
    return authority if request.param == "https" else None


@pytest.fixture
def upstream(tls: Authority | None) -> Iterator[Upstream]:
    upstream = Upstream(tls)
    yield upstream
    upstream.lines.put(None)
    upstream.server.close()


@pytest.fixture
def proxy(upstream: Upstream, tls: Authority | None) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.server.url, authority=tls, upstream_ca=tls.pem if tls else None) as proxy:
        yield proxy


@pytest.fixture
def client(authority: Authority) -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=TIMEOUT, ssl_context=authority.client_context()) as client:
        yield client


def connect(proxy: FaultProxy, authority: Authority) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=20)
    if proxy.url.startswith("https:"):
        return authority.client_context().wrap_socket(connection, server_hostname="127.0.0.1")
    return connection


def drain(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def faults(proxy: FaultProxy) -> list[str | None]:
    return [received.fault for received in proxy.journal]
