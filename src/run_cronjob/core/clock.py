"""The clock and random numbers, passed in so that tests can control both."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time, sleep and random numbers."""

    def now(self) -> datetime:
        """The current time in UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment. They never go backwards."""

    def sleep(self, seconds: float, /) -> None:
        """Block the thread."""

    def random(self) -> float:
        """A number from 0 to 1, for jitter and names, not for secrets."""


class SystemClock:
    """The system's time and random numbers."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    random = staticmethod(random.random)

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)
