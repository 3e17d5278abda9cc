"""Waits for a condition that another process or thread makes true, and for a lock that processes share."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.02
T = TypeVar("T")


def until(condition: Callable[[], T]) -> T:
    """Call `condition` until it returns something true, and return that. Raises TimeoutError."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not (result := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"the condition was not met within {TIMEOUT_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    return result


@contextmanager
def file_lock(path: Path, on_wait: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold an exclusive lock, which the kernel releases when the process ends; call `on_wait` if another holds it."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
