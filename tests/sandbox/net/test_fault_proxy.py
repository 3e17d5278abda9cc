"""The fault proxy injects the faults it is asked for, and shows requests to observers."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.net.fault_proxy import FaultProxy, Rule
from sandbox.net.proxy import Client
from tests.sandbox.net.conftest import connect, drain, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.net.certificates import Authority
    from tests.sandbox.net.conftest import Upstream


@pytest.mark.parametrize("preserve_host", [True, False])
def test_the_clients_host_header_can_be_preserved(
    upstream: Upstream, tls: Authority | None, client: urllib3.PoolManager, *, preserve_host: bool
) -> None:
    with FaultProxy(
        upstream.server.url, authority=tls, upstream_ca=tls.pem if tls else None, preserve_host=preserve_host
    ) as proxy:
        client.request("GET", proxy.url, headers={"Host": "sts.eu-west-1.amazonaws.com"})

    (seen,) = upstream.server.journal
    expected = "sts.eu-west-1.amazonaws.com" if preserve_host else f"127.0.0.1:{upstream.server.port}"
    assert seen.headers["host"] == expected


@pytest.mark.parametrize(
    ("fault", "aborted"),
    [(Rule.reset, True), (Rule.lose_answer, True), (Rule.close, False)],
)
def test_a_connection_is_reset_or_closed(
    proxy: FaultProxy, authority: Authority, fault: Callable[[Rule], None], *, aborted: bool
) -> None:
    fault(proxy.on())
    with connect(proxy, authority) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        # Read below TLS, because Python 3.11 reports a reset under TLS as a normal end.
        with socket.socket(fileno=connection.detach()) as bare:
            bare.settimeout(20)
            with pytest.raises(ConnectionResetError) if aborted else contextlib.nullcontext():
                drain(bare)


def test_reset_aborts_the_connection_and_spares_the_server(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().reset()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("GET", proxy.url)

    assert len(upstream.server.journal) == 0
    assert faults(proxy) == ["reset"]


def test_close_ends_the_connection_without_an_answer_and_spares_the_server(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().close()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("GET", proxy.url)

    assert len(upstream.server.journal) == 0


def test_a_kept_alive_connection_can_fail_on_its_second_request(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on(skip=1).close()
    assert client.request("GET", proxy.url).status == 201

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("POST", proxy.url)

    assert [seen.method for seen in upstream.server.journal] == ["GET"]


def test_a_lost_answer_is_to_a_request_that_the_server_got(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on(method="POST").lose_answer()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("POST", proxy.url, body=b"job")

    (seen,) = upstream.server.journal
    assert seen.body == b"job"
    assert faults(proxy) == ["lose_answer"]


def test_status_answers_instead_of_the_server(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().status(429, b"slow down", {"Retry-After": "1"})

    answer = client.request("GET", proxy.url)

    assert (answer.status, answer.data, answer.headers["Retry-After"]) == (429, b"slow down", "1")
    assert len(upstream.server.journal) == 0


def test_a_status_for_a_head_request_leaves_the_connection_usable(
    proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().status(503, b"no body may follow")

    assert client.request("HEAD", proxy.url).status == 503
    assert client.request("GET", proxy.url).status == 201
    assert client.connection_from_url(proxy.url).num_connections == 1


def test_status_after_replaces_the_servers_answer(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().status_after(504, b"gateway time-out")

    answer = client.request("POST", proxy.url)

    assert (answer.status, answer.data) == (504, b"gateway time-out")
    assert len(upstream.server.journal) == 1


def test_a_delayed_request_reaches_the_server_after_its_client_gave_up(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_gave_up, delivered = threading.Event(), threading.Event()
    monkeypatch.setattr(Client, "wait", lambda _self, _seconds: client_gave_up.wait(20))
    proxy.on_answer = lambda _received, _status: delivered.set()
    proxy.on().delay(60)

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.request("POST", proxy.url, timeout=urllib3.Timeout(connect=20, read=0.1))
    assert len(upstream.server.journal) == 0
    client_gave_up.set()

    assert delivered.wait(20)
    assert len(upstream.server.journal) == 1


def test_a_delayed_request_is_answered_in_the_end(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on().delay(0.01)

    assert client.request("GET", proxy.url).data == b"created"
    assert faults(proxy) == ["delay"]


def test_a_delayed_answer_is_to_a_request_that_the_server_got_at_once(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    answered = threading.Event()
    proxy.on_answer = lambda _received, _status: answered.set()
    proxy.on().delay_answer(60)

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.request("POST", proxy.url, timeout=urllib3.Timeout(connect=20, read=0.1))

    assert answered.wait(20)
    assert len(upstream.server.journal) == 1


def test_a_delayed_answer_arrives_in_the_end(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on().delay_answer(0.01)

    assert client.request("GET", proxy.url).data == b"created"
    assert faults(proxy) == ["delay_answer"]


def test_hang_lasts_until_the_proxy_closes_and_spares_the_server(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().hang()
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        client.request("GET", proxy.url, timeout=urllib3.Timeout(connect=20, read=0.1))

    proxy.on().hang()
    closing = threading.Thread(target=proxy.close)
    proxy.on_request = lambda _received: closing.start()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("GET", proxy.url)
    closing.join()

    assert len(upstream.server.journal) == 0


def test_closing_the_proxy_during_a_delay_forwards_nothing(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().delay(60)
    closing = threading.Thread(target=proxy.close)
    proxy.on_request = lambda _received: closing.start()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("POST", proxy.url)
    closing.join()

    assert len(upstream.server.journal) == 0


def test_a_truncated_answer_announces_more_than_it_sends(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on().truncate(4)

    answer = client.request("GET", proxy.url, preload_content=False)

    assert answer.headers["Content-Length"] == "7"
    assert answer.read(4) == b"crea"
    with pytest.raises(urllib3.exceptions.ProtocolError, match="3 more expected"):
        answer.read()


def test_a_stream_is_cut_after_so_many_bytes_though_the_server_goes_on(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    proxy.on().cut_stream(9)
    for line in (b"ADDED\n", b"MODIFIED\n"):
        upstream.lines.put(line)
    answer = client.request("GET", f"{proxy.url}/watch", preload_content=False)

    pieces = answer.stream(decode_content=False)
    assert [next(pieces), next(pieces)] == [b"ADDED\n", b"MOD"]
    with pytest.raises(urllib3.exceptions.ProtocolError):
        next(pieces)


@pytest.mark.parametrize(("after", "passed"), [(0, b""), (9, b"ADDED\nMOD")])
def test_a_stream_stalls_after_so_many_bytes_until_the_proxy_closes(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager, after: int, passed: bytes
) -> None:
    proxy.on().stall_stream(after)
    for line in (b"ADDED\n", b"MODIFIED\n"):
        upstream.lines.put(line)
    answer = client.request(
        "GET", f"{proxy.url}/watch", preload_content=False, timeout=urllib3.Timeout(connect=20, read=0.5)
    )

    assert answer.status == 200
    pieces = answer.stream(decode_content=False)
    seen = b""
    while len(seen) < after:
        seen += next(pieces)
    assert seen == passed
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        next(pieces)
    assert faults(proxy) == ["stall_stream"]


def test_a_stalled_stream_of_known_length_does_not_end_either(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on().stall_stream(4)
    answer = client.request("GET", proxy.url, preload_content=False, timeout=urllib3.Timeout(connect=20, read=0.5))

    assert answer.read(4) == b"crea"
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        answer.read()


def test_a_fault_applies_only_to_its_method_and_path(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on(method="POST", path_contains="/jobs?dryRun=All", times=None).status(503)

    seen = [
        client.request(method, proxy.url + target).status
        for method, target in (
            ("GET", "/jobs?dryRun=All"),
            ("POST", "/pods?dryRun=All"),
            ("POST", "/jobs"),
            ("POST", "/jobs?dryRun=All"),
            ("POST", "/jobs?dryRun=All"),
        )
    ]

    assert seen == [201, 201, 201, 503, 503]


def test_a_fault_skips_requests_and_then_counts(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on(skip=1, times=2).status(503)

    assert [client.request("GET", proxy.url).status for _ in range(5)] == [201, 503, 503, 201, 201]
    assert faults(proxy) == [None, "status", "status", None, None]


def test_several_faults_apply_in_order(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    proxy.on().status(500)
    proxy.on(skip=1).status(502)

    assert [client.request("GET", proxy.url).status for _ in range(4)] == [500, 201, 502, 201]


def test_the_observers_get_the_request_before_the_server_and_the_answer_before_the_client(
    upstream: Upstream, proxy: FaultProxy, client: urllib3.PoolManager
) -> None:
    order: list[tuple[str, int]] = []
    proxy.on_request = lambda received: order.append((received.method, len(upstream.server.journal)))
    proxy.on_answer = lambda received, status: order.append(
        (f"{received.method} {status}", len(upstream.server.journal))
    )

    client.request("POST", proxy.url)

    assert order == [("POST", 0), ("POST 201", 1)]


def test_the_observers_get_a_request_with_a_fault_too(proxy: FaultProxy, client: urllib3.PoolManager) -> None:
    seen: list[str | None] = []
    proxy.on_request = lambda received: seen.append(received.fault)
    proxy.on().reset()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("GET", proxy.url)

    assert seen == ["reset"]


def test_a_failing_observer_is_reported_and_the_client_gets_no_answer(
    proxy: FaultProxy, client: urllib3.PoolManager, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_received: object) -> None:
        raise ProcessLookupError("the process to signal is gone")

    proxy.on_request = fail

    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.request("GET", proxy.url)

    assert "the process to signal is gone" in capfd.readouterr().err
