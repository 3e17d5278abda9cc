"""The action's `post-entrypoint`: deletes the Job of a cancelled run if the step itself had no time to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from run_cronjob import inputs, supervisor
from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.context import RunContext
from run_cronjob.core.clock import SystemClock
from run_cronjob.core.models import JobRef, OnCancel, Outcome
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.diagnosis import run
from run_cronjob.outcome import run_and_record
from run_cronjob.report import summary
from run_cronjob.run_state import RunState
from run_cronjob.steps import Steps
from run_cronjob.supervisor import Wakeup, WakeupPipe


def main(environ: Mapping[str, str], wakeups: WakeupPipe, timeouts: Timeouts) -> int:
    """Delete the Job that a cancelled run left in the cluster, if any; the process's exit status."""
    job = inputs.saved_job(environ)
    if not job:
        return 0
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:  # other steps may have changed the environment since
        return _report(invalid.outcome, job, actions)
    if asked.on_cancel is OnCancel.LEAVE:
        return 0  # the state is not this action's: another step can set variables of that name
    run_state = RunState(Outcome.of(asked))
    steps = Steps(RunContext(asked, run_state, actions, SystemClock(), timeouts))

    def clean_up() -> None:
        steps.clean_up(steps.connect(steps.get_access()), job)

    wakeup = supervisor.supervise(lambda: run_and_record(clean_up, run_state), run_state, wakeups, timeouts)
    actions.silence_other_threads(supervisor.log_timeout(wakeup, timeouts))
    outcome = run_state.close()
    if wakeup is not Wakeup.DONE and not outcome.problem:
        outcome = replace(outcome, problem=run.took_too_long(outcome.stage, timeouts.until_created))
    return _report(outcome, job, actions)


def _report(outcome: Outcome, job: JobRef, actions: Actions) -> int:
    actions.summary(summary.post_markdown(outcome, job))
    if outcome.problem:
        actions.annotate("error", summary.post_headline(outcome, job), summary.annotation(outcome))
    return int(outcome.problem is not None)
