"""Reads a streamed answer in pieces as large as what has arrived.

urllib3 reads one HTTP chunk at a time, and an API server sends one for every line or two: of a million lines that
would be most of the work.
"""

from __future__ import annotations

import re
import select
from typing import TYPE_CHECKING

from urllib3.exceptions import ProtocolError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    import urllib3

_PIECE_BYTES = 1 << 18
_HEADER = re.compile(rb"(?:\r\n)?([0-9a-fA-F]+)[^\r\n]*\r\n")
_LONGEST_HEADER = 1000


def arrived(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body, as it comes. Raises what urllib3 and sockets raise, also where the body ends too early."""
    file = getattr(getattr(response, "_fp", None), "fp", None)
    sock = getattr(response.connection, "sock", None)
    if not getattr(response, "chunked", False) or file is None or sock is None:
        return iter(lambda: response.read1(_PIECE_BYTES), b"")
    return dechunked(_Arrived(file.read1, sock).read)


class _Arrived:
    def __init__(self, read1: Callable[[int], bytes], sock: socket.socket) -> None:
        self._read1 = read1
        self._pending: Callable[[], int] = getattr(sock, "pending", lambda: 0)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def read(self) -> bytes:
        """Wait for some bytes, then take what else is there; nothing at the end."""
        parts = [self._read1(_PIECE_BYTES)]
        size = len(parts[0])
        # One read is one TLS record at most, which is a line or two again.
        while parts[-1] and size < _PIECE_BYTES and (self._pending() or self._poll.poll(0)):
            try:
                parts.append(self._read1(_PIECE_BYTES))
            except OSError:
                break  # what came before counts; the next read fails too
            size += len(parts[-1])
        return b"".join(parts)


def dechunked(read: Callable[[], bytes]) -> Iterator[bytes]:
    """The body within HTTP's chunked coding. Raises ProtocolError where it is cut or wrong."""
    coded, left = b"", 0
    while True:
        some = read()
        if not some:
            raise ProtocolError("the stream was cut")
        coded += some
        pieces: list[bytes] = []
        at = 0
        while True:
            if left:
                piece = coded[at : at + left]
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
                if left:
                    break
            header = _HEADER.match(coded, at)
            if not header:
                break
            at = header.end()
            left = int(header[1], 16)
            if not left:
                yield b"".join(pieces)
                return
        coded = coded[at:]
        if len(coded) > _LONGEST_HEADER:
            raise ProtocolError("the stream is not in chunks")
        if pieces:
            yield b"".join(pieces)
