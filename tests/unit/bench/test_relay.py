"""The relay that counts bytes."""

from __future__ import annotations

import socket
import threading

from bench.relay import Relay


def test_a_relay_counts_its_clients_bytes():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(3)
                connection.sendall(b"answer")

        threading.Thread(target=answer, daemon=True).start()
        with Relay(server.getsockname()[1]) as relay, socket.create_connection(("127.0.0.1", relay.port)) as client:
            client.sendall(b"ask")
            assert client.makefile("rb").read() == b"answer"

            assert (relay.sent, relay.received) == (3, 6)
