"""Follows one Job until its result is certain: its end, its first running container, or its deletion.

Watches deliver updates from threads of their own. One loop here takes them in order, reports changes, and decides by
the Job's own status. The end of a stream, a counter or the clock decides nothing; supervisor.py ends the wait at the
time-out or when the workflow is cancelled.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Protocol

from run_cronjob.clients.kube_api import KubeApi, Selection
from run_cronjob.core import status
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ApiError, NoAnswer
from run_cronjob.core.models import JobRef, Json, Problem, Result, TerminalCondition, WaitFor
from run_cronjob.core.status import Event, Job, Pod
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.diagnosis import job_state
from run_cronjob.diagnosis.view import View
from run_cronjob.jobs import manifest
from run_cronjob.jobs.events import EventPoller
from run_cronjob.jobs.tail import LogTailer
from run_cronjob.jobs.watch import Changed, Listed, Update, Watch, WatchError

if TYPE_CHECKING:
    Updates = queue.SimpleQueue[tuple["Subject", Update]]

_REPEAT_SECONDS = 30
"""The Job's state is reported again after this, though it has not changed."""

_CHECK_SECONDS = 5.0
"""Some problems become certain by the time alone; they are looked for at least this often."""

_MOST_POLLED_PODS = 3
_MOST_GONE_PODS = 200
_MOST_EVENTS = 500
_REFUSALS = {401, 403, 404}


class Subject(Enum):
    """The objects that an update is about."""

    JOB = auto()
    PODS = auto()
    EVENTS = auto()


class Right(Enum):
    """The RBAC rights that a run can do without: some things are not seen then, and the rest goes on."""

    PODS = auto()
    EVENTS = auto()
    LOGS = auto()


_RIGHTS = {Subject.PODS: Right.PODS, Subject.EVENTS: Right.EVENTS}


class Reporter(Protocol):
    """Receives what happens to the Job, to show and to record it."""

    def state_changed(self, sentence: str) -> None:
        """The Job's state has changed: what it does or waits for."""

    def state_unchanged(self, sentence: str) -> None:
        """The Job's state is still the same after a while."""

    def problem_found(self, problem: Problem) -> None:
        """A problem keeps the Job from running and does not pass by itself; called once for each."""

    def main_problem(self, problem: Problem | None) -> None:
        """The gravest of these problems now; None while there is none."""

    def right_missing(self, right: Right) -> None:
        """A right is missing; called once for each."""


@dataclass
class Unwatchable(Exception):  # noqa: N818  names the state of the Job
    """The cluster has refused to show the Job for longer than `Timeouts.refusal`."""

    error: ApiError | NoAnswer


