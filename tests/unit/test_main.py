"""How a run ends: what was cut short is told as such, and what is told agrees with the exit status."""

from __future__ import annotations

import pytest

from run_cronjob import main
from run_cronjob.model import Creation, Outcome, Problem, Result
from run_cronjob.supervisor import Event
from tests.unit.samples import outcome, tell

REFUSED = Problem("AlreadyRunning", "What.", "Why.", "Fix.")


@pytest.mark.parametrize(
    ("known", "event", "result", "reason"),
    [
        (outcome(), Event.SIGNAL, Result.CANCELLED, "Cancelled"),
        (outcome(creation=Creation.OPEN), Event.SIGNAL, Result.CANCELLED, "CreationUncertain"),
        (outcome(creation=Creation.DONE, result=Result.CREATED), Event.SIGNAL, Result.CANCELLED, None),
        (outcome(result=Result.DRY_RUN), Event.SIGNAL, Result.CANCELLED, "Cancelled"),
        (outcome(), Event.DEADLINE, Result.ERROR, "TookTooLong"),
        (outcome(creation=Creation.OPEN), Event.DEADLINE, Result.ERROR, "CreationUncertain"),
        # What the work still told between the deadline and the last word.
        (outcome(creation=Creation.DONE, result=Result.CREATED), Event.DEADLINE, Result.CREATED, None),
        (outcome(result=Result.DRY_RUN), Event.DEADLINE, Result.DRY_RUN, None),
        (outcome(result=Result.REFUSED, problem=REFUSED), Event.DEADLINE, Result.REFUSED, "AlreadyRunning"),
        (outcome(problem=REFUSED), Event.DEADLINE, Result.ERROR, "AlreadyRunning"),
    ],
)
def test_what_is_told_of_a_run_that_was_cut_short(
    known: Outcome, event: Event, result: Result, reason: str | None
) -> None:
    told = main.conclude(known, event)

    assert told.result is result
    assert (told.problem.reason if told.problem else None) == reason


def test_a_run_that_came_to_its_end_is_told_as_it_is() -> None:
    known = outcome(result=Result.REFUSED, problem=REFUSED)

    assert main.conclude(known, Event.DONE) == known


@pytest.mark.parametrize(
    ("result", "exit_status", "annotation"),
    [
        (Result.CREATED, 0, "notice"),
        (Result.DRY_RUN, 0, "notice"),
        (Result.REFUSED, 1, "error"),
        (Result.CANCELLED, 1, "error"),
        (Result.ERROR, 1, "error"),
    ],
)
def test_exit_status_annotation_and_output_agree(result: Result, exit_status: int, annotation: str) -> None:
    status, heard = tell(outcome(result=result, problem=REFUSED if exit_status else None))

    assert status == exit_status
    assert [level for level, _ in heard.annotations] == [annotation]
    assert heard.written["result"] == result.value
    assert heard.written["reason"] == ("AlreadyRunning" if exit_status else "")
    assert heard.markdown
    assert heard.lines


@pytest.mark.parametrize(("creation", "named"), [(Creation.NONE, ""), (Creation.OPEN, ""), (Creation.DONE, "x-1")])
def test_only_a_job_that_exists_is_an_output(creation: Creation, named: str) -> None:
    _, heard = tell(outcome(creation=creation, job_name="x-1"))

    assert heard.written["job-name"] == named


def test_the_manifest_of_a_dry_run_is_in_the_log() -> None:
    _, heard = tell(outcome(result=Result.DRY_RUN, manifest="kind: Job"))

    assert "kind: Job" in heard.lines
