"""Wait for what another process is to do, not for the clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.02


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to that")
        time.sleep(_POLL_SECONDS)
