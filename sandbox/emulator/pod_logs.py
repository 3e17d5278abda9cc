"""Container logs, written by tests and served through pods/log as the kubelet serves them."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.emulator.errors import FieldError, Object, bad_request, invalid, quote
from sandbox.emulator.resources import Resource
from sandbox.emulator.validation import invalid as invalid_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OPTIONS = Resource("PodLogOptions", "", "v1", "")
_NANOSECONDS = 1_000_000_000
_PIECES_AT_ONCE = 200
_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True)
class LogOptions:
    """The parsed query of a pods/log request."""

    follow: bool = False
    timestamps: bool = False
    previous: bool = False
    since: int = 0
    """In whole seconds since 1970."""
    tail_lines: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True)
class _Piece:
    nanoseconds: int
    stamp: bytes
    data: bytes
    starts_line: bool


class ContainerLog:
    """The output so far of one container between two restarts."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._file_start = 0
        """The index of the first piece in the current log file."""
        self._ended = False
        self._cuts = 0
        """How often the open streams were ended."""
        self._error = b""
        self._substitute: Callable[[LogOptions], Iterator[bytes]] | None = None
        self._changed = threading.Condition()

    def write(self, text: str | bytes, *, at: datetime | None = None) -> None:
        """Append output, in whole lines or not, with the time `at` or the current one."""
        data = text.encode() if isinstance(text, str) else text
        nanoseconds = time.time_ns() if at is None else int(at.timestamp() * 1_000_000) * 1000
        stamp = _stamp(nanoseconds)
        with self._changed:
            starts = not self._pieces or self._pieces[-1].data.endswith(b"\n")
            # For the kubelet only a line feed ends a line.
            for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
                self._pieces.append(_Piece(nanoseconds, stamp, line, starts))
                starts = line.endswith(b"\n")
            self._changed.notify_all()

    def replace_with(self, substitute: Callable[[LogOptions], Iterator[bytes]]) -> None:
        """Serve `substitute` instead of the written output: for logs too long to be rendered while they are sent."""
        self._substitute = substitute

    def end(self) -> None:
        """Mark the container as exited; streams that follow the log end after the last line."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cut(self) -> None:
        """End all streams that follow, without an error: as the API server does if the kubelet's connection breaks."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def rotate(self) -> None:
        """Begin a new log file; open streams go on with it, later requests don't get the old file."""
        with self._changed:
            self._file_start = len(self._pieces)

    def remove(self, error: str) -> None:
        """Remove the log files; the kubelet sends `error` in place of the log."""
        with self._changed:
            self._error = error.encode()
            self._cuts += 1
            self._changed.notify_all()

    def read(self, options: LogOptions) -> Iterator[bytes]:
        """Yield the log that `options` select, and with `follow` also what is appended until it ends."""
        yield b""  # makes the server send the headers before the first line
        if self._error:
            yield self._error
            return
        if self._substitute:
            yield from self._substitute(options)
            self._next(0, self._cuts, wait=options.follow)
            return
        cuts, start, budget = self._cuts, self._start(options.tail_lines), options.limit_bytes
        position = start
        while pieces := self._next(position, cuts, wait=options.follow):
            shown = b"".join(
                _show(piece, options, stamped=piece.starts_line or index == start)
                for index, piece in enumerate(pieces, position)
            )
            position += len(pieces)
            if budget is not None:
                shown, budget = shown[:budget], budget - len(shown)
            yield shown
            if budget is not None and budget <= 0:
                return

    def _next(self, position: int, cuts: int, *, wait: bool) -> list[_Piece]:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._ended or self._cuts > cuts or len(self._pieces) > position)
            return [] if self._cuts > cuts else self._pieces[position : position + _PIECES_AT_ONCE]

    def _start(self, lines: int | None) -> int:
        with self._changed:
            # The kubelet counts each write of the runtime, whole line or not.
            return self._file_start if lines is None else max(self._file_start, len(self._pieces) - lines)


