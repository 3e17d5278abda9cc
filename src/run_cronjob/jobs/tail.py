"""The logs of all containers of a Job, live: one thread for each, from its first line to its last.

The end of a stream is not the end of a log: connections are cut, the API server and the kubelet end streams as they
please, and a connection that breaks between those two looks like an orderly end. A log is complete when a stream that
began after the container had ended brings nothing new.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.text import cut, quoted
from run_cronjob.jobs.log_resume import Differs, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from run_cronjob.clients.workflow_commands import Actions
    from run_cronjob.core.clock import Clock
    from run_cronjob.core.status import Pod

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 15.0
NEWS_SECONDS = 5.0
"""How far a pod's status may lag behind its log."""
_TRIES = 4
"""How often something that is gone, so it seems, is asked for."""
_REFUSALS = 6
"""As often, over some seconds, the right to read logs is missing, and no API server starting."""
_KEPT_LINES = 50
_KEPT_LENGTH = 1000


class Source(Protocol):
    """Where logs come from: cluster.Cluster. Raises ApiError and NoAnswer."""

    def pod_log(  # noqa: PLR0913  the API's own options
        self, namespace: str, pod: str, container: str, *, since: str, previous: bool, follow: bool
    ) -> Iterator[bytes]:
        """What a container printed, with timestamps."""


@dataclass(frozen=True)
class _Start:
    """One start of a container, as a pod's status tells it."""

    container: str
    number: int
    """The kubelet's restartCount at that time."""
    has_ended: bool
    is_previous: bool = False
    """The container was started again, so that the log is that of `previous`."""


