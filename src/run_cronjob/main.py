"""The whole story: from the form to a Job, and to the words that tell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from run_cronjob import diagnosis, inputs, summary, supervisor
from run_cronjob.actions import Actions
from run_cronjob.clock import SystemClock
from run_cronjob.errors import ActionError, Interrupted, Refused
from run_cronjob.model import Creation, Outcome, Result
from run_cronjob.progress import Progress
from run_cronjob.steps import Steps
from run_cronjob.supervisor import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from run_cronjob.model import Inputs
    from run_cronjob.supervisor import Events


def main(environ: Mapping[str, str], events: Events) -> int:
    """Do what `environ` asks for and tell what came of it; the process's exit status."""
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:
        problem = diagnosis.invalid_inputs(invalid.complaints)
        return tell(replace(invalid.known, problem=problem), actions)

    progress = Progress(_asked(asked))
    actions.line(summary.opening(progress.outcome))
    event = supervisor.supervise(lambda: attempt(asked, progress, actions), progress, events)
    actions.take_over()
    return tell(conclude(progress.close(), event), actions)


def run(steps: Steps) -> None:
    """The road."""
    access = steps.reach()
    cluster = steps.connect(access)
    cronjob = steps.find_cronjob(cluster)
    running = steps.guard(cluster, cronjob)
    steps.create(cluster, cronjob, beside=running)


def attempt(asked: Inputs, progress: Progress, actions: Actions) -> None:
    """`run`, with every way it can end written down in `progress`."""
    try:
        run(Steps(asked, progress, actions, SystemClock()))
    except Interrupted:
        pass
    except Refused as refused:
        progress.learn(result=Result.REFUSED, problem=refused.problem)
    except ActionError as error:
        progress.learn(problem=error.problem)
    except Exception as error:  # noqa: BLE001  whatever it is, it must be told
        known = progress.outcome
        if known.creation is Creation.OPEN:
            progress.learn(problem=diagnosis.creation_uncertain(known.namespace, known.job_name))
        else:
            progress.learn(problem=diagnosis.unexpected(error))


def conclude(known: Outcome, event: Event) -> Outcome:
    """The outcome where the work was cut short, and what that leaves behind."""
    if event is Event.DONE or (event is Event.DEADLINE and (known.problem or known.result.exit_status == 0)):
        return known  # done, if only between the deadline and the last word
    problem = None
    if known.creation is Creation.OPEN:
        problem = diagnosis.creation_uncertain(known.namespace, known.job_name)
    elif known.creation is Creation.NONE and event is Event.SIGNAL:
        problem = diagnosis.cancelled()
    elif known.creation is Creation.NONE:
        problem = diagnosis.took_too_long(known.stage, supervisor.LIMIT_SECONDS)
    if event is Event.SIGNAL:
        return replace(known, result=Result.CANCELLED, problem=problem)
    return replace(known, problem=problem)


def tell(outcome: Outcome, actions: Actions) -> int:
    """Outputs, summary, the log's end and one annotation; the exit status."""
    actions.outputs(
        {
            "job-name": outcome.job_name if outcome.creation is Creation.DONE else "",
            "namespace": outcome.namespace,
            "job-uid": outcome.job_uid,
            "cluster": outcome.cluster,
            "result": outcome.result.value,
            "reason": outcome.problem.reason if outcome.problem else "",
        }
    )
    actions.summary(summary.markdown(outcome))
    for line in summary.closing(outcome):
        actions.line(line)
    if outcome.manifest:
        actions.group(summary.MANIFEST_TITLE, outcome.manifest)
    annotate = actions.error if outcome.result.exit_status else actions.notice
    annotate(summary.headline(outcome), summary.annotation(outcome))
    return outcome.result.exit_status


def _asked(asked: Inputs) -> Outcome:
    return Outcome(
        cronjob=asked.cronjob,
        namespace=asked.namespace,
        cluster=asked.cluster,
        trigger=asked.trigger,
        docs_url=asked.docs_url,
        dry_run=asked.dry_run,
    )
