"""Measures one contender's run from the start of its process until its Job is created."""

from __future__ import annotations

import os
import queue
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.memory import PeakMemory
from bench.models import RunFailedError

if TYPE_CHECKING:
    import subprocess

    from bench.environment import Environment
    from bench.models import Contender


@dataclass(frozen=True)
class Creation:
    """Seconds from the process's start to the Job, and the processor time of all its processes.

    `memory` is the most that they held together, in bytes. It is 0 unless it was asked for, since sampling takes time.
    """

    seconds: float
    cpu_seconds: float
    memory: int = 0


def measure_creation(contender: Contender, environment: Environment, *, with_memory: bool = False) -> Creation:
    """Run the contender once. Raises RunFailedError."""
    with tempfile.TemporaryDirectory(dir=environment.sandbox.folder) as folder:
        process = contender.start(environment, Path(folder))
        began = time.monotonic()
        peak = PeakMemory(process.pid) if with_memory else None
        # If a process exits by itself, wait for that first: its failure is reported at once.
        created = _creation_time(environment) if contender.kill_once_created else 0.0
        if contender.kill_once_created:
            process.kill()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not contender.kill_once_created:
            raise RunFailedError(f"{contender.name} failed:\n{_output(process)}")
        created = created or _creation_time(environment)
        _output(process)
    environment.delete_jobs()
    return Creation(created - began, usage.ru_utime + usage.ru_stime, peak.stop() if peak else 0)


def _creation_time(environment: Environment) -> float:
    try:
        return environment.wait_for_creation()
    except queue.Empty:
        raise RunFailedError("no Job appeared") from None


def _output(process: subprocess.Popen[bytes]) -> str:
    stdout, stderr = process.communicate()
    return (stdout + stderr).decode(errors="replace")
