r"""Pure: a container's log as the API tells it (`<RFC 3339> text\n`) -> lines to show, and where to go on after a cut.

The API resumes by `sinceTime`, of which the API server passes on whole seconds only. What it sends then is laid over
what was seen since that second, byte for byte: only what lies behind is new. Timestamps alone would not do, since many
lines may bear the same, and those of stdout and stderr may stand out of order in one log.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_LENGTH = 16_000
"""GitHub's live log shows 1,024 characters of a line, the one that it keeps all of them."""
_HELD_BYTES = 4 * LINE_LENGTH
"""Of a line whose end is not in yet; what comes beyond is counted."""
_HEAD_BYTES = 256
_TAIL_BYTES = 4096
_SAID_BYTES = 500

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d) ")
_LONGEST_STAMP = len("2026-11-23T04:05:06.123456789+02:00 ")
_SHOWN_STAMP = re.compile(_STAMP.pattern.decode())
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
"""Colours, cursor movements and titles, which only a terminal understands (ECMA-48: CSI, OSC, the rest)."""


class Differs(Exception):  # noqa: N818  names what was found
    """The API sends another log than the one that was seen, or one whose beginning is gone."""


@dataclass
class Mark:
    """A stretch of the log, from a place that the API can be asked for up to the last byte seen."""

    since: str
    """What to ask for; empty for all there is."""
    length: int = 0
    checksum: int = 0
    head: bytes = b""

    def add(self, seen: bytes) -> None:
        """Make the stretch longer."""
        if len(self.head) < _HEAD_BYTES:
            self.head += seen[: _HEAD_BYTES - len(self.head)]
        self.length += len(seen)
        self.checksum = zlib.crc32(seen, self.checksum)


class SeenLog:
    """How much of one log was seen: `marks` are the places to resume from, the nearest first.

    The nearest is the beginning of the second before the last one, since a line may stand behind a younger one.
    """

    def __init__(self) -> None:
        self.marks = [Mark("")]
        self._next: Mark | None = None
        """The beginning of the last second."""
        self._second = b""
        self._near = b"\n"
        """What may be the beginning of a line's timestamp, and the line feed before it."""
        self._stamp = b""
        """The youngest one, and some bytes up to the last one: what is left to go by when the marks fail."""
        self._tail = b""

    def add(self, seen: bytes) -> None:
        """These bytes came next."""
        for mark in [*self.marks, *filter(None, [self._next])]:
            mark.add(seen)
        self._tail = (self._tail + seen[-_TAIL_BYTES:])[-_TAIL_BYTES:]
        near = self._near + seen
        self._near = near[-_LONGEST_STAMP:]
        newline = near.rfind(b"\n", 0, -_LONGEST_STAMP)
        stamp = _STAMP.match(near, newline + 1)
        if newline < 0 or not stamp or stamp[0] <= self._stamp:
            return
        self._stamp = stamp[0]
        if stamp[1] == self._second:
            return
        self._second = stamp[1]
        self.marks[:-1] = filter(None, [self._next])
        self._next = Mark((stamp[1] + stamp[3]).decode())
        self._next.add(near[near.find(b"\n" + stamp[1]) + 1 :])

    def lose(self) -> Gap:
        """What comes next does not join on to what was seen: begin anew behind that."""
        self.marks = [Mark(self.marks[0].since)]
        self._next = None
        return Gap(self._stamp, self._tail)


