"""A company's HTTP proxy, as HTTPS_PROXY and HTTP_PROXY name one: the only way out, or a closed door."""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlsplit

from sandbox.net.proxy import Listener, Origin
from sandbox.net.server import HOST, Journal, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.net.proxy import Client


class Listening(Protocol):
    """Whatever listens on a port of this machine."""

    port: int


class ForwardProxy(Listener):
    """CONNECT tunnels and plain `http://` requests; the journal's paths are the targets: `HOST:PORT`, or the URL.

    With `credentials` (user, password) others get 407; with `forbid` everybody gets 403. With `stand_ins`, which give
    the server for each `HOST:PORT`, a tunnel leads to that server, and to nothing else.
    """

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        forbid: bool = False,
        stand_ins: Mapping[str, Listening] | None = None,
    ) -> None:
        self.journal = Journal()
        self._authorization = credentials and f"Basic {b64encode(':'.join(credentials).encode()).decode()}"
        self._forbid = forbid
        self._stand_ins = stand_ins
        super().__init__()

    def answer(self, client: Client) -> None:
        """Tunnel, forward or refuse one request."""
        body = client.receive()
        url, _, query = client.path.partition("?")
        headers = {name.lower(): value for name, value in client.headers.items()}
        self.journal.write(Request(client.command, url, dict(parse_qsl(query, keep_blank_values=True)), headers, body))
        if self._authorization and headers.get("proxy-authorization") != self._authorization:
            challenge = [("Proxy-Authenticate", 'Basic realm="sandbox"')]
            client.reply(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, headers=challenge)
        elif self._forbid:
            client.reply(HTTPStatus.FORBIDDEN, b"this proxy's policy forbids it")
        elif self._stand_ins is not None:
            if server := self._stand_ins.get(client.path):
                client.tunnel(HOST, server.port)
            else:
                client.reply(HTTPStatus.BAD_GATEWAY, b"nothing stands in for it")
        elif client.command == "CONNECT":
            host, _, port = client.path.rpartition(":")
            client.tunnel(host, int(port))
        else:
            target = urlsplit(client.path)
            origin = Origin(target.hostname or "", target.port or 80)
            relative = target._replace(scheme="", netloc="").geturl()
            with client.deliver(origin, relative, body, target.netloc) as answer:
                client.relay(answer)
