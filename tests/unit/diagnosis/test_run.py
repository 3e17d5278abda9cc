"""Failures of the run itself are explained by what failed."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from run_cronjob.diagnosis import run
from tests.unit.diagnosis.examples import HONEST, SECRET


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("invalid inputs", "InvalidInput"),
        ("no id-token permission", "NoIdTokenPermission"),
    ],
)
def test_each_error_has_its_own_message(name: str, reason: str) -> None:
    assert HONEST[name].reason == reason


def test_an_unexpected_error_is_reported_without_its_values() -> None:
    def work(password: str) -> None:
        raise ValueError(f"bad password {password}")

    try:
        work(SECRET)
    except ValueError as error:
        problem = run.unexpected(error)

    assert "hunter2" not in str(astuple(problem))
    assert "ValueError" in problem.what
    assert "test_run.py" in problem.paste
    assert "work" in problem.paste


def test_an_uncertain_job_is_reported_as_such_and_not_to_be_started_again_at_once() -> None:
    problem = run.creation_uncertain("staging", "nightly-report-1", may_be_gone=True)

    assert "not certain" in problem.what
    assert "Don't run the workflow again yet" in problem.first
    assert "removed as soon as they end" in problem.why
    assert problem.paste == "kubectl --namespace staging get job nightly-report-1"
