"""How a run ends: what was cut short is told as such, and what is told agrees with the exit status."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from run_cronjob.core.models import Creation, Outcome, Problem, Result
from run_cronjob.outcome import conclude
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
REFUSED = Problem("AlreadyRunning", "What.", "Why.", "Fix.")


@pytest.mark.parametrize(
    ("known", "event", "result", "reason"),
    [
        (outcome(), Wakeup.SIGNAL, Result.CANCELLED, "Cancelled"),
        (outcome(creation=Creation.OPEN), Wakeup.SIGNAL, Result.CANCELLED, "CreationUncertain"),
        (outcome(creation=Creation.DONE, result=Result.CREATED), Wakeup.SIGNAL, Result.CANCELLED, None),
        (outcome(result=Result.DRY_RUN), Wakeup.SIGNAL, Result.CANCELLED, "Cancelled"),
        (outcome(), Wakeup.DEADLINE, Result.ERROR, "TookTooLong"),
        (outcome(creation=Creation.OPEN), Wakeup.DEADLINE, Result.ERROR, "CreationUncertain"),
        # What the work still told between the deadline and the last word.
        (outcome(creation=Creation.DONE, result=Result.CREATED), Wakeup.DEADLINE, Result.CREATED, None),
        (outcome(result=Result.DRY_RUN), Wakeup.DEADLINE, Result.DRY_RUN, None),
        (outcome(result=Result.REFUSED, problem=REFUSED), Wakeup.DEADLINE, Result.REFUSED, "AlreadyRunning"),
        (outcome(problem=REFUSED), Wakeup.DEADLINE, Result.ERROR, "AlreadyRunning"),
        # While the Job is followed.
        (FOLLOWING, Wakeup.DEADLINE, Result.TIMED_OUT, "TimedOut"),
        (FOLLOWING, Wakeup.SIGNAL, Result.CANCELLED, None),
        # Its end was seen: nothing that comes while the rest of its log is read changes that.
        (outcome(creation=Creation.DONE, result=Result.SUCCEEDED), Wakeup.SIGNAL, Result.SUCCEEDED, None),
        (outcome(creation=Creation.DONE, result=Result.SUCCEEDED), Wakeup.DEADLINE, Result.SUCCEEDED, None),
        (outcome(creation=Creation.DONE, result=Result.FAILED), Wakeup.SIGNAL, Result.FAILED, None),
        (outcome(creation=Creation.DONE, result=Result.FAILED), Wakeup.DEADLINE, Result.FAILED, None),
        (outcome(creation=Creation.DONE, result=Result.DELETED), Wakeup.SIGNAL, Result.DELETED, None),
    ],
)
def test_what_is_told_of_a_run_that_was_cut_short(
    known: Outcome, event: Wakeup, result: Result, reason: str | None
) -> None:
    told = conclude(known, event, LATER)

    assert told.result is result
    assert (told.problem.reason if told.problem else None) == reason


@pytest.mark.parametrize("event", [Wakeup.SIGNAL, Wakeup.DEADLINE])
def test_how_long_a_job_was_followed_is_told(event: Wakeup) -> None:
    assert conclude(FOLLOWING, event, LATER).seconds == 90


def test_a_job_that_is_still_running_is_not_to_be_started_again_and_can_be_watched_on() -> None:
    problem = conclude(FOLLOWING, Wakeup.DEADLINE, LATER).problem

    assert problem
    assert "STILL RUNNING" in problem.what
    assert "It waits for a node" in problem.why
    assert "Don't start it again" in problem.fix
    assert "logs --all-containers --follow job/nightly-report-1" in problem.paste


def test_what_keeps_it_from_getting_on_is_told_with_its_fix_when_our_patience_ends() -> None:
    trouble = Problem("ImageNotFound", "The image is not there.", "A typo, perhaps.", "Push it.", paste="push it")

    problem = conclude(replace(FOLLOWING, trouble=trouble), Wakeup.DEADLINE, LATER).problem

    assert problem
    assert problem.reason == "TimedOut"
    assert "STILL WAITING" in problem.what
    assert problem.why == "The image is not there. A typo, perhaps."
    assert "Don't start it again" in problem.first
    assert (problem.fix, problem.paste) == ("Push it.", "push it")


def test_a_run_that_came_to_its_end_is_told_as_it_is() -> None:
    known = outcome(result=Result.REFUSED, problem=REFUSED)

    assert conclude(known, Wakeup.DONE, LATER) == known


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
    status, heard = published(outcome(result=result, problem=REFUSED if exit_status else None))

    assert status == exit_status
    assert [level for level, _ in heard.annotations] == [annotation]
    assert heard.written["result"] == result.value
    assert heard.written["reason"] == ("AlreadyRunning" if exit_status else "")
    assert heard.markdown
    assert heard.lines


@pytest.mark.parametrize(("creation", "named"), [(Creation.NONE, ""), (Creation.OPEN, ""), (Creation.DONE, "x-1")])
def test_only_a_job_that_exists_is_an_output(creation: Creation, named: str) -> None:
    _, heard = published(outcome(creation=creation, job_name="x-1"))

    assert heard.written["job-name"] == named


def test_the_manifest_of_a_dry_run_is_in_the_log() -> None:
    _, heard = published(outcome(result=Result.DRY_RUN, manifest="kind: Job"))

    assert "kind: Job" in heard.lines
