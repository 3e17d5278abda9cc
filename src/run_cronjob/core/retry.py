"""Retries: a backoff between attempts, and a budget of time for all of them.

General retry libraries know neither a budget that several requests share nor the API server's Retry-After.
Importing one takes longer than all the requests together (docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from run_cronjob.core.clock import Clock

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0


@dataclass
class Backoff:
    """Exponential backoff: each pause is twice the one before, from `first` up to `longest`, in seconds.

    Jitter takes off up to half of a pause, so that clients that failed together do not retry together.
    """

    clock: Clock
    first: float = FIRST_PAUSE_SECONDS
    longest: float = LONGEST_PAUSE_SECONDS
    _pause: float = 0.0

    def next(self, at_least: float | None = None) -> float:
        """The next pause in seconds, `at_least` as long as the server's Retry-After."""
        pause = min(self._pause or self.first, self.longest)
        self._pause = 2 * pause
        return max(pause * (0.5 + self.clock.random() / 2), at_least or 0.0)

    def reset(self) -> None:
        """Start from the first pause again, after an attempt that succeeded."""
        self._pause = 0.0


class Budget:
    """Time for all attempts and the pauses between them: `seconds`, counted from construction."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._backoff = Backoff(clock)

    def pause(self, at_least: float | None = None) -> bool:
        """Sleep before the next attempt, `at_least` as many seconds as the server's Retry-After.

        Returns False at once, without sleeping, if the budget would end during the pause.
        """
        wait = self._backoff.next(at_least)
        if self._clock.monotonic() + wait >= self._end:
            return False
        self._clock.sleep(wait)
        return True


def retry(
    attempt: Callable[[], T],
    budget: Budget,
    is_transient: Callable[[Exception], bool],
    retry_after: Callable[[Exception], float | None] = lambda _: None,
) -> T:
    """Call `attempt` until it succeeds, and return its result.

    Raises the error of the last attempt if that error is not transient or `budget` is spent.
    `retry_after` gives the seconds that the server asked to wait.
    """
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_transient(error) or not budget.pause(retry_after(error)):
                raise
