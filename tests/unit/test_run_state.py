"""The Outcome is shared by the worker and the main thread; once it is closed, it stays as it was reported."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from run_cronjob.core.errors import Interrupted
from run_cronjob.core.models import Creation, Result
from run_cronjob.run_state import RunState
from tests.builders import outcome


def run_state(*, dry_run: bool = False) -> RunState:
    return RunState(outcome(dry_run=dry_run))


def test_fields_that_are_set_are_in_the_outcome() -> None:
    state = run_state()

    state.update(stage="reading", result=Result.CREATED)

    assert state.outcome == outcome(stage="reading", result=Result.CREATED)


def test_no_remark_is_lost_where_two_threads_make_some_at_once() -> None:
    """The logs' threads and the follower each find out which right is missing."""
    state = run_state()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(state.add_remark, repeat("one", 2000)))
    finally:
        sys.setswitchinterval(before)

    assert len(state.outcome.remarks) == 2000


def test_while_a_post_is_under_way_a_job_may_exist() -> None:
    state = run_state()

    state.before_post("nightly-report-1")

    assert (state.outcome.creation, state.outcome.job_name) == (Creation.OPEN, "nightly-report-1")


def test_the_result_of_a_post_is_recorded() -> None:
    state = run_state()
    state.before_post("nightly-report-1")

    state.update(creation=Creation.NONE)

    assert state.outcome.creation is Creation.NONE


def test_a_dry_run_leaves_no_doubt_about_a_job() -> None:
    state = run_state(dry_run=True)

    state.before_post("nightly-report-1")

    assert state.outcome.creation is Creation.NONE


def test_once_posts_are_forbidden_none_begins() -> None:
    state = run_state()
    state.forbid_posts()

    with pytest.raises(Interrupted):
        state.before_post("nightly-report-1")
    assert state.outcome.creation is Creation.NONE
    assert state.outcome.job_name == ""


def test_the_result_of_a_post_under_way_is_recorded_when_posts_are_forbidden() -> None:
    state = run_state()
    state.before_post("nightly-report-1")
    state.forbid_posts()

    state.update(creation=Creation.DONE)

    assert state.outcome.creation is Creation.DONE


def test_once_closed_nothing_changes_and_the_work_ends() -> None:
    state = run_state()
    state.before_post("nightly-report-1")
    final = state.close()

    with pytest.raises(Interrupted):
        state.update(creation=Creation.DONE)
    with pytest.raises(Interrupted):
        state.before_post("x")
    assert final.creation is Creation.OPEN
    assert state.outcome == final
