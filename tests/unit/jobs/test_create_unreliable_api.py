"""Tests of create_once() in jobs/create with a cluster and a network that can fail in any way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hypothesis import event, given, settings
from hypothesis import strategies as st

from run_cronjob.core.errors import ActionError, ApiError, Cause, Interrupted, NoAnswer
from run_cronjob.core.models import Creation, Json
from run_cronjob.jobs import create, manifest
from tests.builders import TRIGGER, cronjob
from tests.fakes import FakeClock
from tests.unit.jobs.creation import (
    CONFLICT,
    CREATE_SECONDS,
    FORBIDDEN,
    NAME,
    NOT_FOUND,
    QUOTA,
    FakeRecord,
    no_answer,
    plan,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.clients.kube_api import KubeApi

UNSENT = [Cause.NAME, Cause.REFUSED, Cause.CONNECT_TIMEOUT, Cause.PROXY]
SENT = [Cause.READ_TIMEOUT, Cause.BROKEN]


class UnreliableApi:
    """A cluster and a network that lose, delay, refuse and prune as `draw` decides.

    A POST that was delayed on the way arrives before the next POST is answered, or never.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], clock: FakeClock, owner: Json) -> None:
        self._draw = draw
        self._clock = clock
        self._keeps = owner["spec"]["jobTemplate"]["spec"].get("ttlSecondsAfterFinished")
        self._keeps_none = owner["spec"].get("successfulJobsHistoryLimit") == 0
        self._may_look = draw(st.booleans())
        self._delayed: list[Json] = []
        self.jobs: dict[str, tuple[float, Json]] = {}
        self.ever: list[str] = []
        """The Jobs of this request that were ever started."""
        self.taken_by_others = draw(st.sets(st.sampled_from([NAME, f"{NAME}-2", f"{NAME}-3"])))
        for name in self.taken_by_others:
            self.jobs[name] = (-1000.0, manifest.build(owner, name, TRIGGER, "request-2"))
        self.lost_answers = 0

    def _execute(self, manifest: Json) -> bool:
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            return False
        self.jobs[name] = (self._clock.elapsed, manifest)
        self.ever.append(name)
        return True

    def _pass_time(self, most: float) -> None:
        self._clock.elapsed += self._draw(st.sampled_from([0.1, most]))
        for name, (since, _) in list(self.jobs.items()):
            old = self._keeps_none or (self._keeps is not None and self._clock.elapsed - since >= self._keeps)
            if name not in self.taken_by_others and old and self._draw(st.booleans()):
                del self.jobs[name]

    def _arrive(self) -> None:
        for delayed in self._delayed:
            if self._draw(st.booleans()):
                self._execute(delayed)
        self._delayed.clear()

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        assert not dry_run
        self._arrive()
        self._pass_time(15)
        fate = self._draw(st.sampled_from(["answered", "lost", "lost before", "delayed", "unsent", "status", "5xx"]))
        event(fate)
        if fate == "unsent":
            raise no_answer(self._draw(st.sampled_from(UNSENT)))
        if fate == "status":
            raise self._draw(st.sampled_from([status(429, retry_after=1), status(409, "Conflict"), QUOTA, status(422)]))
        if fate in {"answered", "lost", "5xx"}:
            executed = self._execute(manifest)
            if fate == "answered" and not executed:
                raise CONFLICT
            if fate == "answered":
                return {**manifest, "metadata": {**manifest["metadata"], "uid": "job-uid"}}, ()
        if fate == "delayed":
            self._delayed.append(manifest)
        self.lost_answers += 1
        raise status(504) if fate == "5xx" else no_answer(self._draw(st.sampled_from(SENT)))

    def get_job(self, namespace: str, name: str) -> Json:
        assert namespace == "staging"
        self._pass_time(20)
        if not self._may_look:
            raise FORBIDDEN
        if self._draw(st.sampled_from([False, False, False, True])):
            raise self._draw(st.sampled_from([no_answer(Cause.BROKEN), status(503)]))
        if name not in self.jobs:
            raise NOT_FOUND
        return self.jobs[name][1]


class HonestRecord(FakeRecord):
    """Fails the test if it records that there is no Job although there was one."""

    api: UnreliableApi

    def after_post(self, creation: Creation) -> None:
        super().after_post(creation)
        assert creation is not Creation.NONE or not self.api.ever


OWNERS = [
    cronjob(),
    cronjob(ttlSecondsAfterFinished=0),
    cronjob(ttlSecondsAfterFinished=46),
    cronjob(ttlSecondsAfterFinished=60),
    cronjob(spec={"successfulJobsHistoryLimit": 0}),
]


@settings(max_examples=400)
@given(st.data())
def test_whatever_the_network_does_there_is_one_job_at_most_and_the_report_about_it_is_true(
    data: st.DataObject,
) -> None:
    clock = FakeClock()
    owner = data.draw(st.sampled_from(OWNERS))
    api = UnreliableApi(data.draw, clock, owner)
    record = HonestRecord(allowed_posts=data.draw(st.sampled_from([1000, 0, 1, 2])))
    record.api = api
    fixed = data.draw(st.booleans())

    try:
        made = create.create_once(cast("KubeApi", api), plan(owner, fixed=fixed), CREATE_SECONDS, clock, record)
    except (ApiError, NoAnswer):
        event("ends: error")
        assert api.ever == []
    except ActionError as error:
        reason = error.problem.reason
        event(f"ends: {reason}")
        if reason == "NameTaken":
            assert api.ever == []
        else:
            assert reason == "CreationUncertain"
            assert api.lost_answers
            assert record.creation is Creation.OPEN
    except Interrupted:
        event("ends: interrupted")
        assert record.creation is Creation.OPEN or not api.ever
    else:
        event(f"ends: {made.ground or 'answered'}")
        if made.ground == "its name was taken when the request was repeated":
            # Without a look there is no telling whose; that there is a Job of that name is certain.
            assert made.name in {*api.ever, *api.taken_by_others}
        else:
            assert api.ever == [made.name]

    assert len(api.ever) <= 1
