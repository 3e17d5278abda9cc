"""A container's log, written by the test and served as the kubelet does through pods/log."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.resources import Resource
from sandbox.status import Object, bad_request, invalid, quote
from sandbox.validation import FieldError
from sandbox.validation import invalid as invalid_field

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OPTIONS = Resource("PodLogOptions", "", "v1", "")
_NANOSECONDS = 1_000_000_000
_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True)
class LogOptions:
    """The query of a pods/log request."""

    follow: bool = False
    timestamps: bool = False
    since: int = 0
    """Whole seconds since 1970."""
    tail_lines: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True)
class _Piece:
    nanoseconds: int
    data: bytes
    starts_line: bool


class ContainerLog:
    """What one container printed so far."""

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._ended = False
        self._changed = threading.Condition()

    def write(self, text: str | bytes, *, at: datetime | None = None) -> None:
        """Append output, whole lines or not, as printed now or at the time given."""
        data = text.encode() if isinstance(text, str) else text
        nanoseconds = time.time_ns() if at is None else int(at.timestamp() * 1_000_000) * 1000
        with self._changed:
            # Only the line feed ends a line for the kubelet.
            for line in data.split(b"\n"):
                starts = not self._pieces or self._pieces[-1].data.endswith(b"\n")
                self._pieces.append(_Piece(nanoseconds, line + b"\n", starts))
            last = self._pieces.pop()
            if rest := last.data[:-1]:
                self._pieces.append(_Piece(nanoseconds, rest, last.starts_line))
            self._changed.notify_all()

    def end(self) -> None:
        """The container has exited: whoever follows has seen everything."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, options: LogOptions) -> Iterator[bytes]:
        """The log as asked for; while following, as it grows."""
        yield b""  # the headers, before the first line is there
        start = position = self._tail(options.tail_lines)
        budget = options.limit_bytes
        while pieces := self._next(position, wait=options.follow):
            for index, piece in enumerate(pieces, position):
                shown = _show(piece, options, stamped=piece.starts_line or index == start)
                if budget is not None:
                    shown, budget = shown[:budget], budget - len(shown)
                yield shown
                if budget is not None and budget <= 0:
                    return
            position += len(pieces)

    def _next(self, position: int, *, wait: bool) -> list[_Piece]:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._ended or len(self._pieces) > position)
            return self._pieces[position:]

    def _tail(self, lines: int | None) -> int:
        with self._changed:
            # The kubelet counts what the runtime wrote at once, be it a whole line or not.
            return 0 if lines is None else max(0, len(self._pieces) - lines)


def _show(piece: _Piece, options: LogOptions, *, stamped: bool) -> bytes:
    if piece.nanoseconds < options.since * _NANOSECONDS:
        return b""
    if not options.timestamps or not stamped:
        return piece.data
    seconds, rest = divmod(piece.nanoseconds, _NANOSECONDS)
    stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{rest:09}Z ".encode() + piece.data


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
        since=since,
        tail_lines=tail_lines,
        limit_bytes=limit_bytes,
    )


def choose_container(pod: Object, asked: str) -> str:
    """The container whose log is meant; refused while it has none."""
    name, spec = pod["metadata"]["name"], pod.get("spec", {})
    names = [c["name"] for field in ("initContainers", "containers") for c in spec.get(field) or ()]
    containers = list(spec.get("containers") or ())
    if asked and asked not in names:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if not asked and len(containers) != 1:
        choice = f", choose one of: [{' '.join(names)}]" if containers else ""
        raise bad_request(f"a container name must be specified for pod {name}{choice}")
    chosen: str = asked or containers[0]["name"]
    for field in ("initContainerStatuses", "containerStatuses"):
        for status in pod.get("status", {}).get(field) or ():
            waiting = status.get("state", {}).get("waiting")
            if status["name"] == chosen and waiting and not status.get("lastState", {}).get("terminated"):
                reason = waiting.get("reason", "")
                raise bad_request(
                    f"container {quote(chosen)} in pod {quote(name)} is waiting to start:"
                    f" {_WAITING.get(reason, reason)}"
                )
    return chosen


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
