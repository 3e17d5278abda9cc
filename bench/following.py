"""One run of one contender that follows its Job: how soon it tells of the end, and how fast it shows a long log."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

from bench.measure import RunFailedError
from sandbox import NAMESPACE
from sandbox.job_script import JobScript
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.course import Course
    from bench.models import Contender
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.emulator.pod_logs import LogOptions

LINES = 1_000_000
_AT_ONCE = 250
"""Lines that one second of the log has, and one write of the kubelet's: 32 kB, as API servers copy them."""
POD = "pod"
"""What the pod's name ends with."""
RUNS = "runs"
"""The file in a contender's folder that tells of the pod's running."""
_FRACTIONS = [b".%09dZ " % number for number in range(_AT_ONCE)]
_REST = b"of a report whose lines are as long as those of a log often are, about one hundred characters\n"
_PATIENCE_SECONDS = 60
_READ_BYTES = 1 << 20
_TOLD_BYTES = 3000
_LONGEST_MARK = 100
_MARK_LENGTH = len("line 0000000 ")
_LINE = re.compile(rb"^(?:\S+Z )?(line \d{7} .*\n)", re.MULTILINE)


@dataclass(frozen=True)
class Delay:
    """Seconds from the API server's event of a Job's completion to the contender's words, and to its exit."""

    told: float
    exited: float


@dataclass(frozen=True)
class Stream:
    """A log's first line to its last, as a contender writes them; processor time and most memory of all its run."""

    seconds: float
    cpu_seconds: float
    memory: int


class LongLog:
    """A log of so many lines, rendered before it is asked for."""

    def __init__(self, lines: int = LINES) -> None:
        self._count = lines

    @cached_property
    def _pieces(self) -> list[tuple[int, bytes, bytes]]:
        return [self._piece(number) for number in range(self._count // _AT_ONCE)]

    def _piece(self, number: int) -> tuple[int, bytes, bytes]:
        second = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        lines = [_line(number * _AT_ONCE + index) for index in range(_AT_ONCE)]
        moment = f"{second:%FT%T}".encode()
        stamped = [moment + fraction + line for fraction, line in zip(_FRACTIONS, lines, strict=True)]
        return int(second.timestamp()), b"".join(stamped), b"".join(lines)

    def read(self, options: LogOptions) -> Iterator[bytes]:
        """As the kubelet sends it."""
        for second, stamped, bare in self._pieces:
            if second >= options.since:
                yield stamped if options.timestamps else bare

    @property
    def ends(self) -> tuple[str, str]:
        """What its first and its last line begin with."""
        return _line(0)[:_MARK_LENGTH].decode(), _line(self._count - 1)[:_MARK_LENGTH].decode()

    @cached_property
    def digest(self) -> str:
        """Of all lines."""
        return hashlib.sha256(b"".join(bare for _, _, bare in self._pieces)).hexdigest()


def digest_of_lines(shown: bytes) -> str:
    """Of the log's lines in all that a contender wrote, in their order, without timestamps."""
    return hashlib.sha256(b"".join(_LINE.findall(shown))).hexdigest()


def _line(number: int) -> bytes:
    return b"line %07d %b" % (number, _REST)


class Following:
    """One process that follows a Job of its own making, read at full speed."""

    def __init__(self, contender: Contender, course: Course, folder: Path, *marks: str) -> None:
        self.folder = folder
        self._name = contender.name
        self._process = contender.start(course, folder)
        self._parts: list[bytes] = []
        self._marks = {mark: queue.SimpleQueue[float]() for mark in marks}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Note when each mark came."""
        awaited, before = {mark.encode(): when for mark, when in self._marks.items()}, b""
        stdout = cast("IO[bytes]", self._process.stdout).fileno()
        while data := os.read(stdout, _READ_BYTES):
            now = time.monotonic()
            self._parts.append(data)
            seen = before + data
            for mark in [mark for mark in awaited if mark in seen]:
                awaited.pop(mark).put(now)
            before = seen[-_LONGEST_MARK:]

    def job(self, course: Course) -> JobScript:
        """The script of its Job, once that is there."""
        try:
            course.job_seen()
        except queue.Empty:
            raise self._failed("brought no Job") from None
        return JobScript(course.world.cluster, NAMESPACE)

    def said(self, mark: str) -> float:
        """When it said that."""
        try:
            return self._marks[mark].get(timeout=_PATIENCE_SECONDS)
        except queue.Empty:
            raise self._failed(f"never said {mark!r}") from None

    def memory(self) -> int:
        """The most that it held so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def end(self) -> tuple[float, float]:
        """When it had ended, and its processor time."""
        _, status, usage = os.wait4(self._process.pid, 0)
        exited = time.monotonic()
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise self._failed("failed")
        self._reader.join()
        return exited, usage.ru_utime + usage.ru_stime

    @property
    def text(self) -> bytes:
        """All that it wrote."""
        return b"".join(self._parts)

    def _failed(self, how: str) -> RunFailedError:
        self._stop()
        said = self.text[-_TOLD_BYTES:] + cast("IO[bytes]", self._process.stderr).read()
        return RunFailedError(f"{self._name} {how}:\n{said.decode(errors='replace')}")

    def _stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def close(self) -> None:
        """End it, if it has not."""
        self._stop()
        for stream in filter(None, (self._process.stdout, self._process.stderr)):
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _following(contender: Contender, course: Course, *marks: str) -> Iterator[Following]:
    with tempfile.TemporaryDirectory(dir=course.world.folder) as folder:
        with Following(contender, course, Path(folder), *marks) as following:
            yield following
        course.clear()


def complete(contender: Contender, course: Course, verdict: str, idle: int) -> Delay:
    """A Job that succeeds; `idle` are the watches that there are without a contender. Raises RunFailedError."""
    until(lambda: course.watches() == idle)
    with _following(contender, course, verdict) as following:
        script = following.job(course)
        until(lambda: course.watches() > idle)
        pod = script.pod()
        pod.run()
        pod.end(0)
        script.complete()
        ended = course.end_seen()
        told = following.said(verdict)
        exited, _ = following.end()
    return Delay(told - ended, exited - ended)


def stream(contender: Contender, course: Course, log: LongLog) -> Stream:
    """A Job that prints `log`, of which no line may be missing or come twice. Raises RunFailedError."""
    first, last = log.ends
    with _following(contender, course, first, last) as following:
        script = following.job(course)
        pod = script.pod(POD)
        cast("RealCluster", course.world.cluster).log(NAMESPACE, pod.name).replace_with(log.read)
        pod.run()
        (following.folder / RUNS).touch()
        began, ended = following.said(first), following.said(last)
        memory = following.memory()
        pod.end(0)
        script.complete()
        course.end_seen()
        _, cpu_seconds = following.end()
        if log.digest != digest_of_lines(following.text):
            raise RunFailedError(f"{contender.name} did not show the log as it was")
    return Stream(ended - began, cpu_seconds, memory)
