"""What the sandbox's proxies share: a loopback listener that passes requests on, and can break a connection.

Not on werkzeug: a WSGI application sees neither the request line as it was sent nor the socket that a fault breaks.
"""

from __future__ import annotations

import selectors
import socket
import socketserver
import ssl
import struct
import sys
import threading
from abc import ABC, abstractmethod
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler
from typing import IO, TYPE_CHECKING, Self, cast

from werkzeug.serving import DechunkedInput

from sandbox.net.server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BLOCK = 65536

# RFC 9110, section 7.6.1, and `Expect`, which http.server has answered already.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The headers that a proxy passes on."""
    return ((name, value) for name, value in headers if name.lower() not in HOP_BY_HOP)


def carry(
    client: socket.socket, upstream: socket.socket, note: Callable[[socket.socket, int], object] = lambda *_: None
) -> None:
    """Carry bytes both ways until both sides have ended; `note` is told from which side how many came."""
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, data=upstream)
        ready.register(upstream, selectors.EVENT_READ, data=client)
        while ready.get_map():
            for key, _ in ready.select():
                source, sink = cast("socket.socket", key.fileobj), key.data
                if data := source.recv(BLOCK):
                    note(source, len(data))
                    sink.sendall(data)
                else:
                    ready.unregister(source)
                    with suppress(OSError):
                        sink.shutdown(socket.SHUT_WR)


class BadGatewayError(Exception):
    """The server behind the proxy could not be reached, or gave no answer."""


