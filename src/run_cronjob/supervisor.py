"""Lets the work run beside a thread that always has time to answer a signal or a deadline.

A signal handler that raises would not do: Python runs handlers between bytecodes of the main thread, and a name look-up
there can block for half a minute. So the work has a thread of its own, the main thread waits for whatever comes first,
and the process ends without asking the worker.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING

from run_cronjob.core.errors import Interrupted
from run_cronjob.core.models import Creation

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.run_state import RunState

DELETE_SECONDS = 3.0
"""Of LEAVE_SECONDS after a signal, for deleting the Job of a cancelled run."""

WORKER = "worker"
"""The name of the thread that works."""

LIMIT_SECONDS = 110
"""For everything up to the Job's creation: under two minutes, with what is left for telling."""

GRACE_SECONDS = 1.0
"""For a POST that is under way when a signal comes. The runner kills 7.5 + 2.5 s after its SIGINT."""


class Wakeup(Enum):
    """What can end the waiting."""

    DONE = 0
    FOLLOWING = 253
    """The Job is there; from now on it is only waited for."""
    SIGNAL = 254
    DEADLINE = 255


PATIENCE_SECONDS = {Wakeup.SIGNAL: 2.0, Wakeup.DEADLINE: 60.0, Wakeup.DONE: 60.0}
"""How long the last word waits, by what ended the waiting, for lines that a slow reader has not taken yet."""

LEAVE_SECONDS = {Wakeup.SIGNAL: 4.5, Wakeup.DEADLINE: 90.0}
"""From then to the end, whatever still hangs: the runner kills 10 s after its SIGINT."""


class WakeupPipe:
    """WakeupPipe in order of arrival, put by any thread or by a signal.

    A pipe, since a lock would not do: the kernel may hand a signal to the worker's thread, and nothing then wakes a
    main thread that waits for a lock to run Python's handler. Python's C handler writes to the pipe wherever it runs.
    """

    def __init__(self) -> None:
        self._outlet, self._inlet = os.pipe()
        os.set_blocking(self._inlet, False)

    def listen(self, *numbers: signal.Signals) -> None:
        """From now on these signals are events."""
        signal.set_wakeup_fd(self._inlet, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)

    def put(self, event: Wakeup) -> None:
        """Add one."""
        os.write(self._inlet, bytes([event.value]))

    def get(self, seconds: float | None) -> Wakeup:
        """The next one; DEADLINE if none comes in time, which without a time never happens."""
        ready, _, _ = select.select([self._outlet], [], [], seconds)
        if not ready:
            return Wakeup.DEADLINE
        (byte,) = os.read(self._outlet, 1)
        return Wakeup(byte) if byte in {event.value for event in Wakeup} else Wakeup.SIGNAL


def listen() -> WakeupPipe:
    """From now on SIGINT and SIGTERM are events. As PID 1, Python would ignore SIGTERM."""
    events = WakeupPipe()
    events.listen(signal.SIGINT, signal.SIGTERM)
    return events


def supervise(work: Callable[[], None], run_state: RunState, events: WakeupPipe, timeout: int | None = None) -> Wakeup:
    """Run `work` until it is done, a signal comes or the time is up; which of these it was.

    The time is LIMIT_SECONDS until the Job is there, and `timeout`, if any, from then on. After anything but DONE,
    `work` may still be running but can begin no POST.
    """

    def run() -> None:
        try:
            # Told to stop; a traceback would print foreign text past the one writer.
            with contextlib.suppress(Interrupted):
                work()
        finally:
            events.put(Wakeup.DONE)

    threading.Thread(target=run, name=WORKER, daemon=True).start()
    event = events.get(LIMIT_SECONDS)
    if event in {Wakeup.SIGNAL, Wakeup.DEADLINE}:
        run_state.stop()
        is_there = run_state.outcome.creation is not Creation.NONE
        if is_there and _wait_for_the_answer(events) and event is Wakeup.DEADLINE:
            event = Wakeup.FOLLOWING
    if event is Wakeup.FOLLOWING:
        event = events.get(timeout)
        run_state.stop()
    return event


def _wait_for_the_answer(events: WakeupPipe) -> bool:
    """Give a POST that is under way, or just answered, a moment to tell what comes of it; whether it is followed."""
    end = time.monotonic() + GRACE_SECONDS
    while (event := events.get(max(end - time.monotonic(), 0))) is Wakeup.SIGNAL:
        pass  # impatience makes no answer come sooner
    return event is Wakeup.FOLLOWING


def in_time(work: Callable[[], None], seconds: float) -> bool:
    """Run `work` beside this thread; whether it was done in time. What it raises, nobody hears."""
    done = threading.Event()

    def run() -> None:
        # A traceback would print foreign text past the one writer.
        with contextlib.suppress(Exception):
            work()
            done.set()

    threading.Thread(target=run, daemon=True).start()
    return done.wait(seconds)


def leave_within(seconds: float, status: int) -> None:
    """End this process then at the latest, though nobody may be reading what it still says."""
    timer = threading.Timer(seconds, os._exit, [status])
    timer.daemon = True
    timer.start()
