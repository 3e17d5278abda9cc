"""Writes the report of a run: the outputs, the job summary, the end of the log, and one annotation."""

from __future__ import annotations

from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.core.models import Creation, Outcome
from run_cronjob.report import summary


def publish(outcome: Outcome, actions: Actions) -> int:
    """Write the whole report of `outcome`, and return the exit status."""
    write_outputs_and_summary(outcome, actions)
    for line in summary.last_log_lines(outcome):
        actions.line(line)
    if outcome.manifest:
        actions.group(summary.MANIFEST_TITLE, outcome.manifest)
    status = outcome.result.exit_status
    actions.annotate("error" if status else "notice", summary.headline(outcome), summary.annotation(outcome))
    return status


def write_outputs_and_summary(outcome: Outcome, actions: Actions) -> None:
    """Write the outputs and the job summary; they replace those that were written before."""
    actions.outputs(
        {
            "job-name": outcome.job_name if outcome.creation is Creation.DONE else "",
            "namespace": outcome.namespace,
            "job-uid": outcome.job_uid,
            "cluster": outcome.cluster,
            "result": outcome.result.value,
            "reason": outcome.problem.reason if outcome.problem else "",
            "exit-code": "" if outcome.exit_code is None else str(outcome.exit_code),
            "duration": "" if outcome.seconds is None else str(outcome.seconds),
        }
    )
    actions.summary(summary.markdown(outcome))
