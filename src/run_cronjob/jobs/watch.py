"""One list of objects, kept up to date: list, watch, and after whatever may happen to a stream, again.

A stream's end means nothing; only what a list or an event says does. Each list is asked for once and told whole, so
that nothing is missed between two streams, and what was deleted meanwhile is seen to be missing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run_cronjob.core.clock import Clock
    from run_cronjob.core.models import Json

_EXPIRED = 410
"""What has happened since that version is forgotten in part: nothing is wrong, list again."""

_CUT_SECONDS = 1.0
"""A stream that ends sooner was cut, not ended by its server's clock, and so may the next one be."""

_LONGEST_WAIT_SECONDS = 60.0
"""Whatever Retry-After asks for: once a minute is patient enough."""


class Source(Protocol):
    """What is to be kept up to date."""

    def snapshot(self) -> tuple[list[Json], str]:
        """All objects now, and the version to watch from."""

    def changes(self, version: str) -> Iterator[Json]:
        """The watch events since then, until the stream ends."""


@dataclass(frozen=True)
class Listed:
    """All that there is."""

    objects: tuple[Json, ...]


@dataclass(frozen=True)
class Changed:
    """One object, new or changed, or as it was last before it was deleted."""

    object: Json
    gone: bool = False


@dataclass(frozen=True)
class Lost:
    """There is no answer, or a refusal; another attempt follows."""

    error: ApiError | NoAnswer
    after_listing: bool = False
    """Whether all was listed the moment before, so that it is the watch alone that fails."""

    @classmethod
    def by(cls, error: Exception, *, after_listing: bool = False) -> Lost:
        """What any error comes to: a thread that died of an unforeseen one would be missed by nobody."""
        if not isinstance(error, ApiError | NoAnswer):
            error = NoAnswer("the Kubernetes API", "", Cause.BROKEN, type(error).__name__)
        return cls(error, after_listing)


News: TypeAlias = Listed | Changed | Lost


class Watch:
    """Keeps telling the news of `source`, in a thread of its own, until stopped."""

    def __init__(self, source: Source, tell: Callable[[News], None], clock: Clock) -> None:
        self._source = source
        self._tell = tell
        self._clock = clock
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self.run, daemon=True).start()

    def stop(self) -> None:
        """Tell nothing more."""
        self._stopped.set()

    def run(self) -> None:
        """Go on until stopped."""
        backoff = Backoff(self._clock)
        version = ""
        while not self._stopped.is_set():
            began = self._clock.monotonic()
            has_listed = False
            try:
                if not version:
                    objects, version = self._source.snapshot()
                    has_listed = True
                    self._pass_on(Listed(tuple(objects)))
                for event in self._source.changes(version):
                    has_listed = False
                    version = self._take(event) or version
                    backoff.reset()
            except Exception as error:  # noqa: BLE001  a watch that died unheard would let us wait for ever
                version = ""
                if self._clock.monotonic() - began >= _CUT_SECONDS:
                    backoff.reset()
                lost = Lost.by(error, after_listing=has_listed)
                refusal = lost.error if isinstance(lost.error, ApiError) else None
                if not (refusal and refusal.status == _EXPIRED):
                    self._pass_on(lost)
                wanted = refusal.retry_after if refusal else None
                self._clock.sleep(min(backoff.next(wanted), _LONGEST_WAIT_SECONDS))
            else:
                if self._clock.monotonic() - began >= _CUT_SECONDS:
                    backoff.reset()
                else:
                    self._clock.sleep(backoff.next())

    def _take(self, event: Json) -> str:
        """Pass an event on; the version it came with."""
        kind, subject = event["type"], event["object"]
        if kind != "BOOKMARK":
            self._pass_on(Changed(subject, gone=kind == "DELETED"))
        return str((subject.get("metadata") or {}).get("resourceVersion") or "")

    def _pass_on(self, news: News) -> None:
        if not self._stopped.is_set():
            self._tell(news)
