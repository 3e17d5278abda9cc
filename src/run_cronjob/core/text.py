"""Pure: other people's text, made harmless for a log, for Markdown and for a shell.

Names, API messages, token claims and annotations are written by strangers. In a log they must not become
workflow commands, in a summary not markup, and nowhere may an invisible character disguise what is read.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt below plane 14, but for what has an unprintable
# category anyway.
# .NET compares strings by culture and skips these, so that the runner sees "::" where a reader sees more.
_IGNORABLE = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]
)
_PLANE_14 = range(0xE0000, 0xE1000)
_DISGUISE = re.compile(f"[{''.join(map(chr, sorted(_IGNORABLE)))}\U000e0000-\U000e0fff]")
"""What str.isprintable takes for visible, and isn't."""

_PLAIN = bytes([*range(0x20, 0x7F), 0x0A])
"""What is printable in ASCII, and the line feed: to delete these and look for a rest is the fastest way to ask."""

_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: str) -> str:
    """One line of visible characters; what can't be seen becomes U+FFFD, line ends become spaces."""
    return "".join(map(_visible, " ".join(text.split())))


def _visible(char: str) -> str:
    code = ord(char)
    hidden = unicodedata.category(char) in _UNPRINTABLE or code in _IGNORABLE or code in _PLANE_14
    return _REPLACEMENT if hidden else char


def cut(text: str, length: int) -> str:
    """`text` in at most `length` characters, its loss marked by an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def quoted(name: str, *, length: int = 300) -> str:
    """`name` as a Markdown code span, which reads as well in a log: nothing inside can be markup.

    A backtick would end the span, so it becomes an apostrophe.
    """
    return f"`{cut(clean(name), length).replace('`', chr(39)) or ' '}`"


def fenced(text: str, language: str = "") -> str:
    """`text` as a Markdown code block that no line of it can close."""
    lines = [clean_indented(line) for line in text.splitlines()]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([fence + language, *lines, fence])


def clean_indented(line: str) -> str:
    """`clean`, but spaces stay as they are, for text whose layout means something."""
    line = line.replace("\t", " ")
    if line.isprintable() and not _DISGUISE.search(line):
        return line  # nearly always, and a log has millions of lines
    return "".join(map(_visible, line))


def inert(line: str) -> str:
    """`line` as the runner's command parser finds nothing in it.

    `::name::` counts at a line's start, `##[name]` anywhere (actions/runner, ActionCommand.cs).
    """
    line = clean_indented(line).replace("##[", "## [")
    return f"| {line}" if line.lstrip().startswith("::") else line


def duration(seconds: int) -> str:
    """`seconds` as people say it."""
    hours, minutes = divmod(seconds // 60, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    said = [f"{amount} {unit}" for amount, unit in parts if amount]
    return " ".join(said[:2]) or "0 s"


def inert_text(lines: Sequence[str]) -> str:
    """`inert` for many lines at once, as one text; those of plain ASCII, nearly all there are, cost next to nothing."""
    text = "\n".join(lines)
    if text.isascii() and not text.encode().translate(None, _PLAIN) and "::" not in text and "#" not in text:
        return text
    return "\n".join(map(inert, lines))


def command_line(command: str, *words: str) -> str:
    """A shell command to copy: what others chose is one word each, whatever it holds."""
    return " ".join([command, *map(shlex.quote, words)])


def kubectl(namespace: str, command: str, *words: str) -> str:
    """A kubectl command line in `namespace`."""
    return f"{command_line('kubectl', '--namespace', namespace)} {command_line(command, *words)}"


def redact(text: str, secrets: Collection[str], *, known: Iterable[str] = ()) -> str:
    """`text` without any of `secrets`, however an API may have quoted them.

    Go and JSON escape what they quote, and validation messages repeat single lines of a value. A value of
    one to three characters is struck only where it stands alone: "1" occurs inside every other number.
    Values that are part of a `known` public name are no secrets.
    """
    public = tuple(known)
    forms = {form for secret in secrets for form in _spellings(secret)}
    for form in sorted(forms, key=len, reverse=True):
        if any(form in name for name in public):
            continue
        pattern = re.escape(form)
        if len(form) < _SHORT:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, "***", text)
    return text


_SHORT = 4


def _spellings(secret: str) -> set[str]:
    parts = {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}
    escaped = {json.dumps(part, ensure_ascii=ascii_only)[1:-1] for part in parts for ascii_only in (True, False)}
    return {form for form in parts | escaped | {_as_go(form) for form in escaped} if form.strip()}


def _as_go(escaped: str) -> str:
    """Go's encoding/json escapes what might be HTML, too."""
    return escaped.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
