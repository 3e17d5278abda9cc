r"""Reads a container's log across interrupted streams, and makes lines to show of it. No I/O.

Each line of the API's answer is `<RFC 3339 timestamp> text\n`. The API resumes a log by `sinceTime`, of which the API
server passes on whole seconds only. So each answer repeats bytes that were read before. They are compared by length and
checksum, and only the bytes behind them are new. Timestamps alone can't tell: many lines may have the same one, and the
lines of stdout and stderr may stand out of order in one log.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

LINE_LENGTH = 16_000
"""Characters of a line that are shown. GitHub's live log shows 1,024 of them; the stored log keeps all."""
_BUFFER_BYTES = 4 * LINE_LENGTH
"""Kept of a line that has no end yet; the bytes after that are only counted."""
_HEAD_BYTES = 256
_TAIL_BYTES = 4096
_MESSAGE_BYTES = 500

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d) ")
_LONGEST_STAMP = len("2026-11-23T04:05:06.123456789+02:00 ")
_SHOWN_STAMP = re.compile(_STAMP.pattern.decode())
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Colours, cursor movements and titles for terminals (ECMA-48: CSI, OSC, the rest)."""


class Mismatch(Exception):  # noqa: N818  no error: the caller resumes elsewhere
    """The answer does not continue the log read so far: it is another log, or the log's beginning is gone."""


@dataclass
class Checkpoint:
    """A place to resume from, and the length and checksum of all bytes read since."""

    since: str
    """The `sinceTime` to request; empty for the whole log."""
    length: int = 0
    checksum: int = 0
    head: bytes = b""

    def add(self, read: bytes) -> None:
        """Take in the bytes that were read next."""
        if len(self.head) < _HEAD_BYTES:
            self.head += read[: _HEAD_BYTES - len(self.head)]
        self.length += len(read)
        self.checksum = zlib.crc32(read, self.checksum)


