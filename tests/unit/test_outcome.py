"""Every end of a run becomes an Outcome, and exit status, outputs and annotation agree with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from run_cronjob.core.models import Creation, Outcome, Problem, Result
from run_cronjob.core.reasons import Reason
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.outcome import final_outcome, run_and_record
from run_cronjob.run_state import RunState
from run_cronjob.supervisor import Wakeup
from tests.builders import outcome
from tests.fakes import published

BEGAN = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
LATER = BEGAN + timedelta(seconds=90)
FOLLOWING = outcome(
    creation=Creation.DONE,
    job_name="nightly-report-1",
    following_since=BEGAN,
    state="It waits for a node to run on.",
    timeout=60,
)
REFUSED = Problem(Reason.ALREADY_RUNNING, "What.", "Why.", "Fix.")


def final(known: Outcome, wakeup: Wakeup) -> Outcome:
    return final_outcome(known, wakeup, LATER, Timeouts())


@pytest.mark.parametrize(
    ("known", "wakeup", "result", "reason"),
    [
        (outcome(), Wakeup.SIGNAL, Result.CANCELLED, "Cancelled"),
        (outcome(creation=Creation.OPEN), Wakeup.SIGNAL, Result.CANCELLED, "CreationUncertain"),
        (outcome(creation=Creation.DONE, result=Result.CREATED), Wakeup.SIGNAL, Result.CANCELLED, None),
        (outcome(result=Result.DRY_RUN), Wakeup.SIGNAL, Result.CANCELLED, "Cancelled"),
        (outcome(), Wakeup.DEADLINE, Result.ERROR, "TookTooLong"),
        (outcome(creation=Creation.OPEN), Wakeup.DEADLINE, Result.ERROR, "CreationUncertain"),
        # The work ended between the deadline and the closing of the state.
        (outcome(creation=Creation.DONE, result=Result.CREATED), Wakeup.DEADLINE, Result.CREATED, None),
        (outcome(result=Result.DRY_RUN), Wakeup.DEADLINE, Result.DRY_RUN, None),
        (outcome(result=Result.REFUSED, problem=REFUSED), Wakeup.DEADLINE, Result.REFUSED, "AlreadyRunning"),
        (outcome(problem=REFUSED), Wakeup.DEADLINE, Result.ERROR, "AlreadyRunning"),
        # While the Job is followed.
        (FOLLOWING, Wakeup.DEADLINE, Result.TIMED_OUT, "TimedOut"),
        (FOLLOWING, Wakeup.SIGNAL, Result.CANCELLED, None),
        # Nothing that comes while the rest of its log is read changes an end that was seen.
        (outcome(creation=Creation.DONE, result=Result.SUCCEEDED), Wakeup.SIGNAL, Result.SUCCEEDED, None),
        (outcome(creation=Creation.DONE, result=Result.SUCCEEDED), Wakeup.DEADLINE, Result.SUCCEEDED, None),
        (outcome(creation=Creation.DONE, result=Result.FAILED), Wakeup.SIGNAL, Result.FAILED, None),
        (outcome(creation=Creation.DONE, result=Result.FAILED), Wakeup.DEADLINE, Result.FAILED, None),
        (outcome(creation=Creation.DONE, result=Result.DELETED), Wakeup.SIGNAL, Result.DELETED, None),
    ],
)
def test_the_outcome_of_a_run_that_was_cut_short(
    known: Outcome, wakeup: Wakeup, result: Result, reason: str | None
) -> None:
    outcome = final(known, wakeup)

    assert outcome.result is result
    assert (outcome.problem.reason if outcome.problem else None) == reason


@pytest.mark.parametrize("wakeup", [Wakeup.SIGNAL, Wakeup.DEADLINE])
def test_the_outcome_says_how_long_the_job_was_followed(wakeup: Wakeup) -> None:
    assert final(FOLLOWING, wakeup).seconds == 90


def test_a_time_out_says_that_the_job_still_runs_and_how_to_watch_it() -> None:
    problem = final(FOLLOWING, Wakeup.DEADLINE).problem

    assert problem
    assert "STILL RUNNING" in problem.what
    assert "It waits for a node" in problem.why
    assert "Don't start it again" in problem.fix
    assert "logs --all-containers --follow job/nightly-report-1" in problem.paste


def test_a_time_out_reports_the_cause_of_the_waiting_with_its_fix() -> None:
    trouble = Problem(
        Reason.IMAGE_NOT_FOUND, "The image is not there.", "A typo, perhaps.", "Push it.", paste="push it"
    )

    problem = final(replace(FOLLOWING, trouble=trouble), Wakeup.DEADLINE).problem

    assert problem
    assert problem.reason == "TimedOut"
    assert "STILL WAITING" in problem.what
    assert problem.why == "The image is not there. A typo, perhaps."
    assert "Don't start it again" in problem.first
    assert (problem.fix, problem.paste) == ("Push it.", "push it")


def test_a_run_that_ended_by_itself_is_reported_as_it_is() -> None:
    known = outcome(result=Result.REFUSED, problem=REFUSED)

    assert final(known, Wakeup.DONE) == known


@pytest.mark.parametrize(
    ("result", "exit_status", "annotation"),
    [
        (Result.CREATED, 0, "notice"),
        (Result.STARTED, 0, "notice"),
        (Result.SUCCEEDED, 0, "notice"),
        (Result.DRY_RUN, 0, "notice"),
        (Result.FAILED, 1, "error"),
        (Result.TIMED_OUT, 1, "error"),
        (Result.DELETED, 1, "error"),
        (Result.REFUSED, 1, "error"),
        (Result.CANCELLED, 1, "error"),
        (Result.ERROR, 1, "error"),
    ],
)
def test_exit_status_annotation_and_output_agree(result: Result, exit_status: int, annotation: str) -> None:
    status, written = published(outcome(result=result, problem=REFUSED if exit_status else None))

    assert status == exit_status
    assert [level for level, _ in written.annotations] == [annotation]
    assert written.written["result"] == result.value
    assert written.written["reason"] == ("AlreadyRunning" if exit_status else "")
    assert written.markdown
    assert written.lines


@pytest.mark.parametrize(("creation", "named"), [(Creation.NONE, ""), (Creation.OPEN, ""), (Creation.DONE, "x-1")])
def test_only_a_job_that_exists_is_an_output(creation: Creation, named: str) -> None:
    _, written = published(outcome(creation=creation, job_name="x-1"))

    assert written.written["job-name"] == named


def test_the_manifest_of_a_dry_run_is_in_the_log() -> None:
    _, written = published(outcome(result=Result.DRY_RUN, manifest="kind: Job"))

    assert "kind: Job" in written.lines


@pytest.mark.parametrize(("name", "reason"), [("", "Unexpected"), ("a-job", "CreationUncertain")])
def test_an_exception_that_nobody_expected_is_reported_and_an_open_post_first(name: str, reason: str) -> None:
    run_state = RunState(Outcome())

    def run() -> None:
        if name:
            run_state.before_post(name)
        raise ValueError

    run_and_record(run, run_state)
    assert run_state.outcome.problem
    assert run_state.outcome.problem.reason == reason
