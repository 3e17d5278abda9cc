"""Serves a WSGI application on loopback and records every request."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

HOST = "127.0.0.1"
POLL_SECONDS = 0.02
"""The delay of `close`; the half second of socketserver adds up over a test suite."""


@dataclass(frozen=True)
class RecordedRequest:
    """A request as it arrived; `fault` is the name of the fault that a proxy applied to it, if any."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    fault: str | None = None


def normalized(query: str, headers: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """A request's query parameters, and its headers with names in lower case."""
    return dict(parse_qsl(query, keep_blank_values=True)), {name.lower(): value for name, value in headers}


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  werkzeug's own name
        """Log nothing: the journal records the requests."""


class Closeable(ABC):
    """A context manager that ends with `close`."""

    @abstractmethod
    def close(self) -> None:
        """Free all resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(Closeable):
    """Serves `app` on a free port from construction until `close`; `journal` lists its requests in order."""

    def __init__(self, app: Callable[[Request], Response], *, tls: ssl.SSLContext | None = None) -> None:
        self.journal: list[RecordedRequest] = []
        self._app = app
        wsgi = Request.application(self._answer)
        self._server = make_server(HOST, 0, wsgi, threaded=True, request_handler=_QuietHandler)
        if tls:
            # The handshake runs in the connection's own thread, so that a silent client does not block the others.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.port
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        self._thread.start()

    def _answer(self, request: Request) -> Response:
        # werkzeug caches the body, so that the application can read it again.
        body = request.get_data(cache=True)
        query, headers = normalized(request.query_string.decode(), request.headers.items())
        self.journal.append(RecordedRequest(request.method, request.path, query, headers, body))
        return self._app(request)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
