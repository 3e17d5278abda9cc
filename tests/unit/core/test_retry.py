"""Trying again: within a budget, with growing pauses, and never sooner than the server asked for."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core.retry import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Budget, persist
from tests.fakes import FakeClock

CHANCE = st.floats(0, 1)


class Passing(Exception):  # noqa: N818  an example
    pass


class Final(Exception):  # noqa: N818  an example
    pass


class Service:
    """Fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = deque(failures)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self._failures:
            raise self._failures.popleft()
        return "answer"


def is_passing(error: Exception) -> bool:
    return isinstance(error, Passing)


def test_an_answer_that_comes_at_once_costs_no_pause() -> None:
    clock = FakeClock()

    assert persist(Service(), Budget(10, clock), is_passing) == "answer"
    assert clock.slept == []


def test_a_passing_error_is_tried_again() -> None:
    service = Service(Passing(), Passing())

    assert persist(service, Budget(10, FakeClock()), is_passing) == "answer"
    assert service.asked == 3


def test_a_final_error_is_not() -> None:
    service = Service(Passing(), Final())

    with pytest.raises(Final):
        persist(service, Budget(10, FakeClock()), is_passing)
    assert service.asked == 2


def test_when_the_budget_is_spent_the_last_error_is_told() -> None:
    failures = [Passing(str(number)) for number in range(1000)]
    service = Service(*failures)

    with pytest.raises(Passing) as caught:
        persist(service, Budget(10, FakeClock()), is_passing)
    assert caught.value is failures[service.asked - 1]
    assert service.asked > 2


def test_time_spent_waiting_for_answers_counts() -> None:
    clock = FakeClock()

    def slow() -> str:
        clock.elapsed += 6
        raise Passing

    with pytest.raises(Passing):
        persist(slow, Budget(10, clock), is_passing)
    assert clock.elapsed < 10 + 6


def test_the_server_decides_how_soon() -> None:
    clock = FakeClock()

    persist(Service(Passing()), Budget(10, clock), is_passing, lambda _: 7.0)

    assert clock.slept == [7.0]


def test_what_the_server_asks_for_does_not_shorten_our_own_pause() -> None:
    clock = FakeClock()

    persist(Service(Passing()), Budget(10, clock), is_passing, lambda _: 0.0)

    assert clock.slept[0] >= FIRST_PAUSE_SECONDS / 2


@pytest.mark.parametrize("asked_for", [10.0, 21_600.0, float("inf")])
def test_a_pause_beyond_the_budget_is_not_begun(asked_for: float) -> None:
    clock = FakeClock()

    assert Budget(10, clock).pause(asked_for) is False
    assert clock.slept == []


def test_pauses_grow_up_to_a_limit() -> None:
    clock = FakeClock(chance=1.0)
    budget = Budget(60, clock)

    while budget.pause():
        pass

    assert clock.slept[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert set(clock.slept[5:]) == {LONGEST_PAUSE_SECONDS}


def test_chance_spreads_those_who_wait_for_the_same() -> None:
    early, late = FakeClock(chance=0.0), FakeClock(chance=1.0)

    Budget(10, early).pause()
    Budget(10, late).pause()

    assert early.slept[0] == late.slept[0] / 2


@given(st.floats(0, 200), st.lists(st.none() | st.floats(0, 100)), CHANCE)
def test_no_budget_is_ever_overdrawn(seconds: float, asked_for: list[float | None], chance: float) -> None:
    clock = FakeClock(chance)
    budget = Budget(seconds, clock)

    for at_least in asked_for:
        slept = len(clock.slept)
        if budget.pause(at_least):
            assert clock.slept[-1] >= (at_least or 0)
        else:
            assert len(clock.slept) == slept

    assert clock.elapsed <= seconds
