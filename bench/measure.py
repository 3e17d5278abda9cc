"""One run of one contender: how long until its Job was there, and what it cost."""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

    from bench.course import Course
    from bench.models import Contender

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.005


class RunFailedError(Exception):
    """A contender did not do what it was there for; the message is what it said."""


@dataclass(frozen=True)
class Measure:
    """`seconds` from the process's start to the Job, and what all its processes took.

    `memory` is their largest sum at a time, 0 unless it was asked for: to look costs time.
    """

    seconds: float
    cpu_seconds: float
    memory: int = 0


def run(contender: Contender, course: Course, *, with_memory: bool = False) -> Measure:
    """Raises RunFailedError."""
    with tempfile.TemporaryDirectory(dir=course.world.folder) as folder:
        process = contender.start(course, Path(folder))
        began = time.monotonic()
        peak = _Peak(process.pid) if with_memory else None
        # One that ends by itself is waited for first, so that a failure is told at once.
        seen = _job(course) if contender.stays else 0.0
        if contender.stays:
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not contender.stays:
            raise RunFailedError(f"{contender.name} failed:\n{_said(process)}")
        seen = seen or _job(course)
        _said(process)
    course.clear()
    return Measure(seen - began, usage.ru_utime + usage.ru_stime, peak.stop() if peak else 0)


def _job(course: Course) -> float:
    try:
        return course.job_seen()
    except queue.Empty:
        raise RunFailedError("no Job appeared") from None


def _said(process: subprocess.Popen[bytes]) -> str:
    stdout, stderr = process.communicate()
    return (stdout + stderr).decode(errors="replace")


class _Peak:
    """The most memory that a process and its descendants hold together."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self._most = max(self._most, held(self._pid))

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most


def held(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    with suppress(OSError):  # it ended meanwhile
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += sum(map(held, map(int, (thread / "children").read_text().split())))
    return total
