"""Measures how fast a contender prints a long log."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from bench.models import RunFailedError
from bench.process import following
from sandbox import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.environment import Environment
    from bench.models import Contender
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.emulator.pod_logs import LogOptions

LINES = 1_000_000
POD_SUFFIX = "pod"
"""The end of the pod's name."""
RUNNING_FILE = "runs"
"""The file in a contender's folder that exists once its pod runs."""
_CHUNK_LINES = 250
"""Lines with the same second, and lines in one write of the kubelet's: 32 kB, the size in which API servers copy."""
_FRACTIONS = [b".%09dZ " % number for number in range(_CHUNK_LINES)]
_REST = b"of a report whose lines are as long as those of a log often are, about one hundred characters\n"
_LINE_START = len("line 0000000 ")
_LINE = re.compile(rb"^(?:\S+Z )?(line \d{7} .*\n)", re.MULTILINE)


@dataclass(frozen=True)
class LogStream:
    """Seconds from the log's first line on stdout to its last, and the whole run's processor time and peak memory."""

    seconds: float
    cpu_seconds: float
    memory: int


class LongLog:
    """A log of `lines` lines, rendered before it is read."""

    def __init__(self, lines: int = LINES) -> None:
        self._count = lines

    @cached_property
    def _chunks(self) -> list[tuple[int, bytes, bytes]]:
        return [self._chunk(number) for number in range(self._count // _CHUNK_LINES)]

    def _chunk(self, number: int) -> tuple[int, bytes, bytes]:
        second = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        lines = [_line(number * _CHUNK_LINES + index) for index in range(_CHUNK_LINES)]
        moment = f"{second:%FT%T}".encode()
        stamped = [moment + fraction + line for fraction, line in zip(_FRACTIONS, lines, strict=True)]
        return int(second.timestamp()), b"".join(stamped), b"".join(lines)

    def read(self, options: LogOptions) -> Iterator[bytes]:
        """The log as the kubelet sends it, in chunks."""
        for second, stamped, bare in self._chunks:
            if second >= options.since:
                yield stamped if options.timestamps else bare

    @property
    def ends(self) -> tuple[str, str]:
        """The beginnings of its first and its last line."""
        return _line(0)[:_LINE_START].decode(), _line(self._count - 1)[:_LINE_START].decode()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all lines, without timestamps."""
        return hashlib.sha256(b"".join(bare for _, _, bare in self._chunks)).hexdigest()


def digest_of_lines(output: bytes) -> str:
    """SHA-256 of the log's lines in a contender's output, in their order there, without timestamps."""
    return hashlib.sha256(b"".join(_LINE.findall(output))).hexdigest()


def _line(number: int) -> bytes:
    return b"line %07d %b" % (number, _REST)


def measure_log_stream(contender: Contender, environment: Environment, log: LongLog) -> LogStream:
    """Run the contender on a Job that prints `log`.

    Raises RunFailedError, also if a line is missing or comes twice.
    """
    first, last = log.ends
    with following(contender, environment, first, last) as process:
        script = process.wait_for_job(environment)
        pod = script.pod(POD_SUFFIX)
        cast("RealCluster", environment.sandbox.cluster).log(NAMESPACE, pod.name).replace_with(log.read)
        pod.run()
        (process.folder / RUNNING_FILE).touch()
        began, ended = process.wait_for_text(first), process.wait_for_text(last)
        memory = process.peak_memory()
        pod.end(0)
        script.complete()
        environment.wait_for_completion()
        _, cpu_seconds = process.wait()
        if log.digest != digest_of_lines(process.output):
            raise RunFailedError(f"{contender.name} did not show the log as it was")
    return LogStream(ended - began, cpu_seconds, memory)
