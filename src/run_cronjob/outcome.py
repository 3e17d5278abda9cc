"""Every way the work can end, written down; and what there is to say where it was cut short."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from run_cronjob import supervisor
from run_cronjob.core.errors import ActionError, Interrupted, Refused
from run_cronjob.core.models import Creation, Result
from run_cronjob.diagnosis import explain
from run_cronjob.supervisor import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from run_cronjob.core.models import Outcome
    from run_cronjob.run_state import RunState


def attempt(work: Callable[[], None], run_state: RunState) -> None:
    """`work`, with every way it can end recorded in `run_state`."""
    try:
        work()
    except Interrupted:
        pass
    except Refused as refused:
        run_state.learn(result=Result.REFUSED, problem=refused.problem)
    except ActionError as error:
        run_state.learn(problem=error.problem, following_since=None)
    except Exception as error:  # noqa: BLE001  whatever it is, it must be told
        known = run_state.outcome
        if known.creation is Creation.OPEN:
            run_state.learn(problem=explain.creation_uncertain(known.namespace, known.job_name))
        else:
            run_state.learn(problem=explain.unexpected(error), following_since=None)


def conclude(known: Outcome, event: Wakeup, now: datetime) -> Outcome:
    """The outcome where the work was cut short, and what that leaves behind."""
    if event is Wakeup.DONE or known.result.is_an_end:
        return known  # whatever came afterwards: the Job's end was seen
    if event is Wakeup.DEADLINE and (known.problem or known.result.exit_status == 0):
        return known  # done, if only between the deadline and the last word
    if known.following_since:
        known = replace(known, seconds=int((now - known.following_since).total_seconds()))
        if event is Wakeup.DEADLINE:
            return replace(known, result=Result.TIMED_OUT, problem=explain.still_running(known))
    problem = None
    if known.creation is Creation.OPEN:
        problem = explain.creation_uncertain(known.namespace, known.job_name)
    elif known.creation is Creation.NONE and event is Wakeup.SIGNAL:
        problem = explain.cancelled()
    elif known.creation is Creation.NONE:
        problem = explain.took_too_long(known.stage, supervisor.LIMIT_SECONDS)
    if event is Wakeup.SIGNAL:
        return replace(known, result=Result.CANCELLED, problem=problem)
    return replace(known, problem=problem)
