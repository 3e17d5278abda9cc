"""How long to go on trying: a budget of time, and the pauses between attempts.

A general retry library knows neither a budget shared by several requests nor the API server's Retry-After,
and importing one costs more than all the requests together (docs/architecture.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.core.clock import Clock

Answer = TypeVar("Answer")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
_MOST_DOUBLINGS = 16


class Pauses:
    """The pauses between attempts: longer each time, and not the same for two who began together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._taken = 0

    def next(self, at_least: float | None = None) -> float:
        """Seconds for the next one; `at_least` is the server's Retry-After."""
        longest = min(FIRST_PAUSE_SECONDS * float(2**self._taken), LONGEST_PAUSE_SECONDS)
        self._taken = min(self._taken + 1, _MOST_DOUBLINGS)
        return max(longest * (0.5 + self._clock.random() / 2), at_least or 0.0)

    def reset(self) -> None:
        """An attempt succeeded: begin with the shortest again."""
        self._taken = 0


@dataclass
class Budget:
    """Seconds to spend from construction on; `pause` tells whether another attempt fits in."""

    seconds: float
    clock: Clock

    def __post_init__(self) -> None:
        self._end = self.clock.monotonic() + self.seconds
        self._pauses = Pauses(self.clock)

    def pause(self, at_least: float | None = None) -> bool:
        """Sleep before another attempt; False, at once, where the budget would not outlast that.

        `at_least` is the server's Retry-After, in seconds.
        """
        wait = self._pauses.next(at_least)
        if self.clock.monotonic() + wait >= self._end:
            return False
        self.clock.sleep(wait)
        return True


def persist(
    attempt: Callable[[], Answer],
    budget: Budget,
    is_passing: Callable[[Exception], bool],
    retry_after: Callable[[Exception], float | None] = lambda _: None,
) -> Answer:
    """The answer of the first attempt that succeeds.

    Raises what the last attempt raised, once it is no passing error or `budget` is spent.
    """
    while True:
        try:
            return attempt()
        except Exception as error:
            if not is_passing(error) or not budget.pause(retry_after(error)):
                raise
