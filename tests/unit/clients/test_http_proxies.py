"""Tests of clients/http: which proxy is used, and the login that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from run_cronjob.clients import http
from tests.unit.clients.listener import API, LOOPBACK, TIMEOUTS, Listener, by_urllib3

if TYPE_CHECKING:
    import socket


pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, API, ""),
        ({"HTTPS_PROXY": "http://p:1"}, API, "http://p:1"),
        ({"https_proxy": "http://p:1"}, API, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, API, ""),
        ({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"}, API, "http://p:2"),
        ({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"}, "http://token.example", "http://p:1"),
        ({"HTTPS_PROXY": ""}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com, .eks.amazonaws.com"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "eks.amazonaws.com"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ABC.gr7.eu-central-1.eks.amazonaws.com"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "aws.amazonaws.com,s.amazonaws.com"}, API, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example:6443"}, "https://api.example:6443/apis", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example:443"}, "https://api.example:6443", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "127.0.0.1,::1"}, "https://127.0.0.1:6443", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "127.0.0.1,::1"}, "https://[::1]:6443", ""),
    ],
)
def test_the_environments_proxy_for_a_url(
    environment: dict[str, str], url: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert http.proxy_for(url) == proxy
    pool = http.pool(url, http.ssl_context(), TIMEOUTS)
    assert (str(pool.proxy) if pool.proxy else "").rstrip("/") == proxy


def test_a_given_proxy_has_priority_over_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", "*")

    pool = http.pool(API, http.ssl_context(), TIMEOUTS, proxy="http://own:2")

    assert str(pool.proxy) == "http://own:2"


@pytest.mark.parametrize("written", ["http://robot:p%40ss@{}", "robot:p%40ss@{}"], ids=["a URL", "without a scheme"])
def test_the_login_in_a_proxys_url_is_sent_to_the_proxy(written: str) -> None:
    requests: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        requests.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with Listener(listen) as proxy:
        by_urllib3("https://sts.example/", proxy=written.format(f"{LOOPBACK}:{proxy.port}"))

    request = requests[0].decode().lower()
    assert request.startswith("connect sts.example:443 ")
    assert "proxy-authorization: basic cm9ib3q6cebzcw==" in request  # robot:p@ss, in lower case


def test_a_proxy_url_without_a_login_sends_none() -> None:
    pool = http.pool(API, http.ssl_context(), TIMEOUTS, proxy="http://p:1")

    assert "proxy-authorization" not in dict(getattr(pool, "proxy_headers", {}))