class JobSnapshot:
    """The Job, its pods and its events, as the updates so far show them. No I/O."""

    def __init__(self, ref: JobRef, env_values: frozenset[str] = frozenset(), *, shows_output: bool = True) -> None:
        self.uid = ref.uid
        """The Job's UID. If it is unknown at first, the Job is the first one seen with its name."""
        self._env_values = env_values
        self._shows_output = shows_output
        self.job = Job()
        self.pod_selector = ""
        """The label selector of the Job's pods; empty until the Job was seen."""
        self.gone = False
        self.error: WatchError | None = None
        """The last answer about the Job, if it was an error."""
        self._pods: dict[str, Pod] = {}
        self._present: set[str] = set()
        self._events: dict[str, Event] = {}

    def update(self, subject: Subject, update: Update) -> Iterable[tuple[Pod, bool]]:
        """Take in an update; the pods that are new or have changed, each with whether it is gone."""
        match subject, update:
            case Subject.JOB, WatchError():
                self.error = update
            case Subject.JOB, Listed(objects):
                self._update_job(next(iter(objects), None), gone=False)
            case Subject.JOB, Changed(found, gone):
                self._update_job(found, gone=gone)
            case Subject.PODS, Listed(objects):
                pods = [self._parsed(pod) for pod in objects if manifest.owns(self.uid, pod)]
                before, self._present = self._present, {pod.uid for pod in pods}
                missed = [(self._pods[uid], True) for uid in before - self._present]
                self._remember(pods)
                return [*missed, *((pod, False) for pod in pods)]
            case Subject.PODS, Changed(found, gone) if manifest.owns(self.uid, found):
                pod = self._parsed(found)
                (self._present.discard if gone else self._present.add)(pod.uid)
                self._remember([pod])
                return [(pod, gone)]
            case Subject.EVENTS, Listed(objects):
                self._events |= {status.uid(event): status.event(event) for event in objects}
                self._events = dict(list(self._events.items())[-_MOST_EVENTS:])
        return ()

    def _update_job(self, found: Json | None, *, gone: bool) -> None:
        self.error = None
        if found is None or (self.uid and status.uid(found) != self.uid):
            self.gone = True  # another Job of the same name does not count
            return
        self.job = status.job(found)
        self.uid = self.job.uid
        self.pod_selector = manifest.pod_selector(found)
        self.gone = gone

    def _parsed(self, pod: Json) -> Pod:
        return status.pod(pod, shows_output=self._shows_output)

    def _remember(self, pods: list[Pod]) -> None:
        self._pods |= {pod.uid: pod for pod in pods}
        past = [uid for uid in self._pods if uid not in self._present]
        for uid in past[: max(len(past) - _MOST_GONE_PODS, 0)]:
            del self._pods[uid]

    @property
    def view(self) -> View:
        """The present state, for diagnosis; it includes the pods that were deleted last."""
        return View(self.job, tuple(self._pods.values()), tuple(self._events.values()), self._env_values)

    def decision(self, wait_for: WaitFor) -> tuple[Result, TerminalCondition | None] | None:
        """The result, once it is certain. After the Job has ended, its deletion changes nothing."""
        end = self.job.terminal_condition
        if end:
            good = Result.STARTED if wait_for is WaitFor.STARTED else Result.SUCCEEDED
            return (good if end.succeeded else Result.FAILED), end
        if self.gone:
            return Result.DELETED, None
        if wait_for is WaitFor.STARTED and status.has_started(self.job, self._pods.values()):
            return Result.STARTED, None
        return None

    @property
    def unexplained(self) -> tuple[str, ...]:
        """The UIDs of objects whose events may explain why nothing runs: pending pods, and the Job itself."""
        present = [self._pods[uid] for uid in self._present]
        pending = [pod.uid for pod in present if pod.phase in {"", "Pending"}]
        about_job = [self.uid] if self.uid and (pending or not present) else []
        return (*about_job, *pending[:_MOST_POLLED_PODS])

    @property
    def failed_pods(self) -> tuple[str, ...]:
        """The UIDs of the pods that failed last."""
        failed = [pod.uid for pod in self._pods.values() if pod.phase == "Failed"]
        return tuple(failed[-_MOST_POLLED_PODS:])


