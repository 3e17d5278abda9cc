"""Shows the logs of all containers of a Job live: one thread per start of a container, from first to last line.

The end of a stream is not the end of a log. Connections break, the API server and the kubelet end streams at any time,
and a break between those two looks like a regular end. A log is complete when a stream that was requested after the
container's end brings nothing new.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from run_cronjob.clients.kube_api import KubeApi
from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.retry import Backoff
from run_cronjob.core.status import Pod
from run_cronjob.core.text import cut, quoted
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs.log_resume import Log, Mismatch

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 15.0
_MOST_TRIES = 4
"""Requests for a log that seems to be gone, before it counts as gone."""
_MOST_REFUSALS = 6
"""Refusals before the right counts as missing: an API server that starts refuses everybody for some seconds."""
_KEPT_LINES = 50
_KEPT_LENGTH = 1000


@dataclass(frozen=True)
class _Start:
    """One start of a container, as the pod's status shows it."""

    container: str
    number: int
    """The container's restartCount during that start."""
    has_ended: bool
    is_previous: bool = False
    """The container was restarted since: its log is the one requested with `previous`."""


class LogTailer:
    """Shows the log of every container of the pods passed to `update`.

    `refused` is called once if the right to read logs is missing; no log is requested after that.
    """

    def __init__(
        self, api: KubeApi, actions: Actions, clock: Clock, timeouts: Timeouts, refused: Callable[[ApiError], None]
    ) -> None:
        self.api = api
        self.actions = actions
        self.clock = clock
        self.timeouts = timeouts
        self.changed = threading.Condition()
        """Guards the attributes below; notified when one of them changes that a thread may wait for."""
        self.is_draining = False
        self.is_stopped = False
        self.shown = 0
        """The number of lines shown; it grows even while the reader of the log is slow."""
        self.was_allowed = False
        """A log was opened, so the right exists: later refusals come from an API server that starts."""
        self._refused = refused
        self._several_pods = False
        self._several_containers = False
        self._pods: dict[str, _Pod] = {}

    def update(self, pod: Pod, *, gone: bool = False) -> None:
        """Take in a pod of the Job that is new or has changed; with `gone`, its last state before its deletion."""
        with self.changed:
            if self.is_stopped:
                return
            known = self._pods.get(pod.uid)
            if known is None:
                known = self._pods[pod.uid] = _Pod(pod)
            known.is_over = gone or pod.is_over
            self._several_pods |= sum(not each.is_over for each in self._pods.values()) > 1
            self._several_containers |= known.has_several
            for start in _starts(pod):
                self._update_start(known, start)
            for tail in known.tails.values():
                tail.has_ended |= known.is_over
            self.changed.notify_all()

    def _update_start(self, pod: _Pod, start: _Start) -> None:
        tail = pod.tails.get((start.container, start.number))
        if tail is None:
            # Earlier starts of the same container, and pods that have ended, are shown to their end first.
            before = [
                other
                for each in self._pods.values()
                for (container, _), other in each.tails.items()
                if not other.is_done and (each.is_over or (each is pod and container == start.container))
            ]
            missed = start.number if all(container != start.container for container, _ in pod.tails) else 0
            tail = pod.tails[start.container, start.number] = _Tail(self, pod, start, before, missed)
            threading.Thread(target=tail.run, daemon=True).start()
        tail.has_ended |= start.has_ended
        tail.is_previous |= start.is_previous
        newest = max(number for container, number in pod.tails if container == start.container)
        for (container, number), other in pod.tails.items():
            if container == start.container and number < newest:
                other.has_ended = other.is_previous = True
                other.is_lost |= number < newest - 1

    def drain(self, seconds: float) -> bool:
        """Show the rest of all logs, until no line has come for `seconds`; whether they are complete.

        Call it after the Job's end, when no container should run any more.
        """
        with self.changed:
            self.is_draining = True
            self.changed.notify_all()
            before = -1
            while before != self.shown and self._open():
                before = self.shown
                self.changed.wait_for(lambda: not self._open(), seconds)
            unfinished = self._open()
        for tail in unfinished:
            self.actions.line(f"! The rest of the {tail.name} is left out: it could not be read in {seconds:.0f} s.")
        return not unfinished

    def last_lines(self, pod: str, container: str) -> tuple[str, ...]:
        """The last lines of a container's last start, as far as they were read."""
        with self.changed:
            kept = [
                (number, tuple(tail.last))
                for each in self._pods.values()
                for (name, number), tail in each.tails.items()
                if (each.name, name) == (pod, container) and tail.last
            ]
        return max(kept)[1] if kept else ()

    def refuse(self, error: ApiError) -> None:
        """Request and show nothing more, since the right to read logs is missing."""
        with self.changed:
            first, self.is_stopped = not self.is_stopped, True
            self.changed.notify_all()
        if first:
            self._refused(error)

    def prefix(self, pod: _Pod, container: str) -> str:
        """The prefix of a container's lines; empty while there is only one container."""
        parts = [pod.label] if self._several_pods else []
        parts += [container] if self._several_containers else []
        return f"{'/'.join(parts)} | " if parts else ""

    def _open(self) -> list[_Tail]:
        return [tail for pod in self._pods.values() for tail in pod.tails.values() if not tail.is_done]


