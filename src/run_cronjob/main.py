"""The whole story: from the form to a Job, and to the words that tell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from run_cronjob import inputs, supervisor
from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.core.clock import SystemClock
from run_cronjob.core.models import Creation, Deletion, OnCancel, Outcome, Result
from run_cronjob.diagnosis import explain
from run_cronjob.outcome import attempt, conclude
from run_cronjob.report import summary
from run_cronjob.report.publish import tell, write
from run_cronjob.run_state import RunState
from run_cronjob.steps import Steps
from run_cronjob.supervisor import Wakeup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from run_cronjob.core.timeouts import Timeouts
    from run_cronjob.supervisor import WakeupPipe


def main(environ: Mapping[str, str], events: WakeupPipe, timeouts: Timeouts) -> int:
    """Do what `environ` asks for and tell what came of it; the process's exit status."""
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:
        problem = explain.invalid_inputs(invalid.complaints)
        return tell(replace(invalid.known, problem=problem), actions)

    clock = SystemClock()
    run_state = RunState(Outcome.of(asked), on_following=lambda: events.put(Wakeup.FOLLOWING))
    steps = Steps(asked, run_state, actions, clock, timeouts)
    actions.line(summary.opening(run_state.outcome))
    event = supervisor.supervise(lambda: attempt(lambda: run(steps), run_state), run_state, events, asked.timeout)
    actions.take_over(supervisor.PATIENCE_SECONDS[event])
    outcome = conclude(run_state.close(), event, clock.now())
    if event is not Wakeup.DONE:
        supervisor.leave_within(supervisor.LEAVE_SECONDS[event], outcome.result.exit_status)
    if event is Wakeup.SIGNAL:
        outcome = stop(outcome, steps, actions)
    return tell(outcome, actions)


def run(steps: Steps) -> None:
    """The road."""
    access = steps.reach()
    cluster = steps.connect(access)
    cronjob = steps.find_cronjob(cluster)
    steps.check_rights(cluster)
    running = steps.guard(cluster, cronjob)
    steps.create(cluster, cronjob, beside=running)
    steps.follow(cluster, cronjob)


def stop(outcome: Outcome, steps: Steps, actions: Actions) -> Outcome:
    """Delete the cancelled run's Job where that is asked for; before that, write down what is known."""
    if outcome.on_cancel is OnCancel.LEAVE or outcome.result is not Result.CANCELLED:
        return outcome
    if outcome.creation is Creation.NONE or outcome.dry_run:
        return outcome
    begun = replace(outcome, deletion=Deletion.BEGUN)
    write(begun, actions)
    came_to = [begun]
    supervisor.in_time(lambda: came_to.append(steps.delete(begun)), supervisor.DELETE_SECONDS)
    return came_to[-1]