class ContainerLogs:
    """The logs of all containers, one for each restart."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str, str], list[ContainerLog]] = {}

    def of(self, namespace: str, pod: str, container: str, *, restarted: bool = False) -> ContainerLog:
        """Return the log to write to; `restarted` ends it, makes it the previous one and returns a new one."""
        logs = self._logs.setdefault((namespace, pod, container), [ContainerLog()])
        if restarted:
            logs[-1].end()
            logs.append(ContainerLog())
        return logs[-1]

    def requested(self, pod: Object, container: str, *, previous: bool) -> ContainerLog:
        """Return the log that a request asks for. Raises StatusError (400) while there is none."""
        chosen, starts_ago = choose_container(pod, container, previous=previous)
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"], chosen)
        self.of(*key)
        logs = self._logs[key]
        # The pod's status shows a restart for which no test has written a log.
        return logs[-1 - starts_ago] if starts_ago < len(logs) else ContainerLog()

    def clear(self) -> None:
        """End all logs and remove them."""
        for log in [each for logs in self._logs.values() for each in logs]:
            log.end()
        self._logs.clear()


def _stamp(nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z ".encode()


def _show(piece: _Piece, options: LogOptions, *, stamped: bool) -> bytes:
    if piece.nanoseconds < options.since * _NANOSECONDS:
        return b""
    return piece.stamp + piece.data if options.timestamps and stamped else piece.data


def parse_options(query: Mapping[str, str], pod: str) -> LogOptions:
    """Parse and check a query as the API server does. Raises StatusError (400, 422)."""
    tail_lines, limit_bytes, since_seconds = (
        _integer(query, name) for name in ("tailLines", "limitBytes", "sinceSeconds")
    )
    errors: list[FieldError] = []
    if tail_lines is not None and tail_lines < 0:
        errors.append(invalid_field("tailLines", tail_lines, "must be greater than or equal to 0"))
    if limit_bytes is not None and limit_bytes < 1:
        errors.append(invalid_field("limitBytes", limit_bytes, "must be greater than 0"))
    if since_seconds is not None and "sinceTime" in query:
        detail = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        errors.append(FieldError("FieldValueForbidden", "", detail))
    elif since_seconds is not None and since_seconds < 1:
        errors.append(invalid_field("sinceSeconds", since_seconds, "must be greater than 0"))
    if errors:
        raise invalid(_OPTIONS, pod, errors)
    since = 0
    if since_seconds is not None:
        since = int(time.time()) - since_seconds
    elif "sinceTime" in query:
        since = _seconds(query["sinceTime"])
    return LogOptions(
        follow=_is_true(query, "follow"),
        timestamps=_is_true(query, "timestamps"),
        previous=_is_true(query, "previous"),
        since=since,
        tail_lines=tail_lines,
        limit_bytes=limit_bytes,
    )


def choose_container(pod: Object, asked: str, *, previous: bool) -> tuple[str, int]:
    """Return the container whose log is meant, and how many restarts ago. Raises StatusError (400)."""
    name, spec = pod["metadata"]["name"], pod.get("spec", {})
    names = [c["name"] for field in ("initContainers", "containers") for c in spec.get(field) or ()]
    containers = list(spec.get("containers") or ())
    if asked and asked not in names:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if not asked and len(containers) != 1:
        choice = f", choose one of: [{' '.join(names)}]" if containers else ""
        raise bad_request(f"a container name must be specified for pod {name}{choice}")
    chosen: str = asked or containers[0]["name"]
    found = [
        status
        for field in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(field) or ()
        if status["name"] == chosen
    ]
    status = found[0] if found else {}
    waiting = status.get("state", {}).get("waiting")
    was_started = bool(status.get("lastState", {}).get("terminated"))
    if previous and not was_started:
        raise bad_request(f"previous terminated container {quote(chosen)} in pod {quote(name)} not found")
    if waiting and not was_started:
        reason = waiting.get("reason", "")
        raise bad_request(
            f"container {quote(chosen)} in pod {quote(name)} is waiting to start: {_WAITING.get(reason, reason)}"
        )
    # Between two restarts, the current log and the previous one are the same.
    return chosen, int(previous and not waiting)


def _is_true(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "false").lower() in {"", "1", "true"}


def _integer(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        return int(query[name])
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{query[name]}": invalid syntax') from None


def _seconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
