"""Follows one Job until it is decided: its end, its first running container, or that it is gone.

Watches tell what happens, in threads of their own; one loop here takes their news in order, says what changed, and
decides by what the Job itself says. Nothing is decided by a stream's end, a counter or the clock: who ends the waiting
(a time-out, a cancelled workflow) stands in supervisor.py.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Protocol

from run_cronjob.core import status
from run_cronjob.core.errors import ApiError, NoAnswer
from run_cronjob.core.models import Result, WaitFor
from run_cronjob.core.status import Job
from run_cronjob.diagnosis import job_state
from run_cronjob.diagnosis.view import View
from run_cronjob.jobs import manifest
from run_cronjob.jobs.watch import Changed, Listed, Lost, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from run_cronjob.clients.kube_api import Selection
    from run_cronjob.core.clock import Clock
    from run_cronjob.core.models import JobRef, Json, Problem, TerminalCondition
    from run_cronjob.core.status import Event, Pod
    from run_cronjob.jobs.watch import News

SIGN_OF_LIFE_SECONDS = 30
HOPELESS_SECONDS = 300
"""So long may the cluster refuse us before we believe it: an API server that starts refuses everybody at first."""

LAST_LOOK_SECONDS = 5
"""For the pods and events once more after the verdict."""

_LOOK_SECONDS = 5.0
"""How often causes are looked for that only time makes certain."""

_EVENT_PAUSES = (2.0, 4.0, 8.0, 15.0, 30.0)
_LONGEST_CALM_SECONDS = 10.0
"""Where something new is unexplained all the time, as with a hundred pods, events are looked at so often."""
_MOST_LOOKED_AT = 3
_MOST_REMEMBERED = 200
_MOST_EVENTS = 500
_HOPELESS = {401, 403, 404}


class About(Enum):
    """What a message is about."""

    JOB = auto()
    PODS = auto()
    EVENTS = auto()


class Right(Enum):
    """What we may lack; without it something is not seen, and the rest goes on."""

    PODS = auto()
    EVENTS = auto()
    LOGS = auto()


_RIGHTS = {About.PODS: Right.PODS, About.EVENTS: Right.EVENTS}


class JobReader(Protocol):
    """What is needed of a cluster; see cluster.Cluster."""

    def select_job(self, namespace: str, name: str) -> Selection:
        """The one Job of that name."""

    def select_pods(self, namespace: str, labels: str) -> Selection:
        """The pods that a label selector finds."""

    def list_selected(self, selection: Selection) -> tuple[list[Json], str]:
        """All objects now, and the version to watch from."""

    def watch(self, selection: Selection, version: str) -> Iterator[Json]:
        """The watch events since then."""

    def list_events(self, namespace: str, uid: str) -> list[Json]:
        """The newest events about one object."""


class PodObserver(Protocol):
    """Whoever shows the containers' output."""

    def see(self, pod: Pod, *, gone: bool = False) -> None:
        """A pod is new or has changed, or was deleted."""


class Reporter(Protocol):
    """Whoever tells people, and remembers what is known."""

    def state(self, sentence: str) -> None:
        """What the Job waits for or does, whenever that changes."""

    def alive(self, sentence: str) -> None:
        """The same sentence again, as a sign of life."""

    def trouble(self, problem: Problem) -> None:
        """What keeps the Job from running and can't heal by itself; once each."""

    def held_up(self, problem: Problem | None) -> None:
        """The gravest of these as things stand now; None while there is none, or none any more."""

    def missing(self, right: Right) -> None:
        """A right is missing; once each."""


@dataclass
class Unwatchable(Exception):  # noqa: N818  names what it is
    """The cluster has refused for long to let us see the Job."""

    error: ApiError | NoAnswer


