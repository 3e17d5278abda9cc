"""Tests of jobs/watch: no change is missed, however streams end, and no request is repeated without a pause."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.jobs.watch import Changed, Listed, Watch, WatchError
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from run_cronjob.clients.kube_api import KubeApi, Selection
    from run_cronjob.jobs.watch import Update

CUT = NoAnswer("the Kubernetes API", "k8s.example", Cause.BROKEN)
EXPIRED = ApiError(410, "Expired", "too old resource version")


def thing(version: int, name: str = "x") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": thing(version)}


class Script:
    """An API that plays lists and streams in order, and stops the watch after the last one."""

    def __init__(self, clock: FakeClock, *parts: Any) -> None:
        self._parts = deque(parts)
        self._clock = clock
        self.asked: list[str] = []
        self.delivered: list[Update] = []
        self.subject = Watch(cast("KubeApi", self), cast("Selection", None), self.delivered.append, clock)

    def _next(self) -> Any:
        if not self._parts:
            self.subject.stop()
            return []
        part = self._parts.popleft()
        if isinstance(part, Exception):
            raise part
        return part

    def list_selected(self, _: object) -> tuple[list[dict[str, Any]], str]:
        self.asked.append("list")
        return self._next(), "1"

    def watch(self, _: object, version: str) -> Iterator[dict[str, Any]]:
        self.asked.append(f"watch from {version}")
        for part in self._next():
            if isinstance(part, Exception):
                raise part
            if isinstance(part, float):
                self._clock.elapsed += part
            else:
                yield part

    def play(self) -> Script:
        self.subject.run()
        return self


def test_it_lists_then_watches_from_there() -> None:
    script = Script(FakeClock(), [thing(1)], [event("ADDED", 2), event("DELETED", 3)]).play()

    assert script.asked[:2] == ["list", "watch from 1"]
    assert script.delivered == [Listed((thing(1),)), Changed(thing(2)), Changed(thing(3), gone=True)]


def test_a_stream_that_ends_in_order_goes_on_from_the_last_version_without_a_new_list() -> None:
    script = Script(FakeClock(), [], [event("ADDED", 2), event("BOOKMARK", 7), 50.0], []).play()

    assert script.asked == ["list", "watch from 1", "watch from 7", "watch from 7"]


def test_a_bookmark_is_no_news() -> None:
    assert Script(FakeClock(), [], [event("BOOKMARK", 7)]).play().delivered == [Listed(())]


@pytest.mark.parametrize("error", [CUT, ApiError(500, "InternalError", "no"), ApiError(401, "Unauthorized", "no")])
def test_after_a_failure_it_lists_again_since_things_may_be_gone_meanwhile(
    error: ApiError | NoAnswer,
) -> None:
    script = Script(FakeClock(), [thing(1)], [event("ADDED", 2), error], []).play()

    assert script.asked[:3] == ["list", "watch from 1", "list"]
    assert WatchError(error) in script.delivered


def test_a_refusal_tells_whether_it_is_the_watch_alone_that_is_refused() -> None:
    refused = ApiError(403, "Forbidden", "no")
    script = Script(FakeClock(), [thing(1)], [refused], [thing(1)], [event("ADDED", 2)], [refused]).play()

    assert WatchError(refused, after_listing=True) in script.delivered
    assert WatchError(refused) in script.delivered


def test_not_even_a_defect_ends_the_watch() -> None:
    script = Script(FakeClock(), [], [KeyError("metadata")], [thing(2)], []).play()

    assert Listed((thing(2),)) in script.delivered
    assert any(isinstance(update, WatchError) for update in script.delivered)


def test_an_expired_version_is_no_error_but_a_new_list() -> None:
    script = Script(FakeClock(), [], [EXPIRED], [thing(9)]).play()

    assert script.asked[:3] == ["list", "watch from 1", "list"]
    assert not [update for update in script.delivered if isinstance(update, WatchError)]


def test_a_list_that_fails_is_asked_for_again() -> None:
    script = Script(FakeClock(), CUT, CUT, [thing(1)], []).play()

    assert script.asked[:3] == ["list", "list", "list"]
    assert Listed((thing(1),)) in script.delivered


def test_the_servers_wish_for_a_pause_is_respected_but_not_for_hours() -> None:
    clock = FakeClock()
    Script(clock, ApiError(429, "", "", retry_after=7), ApiError(429, "", "", retry_after=21_600), []).play()

    assert clock.slept[0] == 7
    assert clock.slept[1] == 60


@given(st.lists(st.sampled_from([CUT, EXPIRED, "cut"]), min_size=1, max_size=30), st.floats(0, 1))
def test_streams_that_are_cut_at_once_are_never_asked_for_without_a_pause(cuts: list[Any], chance: float) -> None:
    clock = FakeClock(chance)
    parts: list[Any] = []
    for cut in cuts:
        parts += [cut] if isinstance(cut, Exception) else [[], []]
    script = Script(clock, *parts).play()

    assert len(clock.slept) >= (len(script.asked) - 2) // 2
    assert all(pause >= 0.25 for pause in clock.slept)


def test_a_quiet_stream_costs_no_pause_in_which_the_end_could_be_missed() -> None:
    clock = FakeClock()
    Script(clock, [], [50.0], [50.0], [50.0]).play()

    assert [pause for pause in clock.slept[:-1] if pause] == []


def test_once_stopped_it_tells_nothing_more() -> None:
    script = Script(FakeClock(), [thing(1)])
    script.subject.stop()

    assert script.play().delivered == []
