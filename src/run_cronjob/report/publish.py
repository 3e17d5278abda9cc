"""What came of it, said where people and later steps look: outputs, summary, log, one annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run_cronjob.core.models import Creation
from run_cronjob.report import summary

if TYPE_CHECKING:
    from run_cronjob.clients.workflow_commands import Actions
    from run_cronjob.core.models import Outcome


def tell(outcome: Outcome, actions: Actions) -> int:
    """Outputs, summary, the log's end and one annotation; the exit status."""
    write(outcome, actions)
    for line in summary.closing(outcome):
        actions.line(line)
    if outcome.manifest:
        actions.group(summary.MANIFEST_TITLE, outcome.manifest)
    annotate = actions.error if outcome.result.exit_status else actions.notice
    annotate(summary.headline(outcome), summary.annotation(outcome))
    return outcome.result.exit_status


def write(outcome: Outcome, actions: Actions) -> None:
    """Outputs and summary, in place of earlier ones."""
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
