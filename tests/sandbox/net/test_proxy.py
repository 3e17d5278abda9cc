"""A proxy forwards requests and answers unchanged, and can refuse connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from tests.sandbox.net.conftest import connect, drain, faults

if TYPE_CHECKING:
    from tests.sandbox.net.conftest import Upstream


def test_a_request_and_its_answer_pass_unchanged(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    answer = client.request("POST", f"{proxy.url}/a%20b/jobs?x=1&y=%2F", body=b"{}", headers={"X-Custom": "kept"})

    assert (answer.status, answer.data) == (201, b"created")
    assert answer.headers.getlist("Warning") == ['299 - "one"', '299 - "two"']
    (seen,) = upstream.server.journal
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/a b/jobs", {"x": "1", "y": "/"}, b"{}")
    assert seen.headers["x-custom"] == "kept"
    (received,) = proxy.journal
    assert (received.method, received.path, received.query, received.body) == (
        seen.method,
        seen.path,
        seen.query,
        seen.body,
    )
    assert received.fault is None


def test_a_chunked_body_reaches_the_server_whole(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    client.request("POST", proxy.url, body=iter([b"first ", b"second"]))

    (seen,) = upstream.server.journal
    assert seen.body == b"first second"


def test_a_head_request_and_the_next_one_share_a_connection(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    head = client.request("HEAD", f"{proxy.url}/watch")
    assert (head.status, head.data) == (200, b"")

    assert client.request("GET", proxy.url).data == b"created"
    assert client.connection_from_url(proxy.url).num_connections == 1


def test_a_stream_passes_line_by_line(upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    answer = client.request("GET", f"{proxy.url}/watch", preload_content=False)
    lines = answer.stream(decode_content=False)

    for line in (b"ADDED\n", b"MODIFIED\n"):
        upstream.lines.put(line)
        assert next(lines) == line

    upstream.lines.put(None)
    assert list(lines) == []


def test_an_incomplete_request_is_not_forwarded(upstream: Upstream, proxy: FaultProxy, authority: Authority) -> None:
    with connect(proxy, authority) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        drain(connection)

    assert len(upstream.server.journal) == len(proxy.journal) == 0


@pytest.mark.parametrize("path", ["/", "/watch"])
def test_an_incomplete_answer_of_the_server_is_incomplete_for_the_client(
    upstream: Upstream, proxy: FaultProxy, tls: Authority | None, client: urllib3.PoolManager, path: str
) -> None:
    proxy.on().cut_stream(3)
    upstream.lines.put(b"ADDED\n")
    with FaultProxy(proxy.url, authority=tls, upstream_ca=tls.pem if tls else None) as before:
        answer = client.request("GET", before.url + path, preload_content=False)

        with pytest.raises(urllib3.exceptions.ProtocolError):
            list(answer.stream(decode_content=False))

    assert faults(before) == [None]


def test_refused_connections_are_accepted_again_on_the_same_port(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    assert client.request("GET", proxy.url).status == 201
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", proxy.port)):
        pass
    with pytest.raises(urllib3.exceptions.ProtocolError):  # the connection that was kept alive
        client.request("GET", proxy.url)
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        client.request("GET", proxy.url)

    proxy.accept()

    assert client.request("GET", proxy.url).status == 201
    assert len(upstream.server.journal) == len(proxy.journal) == 2


def test_refusing_does_not_end_a_request_in_progress(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on_answer = lambda _received, _status: proxy.refuse()

    assert client.request("POST", proxy.url).data == b"created"
    with pytest.raises(urllib3.exceptions.HTTPError):
        client.request("GET", proxy.url)


def test_a_dead_server_is_a_bad_gateway(upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    upstream.server.close()

    answer = client.request("GET", proxy.url)

    assert answer.status == 502
    assert f"127.0.0.1:{upstream.server.port}" in answer.data.decode()


def test_a_server_of_another_authority_is_a_bad_gateway(
    upstream: Upstream, tls: Authority | None, client: urllib3.PoolManager
) -> None:
    if tls is None:
        upstream.server.close()
    with FaultProxy(upstream.server.url, upstream_ca=Authority().pem) as proxy:
        assert client.request("GET", proxy.url).status == 502


def test_a_client_that_only_connects_does_not_block_others(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)):
        assert client.request("GET", proxy.url).status == 201


def test_closing_ends_idle_connections_and_frees_the_port(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as idle:
        client.request("GET", proxy.url)
        proxy.close()

        idle.settimeout(20)
        assert idle.recv(1) == b""
    with socket.create_server(("127.0.0.1", proxy.port)):
        pass
