"""Turns every end of a run into an Outcome: an exception of the worker, a signal, the deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from run_cronjob.core.errors import ActionError, Interrupted, Refused
from run_cronjob.core.models import Creation, Outcome, Result
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.diagnosis import run
from run_cronjob.run_state import RunState
from run_cronjob.supervisor import Wakeup


def run_and_record(work: Callable[[], None], run_state: RunState) -> None:
    """Run `work`, and record in `run_state` the exception that it ends with, if any."""
    try:
        work()
    except Interrupted:
        pass
    except Refused as refused:
        run_state.update(result=Result.REFUSED, problem=refused.problem)
    except ActionError as error:
        run_state.update(problem=error.problem, following_since=None)
    except Exception as error:  # noqa: BLE001  a defect must be reported, too
        known = run_state.outcome
        if known.creation is Creation.OPEN:
            run_state.update(problem=run.creation_uncertain(known.namespace, known.job_name))
        else:
            run_state.update(problem=run.unexpected(error), following_since=None)


def final_outcome(known: Outcome, wakeup: Wakeup, now: datetime, timeouts: Timeouts) -> Outcome:
    """The Outcome to report, where `known` was recorded when `wakeup` ended the run."""
    if wakeup is Wakeup.DONE or known.result.is_an_end:
        return known  # nothing that comes later changes the Job's end
    if wakeup is Wakeup.DEADLINE and (known.problem or known.result.exit_status == 0):
        return known  # the work ended between the deadline and the closing of the state
    if known.following_since:
        known = replace(known, seconds=int((now - known.following_since).total_seconds()))
        if wakeup is Wakeup.DEADLINE:
            return replace(known, result=Result.TIMED_OUT, problem=run.timed_out(known))
    problem = None
    if known.creation is Creation.OPEN:
        problem = run.creation_uncertain(known.namespace, known.job_name)
    elif known.creation is Creation.NONE and wakeup is Wakeup.SIGNAL:
        problem = run.cancelled()
    elif known.creation is Creation.NONE:
        problem = run.took_too_long(known.stage, timeouts.until_created)
    if wakeup is Wakeup.SIGNAL:
        return replace(known, result=Result.CANCELLED, problem=problem)
    return replace(known, problem=problem)
