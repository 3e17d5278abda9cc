"""The main thread reacts to a signal or the deadline at once, whatever the work waits for."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from run_cronjob import supervisor
from run_cronjob.core.errors import Interrupted
from run_cronjob.core.models import Creation, Result
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.run_state import RunState
from run_cronjob.supervisor import Wakeup
from tests.builders import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run_cronjob.supervisor import WakeupPipe

LONG = 3600.0
HANGING = 60
"""Seconds after which a test fails that should not wait at all."""


@pytest.fixture
def run_state() -> RunState:
    return RunState(outcome())


@pytest.fixture
def wakeups() -> WakeupPipe:
    return supervisor.WakeupPipe()


@pytest.fixture
def hang() -> Iterator[Callable[[], None]]:
    """Work that lasts as long as the test."""
    end = threading.Event()
    yield lambda: (end.wait(HANGING), None)[1]
    end.set()


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(wakeup)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("handlers")
def test_both_signals_of_a_cancelled_workflow_become_wakeups_instead_of_ending_the_process(
    wakeups: WakeupPipe, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    wakeups.listen()
    assert signal.getsignal(number) is not before

    os.kill(os.getpid(), number)

    assert wakeups.get(HANGING) is Wakeup.SIGNAL


@pytest.mark.usefixtures("handlers")
def test_a_signal_wakes_the_main_thread_though_the_kernel_delivers_it_to_another_one(wakeups: WakeupPipe) -> None:
    wakeups.listen()
    waiting = threading.Event()

    def signal_this_thread() -> None:
        waiting.wait(HANGING)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        time.sleep(1)  # a thread that ends would wake the main thread by itself

    thread = threading.Thread(target=signal_this_thread)
    thread.start()
    threading.Timer(0.2, waiting.set).start()

    wakeup = wakeups.get(HANGING)

    assert wakeup is Wakeup.SIGNAL
    assert thread.is_alive()
    thread.join()


def test_work_that_is_done_is_done(run_state: RunState, wakeups: WakeupPipe) -> None:
    done: list[str] = []

    wakeup = supervisor.supervise(lambda: done.append("all of it"), run_state, wakeups, Timeouts())

    assert wakeup is Wakeup.DONE
    assert done == ["all of it"]


def test_work_that_fails_is_done_too(run_state: RunState, wakeups: WakeupPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.set())

    def fail() -> None:
        raise ZeroDivisionError

    assert supervisor.supervise(fail, run_state, wakeups, Timeouts()) is Wakeup.DONE
    assert ended.wait(HANGING)


def test_work_that_is_interrupted_prints_nothing(
    run_state: RunState, wakeups: WakeupPipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python would print the whole chain of errors on stderr, foreign texts and all, past the one writer.
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    worker: list[threading.Thread] = []

    def work() -> None:
        worker.append(threading.current_thread())
        run_state.close()
        try:
            raise RuntimeError("::error::foreign")  # noqa: TRY301  what the work was doing
        except RuntimeError:
            run_state.update(stage="late")

    supervisor.supervise(work, run_state, wakeups, Timeouts())
    worker[0].join(HANGING)

    assert printed == []


def test_a_signal_ends_the_waiting_and_lets_no_post_begin(
    run_state: RunState, wakeups: WakeupPipe, hang: Callable[[], None]
) -> None:
    wakeups.put(Wakeup.SIGNAL)

    assert supervisor.supervise(hang, run_state, wakeups, Timeouts()) is Wakeup.SIGNAL
    with pytest.raises(Interrupted):
        run_state.before_post("nightly-report-1")


def test_the_deadline_ends_the_waiting_and_lets_no_post_begin(
    run_state: RunState, wakeups: WakeupPipe, hang: Callable[[], None]
) -> None:

    assert supervisor.supervise(hang, run_state, wakeups, Timeouts(until_created=0.01)) is Wakeup.DEADLINE
    with pytest.raises(Interrupted):
        run_state.before_post("nightly-report-1")


def test_the_answer_to_a_post_under_way_is_waited_for_a_moment(
    run_state: RunState, wakeups: WakeupPipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    monkeypatch.setattr(run_state, "forbid_posts", stopped.set)

    def work() -> None:
        run_state.before_post("nightly-report-1")
        wakeups.put(Wakeup.SIGNAL)
        assert stopped.wait(HANGING)
        run_state.update(creation=Creation.DONE)

    assert supervisor.supervise(work, run_state, wakeups, Timeouts(post_answer=LONG)) is Wakeup.SIGNAL
    assert run_state.outcome.creation is Creation.DONE


def test_a_job_that_exists_when_the_time_is_up_is_followed_all_the_same(
    wakeups: WakeupPipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the step would end as if it had not been asked to wait: green, and nobody knows how the Job ended.
    run_state = RunState(outcome(), on_following=lambda: wakeups.put(Wakeup.FOLLOWING))
    stopped = threading.Event()
    monkeypatch.setattr(run_state, "forbid_posts", stopped.set)
    run_state.update(creation=Creation.DONE, result=Result.CREATED)

    def work() -> None:
        assert stopped.wait(HANGING)
        run_state.start_following(datetime.now(UTC))

    assert supervisor.supervise(work, run_state, wakeups, Timeouts(until_created=0.01, post_answer=LONG)) is Wakeup.DONE


def test_a_post_under_way_is_waited_for_no_longer_than_that(
    run_state: RunState, wakeups: WakeupPipe, hang: Callable[[], None]
) -> None:

    def work() -> None:
        run_state.before_post("nightly-report-1")
        wakeups.put(Wakeup.SIGNAL)
        hang()

    assert supervisor.supervise(work, run_state, wakeups, Timeouts(post_answer=0.01)) is Wakeup.SIGNAL
    assert run_state.outcome.creation is Creation.OPEN


def test_without_a_post_under_way_there_is_nothing_to_wait_for(
    run_state: RunState, wakeups: WakeupPipe, hang: Callable[[], None]
) -> None:
    wakeups.put(Wakeup.SIGNAL)

    assert supervisor.supervise(hang, run_state, wakeups, Timeouts(post_answer=LONG)) is Wakeup.SIGNAL


def test_the_limits_leave_time_for_the_report_before_the_runner_kills() -> None:
    # Two minutes for everything; two seconds from a signal to the end.
    assert Timeouts().until_created + Timeouts().post_answer < 120
    assert Timeouts().post_answer < 2


def test_work_that_takes_too_long_or_fails_is_not_done_in_time(hang: Callable[[], None]) -> None:
    def fail() -> None:
        raise ValueError

    assert supervisor.is_done_within(HANGING, lambda: None)
    assert not supervisor.is_done_within(0.01, hang)
    assert not supervisor.is_done_within(0.1, fail)
