"""The whole story: from the form to a Job, and to the words that tell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from run_cronjob import diagnosis, inputs, summary, supervisor
from run_cronjob.actions import Actions
from run_cronjob.clock import SystemClock
from run_cronjob.errors import ActionError, Interrupted, Refused
from run_cronjob.model import Creation, Deletion, OnCancel, Outcome, Result
from run_cronjob.progress import Progress
from run_cronjob.steps import Steps
from run_cronjob.supervisor import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from run_cronjob.model import Inputs, Left
    from run_cronjob.supervisor import Events


def main(environ: Mapping[str, str], events: Events) -> int:
    """Do what `environ` asks for and tell what came of it; the process's exit status."""
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:
        problem = diagnosis.invalid_inputs(invalid.complaints)
        return tell(replace(invalid.known, problem=problem), actions)

    clock = SystemClock()
    progress = Progress(_asked(asked), on_following=lambda: events.put(Event.FOLLOWING))
    steps = Steps(asked, progress, actions, clock)
    actions.line(summary.opening(progress.outcome))
    event = supervisor.supervise(lambda: attempt(lambda: run(steps), progress), progress, events, asked.timeout)
    actions.take_over()
    outcome = conclude(progress.close(), event, clock.now())
    if event is Event.SIGNAL:
        supervisor.leave_within(supervisor.LEAVE_SECONDS, outcome.result.exit_status)
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


def after_cancel(environ: Mapping[str, str], events: Events) -> int:
    """The step's `post-entrypoint`: delete the Job that a cancelled run left behind, if it did."""
    left = inputs.left(environ)
    if not left:
        return 0
    actions = Actions()
    try:
        asked = inputs.read(environ)
    except inputs.InvalidInputs as invalid:  # of the environment, which other steps have changed since
        problem = diagnosis.invalid_inputs(invalid.complaints)
        return _tell_after_cancel(replace(invalid.known, problem=problem), left, actions)
    if asked.on_cancel is OnCancel.LEAVE:
        return 0  # the state is none of ours: another step can set variables of that name
    progress = Progress(_asked(asked))
    steps = Steps(asked, progress, actions, SystemClock())

    def clean_up() -> None:
        steps.clean_up(steps.connect(steps.reach()), left)

    event = supervisor.supervise(lambda: attempt(clean_up, progress), progress, events)
    actions.take_over()
    outcome = progress.close()
    if event is not Event.DONE and not outcome.problem:
        outcome = replace(outcome, problem=diagnosis.took_too_long(outcome.stage, supervisor.LIMIT_SECONDS))
    return _tell_after_cancel(outcome, left, actions)


def _tell_after_cancel(outcome: Outcome, left: Left, actions: Actions) -> int:
    actions.summary(summary.after_cancel(outcome, left))
    if outcome.problem:
        actions.error(summary.after_cancel_headline(outcome, left), summary.annotation(outcome))
    return int(outcome.problem is not None)


def attempt(work: Callable[[], None], progress: Progress) -> None:
    """`work`, with every way it can end written down in `progress`."""
    try:
        work()
    except Interrupted:
        pass
    except Refused as refused:
        progress.learn(result=Result.REFUSED, problem=refused.problem)
    except ActionError as error:
        progress.learn(problem=error.problem, following_since=None)
    except Exception as error:  # noqa: BLE001  whatever it is, it must be told
        known = progress.outcome
        if known.creation is Creation.OPEN:
            progress.learn(problem=diagnosis.creation_uncertain(known.namespace, known.job_name))
        else:
            progress.learn(problem=diagnosis.unexpected(error), following_since=None)


def conclude(known: Outcome, event: Event, now: datetime) -> Outcome:
    """The outcome where the work was cut short, and what that leaves behind."""
    if event is Event.DONE or known.result.is_an_end:
        return known  # whatever came afterwards: the Job's end was seen
    if event is Event.DEADLINE and (known.problem or known.result.exit_status == 0):
        return known  # done, if only between the deadline and the last word
    if known.following_since:
        known = replace(known, seconds=int((now - known.following_since).total_seconds()))
        if event is Event.DEADLINE:
            return replace(known, result=Result.TIMED_OUT, problem=diagnosis.still_running(known))
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


def _asked(asked: Inputs) -> Outcome:
    return Outcome(
        cronjob=asked.cronjob,
        namespace=asked.namespace,
        cluster=asked.cluster,
        trigger=asked.trigger,
        docs_url=asked.docs_url,
        dry_run=asked.dry_run,
        wait_for=asked.wait_for,
        timeout=asked.timeout,
        on_cancel=asked.on_cancel,
    )
