"""Every reason can be given: there is an error, a Job that does not run, or a Job that failed, for each."""

from __future__ import annotations

import pytest

from run_cronjob.core.reasons import Reason
from run_cronjob.diagnosis.job_failure import job_failure
from run_cronjob.diagnosis.job_state import blockers
from tests.builders import LATER
from tests.unit.diagnosis.examples import BLOCKED, FAILED, HONEST


def test_there_is_an_example_of_each_reason() -> None:
    assert {each.reason for each in HONEST.values()} | BLOCKED.keys() | FAILED.keys() == set(Reason)


@pytest.mark.parametrize("reason", BLOCKED)
def test_a_job_that_does_not_run_gives_the_reason(reason: Reason) -> None:
    assert [each.problem.reason for each in blockers(BLOCKED[reason], LATER)] == [reason]


@pytest.mark.parametrize("reason", FAILED)
def test_a_job_that_failed_gives_the_reason(reason: Reason) -> None:
    assert job_failure(FAILED[reason]).problem.reason is reason
