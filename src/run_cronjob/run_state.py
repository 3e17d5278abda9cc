"""What is known so far, shared between the work and whoever must tell of it if the work is cut short."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from run_cronjob.core.errors import Interrupted
from run_cronjob.core.models import Creation, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from run_cronjob.core.models import Outcome


class RunState:
    """The Outcome as it grows. Once `stop` was called no POST begins; once closed, nothing is added.

    Every method of the worker's raises Interrupted where the work is to end.
    """

    def __init__(self, outcome: Outcome, on_following: Callable[[], None] = lambda: None) -> None:
        """`on_following` is called when the Job is there and only waiting for it is left."""
        self._outcome = outcome
        self._on_following = on_following
        self._lock = threading.Lock()
        self._stopping = False
        self._closed = False

    @property
    def outcome(self) -> Outcome:
        """What is known now."""
        with self._lock:
            return self._outcome

    def learn(self, **facts: Any) -> None:  # noqa: ANN401  the fields of Outcome
        """Add to what is known."""
        with self._lock:
            self._learn(facts)

    def remark(self, sentence: str) -> None:
        """Add one more, whichever thread says it."""
        with self._lock:
            self._learn({"remarks": (*self._outcome.remarks, sentence)})

    def posting(self, name: str) -> None:
        """A POST for a Job called `name` is about to be sent."""
        with self._lock:
            if self._stopping:
                raise Interrupted
            creation = Creation.NONE if self._outcome.dry_run else Creation.OPEN
            self._learn({"job_name": name, "creation": creation})

    def known(self, creation: Creation) -> None:
        """What that POST came to."""
        self.learn(creation=creation)

    def follow(self, since: datetime) -> None:
        """From now on the Job is followed. Until its end is seen, nothing is known of that."""
        self.learn(following_since=since, result=Result.ERROR)
        self._on_following()

    def _learn(self, facts: dict[str, Any]) -> None:
        if self._closed:
            raise Interrupted
        self._outcome = replace(self._outcome, **facts)

    def stop(self) -> None:
        """Let no further POST begin; what is under way may still be learned."""
        with self._lock:
            self._stopping = True

    def close(self) -> Outcome:
        """The last word: nothing can be added from now on."""
        with self._lock:
            self._stopping = self._closed = True
            return self._outcome
