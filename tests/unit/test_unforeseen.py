"""What nobody foresaw is told all the same, and an open POST before anything else."""

from __future__ import annotations

import pytest

from run_cronjob.core.models import Outcome
from run_cronjob.outcome import attempt
from run_cronjob.run_state import Progress


@pytest.mark.parametrize(("name", "reason"), [("", "Unexpected"), ("a-job", "CreationUncertain")])
def test_what_nobody_foresaw_is_told_and_an_open_post_first(name: str, reason: str) -> None:
    progress = Progress(Outcome())

    def run() -> None:
        if name:
            progress.posting(name)
        raise ValueError

    attempt(run, progress)
    assert progress.outcome.problem
    assert progress.outcome.problem.reason == reason
