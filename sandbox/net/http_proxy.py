"""An HTTP proxy as a company runs one, which HTTPS_PROXY and HTTP_PROXY name."""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandbox.net.proxy import Listener, Origin
from sandbox.net.server import HOST, RecordedRequest, normalized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.net.proxy import Client


class ForwardProxy(Listener):
    """Serves CONNECT tunnels and plain `http://` requests; the journal's paths are `HOST:PORT` or URLs.

    With `credentials` (user, password), requests without them get 407. With `local_ports`, which maps `HOST:PORT` to a
    port of this machine, only these tunnels exist.
    """

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        local_ports: Mapping[str, int] | None = None,
    ) -> None:
        self.journal: list[RecordedRequest] = []
        self._authorization = credentials and f"Basic {b64encode(':'.join(credentials).encode()).decode()}"
        self._local_ports = local_ports
        super().__init__()

    def answer(self, client: Client) -> None:
        """Tunnel, forward or refuse one request."""
        body = client.receive()
        path, _, query_string = client.path.partition("?")
        query, headers = normalized(query_string, client.headers.items())
        self.journal.append(RecordedRequest(client.command, path, query, headers, body))
        if self._authorization and headers.get("proxy-authorization") != self._authorization:
            challenge = [("Proxy-Authenticate", 'Basic realm="sandbox"')]
            client.reply(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, headers=challenge)
        elif self._local_ports is not None:
            if port := self._local_ports.get(client.path):
                client.tunnel(HOST, port)
            else:
                client.reply(HTTPStatus.BAD_GATEWAY, b"this proxy has no local port for it")
        elif client.command == "CONNECT":
            host, _, target_port = client.path.rpartition(":")
            client.tunnel(host, int(target_port))
        else:
            target = urlsplit(client.path)
            origin = Origin(target.hostname or "", target.port or 80)
            relative = target._replace(scheme="", netloc="").geturl()
            with client.forward(origin, relative, body, target.netloc) as answer:
                client.relay(answer)
