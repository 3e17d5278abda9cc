"""The last station: follow the Job that was created, say what happens to it, and write down how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run_cronjob.core.errors import ActionError, Interrupted
from run_cronjob.core.models import JobRef, Logs, Output, Result
from run_cronjob.core.text import duration, quoted
from run_cronjob.diagnosis import explain, job_state, snippets
from run_cronjob.jobs import manifest
from run_cronjob.jobs.follow import Follow, Right, Unwatchable
from run_cronjob.jobs.tail import LogTailer
from run_cronjob.report import summary

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi
    from run_cronjob.clients.workflow_commands import Actions
    from run_cronjob.core.clock import Clock
    from run_cronjob.core.models import Inputs, Json, Problem, TerminalCondition
    from run_cronjob.core.timeouts import Timeouts
    from run_cronjob.diagnosis.explain import Situation
    from run_cronjob.diagnosis.job_state import View
    from run_cronjob.run_state import RunState

_LAST_LINES = 20
"""In the summary."""

_WITHHELD = {
    Logs.PUBLIC: "this repository is public, or not known to be private, so that everyone could read it; `logs: true` "
    "shows it all the same",
    Logs.FALSE: "`logs: false`",
}

DRAIN_SECONDS = 30
"""After the verdict, for so long without a line nothing more is expected of the logs."""

_MISSING = {
    Right.PODS: (
        "The Job's pods can't be seen: what it waits for, its logs and why it fails stay unknown",
        ("pods", "list", "watch"),
    ),
    Right.EVENTS: (
        "Events can't be seen: some causes of trouble stay unknown",
        ("events", "list"),
    ),
    Right.LOGS: ("The containers' output can't be shown", ("pods/log", "get")),
}


class JobWait:
    """One Job under our eyes; also follow.Reporter, who tells people of it."""

    def __init__(  # noqa: PLR0913, PLR0917  what it works with
        self,
        inputs: Inputs,
        at: Situation,
        cluster: KubeApi,
        run_state: RunState,
        actions: Actions,
        clock: Clock,
        timeouts: Timeouts,
    ) -> None:
        self._inputs = inputs
        self._at = at
        self._cluster = cluster
        self._run_state = run_state
        self._actions = actions
        self._clock = clock
        self._timeouts = timeouts
        known = run_state.outcome
        self._job = JobRef(known.namespace, known.job_name, known.job_uid)
        self._tails = None
        if inputs.logs is Logs.TRUE:
            self._tails = LogTailer(cluster, actions, clock, lambda _: self.missing(Right.LOGS))

    def follow(self, cronjob: Json) -> str:
        """Follow the Job until it is decided; what was found, for the log."""
        following = Follow(
            self._cluster, self._job, self._inputs.wait_for, self, self._tails, self._clock, self._at.env_values
        )
        if self._inputs.logs is Logs.PUBLIC:
            self._actions.line(f"  The containers' output is not shown: {_WITHHELD[Logs.PUBLIC]}.")
        try:
            result, verdict = following.until_decided()
        except Unwatchable as lost:
            cause = explain.explain(lost.error, self._at)
            raise ActionError(explain.lost_sight(self._job.namespace, self._job.name, cause)) from lost
        self._write_down(result, verdict, following.view)
        self._finish(result, verdict, following)
        if result is Result.FAILED and (when := manifest.will_be_pruned(cronjob)):
            self._remark(f"The cluster removes the failed Job, with its pods and logs, {when}.")
        return self._found(result)

    def _finish(self, result: Result, verdict: TerminalCondition | None, following: Follow) -> None:
        """What takes a moment and must not cost the verdict: the rest of the logs, and why it failed."""
        if result is Result.STARTED:
            return
        try:
            view = following.last_look(explain=result is Result.FAILED)
            if self._tails:
                self._tails.drain(DRAIN_SECONDS)
            self._write_down(result, verdict, view)
        except Interrupted:
            raise
        except Exception as error:  # noqa: BLE001  the Job's end is known, whatever this is
            self._remark(f"What else there is to tell of the Job got lost by an error of this action: {_name(error)}.")

    def _write_down(self, result: Result, verdict: TerminalCondition | None, view: View) -> None:
        known = self._run_state.outcome
        since = known.following_since or self._clock.now()
        followed = int((self._clock.now() - since).total_seconds())
        seconds = verdict.seconds if verdict and verdict.seconds is not None else known.seconds
        facts: dict[str, object] = {"seconds": followed if seconds is None else seconds}
        if result is Result.FAILED:
            found = job_state.post_mortem(view)
            facts |= {"problem": found.problem, "exit_code": found.exit_code}
            facts["output"] = self._output(found.pod, found.container)
        elif result is Result.DELETED:
            facts["problem"] = explain.deleted(known.namespace, known.job_name)
        elif result is Result.SUCCEEDED:
            facts["exit_code"] = manifest.exit_code(view.pods)
        self._run_state.learn(result=result, following_since=None, **facts)

    def _output(self, pod: str, container: str) -> Output | None:
        if not container:
            return None
        lines = self._tails.last_lines(pod, container) if self._tails else ()
        return Output(pod, container, lines[-_LAST_LINES:], _WITHHELD.get(self._inputs.logs, ""))

    def _found(self, result: Result) -> str:
        known = self._run_state.outcome
        is_end = result in {Result.SUCCEEDED, Result.FAILED}
        took = f" after {duration(known.seconds)}" if is_end and known.seconds is not None else ""
        code = f", exit code {known.exit_code}" if result is Result.FAILED and known.exit_code is not None else ""
        return f"{quoted(known.job_name)} {_WORDS[result]}{took}{code}"

    # --- follow.Reporter

    def state(self, sentence: str) -> None:
        """A change."""
        self._run_state.learn(state=sentence)
        self._actions.line(f"  {self._clock.now():%H:%M:%S} {sentence}")

    def alive(self, sentence: str) -> None:
        """A sign of life."""
        self._actions.line(f"  {self._clock.now():%H:%M:%S} … {sentence}")

    def trouble(self, problem: Problem) -> None:
        """What can't heal by itself is said at once, not after a time-out."""
        told = summary.advice(problem, self._inputs.docs_url)
        self._actions.error(f"{quoted(self._inputs.cronjob)} does not run", told)

    def held_up(self, problem: Problem | None) -> None:
        """What the end of our patience would have to tell; what was mended is forgotten."""
        self._run_state.learn(trouble=problem)

    def missing(self, right: Right) -> None:
        """A notice, with the rule to add."""
        what, (resource, *verbs) = _MISSING[right]
        self._remark(f"{what}. The rule to add to the role: {quoted(snippets.rule(resource, *verbs))}.")

    def _remark(self, sentence: str) -> None:
        self._run_state.remark(sentence)
        self._actions.notice("Run CronJob", sentence)


def _name(error: Exception) -> str:
    return quoted(type(error).__name__)


_WORDS = {
    Result.STARTED: "runs",
    Result.SUCCEEDED: "succeeded",
    Result.FAILED: "failed",
    Result.DELETED: "was deleted before its end was seen",
}
