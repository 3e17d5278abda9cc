"""Tests of jobs/follow: the snapshot of the Job, the result that follows from it, and what is reported meanwhile."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core import status
from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.models import JobRef, Result, WaitFor
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs.follow import Follow, JobSnapshot, Right, Subject, Unwatchable
from run_cronjob.jobs.watch import Changed, Listed, WatchError
from tests import builders
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi
    from run_cronjob.core.models import Problem
    from run_cronjob.jobs.watch import Update
    from tests.builders import Raw

JOB = JobRef("staging", "nightly-1", "uid-1")
FORBIDDEN = ApiError(403, "Forbidden", "no")


def job(*conditions: str, uid: str = "uid-1", **status: Any) -> Raw:
    return builders.job(
        *(builders.condition(each, "Because", "so") for each in conditions),
        status=status,
        metadata={"name": "nightly-1", "uid": uid},
        selector={"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
    )


def pod(name: str = "p", *, owner: str = "uid-1", phase: str = "Pending", **state: Any) -> Raw:
    return builders.pod(
        name,
        phase,
        containers=[{"name": "main", "state": state}] if state else [],
        metadata={"uid": name, "ownerReferences": [{"uid": owner}]},
    )


def known(*news: tuple[Subject, Update], of: JobRef = JOB) -> JobSnapshot:
    found = JobSnapshot(of)
    for about, each in news:
        found.update(about, each)
    return found


def result(found: JobSnapshot, wait_for: WaitFor = WaitFor.COMPLETED) -> Result | None:
    decided = found.decision(wait_for)
    return decided[0] if decided else None


SEEN = (Subject.JOB, Listed((job(),)))


# --- the verdict --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("news", "completed", "started"),
    [
        ([], None, None),
        ([SEEN], None, None),
        ([(Subject.JOB, Listed((job("Complete"),)))], Result.SUCCEEDED, Result.STARTED),
        ([(Subject.JOB, Listed((job("Failed"),)))], Result.FAILED, Result.FAILED),
        ([SEEN, (Subject.JOB, Changed(job("SuccessCriteriaMet")))], None, None),
        ([SEEN, (Subject.JOB, Changed(job("FailureTarget", "Suspended")))], None, None),
        ([SEEN, (Subject.JOB, Changed(job(succeeded=5, failed=5)))], None, None),
        ([SEEN, (Subject.JOB, Changed(job(ready=1)))], None, Result.STARTED),
        ([(Subject.JOB, Listed(()))], Result.DELETED, Result.DELETED),
        ([SEEN, (Subject.JOB, Listed(()))], Result.DELETED, Result.DELETED),
        ([SEEN, (Subject.JOB, Changed(job(), gone=True))], Result.DELETED, Result.DELETED),
        ([SEEN, (Subject.JOB, Listed((job("Complete", uid="uid-2"),)))], Result.DELETED, Result.DELETED),
        ([SEEN, (Subject.JOB, Changed(job("Complete", uid="uid-2")))], Result.DELETED, Result.DELETED),
        # Deleted, but its last state tells its end.
        ([SEEN, (Subject.JOB, Changed(job("Complete"), gone=True))], Result.SUCCEEDED, Result.STARTED),
        ([(Subject.JOB, Listed((job("Complete"),))), (Subject.JOB, Listed(()))], Result.SUCCEEDED, Result.STARTED),
        ([SEEN, (Subject.PODS, Listed((pod(running={}),)))], None, Result.STARTED),
        ([SEEN, (Subject.PODS, Listed((pod(waiting={}),)))], None, None),
        ([SEEN, (Subject.PODS, Changed(pod(terminated={"startedAt": "x"})))], None, Result.STARTED),
        ([SEEN, (Subject.PODS, Changed(pod(terminated={"reason": "ContainerCannotRun"})))], None, None),
        ([SEEN, (Subject.PODS, Changed(pod(running={}, owner="uid-2")))], None, None),
    ],
)
def test_what_decides(news: list[tuple[Subject, Update]], completed: Result | None, started: Result | None) -> None:
    assert result(known(*news)) is completed
    assert result(known(*news), WaitFor.STARTED) is started


NOISE: list[tuple[Subject, Update]] = [
    SEEN,
    (Subject.JOB, Changed(job("SuccessCriteriaMet", succeeded=1))),
    (Subject.JOB, WatchError(NoAnswer("the Kubernetes API", "k8s.example", Cause.BROKEN))),
    (Subject.PODS, Listed((pod(running={}),))),
    (Subject.PODS, Changed(pod(phase="Succeeded"), gone=True)),
    (Subject.PODS, WatchError(FORBIDDEN)),
    (Subject.EVENTS, Listed(({"metadata": {"uid": "e"}},))),
]


@given(st.lists(st.sampled_from(NOISE)), st.lists(st.sampled_from([*NOISE, (Subject.JOB, Listed(()))])))
def test_an_end_that_was_seen_stands_whatever_comes_before_and_after(
    before: list[tuple[Subject, Update]], after: list[tuple[Subject, Update]]
) -> None:
    found = known(*before, (Subject.JOB, Changed(job("Complete"))))
    assert result(found) is Result.SUCCEEDED
    for about, news in after:
        if (about, news) not in (SEEN, NOISE[1]):  # no API server takes an end back
            found.update(about, news)
    assert result(found) is Result.SUCCEEDED


@given(st.lists(st.sampled_from(NOISE)))
def test_without_an_end_nothing_is_decided(news: list[tuple[Subject, Update]]) -> None:
    assert result(known(*news)) is None


def test_without_a_uid_the_job_of_that_name_is_it() -> None:
    found = known((Subject.JOB, Listed((job(uid="uid-9"),))), of=JobRef("staging", "nightly-1"))

    assert found.uid == "uid-9"
    assert result(found) is None


# --- the pods -----------------------------------------------------------------------------------------------


def test_pods_that_went_are_remembered_for_what_they_tell() -> None:
    found = known(SEEN, (Subject.PODS, Listed((pod("a"), pod("b")))), (Subject.PODS, Changed(pod("b"), gone=True)))

    assert {each.name for each in found.view.pods} == {"a", "b"}


def test_a_pod_that_is_missing_from_a_new_list_is_told_as_gone() -> None:
    found = known(SEEN, (Subject.PODS, Listed((pod("a"), pod("b")))))

    assert list(found.update(Subject.PODS, Listed((pod("a"),)))) == [
        (status.pod(pod("b")), True),
        (status.pod(pod("a")), False),
    ]


def test_not_all_of_a_thousand_pods_that_went_are_remembered() -> None:
    found = known(SEEN, *((Subject.PODS, Changed(pod(f"p{number}"), gone=True)) for number in range(1000)))

    assert len(found.view.pods) <= 200
    assert found.view.pods[-1].name == "p999"


def test_others_pods_are_none_of_ours() -> None:
    assert known(SEEN, (Subject.PODS, Listed((pod(owner="uid-2"),)))).view.pods == ()


def test_events_are_asked_for_where_something_is_unexplained_and_not_of_everything() -> None:
    stuck = [pod(f"p{number}") for number in range(20)]

    assert known(SEEN).unexplained == ("uid-1",)
    assert known(SEEN, (Subject.PODS, Listed((pod(phase="Running", running={}),)))).unexplained == ()
    assert len(known(SEEN, (Subject.PODS, Listed(tuple(stuck)))).unexplained) <= 4


# --- the loop -----------------------------------------------------------------------------------------------


class SilentApi:
    """An API that never answers: the test alone delivers updates."""

    def __init__(self) -> None:
        self._never = threading.Event()

    def select_job(self, *_: str) -> Any:
        return None

    select_pods = select_job

    def list_selected(self, *_: object) -> Any:
        self._never.wait()

    watch = list_events = list_selected


class Reporter:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.signs = 0
        self.troubles: list[Problem] = []
        self.main_problems: list[Problem | None] = []
        self.rights: list[Right] = []

    def state_changed(self, sentence: str) -> None:
        self.states.append(sentence)

    def state_unchanged(self, _: str) -> None:
        self.signs += 1

    def problem_found(self, problem: Problem) -> None:
        self.troubles.append(problem)

    def main_problem(self, problem: Problem | None) -> None:
        self.main_problems.append(problem)

    def right_missing(self, right: Right) -> None:
        self.rights.append(right)


class PlayedUpdates:
    """A queue that plays updates; a number is seconds that pass without any."""

    def __init__(self, clock: FakeClock, *updates: tuple[Subject, Update] | float) -> None:
        self._clock = clock
        self._updates = list(updates)

    def put(self, _: tuple[Subject, Update]) -> None:
        """The test alone delivers updates."""

    def get(self, timeout: float) -> tuple[Subject, Update]:
        if not self._updates:
            return Subject.JOB, Changed(job("Complete"))
        first = self._updates[0]
        if isinstance(first, tuple):
            self._updates.pop(0)
            return first
        passed = min(max(timeout, 0.01), first)
        self._clock.elapsed += passed
        self._updates[0] = first - passed
        if first - passed <= 0:
            self._updates.pop(0)
        raise queue.Empty


def played(*news: tuple[Subject, Update] | float) -> Reporter:
    clock, reporter = FakeClock(), Reporter()
    Follow(
        cast("KubeApi", SilentApi()),
        JOB,
        WaitFor.COMPLETED,
        reporter,
        None,
        clock,
        Timeouts(),
        frozenset(),
        cast("Any", PlayedUpdates(clock, *news)),
    ).until_decided()
    return reporter


def test_each_state_is_told_once_and_then_every_half_minute_that_it_lasts() -> None:
    reporter = played(SEEN, SEEN, SEEN, 95.0)

    assert len(reporter.states) == 1
    assert reporter.signs == 3


def test_a_missing_right_is_told_once() -> None:
    lost = (Subject.PODS, WatchError(FORBIDDEN))

    assert played(SEEN, lost, lost, (Subject.EVENTS, WatchError(FORBIDDEN))).rights == [Right.PODS, Right.EVENTS]


def test_a_right_that_was_there_is_not_missing_because_an_api_server_starts_and_refuses_everybody() -> None:
    listed, changed, lost = (
        (Subject.PODS, Listed(())),
        (Subject.PODS, Changed(pod())),
        (Subject.PODS, WatchError(FORBIDDEN)),
    )

    assert not played(SEEN, listed, changed, lost, 200.0, lost, listed, lost, 200.0, lost).rights
    assert played(SEEN, listed, changed, lost, 301.0, lost, lost).rights == [Right.PODS]


def test_pods_that_were_listed_once_may_be_listed_though_nothing_has_changed_since() -> None:
    listed, lost = (Subject.PODS, Listed(())), (Subject.PODS, WatchError(FORBIDDEN))

    assert not played(SEEN, listed, lost, 200.0, lost, listed).rights


def test_pods_that_may_be_listed_but_not_watched_are_a_right_that_is_missing() -> None:
    listed, lost = (Subject.PODS, Listed(())), (Subject.PODS, WatchError(FORBIDDEN, after_listing=True))

    assert played(SEEN, listed, lost, listed, lost).rights == [Right.PODS]


class DefectiveApi(SilentApi):
    """An API whose answers have an unexpected shape."""

    def list_selected(self, *_: object) -> Any:
        raise TypeError

    list_events = list_selected


def test_a_defect_does_not_make_the_last_look_wait() -> None:
    clock, timeouts = FakeClock(), Timeouts(last_look=3600)
    following = Follow(
        cast("KubeApi", DefectiveApi()),
        JOB,
        WaitFor.COMPLETED,
        Reporter(),
        None,
        clock,
        timeouts,
        frozenset(),
        cast("Any", PlayedUpdates(clock, SEEN)),
    )
    following.until_decided()

    assert following.last_look(explain=True).job.name == "nightly-1"


def test_a_problem_that_does_not_pass_is_reported_once_and_at_once() -> None:
    waiting = {"reason": "InvalidImageName", "message": "invalid reference format"}
    news = (Subject.PODS, Changed(pod(waiting=waiting)))

    assert len(played(SEEN, news, news, 60.0).troubles) == 1


def test_a_problem_that_was_solved_is_reported_no_more() -> None:
    waiting = (
        Subject.PODS,
        Changed(pod(waiting={"reason": "InvalidImageName", "message": "invalid reference format"})),
    )
    running = (Subject.PODS, Changed(pod(running={}, phase="Running")))

    reasons = [problem and problem.reason for problem in played(SEEN, waiting, 1.0, running, 1.0).main_problems]

    assert "ImageNameInvalid" in reasons
    assert reasons[-1] is None


NO_ANSWER = (Subject.JOB, WatchError(NoAnswer("the Kubernetes API", "k8s.example", Cause.REFUSED)))


def test_a_cluster_that_does_not_answer_is_waited_for_and_the_log_says_so() -> None:
    reporter = played(SEEN, NO_ANSWER, 3600.0)

    assert any("does not answer" in each for each in reporter.states)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_cluster_that_refuses_for_minutes_is_believed(status: int) -> None:
    refused = (Subject.JOB, WatchError(ApiError(status, "", "")))

    with pytest.raises(Unwatchable):
        played(SEEN, refused, 301.0)
    played(SEEN, refused, 200.0, SEEN, refused, 200.0)
