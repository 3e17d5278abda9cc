"""Retries stay within the budget, pause longer each time and never less than Retry-After."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core.retry import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Backoff, Budget, retry
from tests.fakes import FakeClock

CHANCE = st.floats(0, 1)


class Transient(Exception):  # noqa: N818  an example
    pass


class Final(Exception):  # noqa: N818  an example
    pass


class Service:
    """Raises the given failures, one for each call, and then answers."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = deque(failures)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if self._failures:
            raise self._failures.popleft()
        return "answer"


def is_transient(error: Exception) -> bool:
    return isinstance(error, Transient)


def test_a_first_attempt_that_succeeds_is_not_paused() -> None:
    clock = FakeClock()

    assert retry(Service(), Budget(10, clock), is_transient) == "answer"
    assert clock.slept == []


def test_a_transient_error_is_retried() -> None:
    service = Service(Transient(), Transient())

    assert retry(service, Budget(10, FakeClock()), is_transient) == "answer"
    assert service.asked == 3


def test_a_final_error_is_not_retried() -> None:
    service = Service(Transient(), Final())

    with pytest.raises(Final):
        retry(service, Budget(10, FakeClock()), is_transient)
    assert service.asked == 2


def test_when_the_budget_is_spent_the_last_error_is_raised() -> None:
    failures = [Transient(str(number)) for number in range(1000)]
    service = Service(*failures)

    with pytest.raises(Transient) as caught:
        retry(service, Budget(10, FakeClock()), is_transient)
    assert caught.value is failures[service.asked - 1]
    assert service.asked > 2


def test_the_budget_includes_the_time_of_the_attempts() -> None:
    clock = FakeClock()

    def slow() -> str:
        clock.elapsed += 6
        raise Transient

    with pytest.raises(Transient):
        retry(slow, Budget(10, clock), is_transient)
    assert clock.elapsed < 10 + 6


def test_retry_after_lengthens_the_pause() -> None:
    clock = FakeClock()

    retry(Service(Transient()), Budget(10, clock), is_transient, lambda _: 7.0)

    assert clock.slept == [7.0]


def test_retry_after_does_not_shorten_the_pause() -> None:
    clock = FakeClock()

    retry(Service(Transient()), Budget(10, clock), is_transient, lambda _: 0.0)

    assert clock.slept[0] >= FIRST_PAUSE_SECONDS / 2


@pytest.mark.parametrize("asked_for", [10.0, 21_600.0, float("inf")])
def test_a_pause_that_exceeds_the_budget_is_not_started(asked_for: float) -> None:
    clock = FakeClock()

    assert Budget(10, clock).pause(asked_for) is False
    assert clock.slept == []


def test_pauses_double_up_to_the_longest() -> None:
    clock = FakeClock(chance=1.0)
    budget = Budget(60, clock)

    while budget.pause():
        pass

    assert clock.slept[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert set(clock.slept[5:]) == {LONGEST_PAUSE_SECONDS}


def test_jitter_halves_a_pause_at_most() -> None:
    early, late = FakeClock(chance=0.0), FakeClock(chance=1.0)

    Budget(10, early).pause()
    Budget(10, late).pause()

    assert early.slept[0] == late.slept[0] / 2


def test_a_backoff_keeps_to_its_own_first_and_longest_pause_and_starts_again_after_a_reset() -> None:
    backoff = Backoff(FakeClock(chance=1.0), first=0.1, longest=15.0)

    assert [backoff.next() for _ in range(30)][-1] == 15.0
    backoff.reset()

    assert [backoff.next(), backoff.next(), backoff.next(at_least=7.0)] == [0.1, 0.2, 7.0]


@given(st.floats(0, 200), st.lists(st.none() | st.floats(0, 100)), CHANCE)
def test_no_pauses_exceed_the_budget(seconds: float, asked_for: list[float | None], chance: float) -> None:
    clock = FakeClock(chance)
    budget = Budget(seconds, clock)

    for at_least in asked_for:
        slept = len(clock.slept)
        if budget.pause(at_least):
            assert clock.slept[-1] >= (at_least or 0)
        else:
            assert len(clock.slept) == slept

    assert clock.elapsed <= seconds
