"""Follows the created Job: writes its changes to the log, and records how it ended."""

from __future__ import annotations

from run_cronjob.clients.kube_api import KubeApi
from run_cronjob.context import RunContext
from run_cronjob.core import status
from run_cronjob.core.errors import ActionError, Interrupted
from run_cronjob.core.models import JobRef, Json, Logs, Output, Problem, Result, TerminalCondition
from run_cronjob.core.text import duration, quoted
from run_cronjob.diagnosis import run, snippets
from run_cronjob.diagnosis.explain import explain
from run_cronjob.diagnosis.job_failure import job_failure
from run_cronjob.diagnosis.view import View
from run_cronjob.jobs import manifest
from run_cronjob.jobs.follow import Follow, Right, Unwatchable
from run_cronjob.jobs.tail import LogTailer
from run_cronjob.report import summary

_LAST_LINES = 20  # lines of output in the summary

_WITHHELD = {
    Logs.PUBLIC: "this repository is public, or not known to be private, so that everyone could read it; `logs: true` "
    "shows it all the same",
    Logs.FALSE: "`logs: false`",
}

_MISSING = {
    Right.PODS: (
        "The Job's pods can't be seen: what it waits for, its logs and why it fails stay unknown",
        ("pods", "list", "watch"),
    ),
    Right.EVENTS: ("Events can't be seen: some causes of trouble stay unknown", ("events", "list")),
    Right.LOGS: ("The containers' output can't be shown", ("pods/log", "get")),
}


class JobWait:
    """Waits for one Job; as a follow.Reporter, it writes what happens to log, summary and annotations."""

    def __init__(self, context: RunContext, api: KubeApi) -> None:
        self._context = context
        self._inputs = context.inputs
        self._api = api
        self._run_state = context.run_state
        self._actions = context.actions
        self._clock = context.clock
        known = context.run_state.outcome
        self._job = JobRef(known.namespace, known.job_name, known.job_uid)
        self._log_tailer = None
        if context.inputs.logs is Logs.TRUE:
            self._log_tailer = LogTailer(
                api, context.actions, context.clock, context.timeouts, lambda _: self.right_missing(Right.LOGS)
            )

    def follow(self, cronjob: Json) -> str:
        """Follow the Job until its result is certain; the result, in words for the log.

        Raises ActionError if the cluster refuses to show the Job any longer.
        """
        context, wait_for = self._context, self._inputs.wait_for
        env_values = context.error_context.env_values
        following = Follow(
            self._api, self._job, wait_for, self, self._log_tailer, context.clock, context.timeouts, env_values
        )
        if self._inputs.logs is Logs.PUBLIC:
            self._actions.line(f"  The containers' output is not shown: {_WITHHELD[Logs.PUBLIC]}.")
        try:
            result, end = following.until_decided()
        except Unwatchable as lost:
            cause = explain(lost.error, self._context.error_context)
            raise ActionError(run.lost_sight(self._job.namespace, self._job.name, cause)) from lost
        self._record(result, end, following.view)
        self._finish(result, end, following)
        if result is Result.FAILED and (when := manifest.will_be_pruned(cronjob)):
            self._context.remark(f"The cluster removes the failed Job, with its pods and logs, {when}.", "notice")
        return self._found(result)

    def _finish(self, result: Result, end: TerminalCondition | None, following: Follow) -> None:
        """Get the rest of the logs and the cause of a failure; if that fails, the recorded result stays."""
        if result is Result.STARTED:
            return
        try:
            view = following.last_look(explain=result is Result.FAILED)
            if self._log_tailer:
                self._log_tailer.drain(self._context.timeouts.drain)
            self._record(result, end, view)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001  the Job's end is known, whatever this is
            name = quoted(type(error).__name__)
            lost = f"What else there is to tell of the Job got lost by an error of this action: {name}."
            self._context.remark(lost, "notice")

    def _record(self, result: Result, end: TerminalCondition | None, view: View) -> None:
        known = self._run_state.outcome
        since = known.following_since or self._clock.now()
        followed = int((self._clock.now() - since).total_seconds())
        seconds = end.seconds if end and end.seconds is not None else known.seconds
        facts: dict[str, object] = {"seconds": followed if seconds is None else seconds}
        if result is Result.FAILED:
            found = job_failure(view)
            facts |= {"problem": found.problem, "exit_code": found.exit_code}
            facts["output"] = self._output(found.pod, found.container)
        elif result is Result.DELETED:
            facts["problem"] = run.job_deleted(known.namespace, known.job_name)
        elif result is Result.SUCCEEDED:
            facts["exit_code"] = status.exit_code(view.pods)
        self._run_state.update(result=result, following_since=None, **facts)

    def _output(self, pod: str, container: str) -> Output | None:
        if not container:
            return None
        lines = self._log_tailer.last_lines(pod, container) if self._log_tailer else ()
        return Output(pod, container, lines[-_LAST_LINES:], _WITHHELD.get(self._inputs.logs, ""))

    def _found(self, result: Result) -> str:
        known = self._run_state.outcome
        is_end = result in {Result.SUCCEEDED, Result.FAILED}
        took = f" after {duration(known.seconds)}" if is_end and known.seconds is not None else ""
        code = f", exit code {known.exit_code}" if result is Result.FAILED and known.exit_code is not None else ""
        return f"{quoted(known.job_name)} {_WORDS[result]}{took}{code}"

    # --- follow.Reporter

    def state_changed(self, sentence: str) -> None:
        """Write a change to the log."""
        self._run_state.update(state=sentence)
        self._actions.line(f"  {self._clock.now():%H:%M:%S} {sentence}")

    def state_unchanged(self, sentence: str) -> None:
        """Write the unchanged state to the log again."""
        self._actions.line(f"  {self._clock.now():%H:%M:%S} … {sentence}")

    def problem_found(self, problem: Problem) -> None:
        """Annotate the workflow run at once, not only after the time-out."""
        title = f"{quoted(self._inputs.cronjob)} does not run"
        self._actions.annotate("error", title, summary.advice(problem, self._inputs.docs_url))

    def main_problem(self, problem: Problem | None) -> None:
        """Record what a time-out would have to report as the cause; None once it is gone."""
        self._run_state.update(trouble=problem)

    def right_missing(self, right: Right) -> None:
        """Add a notice with the RBAC rule that is missing."""
        what, (resource, *verbs) = _MISSING[right]
        rule = quoted(snippets.rule(resource, *verbs))
        self._context.remark(f"{what}. The rule to add to the role: {rule}.", "notice")


_WORDS = {
    Result.STARTED: "runs",
    Result.SUCCEEDED: "succeeded",
    Result.FAILED: "failed",
    Result.DELETED: "was deleted before its end was seen",
}
