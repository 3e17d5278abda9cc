"""A WSGI server on loopback that writes down every request it answers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request as WSGIRequest
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

HOST = "127.0.0.1"
_POLL_SECONDS = 0.02
"""How soon `close` is noticed; socketserver's half second adds up over a suite."""


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `headers` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Journal:
    """The requests a server received, in order of arrival."""

    def __init__(self) -> None:
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    def write(self, request: Request) -> None:
        """Append one request."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._lock:
            self._requests.clear()

    def __iter__(self) -> Iterator[Request]:
        with self._lock:
            return iter(tuple(self._requests))

    def __len__(self) -> int:
        with self._lock:
            return len(self._requests)


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  werkzeug's own name
        """Say nothing: the journal is the record."""


class Server:
    """Serves `app` on a free loopback port from construction until `close`."""

    def __init__(
        self,
        app: Callable[[WSGIRequest], Response],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.journal = Journal()
        self._app = app
        wsgi = WSGIRequest.application(self._answer)
        self._server = make_server(HOST, 0, wsgi, threaded=True, request_handler=_QuietHandler)
        if tls:
            # The handshake belongs to the connection's own thread: a silent client must not keep others waiting.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port: int = self._server.port
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()

    def _answer(self, request: WSGIRequest) -> Response:
        # Read here, once: werkzeug caches the body, so that the app sees it too.
        body = request.get_data(cache=True)
        self.journal.write(
            Request(
                request.method,
                request.path,
                dict(parse_qsl(request.query_string.decode(), keep_blank_values=True)),
                {name.lower(): value for name, value in request.headers.items()},
                body,
            )
        )
        return self._app(request)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
