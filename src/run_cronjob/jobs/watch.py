"""Keeps one list of Kubernetes objects up to date: LIST, watch, and both again after any failure.

The end of a stream decides nothing; only a list or a watch event does. After a failure the whole list is delivered
again, so that nothing is missed between two streams, and objects deleted meanwhile are missing from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from run_cronjob.clients.kube_api import KubeApi, Selection
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.models import Json
from run_cronjob.core.retry import Backoff

_SHORT_STREAM_SECONDS = 1.0
"""A stream that ends sooner was cut, not ended by the server's time limit; the next one may be cut as well."""

_LONGEST_PAUSE_SECONDS = 60.0
"""Longer values of Retry-After are cut to this."""


@dataclass(frozen=True)
class Listed:
    """All objects of the selection."""

    objects: tuple[Json, ...]


@dataclass(frozen=True)
class Changed:
    """One object that is new or has changed; with `gone`, its last state before it was deleted."""

    object: Json
    gone: bool = False


@dataclass(frozen=True)
class WatchError:
    """A request that failed or was refused; another attempt follows."""

    error: ApiError | NoAnswer
    after_listing: bool = False
    """The LIST just before had succeeded, so that the watch alone fails."""

    @classmethod
    def of(cls, error: Exception, *, after_listing: bool = False) -> WatchError:
        """The WatchError for any exception: an unexpected one must not end the thread in silence."""
        if not isinstance(error, ApiError | NoAnswer):
            error = NoAnswer("the Kubernetes API", "", Cause.BROKEN, type(error).__name__)
        return cls(error, after_listing)


Update: TypeAlias = Listed | Changed | WatchError


class Watch:
    """Delivers every change of the objects in `selection`, from a thread of its own, until stopped."""

    def __init__(self, api: KubeApi, selection: Selection, deliver: Callable[[Update], None], clock: Clock) -> None:
        self._api = api
        self._selection = selection
        self._deliver = deliver
        self._clock = clock
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self.run, daemon=True).start()

    def stop(self) -> None:
        """Deliver nothing more."""
        self._stopped.set()

    def run(self) -> None:
        """List and watch until stopped."""
        backoff = Backoff(self._clock)
        version = ""
        while not self._stopped.is_set():
            began = self._clock.monotonic()
            has_listed = False
            refusal = failure = None
            try:
                if not version:
                    objects, version = self._api.list_selected(self._selection)
                    has_listed = True
                    self._pass_on(Listed(tuple(objects)))
                for event in self._api.watch(self._selection, version):
                    has_listed = False
                    kind, subject = event["type"], event["object"]
                    version = str((subject.get("metadata") or {}).get("resourceVersion") or version)
                    if kind != "BOOKMARK":
                        self._pass_on(Changed(subject, gone=kind == "DELETED"))
                    backoff.reset()
            except Exception as error:  # noqa: BLE001  without this thread the run would wait until its time-out
                version = ""
                failure = WatchError.of(error, after_listing=has_listed)
                refusal = error if isinstance(error, ApiError) else None
                if not (refusal and refusal.status == 410):  # it has expired, and nothing is wrong: list again
                    self._pass_on(failure)
            is_long = self._clock.monotonic() - began >= _SHORT_STREAM_SECONDS
            if is_long:
                backoff.reset()
            if failure or not is_long:
                pause = backoff.next(refusal.retry_after if refusal else None)
                self._clock.sleep(min(pause, _LONGEST_PAUSE_SECONDS))

    def _pass_on(self, update: Update) -> None:
        if not self._stopped.is_set():
            self._deliver(update)