class SeenLog:
    """The part of one log that was read so far; `checkpoints` are the places to resume from, the nearest first.

    The nearest is the beginning of the second before the last one, since a line may stand behind a younger one.
    """

    def __init__(self) -> None:
        self.checkpoints = [Checkpoint("")]
        self._next: Checkpoint | None = None
        """The beginning of the last second."""
        self._second = b""
        self._near = b"\n"
        """The last bytes, where a line's timestamp may begin, with the line feed before it."""
        self._stamp = b""
        """The latest timestamp; with the log's last bytes, it is used when no checkpoint fits."""
        self._tail = b""

    def add(self, read: bytes) -> None:
        """Take in the bytes that were read next."""
        for checkpoint in [*self.checkpoints, *filter(None, [self._next])]:
            checkpoint.add(read)
        self._tail = (self._tail + read[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        near = self._near + read
        self._near = near[-_LONGEST_STAMP:]
        newline = near.rfind(b"\n", 0, -_LONGEST_STAMP)
        stamp = _STAMP.match(near, newline + 1)
        if newline < 0 or not stamp or stamp[0] <= self._stamp:
            return
        self._stamp = stamp[0]
        if stamp[1] == self._second:
            return
        self._second = stamp[1]
        self.checkpoints[:-1] = filter(None, [self._next])
        self._next = Checkpoint((stamp[1] + stamp[3]).decode())
        self._next.add(near[near.find(b"\n" + stamp[1]) + 1 :])

    def skip_gap(self) -> GapFilter:
        """Start again behind the bytes read so far, after an answer that does not continue them."""
        self.checkpoints = [Checkpoint(self.checkpoints[0].since)]
        self._next = None
        return GapFilter(self._stamp, self._tail)


class Overlap:
    """Leaves out the beginning of one answer, resumed from `checkpoint`, that was read before."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._left = checkpoint.length
        self._expected = checkpoint.checksum
        self._checksum = 0
        self._head = checkpoint.head
        self._received = b""
        self._may_begin_within_line = bool(checkpoint.since)
        self._at_line_start = True
        self._buffer = b""

    @property
    def has_caught_up(self) -> bool:
        """Whether the answer has reached the end of the bytes read before."""
        return not self._left

    @property
    def kubelet_error(self) -> str:
        """An error message of the kubelet at the end of the answer; nearly always empty."""
        return self._buffer[:_MESSAGE_BYTES].decode(errors="replace").strip()

    def take(self, sent: bytes) -> bytes:
        """The new bytes in `sent`, the answer's next bytes. Raises Mismatch if they don't continue the log."""
        sent = self._buffer + sent if self._buffer else sent
        self._buffer = b""
        if self._may_begin_within_line:
            sent = self._from_first_line(sent)
        last = sent.rfind(b"\n") + 1
        # Every line begins with a timestamp. Text without one at the end of an answer is an error that the kubelet
        # met after it had begun to answer (pkg/kubelet/server, getContainerLogs).
        if (last or self._at_line_start) and sent[last:] and not sent[last : last + 1].isdigit():
            sent, self._buffer = sent[:last], sent[last:]
            if len(self._buffer) > _BUFFER_BYTES:
                sent, self._buffer = sent + self._buffer, b""
        if sent:
            self._at_line_start = sent.endswith(b"\n")
        return self._new_part(sent)

    def _from_first_line(self, sent: bytes) -> bytes:
        """`sent` without the rest of a line that began before the requested time; that rest has no timestamp."""
        if not _STAMP.match(sent):
            newline = sent.find(b"\n")
            if newline < 0:
                self._buffer = sent[:_MESSAGE_BYTES]  # incomplete yet, or to be dropped
                return b""
            sent = sent[newline + 1 :]
        self._may_begin_within_line = False
        return sent

    def _new_part(self, sent: bytes) -> bytes:
        if not self._left:
            return sent
        known, new = sent[: self._left], sent[self._left :]
        if len(self._received) < len(self._head):
            self._received += known[: len(self._head) - len(self._received)]
            if not self._head.startswith(self._received):
                raise Mismatch
        self._checksum = zlib.crc32(known, self._checksum)
        self._left -= len(known)
        if not self._left and self._checksum != self._expected:
            raise Mismatch
        return new


class GapFilter:
    """Leaves out lines that were read before, in a log whose beginning is gone."""

    def __init__(self, stamp: bytes, tail: bytes) -> None:
        lines = tail.split(b"\n")
        times = [time for line in [stamp, *lines] if (time := _timestamp(line))]
        self._last = max(times, default=(0.0, 0))
        self._seen = {line for line in lines if _timestamp(line) == self._last}
        self._buffer = b""
        self._is_over = False

    def take(self, new: bytes) -> bytes:
        """The part of `new` that was not read before."""
        if self._is_over:
            return new
        *lines, rest = (self._buffer + new).split(b"\n")
        for index, line in enumerate([*lines, rest] if len(rest) > _BUFFER_BYTES else lines):
            if self._is_unread(line):
                self._is_over = True
                return b"\n".join([*lines[index:], rest])
        self._buffer = rest[:_BUFFER_BYTES]
        return b""

    def _is_unread(self, line: bytes) -> bool:
        time = _timestamp(line)
        return time is not None and time >= self._last and line not in self._seen


def _timestamp(line: bytes) -> tuple[float, int] | None:
    """The line's timestamp: seconds since the epoch, and nanoseconds."""
    stamp = _STAMP.match(line)
    if not stamp:
        return None
    seconds = datetime.fromisoformat((stamp[1] + stamp[3]).decode()).timestamp()
    return seconds, int((stamp[2] or b".0")[1:].ljust(9, b"0"))


class LineSplitter:
    """Splits a log into lines to show, without their timestamps; of a long line, only the beginning is kept."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        """`redact` masks secrets; a line is cut after that, or half a secret could remain."""
        self._redact = redact
        self._rest = b""
        self._dropped = 0

    def take(self, new: bytes) -> list[str]:
        """The lines that end in `new`, the log's next bytes."""
        if self._dropped:
            rest, newline, new = new.partition(b"\n")
            self._keep(rest)
            return [*self.end(), *self.take(new)] if newline else []
        new = self._rest + new
        end = new.rfind(b"\n")
        self._rest = b""
        self._keep(new[end + 1 :])
        return self._shown(new[:end].decode(errors="replace")) if end >= 0 else []

    def _keep(self, more: bytes) -> None:
        overwritten = more.rfind(b"\r", 0, -1)
        if overwritten >= 0 and (self._dropped or len(more) > _BUFFER_BYTES):
            # A progress bar that has been redrawn many times: only its last state counts.
            self._rest, self._dropped, more = b"", 0, more[overwritten:]
        free = _BUFFER_BYTES - len(self._rest)
        self._rest += more[:free]
        self._dropped += len(more[free:])

    def end(self) -> list[str]:
        """The last line, if it has no line feed."""
        rest, dropped = self._rest.decode(errors="replace"), self._dropped
        self._rest, self._dropped = b"", 0
        return self._shown(rest, dropped) if rest else []

    def _shown(self, text: str, dropped: int = 0) -> list[str]:
        lines = _without_timestamps(text)
        if "\x1b" in text:
            lines = [_ESCAPES.sub("", line) for line in lines]
        if "\r" in text:
            lines = [_final_state(line) for line in lines]
        if dropped or len(max(lines, key=len)) > LINE_LENGTH:
            lines = [self._cut(line, dropped) for line in lines]
        return lines

    def _cut(self, line: str, dropped: int) -> str:
        if len(line) <= LINE_LENGTH and not dropped:
            return line
        line = self._redact(line)
        more = len(line[LINE_LENGTH:].encode(errors="replace")) + dropped
        return f"{line[:LINE_LENGTH]}… ({more:,} more bytes are not shown)" if more else line


class Log:
    """One container's log, whole, however often its stream is interrupted.

    For each request, ask for `since`, call `begin`, and `take` the answer. If that raises Mismatch, request again as
    long as `resume_earlier` is true, else call `skip_gap`.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._seen = SeenLog()
        self._splitter = LineSplitter(redact)
        self._gap_filter: GapFilter | None = None
        self._mismatches = 0
        self.overlap = Overlap(self._seen.checkpoints[0])
        """The present answer."""

    @property
    def since(self) -> str:
        """The `sinceTime` to request; empty for the whole log."""
        return self._seen.checkpoints[self._mismatches].since

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read so far, so that any log continues this one."""
        return not self._seen.checkpoints[-1].length

    def begin(self) -> None:
        """Start with a new answer."""
        self.overlap = Overlap(self._seen.checkpoints[self._mismatches])

    def take(self, sent: bytes) -> tuple[list[str], bool]:
        """The lines that end in `sent`, and whether anything in it was new. Raises Mismatch."""
        new = self.overlap.take(sent)
        if not new:
            return [], False
        self._mismatches = 0
        self._seen.add(new)
        if self._gap_filter:
            new = self._gap_filter.take(new)
        return self._splitter.take(new), True

    def resume_earlier(self) -> bool:
        """Whether there is an earlier checkpoint to resume from, after a mismatch."""
        self._mismatches = (self._mismatches + 1) % len(self._seen.checkpoints)
        return self._mismatches > 0

    def skip_gap(self) -> list[str]:
        """Go on after missing lines; the beginning of the line that they interrupt."""
        self._gap_filter = self._seen.skip_gap()
        return self.end()

    def end(self) -> list[str]:
        """The last line, if it has no line feed."""
        return self._splitter.end()


def _without_timestamps(text: str) -> list[str]:
    stamp = _SHOWN_STAMP.match(text)
    if stamp:
        # Kubelets write all timestamps in one length. This takes half the time of splitting and cutting.
        lines: list[str] = re.findall(f"^.{{{stamp.end() - 2}}}{stamp[0][-2:]}(.*)", text, re.MULTILINE)
        if len(lines) == text.count("\n") + 1:
            return lines
    return [_SHOWN_STAMP.sub("", line, count=1) if _SHOWN_STAMP.match(line) else line for line in text.split("\n")]


def _final_state(line: str) -> str:
    r"""The text that a terminal would show in the end: each `\r` lets the next text overwrite the one before."""
    states = [state for state in line.split("\r") if state.strip()]
    return states[-1] if states else ""
