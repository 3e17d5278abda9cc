"""Keeps a bearer token young: an EKS token lives 15 minutes, a run may take hours."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from run_cronjob.core.errors import ActionError, AwsError, GitHubError, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.core.clock import Clock

RENEW_AFTER_SECONDS = 600
RENEW_AGAIN_SECONDS = 20
"""After a renewal that failed, and before a refusal brings about another one."""


class Renewal:
    """When to `make` a newer token, and `use` it. Any thread may ask; one renews, the others don't wait."""

    def __init__(self, make: Callable[[], str], use: Callable[[str], None], clock: Clock) -> None:
        self._make = make
        self._use = use
        self._clock = clock
        self._lock = threading.Lock()
        self._tried = clock.monotonic()
        self._due = self._tried + RENEW_AFTER_SECONDS

    def keep_young(self) -> None:
        """Renew if it is time to."""
        if self._clock.monotonic() >= self._due:
            self._renew()

    def after_refusal(self) -> bool:
        """Renew because the token was refused; False if it can't be for its age."""
        return self._clock.monotonic() - self._tried >= RENEW_AGAIN_SECONDS and self._renew()

    def _renew(self) -> bool:
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._tried = self._clock.monotonic()
            self._due = self._tried + RENEW_AGAIN_SECONDS
            # Whoever gives out credentials may be away for a while; the old token may well last until then.
            # ValueError: a token's file that is no text.
            with contextlib.suppress(ActionError, AwsError, GitHubError, NoAnswer, OSError, ValueError):
                self._use(self._make())
                self._due = self._tried + RENEW_AFTER_SECONDS
                return True
            return False
        finally:
            self._lock.release()
