"""What nobody foresaw is told all the same, and an open POST before anything else."""

from __future__ import annotations

import pytest

from run_cronjob.core.models import Outcome
from run_cronjob.outcome import attempt
from run_cronjob.run_state import RunState


@pytest.mark.parametrize(("name", "reason"), [("", "Unexpected"), ("a-job", "CreationUncertain")])
def test_what_nobody_foresaw_is_told_and_an_open_post_first(name: str, reason: str) -> None:
    run_state = RunState(Outcome())

    def run() -> None:
        if name:
            run_state.posting(name)
        raise ValueError

    attempt(run, run_state)
    assert run_state.outcome.problem
    assert run_state.outcome.problem.reason == reason
