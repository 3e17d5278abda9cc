"""Servers on loopback that answer or fail in a given way, and clients that connect to them."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from typing import TYPE_CHECKING

import urllib3

from run_cronjob.clients import http
from run_cronjob.core.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

LOOPBACK = "127.0.0.1"
TIMEOUTS = Timeouts(connect=5, read=1)
PASSWORD = "pr0xy-s3cret"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
API = "https://abc.gr7.eu-central-1.eks.amazonaws.com"


class Listener(socketserver.ThreadingTCPServer):
    """Accepts connections and passes each to `behave`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.connections = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(handler) -> None:  # noqa: N805  `self` is the listener
                self.connections += 1
                with contextlib.suppress(OSError):
                    behave(handler.request)

        super().__init__((LOOPBACK, 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


def silent(connection: socket.socket) -> None:
    connection.recv(65536)
    threading.Event().wait(5)


def closing(connection: socket.socket) -> None:
    connection.recv(65536)


def resetting(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def truncating(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def answering(status: str) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n".encode())

    return answer


def encrypted(certificate: trustme.LeafCert) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            answering("200 OK")(secured)

    return serve


def by_urllib3(url: str, **options: str) -> BaseException:
    pool = http.pool(url, http.ssl_context(options.pop("ca_file", None)), TIMEOUTS, **options)
    try:
        pool.request("GET", url)
    except urllib3.exceptions.HTTPError as error:
        return error
    raise AssertionError("it answered")
