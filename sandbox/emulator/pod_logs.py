"""A container's log, written by the test and served as the kubelet does through pods/log."""

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
    """The query of a pods/log request."""

    follow: bool = False
    timestamps: bool = False
    previous: bool = False
    since: int = 0
    """Whole seconds since 1970."""
    tail_lines: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True)
class _Piece:
    nanoseconds: int
    stamp: bytes
    data: bytes
    starts_line: bool


class ContainerLog:
    """What one start of one container printed so far."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._kept = 0
        """Where the file begins that the kubelet reads now."""
        self._ended = False
        self._cuts = 0
        self._words = b""
        self._rendition: Callable[[LogOptions], Iterator[bytes]] | None = None
        self._changed = threading.Condition()

    def write(self, text: str | bytes, *, at: datetime | None = None) -> None:
        """Append output, whole lines or not, as printed now or at the time given."""
        data = text.encode() if isinstance(text, str) else text
        nanoseconds = time.time_ns() if at is None else int(at.timestamp() * 1_000_000) * 1000
        stamp = _stamp(nanoseconds)
        with self._changed:
            starts = not self._pieces or self._pieces[-1].data.endswith(b"\n")
            # Only the line feed ends a line for the kubelet.
            for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
                self._pieces.append(_Piece(nanoseconds, stamp, line, starts))
                starts = line.endswith(b"\n")
            self._changed.notify_all()

    def play(self, rendition: Callable[[LogOptions], Iterator[bytes]]) -> None:
        """Serve this in place of what was written: a log too long to be rendered while it is sent."""
        self._rendition = rendition

    def end(self) -> None:
        """The container has exited: whoever follows has seen everything."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cut(self) -> None:
        """End in good order all streams that follow, as the API server does when the kubelet's connection breaks."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def rotate(self) -> None:
        """Begin a new file. Who follows goes on with it, who asks anew doesn't see the old one."""
        with self._changed:
            self._kept = len(self._pieces)

    def remove(self, words: str) -> None:
        """The files are gone; the kubelet says so where the log would be."""
        with self._changed:
            self._words = words.encode()
            self._cuts += 1
            self._changed.notify_all()

    def read(self, options: LogOptions) -> Iterator[bytes]:
        """The log as asked for; while following, as it grows."""
        yield b""  # the headers, before the first line is there
        if self._words:
            yield self._words
            return
        if self._rendition:
            yield from self._rendition(options)
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
            # The kubelet counts what the runtime wrote at once, be it a whole line or not.
            return self._kept if lines is None else max(self._kept, len(self._pieces) - lines)


class ContainerLogs:
    """What all containers printed, each start of one apart."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, str, str], list[ContainerLog]] = {}

    def of(self, namespace: str, pod: str, container: str, *, restarted: bool = False) -> ContainerLog:
        """The log to write to. `restarted`: a new one; the one so far has ended and is the previous one."""
        logs = self._logs.setdefault((namespace, pod, container), [ContainerLog()])
        if restarted:
            logs[-1].end()
            logs.append(ContainerLog())
        return logs[-1]

    def asked(self, pod: Object, container: str, *, previous: bool) -> ContainerLog:
        """The log that is asked for; refused while it has none."""
        chosen, starts_ago = choose_container(pod, container, previous=previous)
        place = (pod["metadata"]["namespace"], pod["metadata"]["name"], chosen)
        self.of(*place)
        logs = self._logs[place]
        # The kubelet's status knew of a start of which nobody has written a log.
        return logs[-1 - starts_ago] if starts_ago < len(logs) else ContainerLog()

    def forget(self) -> None:
        """End all, and begin anew."""
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
    """The query's options, checked as the API server checks them."""
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
    """The container whose log is meant, and from how many starts ago; refused while it has none."""
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
    # Between two starts the log is that of the last one, asked for either way.
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
