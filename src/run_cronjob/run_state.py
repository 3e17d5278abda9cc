"""Holds the Outcome of a run so far, shared between the worker thread and the main thread that reports it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from run_cronjob.core.errors import Interrupted
from run_cronjob.core.models import Creation, Outcome, Result


class RunState:
    """The Outcome so far. After `forbid_posts` no POST begins; after `close` nothing changes.

    Methods that the worker calls raise Interrupted once its work is to end.
    """

    def __init__(self, outcome: Outcome, on_following: Callable[[], None] = lambda: None) -> None:
        """`on_following` is called when the Job exists and is followed from then on."""
        self._outcome = outcome
        self._on_following = on_following
        self._lock = threading.RLock()
        self._posts_are_forbidden = False
        self._is_closed = False

    @property
    def outcome(self) -> Outcome:
        """The Outcome at this moment."""
        with self._lock:
            return self._outcome

    def update(self, **fields: Any) -> None:  # noqa: ANN401  the fields of Outcome
        """Set fields of the Outcome."""
        with self._lock:
            if self._is_closed:
                raise Interrupted
            self._outcome = replace(self._outcome, **fields)

    def add_remark(self, sentence: str) -> None:
        """Append to the Outcome's remarks; any thread may do so."""
        with self._lock:
            self.update(remarks=(*self._outcome.remarks, sentence))

    def before_post(self, name: str) -> None:
        """Record that a POST of a Job called `name` is about to be sent."""
        with self._lock:
            if self._posts_are_forbidden:
                raise Interrupted
            creation = Creation.NONE if self._outcome.dry_run else Creation.OPEN
            self.update(job_name=name, creation=creation)

    def start_following(self, since: datetime) -> None:
        """Record that the Job is followed from now on; the result is not known until its end is seen."""
        self.update(following_since=since, result=Result.ERROR)
        self._on_following()

    def forbid_posts(self) -> None:
        """Let no further POST begin; the result of one under way can still be recorded."""
        with self._lock:
            self._posts_are_forbidden = True

    def close(self) -> Outcome:
        """The final Outcome; every later change raises Interrupted."""
        with self._lock:
            self._posts_are_forbidden = self._is_closed = True
            return self._outcome