class Inbox:
    """The news, in order of arrival, from any thread."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[About, News]] = queue.SimpleQueue()

    def put(self, about: About, news: News) -> None:
        """Add some."""
        self._queue.put((about, news))

    def get(self, seconds: float) -> tuple[About, News] | None:
        """The next; None if none comes in time."""
        try:
            return self._queue.get(timeout=max(seconds, 0))
        except queue.Empty:
            return None


class JobSnapshot:
    """What is known of the Job, as the news tell it. No I/O."""

    def __init__(self, job: JobRef, env_values: frozenset[str] = frozenset(), *, shows_output: bool = True) -> None:
        """Without a UID in `job`, the Job is the first one seen with its name."""
        self._uid = job.uid
        self._env_values = env_values
        self._shows_output = shows_output
        self.job = Job()
        self.pod_selector = ""
        """The label selector of the Job's pods; empty until the Job was seen."""
        self.gone = False
        self.lost: Lost | None = None
        self._pods: dict[str, Pod] = {}
        self._present: set[str] = set()
        self._events: dict[str, Event] = {}

    @property
    def uid(self) -> str:
        """The Job's."""
        return self._uid or self.job.uid

    def learn(self, about: About, news: News) -> Iterable[tuple[Pod, bool]]:
        """Take in the news; the pods that are new, have changed or, if True stands beside them, are gone."""
        match about, news:
            case About.JOB, Lost():
                self.lost = news
            case About.JOB, Listed(objects):
                self._see_job(next(iter(objects), None), gone=False)
            case About.JOB, Changed(found, gone):
                self._see_job(found, gone=gone)
            case About.PODS, Listed(objects):
                ours = [self._parsed(pod) for pod in objects if manifest.owns(self.uid, pod)]
                before, self._present = self._present, {pod.uid for pod in ours}
                missed = [(self._pods[uid], True) for uid in before - self._present]
                self._remember(ours)
                return [*missed, *((pod, False) for pod in ours)]
            case About.PODS, Changed(found, gone) if manifest.owns(self.uid, found):
                pod = self._parsed(found)
                (self._present.discard if gone else self._present.add)(pod.uid)
                self._remember([pod])
                return [(pod, gone)]
            case About.EVENTS, Listed(objects):
                self._events |= {status.uid(event): status.event(event) for event in objects}
                self._events = dict(list(self._events.items())[-_MOST_EVENTS:])
        return ()

    def _see_job(self, found: Json | None, *, gone: bool) -> None:
        self.lost = None
        if found is None or (self.uid and status.uid(found) != self.uid):
            self.gone = True  # a namesake is another Job
            return
        self.job = status.job(found)
        self.pod_selector = manifest.pod_selector(found)
        self.gone = gone

    def _parsed(self, pod: Json) -> Pod:
        return status.pod(pod, shows_output=self._shows_output)

    def _remember(self, seen: list[Pod]) -> None:
        self._pods |= {pod.uid: pod for pod in seen}
        past = [uid for uid in self._pods if uid not in self._present]
        for uid in past[: max(len(past) - _MOST_REMEMBERED, 0)]:
            del self._pods[uid]

    @property
    def view(self) -> View:
        """For diagnosis; those that are gone tell what happened to them."""
        return View(self.job, tuple(self._pods.values()), tuple(self._events.values()), self._env_values)

    def verdict(self, wait_for: WaitFor) -> tuple[Result, TerminalCondition | None] | None:
        """Whether that decides. An end that was seen stands, whatever is deleted afterwards."""
        ended = self.job.terminal_condition
        if ended:
            good = Result.STARTED if wait_for is WaitFor.STARTED else Result.SUCCEEDED
            return (good if ended.succeeded else Result.FAILED), ended
        if self.gone:
            return Result.DELETED, None
        if wait_for is WaitFor.STARTED and status.has_started(self.job, self._pods.values()):
            return Result.STARTED, None
        return None

    @property
    def unexplained(self) -> tuple[str, ...]:
        """The UIDs of what events may tell more about: pods that don't run, and the Job where there are too few."""
        present = [self._pods[uid] for uid in self._present]
        stuck = [pod.uid for pod in present if pod.phase in {"", "Pending"}]
        about_job = [self.uid] if self.uid and (stuck or not present) else []
        return (*about_job, *stuck[:_MOST_LOOKED_AT])

    @property
    def failed_pods(self) -> tuple[str, ...]:
        """The UIDs of the pods that failed last."""
        failed = [pod.uid for pod in self._pods.values() if pod.phase == "Failed"]
        return tuple(failed[-_MOST_LOOKED_AT:])


