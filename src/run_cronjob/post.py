"""The step's `post-entrypoint`: the Job of a cancelled run is deleted where the step itself had no time to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from run_cronjob import inputs, supervisor
from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.core.clock import SystemClock
from run_cronjob.core.models import OnCancel, Outcome
from run_cronjob.diagnosis import explain
from run_cronjob.outcome import attempt
from run_cronjob.report import summary
from run_cronjob.run_state import RunState
from run_cronjob.steps import Steps
from run_cronjob.supervisor import Wakeup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from run_cronjob.core.models import JobRef
    from run_cronjob.core.timeouts import Timeouts
    from run_cronjob.supervisor import WakeupPipe


def main(environ: Mapping[str, str], events: WakeupPipe, timeouts: Timeouts) -> int:
    """Delete the Job that a cancelled run left behind, if it did; the process's exit status."""
    left = inputs.left(environ)
    if not left:
        return 0
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:  # of the environment, which other steps have changed since
        problem = explain.invalid_inputs(invalid.complaints)
        return _tell(replace(invalid.known, problem=problem), left, actions)
    if asked.on_cancel is OnCancel.LEAVE:
        return 0  # the state is none of ours: another step can set variables of that name
    run_state = RunState(Outcome.of(asked))
    steps = Steps(asked, run_state, actions, SystemClock(), timeouts)

    def clean_up() -> None:
        steps.clean_up(steps.connect(steps.reach()), left)

    event = supervisor.supervise(lambda: attempt(clean_up, run_state), run_state, events)
    actions.take_over(supervisor.PATIENCE_SECONDS[event])
    outcome = run_state.close()
    if event is not Wakeup.DONE and not outcome.problem:
        outcome = replace(outcome, problem=explain.took_too_long(outcome.stage, supervisor.LIMIT_SECONDS))
    return _tell(outcome, left, actions)


def _tell(outcome: Outcome, left: JobRef, actions: Actions) -> int:
    actions.summary(summary.after_cancel(outcome, left))
    if outcome.problem:
        actions.error(summary.after_cancel_headline(outcome, left), summary.annotation(outcome))
    return int(outcome.problem is not None)
