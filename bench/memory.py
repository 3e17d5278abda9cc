"""Samples the memory of a process and its descendants."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.005


class PeakMemory:
    """The most memory that a process and its descendants hold together, sampled by a thread until `stop`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, resident_bytes(self._pid))

    def stop(self) -> int:
        """Stop sampling and return the peak in bytes."""
        self._stopped.set()
        self._thread.join()
        return self._peak


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants, in bytes; 0 if the process has exited."""
    total = 0
    with suppress(OSError):  # it has exited in the meantime
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += sum(map(resident_bytes, map(int, (thread / "children").read_text().split())))
    return total
