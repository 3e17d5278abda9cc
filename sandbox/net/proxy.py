"""The base of the sandbox's proxies: a loopback server that forwards requests and can break connections.

It does not use WSGI, whose applications get neither the original request line nor the socket.
"""

from __future__ import annotations

import selectors
import socket
import socketserver
import ssl
import struct
import sys
import threading
from abc import abstractmethod
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler
from typing import IO, TYPE_CHECKING, cast

from werkzeug.serving import DechunkedInput

from sandbox.net.server import HOST, POLL_SECONDS, Closeable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BLOCK = 65536

# RFC 9110, section 7.6.1, and `Expect`, which http.server answers itself.
_HOP_BY_HOP = frozenset(
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
    """The headers that a proxy forwards."""
    return ((name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP)


def copy_both_ways(
    client: socket.socket, upstream: socket.socket, on_data: Callable[[socket.socket, int], object] = lambda *_: None
) -> None:
    """Copy bytes in both directions until both sides close; `on_data` gets each source and its number of bytes."""
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, data=upstream)
        ready.register(upstream, selectors.EVENT_READ, data=client)
        while ready.get_map():
            for key, _ in ready.select():
                source, sink = cast("socket.socket", key.fileobj), key.data
                if data := source.recv(_BLOCK):
                    on_data(source, len(data))
                    sink.sendall(data)
                else:
                    ready.unregister(source)
                    with suppress(OSError):
                        sink.shutdown(socket.SHUT_WR)


class BadGatewayError(Exception):
    """The server behind the proxy is unreachable or gave no answer."""


@dataclass(frozen=True)
class Origin:
    """The server behind a proxy; `tls` is the context that verifies its certificate."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def connection(self) -> HTTPConnection:
        """A connection, not opened yet; it has no timeout, because a watch may be silent for long."""
        if self.tls:
            return HTTPSConnection(self.host, self.port, context=self.tls)
        return HTTPConnection(self.host, self.port)


class Client(BaseHTTPRequestHandler):
    """A connection from a client, kept alive between requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _TcpServer

    def _handle(self) -> None:
        if self.server.stopped:
            self.reset()
            return
        try:
            self.server.listener.answer(self)
        except BadGatewayError as error:
            self.reply(HTTPStatus.BAD_GATEWAY, str(error).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_CONNECT = _handle  # noqa: N815  http.server's own names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's own name
        """Log nothing: the journal records the requests."""

    def receive(self) -> bytes:
        """Read the request's body; call this once."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return DechunkedInput(cast("IO[bytes]", self.rfile)).read()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client left before it had sent the whole body")
        return body

    @contextmanager
    def forward(self, origin: Origin, target: str, body: bytes, host: str | None = None) -> Iterator[HTTPResponse]:
        """Forward the request to `origin`, and yield the answer, whose body is not read yet."""
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(closing(origin.connection()))
                connection.connect()
                stack.enter_context(self.server.listener.tracked(connection.sock))
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
        """Send the answer to the client as it arrives.

        After `cut_after` bytes of its body, close the connection, or with `stall`, send nothing until the proxy closes.
        """
        declared = answer.length
        chunked = declared is None
        framing = [("Transfer-Encoding", "chunked")] if chunked else []
        self._head(answer.status, answer.reason, [*end_to_end(answer.getheaders()), *framing])
        whole = sys.maxsize if declared is None else declared
        wanted = left = whole if cut_after is None else min(whole, cut_after)
        try:
            while left and (data := answer.read1(min(left, _BLOCK))):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                left -= len(data)
            if chunked and left:
                self.wfile.write(b"0\r\n\r\n")
        except (OSError, HTTPException):
            # One side broke the connection, so the other must not get a complete answer.
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
        """Answer instead of the server; close the connection after `cut_after` bytes of the announced body."""
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
        """Close the connection (FIN) after the bytes that were sent so far."""
        self.close_connection = True

    def reset(self) -> None:
        """Abort the connection (RST)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def wait(self, seconds: float | None = None) -> None:
        """Wait, forever if None. Raises ConnectionAbortedError if the proxy is closed meanwhile."""
        if self.server.listener.closed.wait(seconds):
            raise ConnectionAbortedError("the proxy was closed")

    def tunnel(self, host: str, port: int) -> None:
        """Answer CONNECT, and copy bytes in both directions until both sides close."""
        try:
            upstream = socket.create_connection((host, port))
        except OSError as error:
            raise BadGatewayError(f"no connection to {host}:{port}: {error!r}") from error
        with upstream, self.server.listener.tracked(upstream):
            self.send_response_only(HTTPStatus.OK, "Connection established")
            self.end_headers()
            copy_both_ways(self.connection, upstream)
        self.close()


class Listener(Closeable):
    """Listens on one loopback port, and keeps the port while it refuses connections."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.closed = threading.Event()
        self._tls = tls
        self._sockets: set[socket.socket] = set()
        self._server = _TcpServer(self, 0, tls)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{HOST}:{self.port}"
        self.accept()

    @abstractmethod
    def answer(self, client: Client) -> None:
        """Answer one request."""

    def accept(self) -> None:
        """Accept connections, also after `refuse`."""
        self._server.start()

    def refuse(self) -> None:
        """Refuse new connections, and reset idle ones when they are used; requests in progress continue."""
        self._server.stop()
        # Bound but not listening: connections are refused, and no other process gets the port.
        self._server = _TcpServer(self, self.port, self._tls)

    def close(self) -> None:
        """Free the port and shut down all connections."""
        self.closed.set()
        self._server.stop()
        for connection in tuple(self._sockets):
            # SSLSocket.shutdown would remove the TLS object that another thread may be reading from.
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    @contextmanager
    def tracked(self, connection: socket.socket) -> Iterator[None]:
        """Let `close` shut down this connection during the block."""
        self._sockets.add(connection)
        try:
            yield
        finally:
            self._sockets.discard(connection)


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listener: Listener, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__((HOST, port), Client, bind_and_activate=False)
        self.listener = listener
        self.stopped = False
        self._tls = tls
        self._thread: threading.Thread | None = None
        self.server_bind()

    def start(self) -> None:
        if self._thread is None:
            self.server_activate()
            self._thread = threading.Thread(target=self.serve_forever, args=(POLL_SECONDS,), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self.stopped = True
        if self._thread:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        if self._tls:
            # The handshake runs in the connection's own thread, so that a slow client does not block the others.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def finish_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        with self.listener.tracked(request):
            super().finish_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        # socketserver would shut the connection down first, and its FIN would precede the RST of `reset`.
        self.close_request(request)

    def handle_error(self, request: object, client_address: tuple[str, int]) -> None:
        # A client that disconnects or does not trust the certificate is not an error here; a failing hook is one.
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
