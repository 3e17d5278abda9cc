"""Tests of decide() and needs_look_up() in jobs/create: what follows an answer to a POST."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from run_cronjob.jobs.create import LookUp, NextStep, PostResult, decide, needs_look_up

if TYPE_CHECKING:
    from collections.abc import Iterable


ANY = (LookUp.OURS, LookUp.OTHERS, LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN)
BOTH = (False, True)

# POST, what a look finds, an earlier POST is open, a Job may have been pruned -> what to do.
TABLE: list[tuple[PostResult, Iterable[LookUp], Iterable[bool], Iterable[bool], NextStep]] = [
    # No effect, and another POST may have one: send it again.
    (PostResult.UNREAD, ANY, BOTH, BOTH, NextStep.REPEAT),
    # The Job is there, and its request id says whose it is.
    (PostResult.LOST, [LookUp.OURS], BOTH, BOTH, NextStep.ACCEPT),
    (PostResult.TAKEN, [LookUp.OURS], BOTH, BOTH, NextStep.ACCEPT),
    (PostResult.REFUSED, [LookUp.OURS], BOTH, BOTH, NextStep.ACCEPT),
    (PostResult.LOST, [LookUp.OTHERS], BOTH, BOTH, NextStep.RENAME),
    (PostResult.TAKEN, [LookUp.OTHERS], BOTH, BOTH, NextStep.RENAME),
    (PostResult.REFUSED, [LookUp.OTHERS], BOTH, BOTH, NextStep.RENAME),
    # The answer was lost: again only if there is certainly no Job; a name that can't be looked at
    # lets the repetition find out.
    (PostResult.LOST, [LookUp.ABSENT, LookUp.HIDDEN], BOTH, [False], NextStep.REPEAT),
    (PostResult.LOST, [LookUp.ABSENT, LookUp.HIDDEN], BOTH, [True], NextStep.STAY_UNCERTAIN),
    (PostResult.LOST, [LookUp.UNKNOWN], BOTH, BOTH, NextStep.STAY_UNCERTAIN),
    # A conflict without an open POST of ours is another request's, with or without the right to look.
    (PostResult.TAKEN, [LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN], [False], BOTH, NextStep.RENAME),
    # A conflict right after our own lost answer counts as ours where there is no right to look.
    (PostResult.TAKEN, [LookUp.HIDDEN], [True], BOTH, NextStep.BELIEVE),
    (PostResult.TAKEN, [LookUp.ABSENT, LookUp.UNKNOWN], [True], BOTH, NextStep.STAY_UNCERTAIN),
    # A refusal is the end; but an earlier POST that is open may still have its effect.
    (PostResult.REFUSED, [LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN], [False], BOTH, NextStep.FAIL),
    (PostResult.REFUSED, [LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN], [True], BOTH, NextStep.STAY_UNCERTAIN),
]
CASES = [
    (post, seen, lost, gone, expected)
    for post, looks, losts, gones, expected in TABLE
    for seen, lost, gone in product(looks, losts, gones)
]


def test_the_table_has_one_row_for_every_case() -> None:
    assert sorted(map(str, [case[:4] for case in CASES])) == sorted(map(str, product(PostResult, LookUp, BOTH, BOTH)))


@pytest.mark.parametrize(("post", "seen", "lost", "gone", "expected"), CASES)
def test_what_follows_is_as_in_the_table(
    post: PostResult, seen: LookUp, lost: bool, gone: bool, expected: NextStep
) -> None:
    assert decide(post, seen, lost=lost, may_be_gone=gone) is expected


@pytest.mark.parametrize(("post", "lost", "gone"), list(product(PostResult, BOTH, BOTH)))
def test_a_look_up_is_made_exactly_where_the_decision_depends_on_it(post: PostResult, lost: bool, gone: bool) -> None:
    answers = {decide(post, seen, lost=lost, may_be_gone=gone) for seen in LookUp}
    if post is PostResult.REFUSED and not lost:
        # Nothing of ours can be there: another request's Job of that name does not cause a refusal.
        assert not needs_look_up(post, lost=lost)
    else:
        assert needs_look_up(post, lost=lost) == (len(answers) > 1)
