"""Wait for what a real cluster does in its own time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60
Found = TypeVar("Found")


def until(condition: Callable[[], Found]) -> Found:
    """What `condition` gives, once it gives something."""
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {SECONDS} s in vain"
        time.sleep(0.05)
    return found
