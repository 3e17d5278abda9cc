"""Reads streamed HTTP bodies, with everything that has arrived in one piece.

urllib3 reads one HTTP chunk at a time. An API server sends a chunk for every line or two of a log, so that with a
million lines most of the time would be spent on chunks.
"""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable, Iterator

import urllib3
from urllib3.exceptions import ProtocolError

_PIECE_BYTES = 1 << 18
_HEADER = re.compile(rb"(?:\r\n)?([0-9a-fA-F]+)[^\r\n]*\r\n")
_MAX_HEADER_BYTES = 1000


def iter_body(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body, as it arrives. Raises the errors of urllib3 and sockets, also if the body ends too early."""
    file = getattr(getattr(response, "_fp", None), "fp", None)
    sock = getattr(response.connection, "sock", None)
    if not getattr(response, "chunked", False) or file is None or sock is None:
        return iter(lambda: response.read1(_PIECE_BYTES), b"")
    return decode_chunked(_reader(file.read1, sock))


def _reader(read1: Callable[[int], bytes], sock: socket.socket) -> Callable[[], bytes]:
    pending: Callable[[], int] = getattr(sock, "pending", lambda: 0)
    poll = select.poll()
    poll.register(sock, select.POLLIN)

    def read() -> bytes:
        """Wait for bytes, and return them with everything else that has arrived; empty at the end."""
        parts = [read1(_PIECE_BYTES)]
        size = len(parts[0])
        # One read returns one TLS record at most, which is again a line or two.
        while parts[-1] and size < _PIECE_BYTES and (pending() or poll.poll(0)):
            try:
                parts.append(read1(_PIECE_BYTES))
            except OSError:
                break  # the next read raises it again, after these bytes have been used
            size += len(parts[-1])
        return b"".join(parts)

    return read


def decode_chunked(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Decode HTTP's chunked transfer coding (RFC 9112, section 7.1). Raises ProtocolError if it is cut or malformed."""
    coded, left = b"", 0
    while True:
        received = read()
        if not received:
            raise ProtocolError("the stream was cut")
        coded += received
        pieces: list[bytes] = []
        at = 0
        while True:
            piece = coded[at : at + left]
            pieces.append(piece)
            at += len(piece)
            left -= len(piece)
            header = None if left else _HEADER.match(coded, at)
            if not header:
                break
            at = header.end()
            left = int(header[1], 16)
            if not left:
                yield b"".join(pieces)
                return
        coded = coded[at:]
        if len(coded) > _MAX_HEADER_BYTES:
            raise ProtocolError("the stream is not in chunks")
        if body := b"".join(pieces):
            yield body