class Rights:
    """The rights that are missing.

    A right that was there before counts as missing after `seconds` of refusals only: an API server that starts
    refuses everybody at first.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.missing: set[Right] = set()
        self._listed: set[Right] = set()
        self._refused_since: dict[Right, float | None] = {}
        """Has each right that was there; None while it is not refused."""

    def update(self, right: Right, update: Update) -> bool:
        """Take in an update; whether it is the first one to show that the right is missing."""
        # Pods that can be listed may still not be watched; events are never watched.
        was_there = right is Right.EVENTS or right in self._refused_since
        match update:
            case Changed() | Listed() if was_there or isinstance(update, Changed):
                self.missing.discard(right)
                self._refused_since[right] = None
            case WatchError(ApiError(status=403)) if right not in self.missing:
                if right in self._listed and not update.after_listing:
                    self._refused_since.setdefault(right, None)
                if self._is_certain(right):
                    self.missing.add(right)
                    return True
        if isinstance(update, Listed):
            self._listed.add(right)
        return False

    def _is_certain(self, right: Right) -> bool:
        if right not in self._refused_since:
            return True
        now = self._clock.monotonic()
        since = self._refused_since[right]
        if since is None:
            since = self._refused_since[right] = now
        return now - since >= self._seconds


@dataclass(eq=False)
class Follow:
    """Follows one Job, from its creation on.

    `tailer` shows the containers' output, if it may be shown; `env_values` are left out of the cluster's messages.
    """

    api: KubeApi
    ref: JobRef
    wait_for: WaitFor
    reporter: Reporter
    tailer: LogTailer | None
    clock: Clock
    timeouts: Timeouts
    env_values: frozenset[str]
    updates: Updates = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        self._snapshot = JobSnapshot(self.ref, self.env_values, shows_output=self.tailer is not None)
        self._watches: dict[Subject, Watch] = {}
        self._event_poller: EventPoller | None = None
        self._state = ""
        self._state_at = self.clock.monotonic()
        self._reported: set[tuple[str, str]] = set()
        self._rights = Rights(self.clock, self.timeouts.refusal)
        self._failing_since: float | None = None

    def until_decided(self) -> tuple[Result, TerminalCondition | None]:
        """Wait until the result is certain. Raises Unwatchable."""
        self._watch(Subject.JOB, self.api.select_job(self.ref.namespace, self.ref.name))
        while True:
            until_repeat = self._state_at + _REPEAT_SECONDS - self.clock.monotonic()
            message = self._next_update(min(_CHECK_SECONDS, until_repeat))
            while message:
                self._take(*message)
                decision = self._snapshot.decision(self.wait_for)
                if decision:
                    self._stop()
                    return decision
                message = self._next_update(0)  # a hundred pods may change at once: report the last state alone
            self._check_refusal()
            if self._snapshot.pod_selector:
                self._watch_pods()
                self._report()

    def last_look(self, *, explain: bool) -> View:
        """Get the pods once more, since one watch may lag behind another; to `explain` a failure, events as well."""
        if self._snapshot.pod_selector and Right.PODS not in self._rights.missing:
            selection = self.api.select_pods(self.ref.namespace, self._snapshot.pod_selector)
            self._ask_once(Subject.PODS, lambda: self.api.list_selected(selection)[0])
        if explain and Right.EVENTS not in self._rights.missing:
            for uid in (self._snapshot.uid, *self._snapshot.failed_pods):
                self._ask_once(Subject.EVENTS, partial(self.api.list_events, self.ref.namespace, uid))
        return self._snapshot.view

    @property
    def view(self) -> View:
        """The present state."""
        return self._snapshot.view

    def _put(self, subject: Subject, update: Update) -> None:
        self.updates.put((subject, update))

    def _next_update(self, seconds: float) -> tuple[Subject, Update] | None:
        with suppress(queue.Empty):
            return self.updates.get(timeout=max(seconds, 0))
        return None

    def _take(self, subject: Subject, update: Update) -> None:
        for pod, gone in self._snapshot.update(subject, update):
            if self.tailer:
                self.tailer.update(pod, gone=gone)
        if not self._snapshot.error:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = self.clock.monotonic()
        if subject in _RIGHTS and self._rights.update(_RIGHTS[subject], update):
            self.reporter.right_missing(_RIGHTS[subject])
        if self._event_poller:
            self._event_poller.poll(self._snapshot.unexplained)

    def _check_refusal(self) -> None:
        if not self._snapshot.error:
            return
        error = self._snapshot.error.error
        is_refusal = error.status in _REFUSALS if isinstance(error, ApiError) else error.cause.is_final
        if is_refusal and self._failing_for() >= self.timeouts.refusal:
            self._stop()
            raise Unwatchable(error)

    def _watch_pods(self) -> None:
        if Subject.PODS in self._watches:
            return
        self._watch(Subject.PODS, self.api.select_pods(self.ref.namespace, self._snapshot.pod_selector))
        ask = partial(self.api.list_events, self.ref.namespace)
        self._event_poller = EventPoller(ask, partial(self._put, Subject.EVENTS), self.clock)
        self._event_poller.start()

    def _report(self) -> None:
        now = self.clock.now()
        view = self._snapshot.view
        sentence = job_state.waiting(view, now)
        if self._snapshot.error and self._failing_for() >= _REPEAT_SECONDS:
            sentence = f"The cluster does not answer for now. The last that is known: {sentence}"
        if sentence != self._state:
            self.reporter.state_changed(sentence)
            self._state, self._state_at = sentence, self.clock.monotonic()
        elif self.clock.monotonic() - self._state_at >= _REPEAT_SECONDS:
            self.reporter.state_unchanged(sentence)
            self._state_at = self.clock.monotonic()
        lasting = [each.problem for each in job_state.blockers(view, now) if each.lasting]
        self.reporter.main_problem(lasting[0] if lasting else None)
        for problem in lasting:
            key = (problem.reason, problem.what)
            if key not in self._reported:
                self._reported.add(key)
                self.reporter.problem_found(problem)

    def _failing_for(self) -> float:
        return 0.0 if self._failing_since is None else self.clock.monotonic() - self._failing_since

    def _watch(self, subject: Subject, selection: Selection) -> None:
        watch = Watch(self.api, selection, partial(self._put, subject), self.clock)
        self._watches[subject] = watch
        watch.start()

    def _stop(self) -> None:
        for watch in self._watches.values():
            watch.stop()
        if self._event_poller:
            self._event_poller.stop()

    def _ask_once(self, subject: Subject, ask: Callable[[], list[Json]]) -> None:
        """Take in one more answer, if it comes within `Timeouts.last_look`."""
        answers: queue.SimpleQueue[Update] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put(Listed(tuple(ask())))
            except Exception as error:  # noqa: BLE001  a traceback would print foreign text to the log unescaped
                answers.put(WatchError.of(error))

        threading.Thread(target=run, daemon=True).start()
        with suppress(queue.Empty):
            self._take(subject, answers.get(timeout=self.timeouts.last_look))
