"""Wait for what another process is to do, not for the clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.02
Found = TypeVar("Found")


def until(condition: Callable[[], Found]) -> Found:
    """What `condition` gives, once it gives something. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to that within {PATIENCE_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    return found
