"""The benchmark's long log, and the digest by which its lines are found complete in a contender's output."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from bench.log_stream import LongLog, digest_of_lines
from sandbox.emulator.pod_logs import LogOptions

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def long_log() -> LongLog:
    return LongLog(2000)


def test_a_contenders_own_output_is_no_line_of_the_log(long_log: LongLog):
    output = [*long_log.read(LogOptions(timestamps=True))]
    output.insert(1000, b"  03:00:00 The Job runs.\n::stop-commands::0f\n")

    assert digest_of_lines(b"".join(output)) == long_log.digest


@pytest.mark.parametrize("spoil", [lambda lines: lines.pop(500), lambda lines: lines.insert(500, lines[499])])
def test_a_line_lost_or_shown_twice_is_noticed(long_log: LongLog, spoil: Callable[[list[bytes]], object]):
    lines = b"".join(long_log.read(LogOptions())).splitlines(keepends=True)
    assert len(lines) == 2000
    spoil(lines)

    assert digest_of_lines(b"".join(lines)) != long_log.digest


def test_the_log_is_sent_from_the_second_asked_for(long_log: LongLog):
    whole = b"".join(long_log.read(LogOptions(timestamps=True)))
    second = "2026-01-01T00:00:06"
    since = int(datetime.fromisoformat(f"{second}Z").timestamp())

    assert b"".join(long_log.read(LogOptions(timestamps=True, since=since))) == whole[whole.index(second.encode()) :]