class _Pod:
    """One pod, and the tails of its containers by name and number of the start."""

    def __init__(self, pod: Pod) -> None:
        self.namespace = pod.namespace
        self.name = pod.name
        self.label = f"#{pod.index}" if pod.index else pod.name.rpartition("-")[2]
        self.has_several = len(pod.containers) > 1
        self.never_restarts = pod.never_restarts
        self.is_over = False
        self.tails: dict[tuple[str, int], _Tail] = {}


class _Tail:
    """Shows the log of one start of one container. `LogTailer.changed` guards its public attributes."""

    def __init__(self, tailer: LogTailer, pod: _Pod, start: _Start, before: Sequence[_Tail], missed: int) -> None:
        self.has_ended = False
        self.is_previous = False
        self.is_lost = False
        """The container was restarted twice since: the kubelet keeps no log of this start."""
        self.is_done = False
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)
        self.name = f"log of container {quoted(start.container)} in pod {quoted(pod.name)}"
        self.name += f", restart {start.number}" if start.number else ""
        self._tailer = tailer
        self._pod = pod
        self._container = start.container
        self._before = before
        self._missed = missed
        """The number of earlier starts whose logs were never seen."""
        self._log = Log(tailer.actions.redact)
        self._backoff = Backoff(tailer.clock, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
        self._has_asked = False
        self._began = 0.0
        self._tries = 0
        self._late_answers = 0

    def run(self) -> None:
        try:
            self._wait(self._tailer.timeouts.log_news, lambda: all(other.is_done for other in self._before))
            self._before = ()
            if self._missed:
                self._note("is the first one kept: it was started before")
            while not self._tailer.is_stopped and not self._is_complete():
                pass
        except Exception as error:  # noqa: BLE001  a traceback would print foreign text to the log unescaped
            self._note(f"can't be followed any further ({type(error).__name__})")
        finally:
            with self._tailer.changed:
                self.is_done = True
                self._tailer.changed.notify_all()
            del self._log  # a Job may have thousands of pods

    def _is_complete(self) -> bool:
        """Request the log once; whether it is complete."""
        with self._tailer.changed:
            # Read before the request: if the container had ended by now, the answer holds the whole log.
            had_ended = self.has_ended or self._tailer.is_draining
            may_run_on = not self.has_ended
            was_previous, is_lost = self.is_previous, self.is_lost
        if is_lost:
            self._finish("ends here: the container was started twice since, and the cluster keeps no more of it")
            return True
        try:
            has_new = self._read(follow=not had_ended, previous=was_previous)
        except Mismatch:
            self._after_mismatch(is_same=was_previous)
            return False
        except ApiError as error:
            return self._is_over_after(error, had_ended=had_ended)
        except NoAnswer as error:
            # A read time-out needs no further pause: the container may just be silent.
            if error.cause is not Cause.READ_TIMEOUT:
                self._pause()
            return False
        if has_new:
            return had_ended and may_run_on and self._is_abandoned()
        if not had_ended:
            self._pause()
            return False
        if self._log.overlap.kubelet_error:
            return self._is_given_up(self._log.overlap.kubelet_error)
        if self._log.overlap.has_caught_up:
            self._finish()
            return True
        # The answer ended too early: it was cut behind the API server, or the log was rotated.
        if not self._may_try_again():
            self._tries = 0
            self._after_mismatch(is_same=True)
        return False

    def _may_try_again(self, most: int = _MOST_TRIES) -> bool:
        """Pause before the next request, unless there were `most` of them in vain."""
        self._tries += 1
        if self._tries < most:
            self._pause()
        return self._tries < most

    def _read(self, *, follow: bool, previous: bool) -> bool:
        """Show the new lines of one answer; whether there were any."""
        log, pod = self._log, self._pod
        log.begin()
        self._began = self._tailer.clock.monotonic()
        has_new, is_first = False, not self._has_asked
        self._has_asked = True
        stream = self._tailer.api.pod_log(
            pod.namespace, pod.name, self._container, since=log.since, previous=previous, follow=follow
        )
        self._tailer.was_allowed = True
        for chunk in stream:
            # Without a line so far, nothing distinguishes this log from that of the container's next start.
            if log.is_empty and not is_first and not previous and self._was_restarted():
                return True
            lines, is_new = log.take(chunk)
            if is_new:
                has_new = True
                self._tries = 0
                self._backoff.reset()
                self._show(lines)
            if self._tailer.is_stopped:
                break
        return has_new

    def _was_restarted(self) -> bool:
        """Whether the answer may be the log of a later start; the pod's status shows that soon after."""
        if self._pod.never_restarts:
            return False
        left = self._tailer.timeouts.log_news - (self._tailer.clock.monotonic() - self._began)
        self._wait(left, lambda: self.is_previous or self._pod.is_over)
        return self.is_previous

    def _after_mismatch(self, *, is_same: bool) -> None:
        if not is_same and self._was_restarted():
            return  # the answer was the log of the next start; from now on the previous one's is requested
        if not self._log.resume_earlier():
            self._show(self._log.skip_gap())
            self._note("goes on, but lines may be missing here: it was rotated while the connection was cut")

    def _is_over_after(self, error: ApiError, *, had_ended: bool) -> bool:
        if error.status == 403 and not self._tailer.was_allowed:
            if self._may_try_again(_MOST_REFUSALS):
                return False
            self._tailer.refuse(error)
            return True
        # 400: the kubelet does not know yet that the container started; 404: no such pod, there or in the API server.
        if error.status in {400, 403, 404} and had_ended:
            return self._is_given_up(error.message)
        self._pause(error.retry_after or 0)
        return False

    def _is_given_up(self, message: str) -> bool:
        """Whether a log that seems to be gone was requested often enough."""
        if self._may_try_again():
            return False
        words = f"; it says {quoted(message)}" if message else ""
        self._finish(f"ends here, but lines may be missing: the cluster has no more of it{words}")
        return True

    def _is_abandoned(self) -> bool:
        """Whether a container still prints long after its Job's end, while its own end was not seen."""
        self._late_answers += 1
        if self._late_answers < _MOST_TRIES:
            return False
        self._finish("is not shown any further: the container goes on, though the Job is over")
        return True

    def _finish(self, note: str = "") -> None:
        self._show(self._log.end())
        if note:
            self._note(note)

    def _show(self, lines: Sequence[str]) -> None:
        if not lines:
            return
        with self._tailer.changed:
            is_first = not self.last
            self._tailer.shown += len(lines)
            # Secrets are masked before a line is cut: half a secret would not be recognised.
            self.last.extend(cut(self._tailer.actions.redact(line), _KEPT_LENGTH) for line in lines[-_KEPT_LINES:])
            prefix = self._tailer.prefix(self._pod, self._container)
        if is_first:
            self._tailer.actions.line(f"▶ The {self.name}:")
        self._tailer.actions.container_lines(lines, prefix)

    def _note(self, text: str) -> None:
        if not self._tailer.is_stopped:
            self._tailer.actions.line(f"! The {self.name} {text}.")

    def _pause(self, at_least: float = 0.0) -> None:
        """Wait before the next request; the container's end cuts the pause short, unless it is a Retry-After."""
        had_ended = self.has_ended
        self._wait(self._backoff.next(at_least), lambda: not at_least and self.has_ended != had_ended)

    def _wait(self, seconds: float, condition: Callable[[], bool]) -> None:
        with self._tailer.changed:
            self._tailer.changed.wait_for(lambda: self._tailer.is_stopped or condition(), max(seconds, 0))


def _starts(pod: Pod) -> Iterator[_Start]:
    """The starts of the pod's containers whose logs the kubelet may have, in the order of time."""
    for each in pod.containers:
        last_has_log = each.before is not None and each.before.has_log
        if each.waiting:
            # Between two starts, the log of the last start is both the present and the previous one.
            if last_has_log:
                yield _Start(each.name, each.restarts, has_ended=True, is_previous=True)
            continue
        if each.restarts and last_has_log:
            yield _Start(each.name, each.restarts - 1, has_ended=True, is_previous=True)
        if each.running:
            yield _Start(each.name, each.restarts, has_ended=False)
        elif each.ended and each.ended.has_log:
            yield _Start(each.name, each.restarts, has_ended=True)