class Rights:
    """Which are missing. One that was there before is not, just since an API server that starts refuses everybody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.missing: set[Right] = set()
        self._listed: set[Right] = set()
        self._refused_at: dict[Right, float | None] = {}
        """Of those that were there: since when not, if so."""

    def learn(self, right: Right, news: News) -> bool:
        """Whether these news are the first to tell that the right is missing."""
        # Pods that can be listed may still not be watched; events are never watched.
        was_there = right is Right.EVENTS or right in self._refused_at
        match news:
            case Changed() | Listed() if was_there or isinstance(news, Changed):
                self.missing.discard(right)
                self._refused_at[right] = None
            case Lost(ApiError(status=403)) if right not in self.missing:
                if right in self._listed and not news.after_listing:
                    self._refused_at.setdefault(right, None)
                if self._is_believed(right):
                    self.missing.add(right)
                    return True
        if isinstance(news, Listed):
            self._listed.add(right)
        return False

    def _is_believed(self, right: Right) -> bool:
        if right not in self._refused_at:
            return True
        now = self._clock.monotonic()
        since = self._refused_at[right]
        if since is None:
            since = self._refused_at[right] = now
        return now - since >= HOPELESS_SECONDS


class Follow:
    """One Job, from its creation on."""

    def __init__(  # noqa: PLR0913, PLR0917  what it works with
        self,
        api: JobReader,
        job: JobRef,
        wait_for: WaitFor,
        reporter: Reporter,
        tails: PodObserver | None,
        clock: Clock,
        env_values: frozenset[str],
        inbox: Inbox | None = None,
    ) -> None:
        self._api = api
        self._job = job
        self._wait_for = wait_for
        self._reporter = reporter
        self._tails = tails
        self._clock = clock
        self._inbox = inbox or Inbox()
        self._known = JobSnapshot(job, env_values, shows_output=tails is not None)
        self._watches: dict[About, Watch] = {}
        self._looker: _EventLooker | None = None
        self._said = ""
        self._said_at = clock.monotonic()
        self._told: set[tuple[str, str]] = set()
        self._rights = Rights(clock)
        self._lost_at: float | None = None

    def until_decided(self) -> tuple[Result, TerminalCondition | None]:
        """The result as soon as it is certain. Raises Unwatchable."""
        self._start(About.JOB, self._api.select_job(self._job.namespace, self._job.name))
        while True:
            message = self._inbox.get(self._seconds_to_wait())
            while message:
                self._learn(*message)
                decided = self._known.verdict(self._wait_for)
                if decided:
                    self._stop()
                    return decided
                message = self._inbox.get(0)  # a hundred pods change at once: what holds now is told, not each step
            self._give_up_if_hopeless()
            if self._known.pod_selector:
                self._watch_pods()
                self._report()

    def last_look(self, *, explain: bool) -> View:
        """All that is known, after looking at the pods once more, and to `explain` a failure at events.

        A watch may lag behind another.
        """
        if self._known.pod_selector and Right.PODS not in self._rights.missing:
            selection = self._api.select_pods(self._job.namespace, self._known.pod_selector)
            self._last(About.PODS, lambda: self._api.list_selected(selection)[0])
        if explain and Right.EVENTS not in self._rights.missing:
            for uid in (self._known.uid, *self._known.failed_pods):
                self._last(About.EVENTS, partial(self._api.list_events, self._job.namespace, uid))
        return self._known.view

    @property
    def view(self) -> View:
        """What is known now."""
        return self._known.view

    # --- the loop's parts

    def _seconds_to_wait(self) -> float:
        return min(_LOOK_SECONDS, self._said_at + SIGN_OF_LIFE_SECONDS - self._clock.monotonic())

    def _learn(self, about: About, news: News) -> None:
        for pod, gone in self._known.learn(about, news):
            if self._tails:
                self._tails.see(pod, gone=gone)
        if not self._known.lost:
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = self._clock.monotonic()
        if about in _RIGHTS and self._rights.learn(_RIGHTS[about], news):
            self._reporter.missing(_RIGHTS[about])
        if self._looker:
            self._looker.look_at(self._known.unexplained)

    def _give_up_if_hopeless(self) -> None:
        if not self._known.lost:
            return
        error = self._known.lost.error
        final = error.status in _HOPELESS if isinstance(error, ApiError) else error.cause.is_final
        if final and self._lost_for() >= HOPELESS_SECONDS:
            self._stop()
            raise Unwatchable(error)

    def _watch_pods(self) -> None:
        if About.PODS in self._watches:
            return
        self._start(About.PODS, self._api.select_pods(self._job.namespace, self._known.pod_selector))
        self._looker = _EventLooker(
            lambda uid: self._api.list_events(self._job.namespace, uid),
            lambda news: self._inbox.put(About.EVENTS, news),
            self._clock,
        )
        self._looker.start()

    def _report(self) -> None:
        now = self._clock.now()
        view = self._known.view
        sentence = job_state.waiting(view, now)
        if self._known.lost and self._lost_for() >= SIGN_OF_LIFE_SECONDS:
            sentence = f"The cluster does not answer for now. The last that is known: {sentence}"
        if sentence != self._said:
            self._reporter.state(sentence)
            self._said, self._said_at = sentence, self._clock.monotonic()
        elif self._clock.monotonic() - self._said_at >= SIGN_OF_LIFE_SECONDS:
            self._reporter.alive(sentence)
            self._said_at = self._clock.monotonic()
        lasting = [each.problem for each in job_state.blockers(view, now) if each.lasting]
        self._reporter.held_up(lasting[0] if lasting else None)
        for problem in lasting:
            key = (problem.reason, problem.what)
            if key not in self._told:
                self._told.add(key)
                self._reporter.trouble(problem)

    def _lost_for(self) -> float:
        return 0.0 if self._lost_at is None else self._clock.monotonic() - self._lost_at

    def _start(self, about: About, selection: Selection) -> None:
        watch = Watch(_Selected(self._api, selection), lambda news: self._inbox.put(about, news), self._clock)
        self._watches[about] = watch
        watch.start()

    def _stop(self) -> None:
        for watch in self._watches.values():
            watch.stop()
        if self._looker:
            self._looker.stop()

    def _last(self, about: About, ask: Callable[[], list[Json]]) -> None:
        """One more answer, if it comes in time."""
        answers: queue.SimpleQueue[News] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put(Listed(tuple(ask())))
            except Exception as error:  # noqa: BLE001  a traceback would print foreign text past the one writer
                answers.put(Lost.by(error))

        threading.Thread(target=run, daemon=True).start()
        with suppress(queue.Empty):
            self._learn(about, answers.get(timeout=LAST_LOOK_SECONDS))


@dataclass(frozen=True)
class _Selected:
    """One selection of a cluster's objects, as a Watch wants it."""

    api: JobReader
    selection: Selection

    def snapshot(self) -> tuple[list[Json], str]:
        return self.api.list_selected(self.selection)

    def changes(self, version: str) -> Iterator[Json]:
        return self.api.watch(self.selection, version)