class LogTailer:
    """Shows the log of every container of the pods that it is told of.

    `refused` is called once, where the right to read logs is missing; there are none from then on.
    """

    def __init__(
        self,
        source: Source,
        actions: Actions,
        clock: Clock,
        refused: Callable[[ApiError], None],
    ) -> None:
        self.source = source
        self.actions = actions
        self.clock = clock
        self.changed = threading.Condition()
        """Guards what follows, and is notified of all that a tail may wait for."""
        self.is_draining = False
        self.is_stopped = False
        self.shown = 0
        """Lines so far: a slow reader of the log makes them few, but not none."""
        self.was_let_in = False
        """The right to read logs was there; an API server that starts refuses everybody at first."""
        self._refused = refused
        self._several_pods = False
        self._several_containers = False
        self._pods: dict[str, _Pod] = {}

    def see(self, pod: Pod, *, gone: bool = False) -> None:
        """A pod of the Job as it is now, or was when it was deleted."""
        with self.changed:
            if self.is_stopped:
                return
            known = self._pods.get(pod.uid)
            if known is None:
                known = self._pods[pod.uid] = _Pod(pod)
            known.is_over = gone or pod.is_over
            running = [each for each in self._pods.values() if not each.is_over]
            self._several_pods = self._several_pods or len(running) > 1
            self._several_containers = self._several_containers or known.has_several
            for start in _starts(pod):
                self._see_start(known, start)
            for tail in known.tails.values():
                tail.has_ended = tail.has_ended or known.is_over
            self.changed.notify_all()

    def _see_start(self, pod: _Pod, start: _Start) -> None:
        tail = pod.tails.get((start.container, start.number))
        if tail is None:
            # What is over is shown to its end first: the tries of one container, and of one pod after another.
            before = [
                other
                for each in self._pods.values()
                for (container, _), other in each.tails.items()
                if not other.is_done and (each.is_over or (each is pod and container == start.container))
            ]
            missed = start.number if all(container != start.container for container, _ in pod.tails) else 0
            tail = pod.tails[start.container, start.number] = _Tail(self, pod, start, before, missed)
            threading.Thread(target=tail.run, daemon=True).start()
        tail.has_ended = tail.has_ended or start.has_ended
        tail.is_previous = tail.is_previous or start.is_previous
        newest = max(number for container, number in pod.tails if container == start.container)
        for (container, number), other in pod.tails.items():
            if container == start.container and number < newest:
                other.has_ended = other.is_previous = True
                other.is_lost = other.is_lost or number < newest - 1

    def drain(self, seconds: float) -> bool:
        """Show what is left, until nothing comes for so long; whether that was all. Nothing may run any more by now."""
        with self.changed:
            self.is_draining = True
            self.changed.notify_all()
            before = -1
            while before != self.shown and self._open():
                before = self.shown
                self.changed.wait_for(lambda: not self._open(), seconds)
            late = self._open()
        for tail in late:
            self.actions.line(f"! The rest of {tail.name} is left out: it could not be read in {seconds:.0f} s.")
        return not late

    def last_lines(self, pod: str, container: str) -> tuple[str, ...]:
        """What a pod's container printed last, as far as it was read."""
        with self.changed:
            kept = [
                (number, tuple(tail.last))
                for each in self._pods.values()
                for (name, number), tail in each.tails.items()
                if (each.name, name) == (pod, container) and tail.last
            ]
        return max(kept)[1] if kept else ()

    def stop(self) -> None:
        """Begin and show nothing more."""
        with self.changed:
            self.is_stopped = True
            self.changed.notify_all()

    def refuse(self, error: ApiError) -> None:
        """The right to read logs is missing."""
        with self.changed:
            first, self.is_stopped = not self.is_stopped, True
            self.changed.notify_all()
        if first:
            self._refused(error)

    def prefix(self, pod: _Pod, container: str) -> str:
        """What tells a line from those of other containers, where there are several."""
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
    """One start of one container. `LogTailer.changed` guards its public fields."""

    def __init__(self, tails: LogTailer, pod: _Pod, start: _Start, before: Sequence[_Tail], missed: int) -> None:
        self.has_ended = False
        self.is_previous = False
        self.is_lost = False
        """The container was started twice since: no log of this start is kept."""
        self.is_done = False
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)
        self.name = f"the log of container {quoted(start.container)} in pod {quoted(pod.name)}"
        self.name += f", restart {start.number}" if start.number else ""
        self._tails = tails
        self._pod = pod
        self._container = start.container
        self._before = before
        self._missed = missed
        """How many earlier starts the container had when it was first seen."""
        self._log = Log(tails.actions.public)
        self._is_announced = False
        self._has_asked = False
        self._began = 0.0
        self._failures = 0
        self._missing = 0
        self._late = 0

    def run(self) -> None:
        """Show it, from the first line to the last."""
        try:
            self._wait(NEWS_SECONDS, lambda: all(other.is_done for other in self._before))
            self._before = ()
            if self._missed:
                self._tell("is the first one kept: it was started before")
            while not self._tails.is_stopped and not self._is_complete():
                pass
        except Exception as error:  # noqa: BLE001  a traceback would print foreign text past the one writer
            self._tell(f"can't be followed any further ({type(error).__name__})")
        finally:
            with self._tails.changed:
                self.is_done = True
                self._tails.changed.notify_all()
            del self._log  # a Job may have thousands of pods

    def _is_complete(self) -> bool:
        """One request; whether there is nothing left to ask for."""
        with self._tails.changed:
            # Known before the request: what its answer lacks was never printed.
            had_ended = self.has_ended or self._tails.is_draining
            may_go_on = not self.has_ended
            was_previous, is_lost = self.is_previous, self.is_lost
        if is_lost:
            self._finish("ends here: the container was started twice since, and the cluster keeps no more of it")
            return True
        try:
            brought = self._read(follow=not had_ended, previous=was_previous)
        except Differs:
            self._differs(is_same=was_previous)
            return False
        except ApiError as error:
            return self._is_over_after(error, had_ended=had_ended)
        except NoAnswer as error:
            # One that took its time to come took enough; and a container may be silent.
            if error.cause is not Cause.READ_TIMEOUT:
                self._pause()
            return False
        if brought:
            return had_ended and may_go_on and self._is_left_running()
        if not had_ended:
            self._pause()
            return False
        if self._log.said:
            return self._is_given_up(self._log.said)
        if not self._log.is_joined:
            self._falls_short()
            return False
        self._finish()
        return True

    def _falls_short(self) -> None:
        """The answer ended in good order before it came to what is known: cut behind the API server, or rotated."""
        self._missing += 1
        if self._missing < _TRIES:
            self._pause()
        else:
            self._missing = 0
            self._differs(is_same=True)

    def _read(self, *, follow: bool, previous: bool) -> bool:
        """Show what one answer has that is new; whether it had any."""
        log, pod = self._log, self._pod
        log.begin()
        self._began = self._tails.clock.monotonic()
        brought, is_first = False, not self._has_asked
        self._has_asked = True
        stream = self._tails.source.pod_log(
            pod.namespace, pod.name, self._container, since=log.since, previous=previous, follow=follow
        )
        self._tails.was_let_in = True
        for chunk in stream:
            # Where nothing was seen, there is nothing to tell the log of the next start by.
            if log.is_empty and not is_first and not previous and self._was_restarted():
                return True
            lines, is_new = log.take(chunk)
            if is_new:
                brought = True
                self._failures = self._missing = 0
                self._show(lines)
            if self._tails.is_stopped:
                break
        return brought

    def _was_restarted(self) -> bool:
        """Whether the answer may be the log of a later start; the pod's status tells, soon after."""
        if self._pod.never_restarts:
            return False
        left = NEWS_SECONDS - (self._tails.clock.monotonic() - self._began)
        self._wait(left, lambda: self.is_previous or self._pod.is_over)
        return self.is_previous

    def _differs(self, *, is_same: bool) -> None:
        if not is_same and self._was_restarted():
            return  # that was the log of the next start; from now on the previous one's is asked for
        if not self._log.differs():
            self._show(self._log.lose())
            self._tell("goes on, but lines may be missing here: it was rotated while the connection was cut")

    def _is_over_after(self, error: ApiError, *, had_ended: bool) -> bool:
        if error.status == 403 and not self._tails.was_let_in:
            self._missing += 1
            if self._missing < _REFUSALS:
                self._pause()
                return False
            self._tails.refuse(error)
            return True
        # 400: not started, as far as the kubelet knows; 404: it or the API server knows of no such pod.
        if error.status in {400, 403, 404} and had_ended:
            return self._is_given_up(error.message)
        self._pause(error.retry_after or 0)
        return False

    def _is_given_up(self, said: str) -> bool:
        """Whether something that is gone, so it seems, was asked for often enough."""
        self._missing += 1
        if self._missing < _TRIES:
            self._pause()
            return False
        told = f"; it says {quoted(said)}" if said else ""
        self._finish(f"ends here, but lines may be missing: the cluster has no more of it{told}")
        return True

    def _is_left_running(self) -> bool:
        """Whether a container whose end nobody saw has printed on long enough after that of its Job."""
        self._late += 1
        if self._late < _TRIES:
            return False
        self._finish("is not shown any further: the container goes on, though the Job is over")
        return True

    def _finish(self, remark: str = "") -> None:
        self._show(self._log.end())
        if remark:
            self._tell(remark)

    def _show(self, lines: Sequence[str]) -> None:
        if not lines:
            return
        with self._tails.changed:
            self._tails.shown += len(lines)
            # Struck before it is cut: half a secret would not be recognised as one.
            self.last.extend(cut(self._tails.actions.public(line), _KEPT_LENGTH) for line in lines[-_KEPT_LINES:])
            prefix = self._tails.prefix(self._pod, self._container)
        if not self._is_announced:
            self._is_announced = True
            self._tails.actions.line(f"▶ {self.title}:")
        self._tails.actions.others(lines, prefix)

    def _tell(self, remark: str) -> None:
        if not self._tails.is_stopped:
            self._tails.actions.line(f"! {self.title} {remark}.")

    @property
    def title(self) -> str:
        """Its name, at the beginning of a sentence."""
        return self.name[:1].upper() + self.name[1:]

    def _pause(self, at_least: float = 0.0) -> None:
        """Before the next request; the container's end cuts it short, a Retry-After does not."""
        longest = min(FIRST_PAUSE_SECONDS * 2**self._failures, LONGEST_PAUSE_SECONDS)
        self._failures = min(self._failures + 1, 10)
        had_ended = self.has_ended
        wait = max(longest * (0.5 + self._tails.clock.random() / 2), at_least)
        self._wait(wait, lambda: not at_least and self.has_ended != had_ended)

    def _wait(self, seconds: float, condition: Callable[[], bool]) -> None:
        with self._tails.changed:
            self._tails.changed.wait_for(lambda: self._tails.is_stopped or condition(), max(seconds, 0))


def _starts(pod: Pod) -> Iterator[_Start]:
    """The starts of the pod's containers whose logs the kubelet can be asked for, in the order of time."""
    for each in pod.containers:
        last_has_log = each.before is not None and each.before.has_log
        if each.waiting:
            # Between two starts: what ended last is both this start's log and the previous one's.
            if last_has_log:
                yield _Start(each.name, each.restarts, has_ended=True, is_previous=True)
            continue
        if each.restarts and last_has_log:
            yield _Start(each.name, each.restarts - 1, has_ended=True, is_previous=True)
        if each.running:
            yield _Start(each.name, each.restarts, has_ended=False)
        elif each.ended and each.ended.has_log:
            yield _Start(each.name, each.restarts, has_ended=True)
