"""The gate between the work and whoever tells of it: once closed, the last word stays true."""

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


def test_what_is_learned_is_known() -> None:
    known = run_state()

    known.learn(stage="reading", result=Result.CREATED)

    assert known.outcome == outcome(stage="reading", result=Result.CREATED)


def test_no_remark_is_lost_where_two_threads_make_some_at_once() -> None:
    """The logs' threads and the follower each find out which right is missing."""
    known = run_state()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(known.remark, repeat("one", 2000)))
    finally:
        sys.setswitchinterval(before)

    assert len(known.outcome.remarks) == 2000


def test_while_a_post_is_under_way_a_job_may_exist() -> None:
    known = run_state()

    known.posting("nightly-report-1")

    assert (known.outcome.creation, known.outcome.job_name) == (Creation.OPEN, "nightly-report-1")


def test_its_fate_is_known_when_it_is_told() -> None:
    known = run_state()
    known.posting("nightly-report-1")

    known.known(Creation.NONE)

    assert known.outcome.creation is Creation.NONE


def test_no_dry_run_leaves_a_doubt() -> None:
    known = run_state(dry_run=True)

    known.posting("nightly-report-1")

    assert known.outcome.creation is Creation.NONE


def test_once_stopped_no_post_begins() -> None:
    known = run_state()
    known.stop()

    with pytest.raises(Interrupted):
        known.posting("nightly-report-1")
    assert known.outcome.creation is Creation.NONE
    assert known.outcome.job_name == ""


def test_once_stopped_what_is_under_way_may_still_be_learned() -> None:
    known = run_state()
    known.posting("nightly-report-1")
    known.stop()

    known.learn(creation=Creation.DONE)

    assert known.outcome.creation is Creation.DONE


def test_once_closed_nothing_is_added_and_the_work_ends() -> None:
    known = run_state()
    known.posting("nightly-report-1")
    last_word = known.close()

    with pytest.raises(Interrupted):
        known.learn(creation=Creation.DONE)
    with pytest.raises(Interrupted):
        known.posting("x")
    with pytest.raises(Interrupted):
        known.known(Creation.NONE)
    assert last_word.creation is Creation.OPEN
    assert known.outcome == last_word