class _EventLooker:
    """Asks for the events of what is not explained otherwise; more and more seldom while that stays the same."""

    def __init__(self, ask: Callable[[str], list[Json]], tell: Callable[[News], None], clock: Clock) -> None:
        self._ask = ask
        self._tell = tell
        self._clock = clock
        self._wanted: tuple[str, ...] = ()
        self._looked_at = clock.monotonic()
        self._changed = threading.Event()
        self._stopped = False

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()

    def look_at(self, uids: tuple[str, ...]) -> None:
        if set(uids) != set(self._wanted):
            self._wanted = uids
            self._changed.set()

    def _run(self) -> None:
        looks, was_let_in = 0, False
        while True:
            pause = _EVENT_PAUSES[min(looks, len(_EVENT_PAUSES) - 1)] if self._wanted else None
            if self._changed.wait(pause):
                self._changed.clear()
                looks = 0
                if self._stopped:
                    return
                if self._clock.monotonic() - self._looked_at < _LONGEST_CALM_SECONDS:
                    continue  # what began just now explains itself most often
            looks += 1
            self._looked_at = self._clock.monotonic()
            for uid in self._wanted:
                try:
                    self._tell(Listed(tuple(self._ask(uid))))
                    was_let_in = True
                except Exception as error:  # noqa: BLE001  as above
                    self._tell(Lost.by(error))
                    if isinstance(error, ApiError) and error.status == 403 and not was_let_in:
                        return