@dataclass(frozen=True)
class Origin:
    """The server behind a proxy; with `tls`, verified by that context."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def connection(self) -> HTTPConnection:
        """A connection to open; without a time-out, because a watch may be silent for long."""
        if self.tls:
            return HTTPSConnection(self.host, self.port, context=self.tls)
        return HTTPConnection(self.host, self.port)


class Client(BaseHTTPRequestHandler):
    """The client at the other end of one connection, kept alive from request to request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _converse(self) -> None:
        if self.server.retired:
            self.reset()
            return
        try:
            self.server.listener.answer(self)
        except BadGatewayError as error:
            self.reply(HTTPStatus.BAD_GATEWAY, str(error).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = _converse  # noqa: N815  http.server's own names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's own name
        """Say nothing: the journal is the record."""

    def receive(self) -> bytes:
        """Read the request's body, once."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return DechunkedInput(cast("IO[bytes]", self.rfile)).read()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client left before it had sent the whole body")
        return body

    @contextmanager
    def deliver(self, origin: Origin, target: str, body: bytes, host: str | None = None) -> Iterator[HTTPResponse]:
        """Pass the request on to `origin`, and yield the answer, of which only the head is read so far."""
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(closing(origin.connection()))
                connection.connect()
                stack.enter_context(self.server.listener.held(connection.sock))
                connection.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
                connection.putheader("Host", host or f"{origin.host}:{origin.port}")
                for name, value in end_to_end(self.headers.items()):
                    if name.lower() not in {"host", "content-length"}:
                        connection.putheader(name, value)
                if body or "Content-Length" in self.headers:
                    connection.putheader("Content-Length", str(len(body)))
                connection.putheader("Connection", "close")
                connection.endheaders(body)
                answer = stack.enter_context(connection.getresponse())
            except (OSError, HTTPException) as error:
                raise BadGatewayError(f"no answer from {origin.host}:{origin.port}: {error!r}") from error
            yield answer

    def relay(self, answer: HTTPResponse, *, cut_after: int | None = None, stall: bool = False) -> None:
        """Pass the answer on as it comes; after so many bytes of its body break off, or `stall` until the end."""
        declared = answer.length
        chunked = declared is None
        framing = [("Transfer-Encoding", "chunked")] if chunked else []
        self._head(answer.status, answer.reason, [*end_to_end(answer.getheaders()), *framing])
        whole = sys.maxsize if declared is None else declared
        wanted = left = whole if cut_after is None else min(whole, cut_after)
        try:
            while left and (data := answer.read1(min(left, BLOCK))):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                left -= len(data)
            if chunked and left:
                self.wfile.write(b"0\r\n\r\n")
        except (OSError, HTTPException):
            # One side broke off: the other must see no orderly end.
            self.close()
        if stall:
            self.wait()
        if wanted < whole or (left and not chunked):
            self.close()

    def reply(
        self,
        status: int,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        *,
        cut_after: int | None = None,
    ) -> None:
        """Answer in the server's stead; break off after so many bytes of the announced body."""
        others = [(name, value) for name, value in headers if name.lower() != "content-length"]
        self._head(status, None, [*others, ("Content-Length", str(len(body)))])
        if self.command != "HEAD":
            self.wfile.write(body[:cut_after])
        if cut_after is not None:
            self.close()

    def _head(self, status: int, reason: str | None, headers: Iterable[tuple[str, str]]) -> None:
        self.send_response_only(status, reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def close(self) -> None:
        """End the connection in order (FIN) after what was sent so far."""
        self.close_connection = True

    def reset(self) -> None:
        """Abort the connection (RST)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def wait(self, seconds: float | None = None) -> None:
        """Let time pass, without end if None; a proxy that closes meanwhile does no more for this request."""
        if self.server.listener.closed.wait(seconds):
            raise ConnectionAbortedError("the proxy was closed")

    def tunnel(self, host: str, port: int) -> None:
        """Answer a CONNECT, and carry bytes both ways until both sides have ended."""
        try:
            upstream = socket.create_connection((host, port))
        except OSError as error:
            raise BadGatewayError(f"no connection to {host}:{port}: {error!r}") from error
        with upstream, self.server.listener.held(upstream):
            self.send_response_only(HTTPStatus.OK, "Connection established")
            self.end_headers()
            carry(self.connection, upstream)
        self.close()


class Listener(ABC):
    """Listens on one loopback port, which stays its own also while it refuses connections."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.closed = threading.Event()
        self._tls = tls
        self._sockets: set[socket.socket] = set()
        self._server = _Server(self, 0, tls)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self.port}"
        self.accept()

    @abstractmethod
    def answer(self, client: Client) -> None:
        """Deal with one request."""

    def accept(self) -> None:
        """Listen; also again, after `refuse`."""
        self._server.start()

    def refuse(self) -> None:
        """Refuse connections, and break those that idle once they are used; what is under way goes on."""
        self._server.retire()
        # Bound but not listening: connections are refused, and nobody else gets the port.
        self._server = _Server(self, self.port, self._tls)

    def close(self) -> None:
        """Free the port and end whatever is under way."""
        self.closed.set()
        self._server.retire()
        for held in tuple(self._sockets):
            # Not SSLSocket's own, which takes the TLS object from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(held, socket.SHUT_RDWR)

    @contextmanager
    def held(self, connection: socket.socket) -> Iterator[None]:
        """Have `close` shut this connection down while the block lasts."""
        self._sockets.add(connection)
        try:
            yield
        finally:
            self._sockets.discard(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listener: Listener, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__((HOST, port), Client, bind_and_activate=False)
        self.listener = listener
        self.retired = False
        self._tls = tls
        self._thread: threading.Thread | None = None
        self.server_bind()

    def start(self) -> None:
        if self._thread is None:
            self.server_activate()
            self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
            self._thread.start()

    def retire(self) -> None:
        self.retired = True
        if self._thread:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        if self._tls:
            # The handshake is left to the connection's own thread: a slow client must not hold up the others.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        with self.listener.held(request):
            super().finish_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        # Without socketserver's shutdown first: its FIN would come before the RST that `reset` is about.
        self.close_request(request)

    def handle_error(self, request: object, client_address: tuple[str, int]) -> None:
        # A client that leaves, or that doesn't trust us, is no error of ours; all else is, a failing hook included.
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
