"""Someone always has time for a signal or the deadline, whatever the work waits for."""

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
from run_cronjob.run_state import RunState
from run_cronjob.supervisor import Wakeup
from tests.builders import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run_cronjob.supervisor import WakeupPipe

NEVER = 3600
HANGING = 60
"""Seconds after which a test that should not wait at all is given up."""


@pytest.fixture
def run_state() -> RunState:
    return RunState(outcome())


@pytest.fixture
def events() -> WakeupPipe:
    return supervisor.WakeupPipe()


@pytest.fixture
def hang() -> Iterator[Callable[[], None]]:
    """Work that ends only with the test."""
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
def test_both_signals_of_a_cancelled_workflow_are_heard_instead_of_ending_the_process(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    heard = supervisor.listen()
    assert signal.getsignal(number) is not before

    os.kill(os.getpid(), number)

    assert heard.get(HANGING) is Wakeup.SIGNAL


@pytest.mark.usefixtures("handlers")
def test_a_signal_is_heard_though_the_kernel_hands_it_to_another_thread() -> None:
    heard = supervisor.listen()
    waiting = threading.Event()

    def signal_this_thread() -> None:
        waiting.wait(HANGING)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        time.sleep(1)  # a thread that ends would wake the main thread by itself

    thread = threading.Thread(target=signal_this_thread)
    thread.start()
    threading.Timer(0.2, waiting.set).start()

    event = heard.get(HANGING)

    assert event is Wakeup.SIGNAL
    assert thread.is_alive()
    thread.join()


def test_work_that_is_done_is_done(run_state: RunState, events: WakeupPipe) -> None:
    done: list[str] = []

    event = supervisor.supervise(lambda: done.append("all of it"), run_state, events)

    assert event is Wakeup.DONE
    assert done == ["all of it"]


def test_work_that_fails_is_done_too(run_state: RunState, events: WakeupPipe, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.set())

    def fail() -> None:
        raise ZeroDivisionError

    assert supervisor.supervise(fail, run_state, events) is Wakeup.DONE
    assert ended.wait(HANGING)


def test_work_that_was_told_to_stop_ends_without_a_word(
    run_state: RunState, events: WakeupPipe, monkeypatch: pytest.MonkeyPatch
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
            run_state.learn(stage="late")

    supervisor.supervise(work, run_state, events)
    worker[0].join(HANGING)

    assert printed == []


def test_a_signal_ends_the_waiting_and_lets_no_post_begin(
    run_state: RunState, events: WakeupPipe, hang: Callable[[], None]
) -> None:
    events.put(Wakeup.SIGNAL)

    assert supervisor.supervise(hang, run_state, events) is Wakeup.SIGNAL
    with pytest.raises(Interrupted):
        run_state.posting("nightly-report-1")


def test_the_deadline_does_so_too(
    run_state: RunState, events: WakeupPipe, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LIMIT_SECONDS", 0.01)

    assert supervisor.supervise(hang, run_state, events) is Wakeup.DEADLINE
    with pytest.raises(Interrupted):
        run_state.posting("nightly-report-1")


def test_a_post_under_way_gets_a_moment_to_tell_whether_a_job_exists(
    run_state: RunState, events: WakeupPipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", NEVER)
    stopped = threading.Event()
    monkeypatch.setattr(run_state, "stop", stopped.set)

    def work() -> None:
        run_state.posting("nightly-report-1")
        events.put(Wakeup.SIGNAL)
        assert stopped.wait(HANGING)
        run_state.learn(creation=Creation.DONE)

    assert supervisor.supervise(work, run_state, events) is Wakeup.SIGNAL
    assert run_state.outcome.creation is Creation.DONE


def test_a_job_that_is_there_when_the_time_is_up_is_followed_all_the_same(
    events: WakeupPipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the step would end as if it had not been asked to wait: green, and nobody knows how the Job ended.
    run_state = RunState(outcome(), on_following=lambda: events.put(Wakeup.FOLLOWING))
    monkeypatch.setattr(supervisor, "LIMIT_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", NEVER)
    stopped = threading.Event()
    monkeypatch.setattr(run_state, "stop", stopped.set)
    run_state.learn(creation=Creation.DONE, result=Result.CREATED)

    def work() -> None:
        assert stopped.wait(HANGING)
        run_state.follow(datetime.now(UTC))

    assert supervisor.supervise(work, run_state, events) is Wakeup.DONE


def test_but_no_more_than_a_moment(
    run_state: RunState, events: WakeupPipe, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.01)

    def work() -> None:
        run_state.posting("nightly-report-1")
        events.put(Wakeup.SIGNAL)
        hang()

    assert supervisor.supervise(work, run_state, events) is Wakeup.SIGNAL
    assert run_state.outcome.creation is Creation.OPEN


def test_without_a_post_under_way_there_is_nothing_to_wait_for(
    run_state: RunState, events: WakeupPipe, hang: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", NEVER)
    events.put(Wakeup.SIGNAL)

    assert supervisor.supervise(hang, run_state, events) is Wakeup.SIGNAL


def test_the_limits_leave_time_to_tell_before_the_runner_kills() -> None:
    # Two minutes for everything; two seconds from a signal to the end.
    assert supervisor.LIMIT_SECONDS + supervisor.GRACE_SECONDS < 120
    assert supervisor.GRACE_SECONDS < 2


def test_what_takes_too_long_or_fails_was_not_done_in_time(hang: Callable[[], None]) -> None:
    def fail() -> None:
        raise ValueError

    assert supervisor.in_time(lambda: None, HANGING)
    assert not supervisor.in_time(hang, 0.01)
    assert not supervisor.in_time(fail, 0.1)
