"""A TCP relay that counts the bytes that pass it."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from typing import Self

from sandbox.net.proxy import copy_both_ways
from sandbox.net.server import HOST


class Relay:
    """Forwards connections to a port on this machine. `sent` and `received` count bytes from the clients' side."""

    def __init__(self, port: int) -> None:
        self.sent = self.received = 0
        lock, relay = threading.Lock(), self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection((HOST, port)) as upstream, suppress(ConnectionError):
                    copy_both_ways(self.request, upstream, self._count)

            def _count(self, source: socket.socket, size: int) -> None:
                with lock:
                    if source is self.request:
                        relay.sent += size
                    else:
                        relay.received += size

        self._server = socketserver.ThreadingTCPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