class Overlap:
    """Takes one answer of the API, asked for from `mark` on, and gives what is new in it."""

    def __init__(self, mark: Mark) -> None:
        self._left = mark.length
        self._wanted = mark.checksum
        self._checksum = 0
        self._head = mark.head
        self._got = b""
        self._joining = bool(mark.since)
        self._at_line_start = True
        self._held = b""

    @property
    def is_joined(self) -> bool:
        """Whether the answer has come to where what was seen ends."""
        return not self._left

    @property
    def said(self) -> str:
        """What the kubelet said in its own words at the end of the answer; empty, nearly always."""
        return self._held[:_SAID_BYTES].decode(errors="replace").strip()

    def take(self, sent: bytes) -> bytes:
        """The new bytes in what was `sent` next. Raises Differs where the answer does not continue what was seen."""
        sent = self._held + sent if self._held else sent
        self._held = b""
        if self._joining:
            sent = self._from_first_line(sent)
        last = sent.rfind(b"\n") + 1
        # Every line begins with a timestamp. Words without one that nothing follows are an error of the kubelet's,
        # which it found when it had begun to answer (pkg/kubelet/server, getContainerLogs).
        if (last or self._at_line_start) and sent[last:] and not sent[last : last + 1].isdigit():
            sent, self._held = sent[:last], sent[last:]
            if len(self._held) > _HELD_BYTES:
                sent, self._held = sent + self._held, b""
        if sent:
            self._at_line_start = sent.endswith(b"\n")
        return self._behind_the_known(sent)

    def _from_first_line(self, sent: bytes) -> bytes:
        """`sent` without the rest of a line that began before the time asked for; its timestamp is left out too."""
        if not _STAMP.match(sent):
            newline = sent.find(b"\n")
            if newline < 0:
                self._held = sent[:_SAID_BYTES]  # not to be known yet, or to be dropped
                return b""
            sent = sent[newline + 1 :]
        self._joining = False
        return sent

    def _behind_the_known(self, sent: bytes) -> bytes:
        if not self._left:
            return sent
        known, new = sent[: self._left], sent[self._left :]
        if len(self._got) < len(self._head):
            self._got += known[: len(self._head) - len(self._got)]
            if not self._head.startswith(self._got):
                raise Differs
        self._checksum = zlib.crc32(known, self._checksum)
        self._left -= len(known)
        if not self._left and self._checksum != self._wanted:
            raise Differs
        return new


class Gap:
    """Leaves out, where a log's beginning is gone, the lines that were seen before it went."""

    def __init__(self, stamp: bytes, tail: bytes) -> None:
        lines = tail.split(b"\n")
        moments = [moment for line in [stamp, *lines] if (moment := _moment(line))]
        self._last = max(moments, default=(0.0, 0))
        self._seen = {line for line in lines if _moment(line) == self._last}
        self._held = b""
        self._is_over = False

    def take(self, new: bytes) -> bytes:
        """What of it was not seen."""
        if self._is_over:
            return new
        *lines, self._held = (self._held + new).split(b"\n")
        for index, line in enumerate(lines):
            if self._is_unseen(line):
                self._is_over = True
                return b"\n".join([*lines[index:], self._held])
        if len(self._held) > _HELD_BYTES and self._is_unseen(self._held):
            self._is_over = True
            return self._held
        self._held = self._held[:_HELD_BYTES]
        return b""

    def _is_unseen(self, line: bytes) -> bool:
        moment = _moment(line)
        return moment is not None and moment >= self._last and line not in self._seen


def _moment(line: bytes) -> tuple[float, int] | None:
    """What the line's timestamp says, in whole seconds and nanoseconds."""
    stamp = _STAMP.match(line)
    if not stamp:
        return None
    seconds = datetime.fromisoformat((stamp[1] + stamp[3]).decode()).timestamp()
    return seconds, int((stamp[2] or b".0")[1:].ljust(9, b"0"))


