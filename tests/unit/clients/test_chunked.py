"""Chunked HTTP bodies are decoded whole, at once and without unlimited memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from run_cronjob.clients.chunked import decode_chunked

BODIES = st.lists(st.binary(min_size=1, max_size=40) | st.just(b"\r\n0\r\n\r\n"), max_size=12)


def coded(chunks: list[bytes]) -> bytes:
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def read(arrived: list[bytes]) -> bytes:
    parts = iter([*arrived, b""])
    return b"".join(decode_chunked(lambda: next(parts)))


@given(BODIES, st.integers(1, 50))
def test_the_body_is_complete_however_it_arrives(chunks: list[bytes], size: int) -> None:
    sent = coded(chunks)

    assert read([sent[start : start + size] for start in range(0, len(sent), size)]) == b"".join(chunks)


@given(BODIES, st.data())
def test_a_cut_stream_is_an_error(chunks: list[bytes], data: st.DataObject) -> None:
    sent = coded(chunks)
    cut = data.draw(st.integers(0, len(sent) - 5))

    with pytest.raises(ProtocolError):
        read([sent[:cut]] if cut else [])


def test_a_piece_is_returned_as_soon_as_it_has_arrived() -> None:
    arrived = iter([b"6\r\none\n", b"tw", b"\r\n2\r\no\n"])
    stream = decode_chunked(lambda: next(arrived))

    assert [next(stream), next(stream), next(stream)] == [b"one\n", b"tw", b"o\n"]


def test_a_stream_without_chunks_is_an_error_before_it_fills_the_memory() -> None:
    with pytest.raises(ProtocolError):
        read([b"x" * 500] * 3)
