"""Replaces a bearer token before it expires: an EKS token is valid for 15 minutes, a run may take hours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ActionError, AwsError, GitHubError, NoAnswer


@dataclass
class TokenRefresh:
    """Makes a new token by `new_token` and passes it to `use`, every `interval` seconds and after a 401.

    After a failure the old token stays in use, and the next attempt is `retry_interval` seconds later. Its methods can
    be called from any thread. One thread makes the token; the others continue with the old one meanwhile.
    """

    new_token: Callable[[], str]
    use: Callable[[str], None]
    clock: Clock
    interval: float
    retry_interval: float

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._last_attempt = self.clock.monotonic()
        self._due = self._last_attempt + self.interval

    def refresh_if_due(self) -> None:
        """Replace the token if it has been in use for the interval."""
        if self.clock.monotonic() >= self._due:
            self._refresh()

    def refresh_after_401(self) -> bool:
        """Replace the token because the API server rejected it; False if it was not replaced.

        A token younger than the retry interval stays: its age is not why it was rejected.
        """
        return self.clock.monotonic() - self._last_attempt >= self.retry_interval and self._refresh()

    def _refresh(self) -> bool:
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._last_attempt = self.clock.monotonic()
            self._due = self._last_attempt + self.retry_interval
            # GitHub or AWS may be down for a while, and the old token may be valid for longer than that.
            # ValueError: a token file that is no text.
            with contextlib.suppress(ActionError, AwsError, GitHubError, NoAnswer, OSError, ValueError):
                self.use(self.new_token())
                self._due = self._last_attempt + self.interval
                return True
            return False
        finally:
            self._lock.release()
