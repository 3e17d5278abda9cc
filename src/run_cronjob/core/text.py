"""Makes untrusted text safe for the log, for Markdown and for a shell. No I/O.

Names, API messages, token claims and annotations are untrusted. In the log they must not become workflow commands, in
the summary no markup, and nowhere may invisible characters change what a reader sees.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Sequence

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt, without the characters of an unprintable
# category. .NET ignores them when it compares strings by culture, so that the runner sees "::" although
# such a character stands in between.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
"""Invisible characters that str.isprintable takes for printable."""

_PLAIN = bytes([*range(0x20, 0x7F), 0x0A])
"""The printable ASCII characters and the line feed. Deleting them is the fastest way to look for any other."""

_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: str) -> str:
    """`text` as one line: runs of whitespace become one space, invisible characters U+FFFD."""
    return "".join(map(_visible, " ".join(text.split())))


def _visible(char: str) -> str:
    hidden = unicodedata.category(char) in _UNPRINTABLE or _INVISIBLE.match(char)
    return "\N{REPLACEMENT CHARACTER}" if hidden else char


def cut(text: str, length: int) -> str:
    """`text` in at most `length` characters; an ellipsis marks a cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def quoted(name: str, *, length: int = 300) -> str:
    """`name` as a Markdown code span, in which nothing is markup. It is used in the log, too.

    Backticks become apostrophes, because one would end the span.
    """
    return f"`{cut(clean(name), length).replace('`', chr(39)) or ' '}`"


def fenced(text: str, language: str = "") -> str:
    """`text` as a Markdown code block that none of its lines can close."""
    lines = [clean_indented(line) for line in text.splitlines()]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])


def clean_indented(line: str) -> str:
    """`clean` for one line whose spaces have a meaning: they stay as they are."""
    line = line.replace("\t", " ")
    if line.isprintable() and not _INVISIBLE.search(line):
        return line  # the usual case: a log may have millions of lines
    return "".join(map(_visible, line))


def inert(line: str) -> str:
    """`line` without a workflow command.

    The runner parses `::name::` at a line's start and `##[name]` anywhere (actions/runner, ActionCommand.cs).
    """
    line = clean_indented(line).replace("##[", "## [")
    return f"| {line}" if line.lstrip().startswith("::") else line


def duration(seconds: int) -> str:
    """`seconds` in the two largest units, such as `1 h 5 min`."""
    hours, minutes = divmod(seconds // 60, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    shown = [f"{amount} {unit}" for amount, unit in parts if amount]
    return " ".join(shown[:2]) or "0 s"


def inert_text(lines: Sequence[str]) -> str:
    """`inert` for many lines, joined by line feeds. It is fast for plain ASCII, which nearly all lines are."""
    text = "\n".join(lines)
    if text.isascii() and not text.encode().translate(None, _PLAIN) and "::" not in text and "#" not in text:
        return text
    return "\n".join(map(inert, lines))


def command_line(command: str, *words: str) -> str:
    """A shell command to copy; each of `words` is quoted as one word."""
    return " ".join([command, *map(shlex.quote, words)])


def kubectl(namespace: str, command: str, *words: str) -> str:
    """A kubectl command line in `namespace`."""
    return f"{command_line('kubectl', '--namespace', namespace)} {command_line(command, *words)}"