class Lines:
    """Cuts a log into lines to show, without their timestamps. Of a line of any length little is held."""

    def __init__(self, public: Callable[[str], str]) -> None:
        """`public` strikes secrets, which must happen before a line is cut."""
        self._public = public
        self._rest = b""
        self._dropped = 0

    def take(self, new: bytes) -> list[str]:
        """The lines that end in what comes next."""
        if self._dropped:
            beyond, newline, new = new.partition(b"\n")
            self._hold(beyond)
            return [*self.end(), *self.take(new)] if newline else []
        if self._rest:
            new = self._rest + new
        end = new.rfind(b"\n")
        self._rest = b""
        self._hold(new[end + 1 :])
        return self._shown(new[:end].decode(errors="replace")) if end >= 0 else []

    def _hold(self, more: bytes) -> None:
        overwritten = more.rfind(b"\r", 0, -1)
        if overwritten >= 0 and (self._dropped or len(more) > _HELD_BYTES):
            # A long-lived progress bar: what counts is its last state.
            self._rest, self._dropped, more = b"", 0, more[overwritten:]
        room = _HELD_BYTES - len(self._rest)
        self._rest += more[:room]
        self._dropped += len(more[room:])

    def end(self) -> list[str]:
        """What is there of a line that does not end."""
        rest, dropped = self._rest.decode(errors="replace"), self._dropped
        self._rest, self._dropped = b"", 0
        return self._shown(rest, dropped) if rest else []

    def _shown(self, text: str, dropped: int = 0) -> list[str]:
        lines = _without_stamps(text)
        if "\x1b" in text:
            lines = [_ESCAPES.sub("", line) for line in lines]
        if "\r" in text:
            lines = [_settled(line) for line in lines]
        if dropped or len(max(lines, key=len)) > LINE_LENGTH:
            lines = [self._cut(line, dropped) for line in lines]
        return lines

    def _cut(self, line: str, dropped: int) -> str:
        if len(line) <= LINE_LENGTH and not dropped:
            return line
        line = self._public(line)
        more = len(line[LINE_LENGTH:].encode(errors="replace")) + dropped
        return f"{line[:LINE_LENGTH]}… ({more:,} more bytes are not shown)" if more else line


class Log:
    """One container's log, whole, however often it is cut on the way: ask for `since`, `begin`, `take` what comes.

    Where `take` raises Differs, ask again as long as `differs` finds another place to begin at, else `lose`.
    """

    def __init__(self, public: Callable[[str], str]) -> None:
        self._seen = SeenLog()
        self._lines = Lines(public)
        self._gap: Gap | None = None
        self._failed = 0
        self._joint = Overlap(self._seen.marks[0])

    @property
    def since(self) -> str:
        """The time to ask for."""
        return self._seen.marks[self._failed].since

    @property
    def is_empty(self) -> bool:
        """Whether nothing was seen yet, so that any log joins on."""
        return not self._seen.marks[-1].length

    @property
    def is_joined(self) -> bool:
        """Whether the answer has come to where what was seen ends."""
        return self._joint.is_joined

    @property
    def said(self) -> str:
        """What the kubelet said in its own words at the end of the answer; empty, nearly always."""
        return self._joint.said

    def begin(self) -> None:
        """An answer begins."""
        self._joint = Overlap(self._seen.marks[self._failed])

    def take(self, sent: bytes) -> tuple[list[str], bool]:
        """The lines that end in what was `sent`, and whether anything in it was new."""
        new = self._joint.take(sent)
        if not new:
            return [], False
        self._failed = 0
        self._seen.add(new)
        if self._gap:
            new = self._gap.take(new)
        return self._lines.take(new), True

    def differs(self) -> bool:
        """Whether there is another place to ask for, as this one did not lead on."""
        self._failed += 1
        if self._failed < len(self._seen.marks):
            return True
        self._failed = 0
        return False

    def lose(self) -> list[str]:
        """Go on behind a gap; the line that was cut by it."""
        self._gap = self._seen.lose()
        return self.end()

    def end(self) -> list[str]:
        """The last line, where it does not end."""
        return self._lines.end()


def _without_stamps(text: str) -> list[str]:
    stamp = _SHOWN_STAMP.match(text)
    if stamp:
        # Today's kubelets write all of them in one length, and this takes half the time of splitting and cutting.
        lines: list[str] = re.findall(f"^.{{{stamp.end() - 2}}}{stamp[0][-2:]}(.*)", text, re.MULTILINE)
        if len(lines) == text.count("\n") + 1:
            return lines
    return [_SHOWN_STAMP.sub("", line, count=1) if _SHOWN_STAMP.match(line) else line for line in text.split("\n")]


def _settled(line: str) -> str:
    r"""What a terminal would show in the end: a progress bar overwrites itself after each `\r`."""
    states = [state for state in line.split("\r") if state.strip()]
    return states[-1] if states else ""
