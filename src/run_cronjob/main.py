"""The action's entrypoint: one run, from the inputs to the exit status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from run_cronjob import inputs, supervisor
from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.context import RunContext
from run_cronjob.core.clock import SystemClock
from run_cronjob.core.models import Creation, Deletion, OnCancel, Outcome, Result
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.outcome import final_outcome, run_and_record
from run_cronjob.report import summary
from run_cronjob.report.publish import publish, write_outputs_and_summary
from run_cronjob.run_state import RunState
from run_cronjob.steps import Steps
from run_cronjob.supervisor import Wakeup, WakeupPipe


def main(environ: Mapping[str, str], wakeups: WakeupPipe, timeouts: Timeouts) -> int:
    """Run the CronJob that `environ` names and report the result; the process's exit status."""
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:
        return publish(invalid.outcome, actions)

    clock = SystemClock()
    run_state = RunState(Outcome.of(asked), on_following=lambda: wakeups.put(Wakeup.FOLLOWING))
    steps = Steps(RunContext(asked, run_state, actions, clock, timeouts))
    actions.line(summary.first_log_line(run_state.outcome))
    wakeup = supervisor.supervise(
        lambda: run_and_record(lambda: run(steps), run_state), run_state, wakeups, timeouts, asked.timeout
    )
    actions.silence_other_threads(supervisor.log_timeout(wakeup, timeouts))
    outcome = final_outcome(run_state.close(), wakeup, clock.now(), timeouts)
    if wakeup is Wakeup.SIGNAL:
        supervisor.exit_within(timeouts.leave_after_signal, outcome.result.exit_status)
        outcome = delete_if_cancelled(outcome, steps, actions, timeouts)
    elif wakeup is Wakeup.DEADLINE:
        supervisor.exit_within(timeouts.leave_after_deadline, outcome.result.exit_status)
    return publish(outcome, actions)


def run(steps: Steps) -> None:
    """Create the Job and follow it, step by step."""
    api = steps.connect(steps.get_access())
    cronjob = steps.read_cronjob(api)
    steps.check_rights(api)
    unfinished = steps.check_unfinished(api, cronjob)
    steps.create_job(api, cronjob, unfinished)
    steps.follow_job(api, cronjob)


def delete_if_cancelled(outcome: Outcome, steps: Steps, actions: Actions, timeouts: Timeouts) -> Outcome:
    """With `on-cancel: delete`, delete the cancelled run's Job; before that, publish what is known."""
    is_asked_for = outcome.on_cancel is OnCancel.DELETE and outcome.result is Result.CANCELLED
    if not is_asked_for or outcome.creation is Creation.NONE or outcome.dry_run:
        return outcome
    begun = replace(outcome, deletion=Deletion.BEGUN)
    write_outputs_and_summary(begun, actions)
    outcomes = [begun]
    supervisor.is_done_within(timeouts.delete, lambda: outcomes.append(steps.delete_job(begun)))
    return outcomes[-1]
