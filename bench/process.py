"""The process of a contender that follows its Job, with its output and the times at which texts appear in it."""

from __future__ import annotations

import os
import queue
import re
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self, cast

from bench.models import RunFailedError
from sandbox import NAMESPACE
from sandbox.job_script import JobScript

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.environment import Environment
    from bench.models import Contender

_TIMEOUT_SECONDS = 60
_READ_BYTES = 1 << 20
_QUOTED_BYTES = 3000
_LONGEST_TEXT = 100


class FollowingProcess:
    """Starts a contender and reads its output at full speed. The times at which `texts` appear are noted."""

    def __init__(self, contender: Contender, environment: Environment, folder: Path, *texts: str) -> None:
        self.folder = folder
        self._name = contender.name
        self._process = contender.start(environment, folder)
        self._parts: list[bytes] = []
        self._times = {text: queue.SimpleQueue[float]() for text in texts}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        awaited, before = {text.encode(): times for text, times in self._times.items()}, b""
        stdout = cast("IO[bytes]", self._process.stdout).fileno()
        while data := os.read(stdout, _READ_BYTES):
            now = time.monotonic()
            self._parts.append(data)
            seen = before + data
            for text in [text for text in awaited if text in seen]:
                awaited.pop(text).put(now)
            before = seen[-_LONGEST_TEXT:]

    def wait_for_job(self, environment: Environment) -> JobScript:
        """Wait until its Job is created. Raises RunFailedError."""
        try:
            environment.wait_for_creation()
        except queue.Empty:
            raise self._failed("brought no Job") from None
        return JobScript(environment.sandbox.cluster, NAMESPACE)

    def wait_for_text(self, text: str) -> float:
        """Return the time at which `text` appeared in the output. Raises RunFailedError."""
        try:
            return self._times[text].get(timeout=_TIMEOUT_SECONDS)
        except queue.Empty:
            raise self._failed(f"never said {text!r}") from None

    def peak_memory(self) -> int:
        """The most memory that the process has held so far, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def wait(self) -> tuple[float, float]:
        """Wait until the process exits. Returns that time and the processor seconds; raises RunFailedError."""
        _, status, usage = os.wait4(self._process.pid, 0)
        exited = time.monotonic()
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise self._failed("failed")
        self._reader.join()
        return exited, usage.ru_utime + usage.ru_stime

    @property
    def output(self) -> bytes:
        """All that has been read from stdout."""
        return b"".join(self._parts)

    def _failed(self, how: str) -> RunFailedError:
        self._stop()
        output = self.output[-_QUOTED_BYTES:] + cast("IO[bytes]", self._process.stderr).read()
        return RunFailedError(f"{self._name} {how}:\n{output.decode(errors='replace')}")

    def _stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        for stream in filter(None, (self._process.stdout, self._process.stderr)):
            stream.close()


@contextmanager
def following(contender: Contender, environment: Environment, *texts: str) -> Iterator[FollowingProcess]:
    """Start the contender in a folder of its own; stop it and delete its Job on exit."""
    with tempfile.TemporaryDirectory(dir=environment.sandbox.folder) as folder:
        with FollowingProcess(contender, environment, Path(folder), *texts) as process:
            yield process
        environment.delete_jobs()
