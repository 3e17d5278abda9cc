"""Polls the events about pods and Jobs that do not run, in a thread of its own.

Events are listed, not watched: most of a namespace's events are about other objects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ApiError
from run_cronjob.core.models import Json
from run_cronjob.jobs.watch import Listed, Update, WatchError

_PAUSES = (2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between polls while the objects stay the same; the last one is repeated."""

_LONGEST_DELAY_SECONDS = 10.0
"""Each new object delays the next poll, at most for so long: with a hundred pods there is always a new one."""


class EventPoller:
    """Lists the events about each of some objects; less and less often while the objects stay the same.

    `ask` lists the events about the object with a UID, `deliver` takes each answer.
    """

    def __init__(self, ask: Callable[[str], list[Json]], deliver: Callable[[Update], None], clock: Clock) -> None:
        self._ask = ask
        self._deliver = deliver
        self._clock = clock
        self._uids: tuple[str, ...] = ()
        self._polled_at = clock.monotonic()
        self._changed = threading.Event()
        self._stopped = False

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Poll no more."""
        self._stopped = True
        self._changed.set()

    def poll(self, uids: tuple[str, ...]) -> None:
        """Poll the events about the objects with these UIDs from now on."""
        if set(uids) != set(self._uids):
            self._uids = uids
            self._changed.set()

    def _run(self) -> None:
        polls, was_allowed = 0, False
        while True:
            pause = _PAUSES[min(polls, len(_PAUSES) - 1)] if self._uids else None
            if self._changed.wait(pause):
                self._changed.clear()
                polls = 0
                if self._stopped:
                    return
                if self._clock.monotonic() - self._polled_at < _LONGEST_DELAY_SECONDS:
                    continue  # most new pods start within the first pause, and need no events
            polls += 1
            self._polled_at = self._clock.monotonic()
            for uid in self._uids:
                try:
                    self._deliver(Listed(tuple(self._ask(uid))))
                    was_allowed = True
                except Exception as error:  # noqa: BLE001  a traceback would print foreign text to the log unescaped
                    self._deliver(WatchError.of(error))
                    if isinstance(error, ApiError) and error.status == 403 and not was_allowed:
                        return
