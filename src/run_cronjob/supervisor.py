"""Runs the work in a thread, so that the main thread can always react to a signal or the deadline.

Python runs signal handlers between bytecodes of the main thread, and a name look-up there can block for half a minute.
So the work has a thread of its own, and the process ends without waiting for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from enum import Enum

from run_cronjob.core.errors import Interrupted
from run_cronjob.core.models import Creation
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.run_state import RunState

WORKER = "worker"  # the name of the thread that runs the work


class Wakeup(Enum):
    """An event that the main thread waits for."""

    DONE = 0  # the work has ended
    FOLLOWING = 253  # the Job exists and is followed from now on
    SIGNAL = 254  # SIGINT or SIGTERM: the workflow is cancelled
    DEADLINE = 255  # a time limit has passed


class WakeupPipe:
    """A queue of Wakeups, put by any thread or by a signal.

    The kernel may deliver a signal to the worker's thread. Nothing would then interrupt a main thread that waits for a
    lock, but Python's handler in C writes to the pipe from any thread (signal.set_wakeup_fd).
    """

    def __init__(self) -> None:
        self._outlet, self._inlet = os.pipe()
        os.set_blocking(self._inlet, False)

    def listen(self) -> None:
        """Put a Wakeup for each SIGINT and SIGTERM from now on. As PID 1, Python would ignore SIGTERM."""
        signal.set_wakeup_fd(self._inlet, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)

    def put(self, wakeup: Wakeup) -> None:
        """Add one."""
        os.write(self._inlet, bytes([wakeup.value]))

    def get(self, seconds: float | None) -> Wakeup:
        """The next one; DEADLINE if there is none within `seconds`. None waits without a limit."""
        ready, _, _ = select.select([self._outlet], [], [], seconds)
        if not ready:
            return Wakeup.DEADLINE
        (byte,) = os.read(self._outlet, 1)
        return Wakeup(byte) if byte in {wakeup.value for wakeup in Wakeup} else Wakeup.SIGNAL


def supervise(
    work: Callable[[], None], run_state: RunState, wakeups: WakeupPipe, timeouts: Timeouts, timeout: int | None = None
) -> Wakeup:
    """Run `work` until it is done, a signal comes or a time limit passes; which of these it was.

    The limit is `timeouts.until_created` until the Job exists, and `timeout` seconds, if any, from then on. After
    anything but DONE, `work` may still be running, but it can begin no POST.
    """

    def run() -> None:
        try:
            # A traceback would print text of others past the one writer.
            with contextlib.suppress(Interrupted):
                work()
        finally:
            wakeups.put(Wakeup.DONE)

    threading.Thread(target=run, name=WORKER, daemon=True).start()
    wakeup = wakeups.get(timeouts.until_created)
    if wakeup in {Wakeup.SIGNAL, Wakeup.DEADLINE}:
        run_state.forbid_posts()
        may_exist = run_state.outcome.creation is not Creation.NONE
        if may_exist and _is_followed_within(timeouts.post_answer, wakeups) and wakeup is Wakeup.DEADLINE:
            wakeup = Wakeup.FOLLOWING
    if wakeup is Wakeup.FOLLOWING:
        wakeup = wakeups.get(timeout)
        run_state.forbid_posts()
    return wakeup


def _is_followed_within(seconds: float, wakeups: WakeupPipe) -> bool:
    """Wait for the answer to a POST that is under way, or was just answered; whether its Job is followed."""
    end = time.monotonic() + seconds
    while (wakeup := wakeups.get(max(end - time.monotonic(), 0))) is Wakeup.SIGNAL:
        pass  # the runner sends SIGTERM after SIGINT
    return wakeup is Wakeup.FOLLOWING


def log_timeout(wakeup: Wakeup, timeouts: Timeouts) -> float:
    """Seconds that a slow reader of the log has at the end of the run, after `wakeup` ended it."""
    return timeouts.slow_reader_after_signal if wakeup is Wakeup.SIGNAL else timeouts.slow_reader


def is_done_within(seconds: float, work: Callable[[], None]) -> bool:
    """Run `work` in another thread; whether it ended in time, and without an exception."""
    done = threading.Event()

    def run() -> None:
        # A traceback would print text of others past the one writer.
        with contextlib.suppress(Exception):
            work()
            done.set()

    threading.Thread(target=run, daemon=True).start()
    return done.wait(seconds)


def exit_within(seconds: float, status: int) -> None:
    """End the process after `seconds`, even if writing to its log blocks by then."""
    timer = threading.Timer(seconds, os._exit, [status])
    timer.daemon = True
    timer.start()
