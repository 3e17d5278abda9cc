"""The HTTP proxy forwards, tunnels and refuses as a company's proxy does."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, TypeAlias

import pytest
import urllib3
from werkzeug.wrappers import Request, Response

from sandbox.net.http_proxy import ForwardProxy
from sandbox.net.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.net.certificates import Authority

    Through: TypeAlias = Callable[..., urllib3.ProxyManager]


def echo(request: Request) -> Response:
    return Response(request.get_data())


@pytest.fixture
def secure(authority: Authority) -> Iterator[Server]:
    with Server(echo, tls=authority.server_context()) as server:
        yield server


@pytest.fixture
def plain() -> Iterator[Server]:
    with Server(echo) as server:
        yield server


@pytest.fixture
def through(authority: Authority) -> Iterator[Through]:
    """Connects clients by way of a proxy."""
    managers: list[urllib3.ProxyManager] = []

    def connect(proxy: ForwardProxy, user: str | None = None) -> urllib3.ProxyManager:
        headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
        manager = urllib3.ProxyManager(
            proxy.url,
            proxy_headers=headers,
            retries=False,
            timeout=urllib3.Timeout(20),
            ssl_context=authority.client_context(),
        )
        managers.append(manager)
        return manager

    yield connect
    for manager in managers:
        manager.clear()


def test_https_goes_through_a_tunnel_that_sees_nothing_but_the_target(secure: Server, through: Through) -> None:
    body = b"x" * 300_000
    with ForwardProxy() as proxy:
        assert through(proxy).request("POST", f"{secure.url}/path", body=body).data == body

    (seen,) = proxy.journal
    assert (seen.method, seen.path, seen.body) == ("CONNECT", f"127.0.0.1:{secure.port}", b"")
    assert [seen.path for seen in secure.journal] == ["/path"]


def test_http_is_forwarded_without_the_headers_for_the_proxy(plain: Server, through: Through) -> None:
    with ForwardProxy(credentials=("user", "secret")) as proxy:
        assert through(proxy, "user:secret").request("POST", f"{plain.url}/a%20b?x=1", body=b"hello").data == b"hello"

    (asked,) = proxy.journal
    assert (asked.method, asked.path, asked.query) == ("POST", f"{plain.url}/a%20b", {"x": "1"})
    (seen,) = plain.journal
    assert (seen.path, seen.query, seen.headers["host"]) == ("/a b", {"x": "1"}, f"127.0.0.1:{plain.port}")
    assert "proxy-authorization" not in seen.headers


def test_a_client_that_closes_its_side_still_gets_the_answer(plain: Server) -> None:
    target = f"127.0.0.1:{plain.port}".encode()
    with ForwardProxy() as proxy, socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as connection:
        connection.sendall(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, target))
        assert connection.recv(1024) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        connection.sendall(b"POST / HTTP/1.1\r\nHost: %b\r\nContent-Length: 5\r\n\r\nhello" % target)
        connection.shutdown(socket.SHUT_WR)

        assert connection.makefile("rb").read().endswith(b"hello")


def test_the_right_credentials_open_the_tunnel(secure: Server, through: Through) -> None:
    with ForwardProxy(credentials=("user", "secret")) as proxy:
        assert through(proxy, "user:secret").request("GET", secure.url).status == 200


@pytest.mark.parametrize("user", [None, "user:wrong"])
def test_without_the_right_credentials_there_is_no_tunnel(secure: Server, through: Through, user: str | None) -> None:
    with (
        ForwardProxy(credentials=("user", "secret")) as proxy,
        pytest.raises(urllib3.exceptions.ProxyError, match="407"),
    ):
        through(proxy, user).request("GET", secure.url)

    assert [seen.method for seen in proxy.journal] == ["CONNECT"]
    assert len(secure.journal) == 0


def test_without_the_right_credentials_nothing_is_forwarded(plain: Server, through: Through) -> None:
    with ForwardProxy(credentials=("user", "secret")) as proxy:
        answer = through(proxy).request("GET", plain.url)

    assert (answer.status, answer.headers["Proxy-Authenticate"]) == (407, 'Basic realm="sandbox"')
    assert len(plain.journal) == 0


def test_a_dead_target_is_a_bad_gateway(secure: Server, plain: Server, through: Through) -> None:
    secure.close()
    plain.close()
    with ForwardProxy() as proxy:
        with pytest.raises(urllib3.exceptions.ProxyError, match="502"):
            through(proxy).request("GET", secure.url)
        assert through(proxy).request("GET", plain.url).status == 502


def test_a_proxy_that_refuses_connections_is_a_proxy_error(secure: Server, through: Through) -> None:
    with ForwardProxy() as proxy:
        proxy.refuse()

        with pytest.raises(urllib3.exceptions.ProxyError, match="Unable to connect to proxy"):
            through(proxy).request("GET", secure.url)


def test_a_tunnel_can_lead_to_a_local_port(authority: Authority, through: Through) -> None:
    local = Server(echo, tls=authority.server_context("sts.example.com"))
    with local, ForwardProxy(local_ports={"sts.example.com:443": local.port}) as proxy:
        answer = through(proxy).request("POST", "https://sts.example.com/", body=b"for us")
        assert answer.data == b"for us"

        with pytest.raises(urllib3.exceptions.ProxyError):
            through(proxy).request("GET", "https://sts.example.com:444/")
        assert through(proxy).request("GET", "http://127.0.0.1:1/").status == 502
