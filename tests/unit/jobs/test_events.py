"""Tests of jobs/events: when the events about an object are listed."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from run_cronjob.core.errors import ApiError
from run_cronjob.jobs import events
from run_cronjob.jobs.events import EventPoller
from run_cronjob.jobs.watch import Listed, WatchError
from tests.fakes import FakeClock

if TYPE_CHECKING:
    import pytest

    from run_cronjob.jobs.watch import Update

FORBIDDEN = ApiError(403, "Forbidden", "no")


def test_events_are_asked_for_again_after_a_refusal_if_they_were_there_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_PAUSES", (0.0,))
    answers: list[list[Any] | ApiError] = [[], FORBIDDEN, [{"reason": "Killing"}]]
    delivered: queue.SimpleQueue[Update] = queue.SimpleQueue()

    def ask(_: str) -> list[Any]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, ApiError):
            raise answer
        return answer

    poller = EventPoller(ask, delivered.put, FakeClock())
    poller.poll(("uid-1",))
    poller.start()

    assert [delivered.get(timeout=60) for _ in range(3)] == [
        Listed(()),
        WatchError(FORBIDDEN),
        Listed(({"reason": "Killing"},)),
    ]
    poller.stop()


def test_not_even_a_defect_ends_the_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_PAUSES", (0.0,))
    delivered: queue.SimpleQueue[Update] = queue.SimpleQueue()

    def defective(_: str) -> list[Any]:
        raise TypeError

    poller = EventPoller(defective, delivered.put, FakeClock())
    poller.poll(("uid-1",))
    poller.start()

    assert [type(delivered.get(timeout=60)) for _ in range(2)] == [WatchError, WatchError]
    poller.stop()


def test_events_are_polled_though_something_new_is_unexplained_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_PAUSES", (3600.0,))
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    clock = FakeClock()

    def ask(uid: str) -> list[Any]:
        asked.put(uid)
        return []

    poller = EventPoller(ask, lambda _: None, clock)
    clock.elapsed = 60
    poller.start()
    poller.poll(("pod-1",))

    assert asked.get(timeout=60) == "pod-1"
    poller.stop()
