"""Parses a step's log and file commands as the runner does, without I/O.

After actions/runner v2.336: ActionCommand.cs, ActionCommandManager.cs, OutputManager.cs, FileCommandManager.cs,
SecretMasker.cs. A line that .NET's string comparison might recognize counts as a command: tests of the action's safety
must fail when in doubt.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_STOP = "stop-commands"
_DISABLED = frozenset({"set-env", "add-path"})
_DEPRECATED = frozenset({"set-output", "save-state"})
_ISSUES = frozenset({"notice", "warning", "error"})
_GROUPS = frozenset({"group", "endgroup"})
_OTHERS = frozenset({"add-mask", "add-matcher", "remove-matcher", "debug", "echo"})
# The runner registers internal-set-repo-path only while its own checkout plugin runs.
_REGISTERED = _DISABLED | _DEPRECATED | _ISSUES | _GROUPS | _OTHERS | {_STOP}
_NEVER_ECHOED = _ISSUES | {"add-mask", "debug"}

_MASKED = "***"
_SHORTEST_MASKED_TOKEN = 7

# Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties.txt, without those that the category identifies.
_IGNORABLE = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}).union(
    range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0000, 0xE1000)
)


@dataclass(frozen=True)
class Command:
    """A workflow command; its name and the names of its properties are in lower case."""

    name: str
    properties: Mapping[str, str]
    data: str


@dataclass(frozen=True)
class Annotation:
    """An annotation on the run's page; the runner masks the message, but not the title.

    GitHub keeps 10 annotations of a level for each step, and 4,096 characters of a message. Here all are kept.
    """

    level: str
    title: str
    message: str


@dataclass(frozen=True)
class StoppedRegion:
    """The lines during which commands were stopped; `resumed` is False if that lasted to the end of the log."""

    token: str
    lines: tuple[str, ...]
    resumed: bool


@dataclass(frozen=True)
class Interpretation:
    """The effects of a log, and the lines that GitHub shows of it.

    `commands` are those that the runner processed or failed to process; `failed` means that one failed the step.
    """

    shown: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    masks: tuple[str, ...]
    commands: tuple[Command, ...]
    stopped_regions: tuple[StoppedRegion, ...]
    failed: bool


class FileCommandError(Exception):
    """The runner can't parse a file, which fails the step."""


def interpret(*streams: bytes) -> Interpretation:
    """Interpret the log of one step.

    The runner reads stdout and stderr in separate threads that share one state. Here they are read one after another.
    """
    reader = _LogReader()
    for stream in streams:
        for line in lines(stream):
            reader.read(line)
    return reader.finish()


def lines(stream: bytes) -> list[str]:
    r"""Split a stream at \r\n, \n and \r, as .NET's StreamReader.ReadLine does."""
    split = re.split("\r\n|\n|\r", stream.decode("utf-8", "replace"))
    return split if split[-1] else split[:-1]


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace all secrets in `text`; those that overlap or touch are replaced together.

    The runner also masks their base64, JSON and other encodings.
    """
    found = sorted(
        (match.start(), match.start() + len(secret))
        for secret in secrets
        if secret in text
        # The look-ahead finds overlapping occurrences.
        for match in re.finditer(f"(?={re.escape(secret)})", text)
    )
    parts: list[str] = []
    end = -1
    for start, stop in found:
        if start > end:
            parts += [text[max(end, 0) : start], _MASKED]
        end = max(end, stop)
    return "".join(parts) + text[max(end, 0) :]


def key_value_pairs(content: bytes) -> Iterator[tuple[str, str]]:
    """The pairs in a GITHUB_OUTPUT, GITHUB_ENV or GITHUB_STATE file: `NAME=VALUE` or `NAME<<DELIMITER`.

    Yields the pairs before an error, then raises FileCommandError.
    """
    rest = content.decode("utf-8-sig", "replace")
    while rest:
        line, _, rest = rest.partition("\n")
        if not line:
            continue
        name, operator, value = _partition(line)
        if operator == "<<":
            if not name or not value:
                raise FileCommandError(
                    f"Invalid format '{line}'. Name must not be empty and delimiter must not be empty"
                )
            value, rest = _heredoc(rest, value)
        elif not operator:
            raise FileCommandError(f"Invalid format '{line}'")
        elif not name:
            # The runner fails later, when it uses the name.
            raise FileCommandError("Value cannot be null. (Parameter 'name')")
        yield name, value


def _partition(line: str) -> tuple[str, str, str]:
    """Split a line at the first of the two operators."""
    operator = re.search("=|<<", line)
    return (line[: operator.start()], operator[0], line[operator.end() :]) if operator else (line, "", "")


def _heredoc(text: str, delimiter: str) -> tuple[str, str]:
    """The value before the line with the delimiter, and the text after that line."""
    value: list[str] = []
    while text:
        line, newline, text = text.partition("\n")
        if line == delimiter:
            return "\n".join(value), text
        if not newline:
            raise FileCommandError("Invalid value. EOF marker missing new line.")
        value.append(line)
    raise FileCommandError(f"Invalid value. Matching delimiter not found '{delimiter}'")


@dataclass
class _Region:
    token: str
    lines: list[str] = field(default_factory=list)


class _CommandError(Exception):
    """The runner can't execute a command."""


class _LogReader:
    """Holds the runner's state while it reads the log of a step."""

    def __init__(self) -> None:
        self._region: _Region | None = None
        self._echo = False
        self._failed = False
        self._shown: list[str] = []
        self._annotations: list[Annotation] = []
        self._masks: dict[str, None] = {}
        self._commands: list[Command] = []
        self._regions: list[StoppedRegion] = []

    def read(self, line: str) -> None:
        if self._region:
            self._read_stopped(line, self._region)
            return
        command = _parse(line, _REGISTERED)
        if command is None:
            self._show(line)
            return
        self._commands.append(command)
        if self._echo and command.name not in _NEVER_ECHOED:
            self._show(line)
        try:
            self._execute(line, command)
        except _CommandError as error:
            self._failed = True
            shown = command.name if command.name in _NEVER_ECHOED else line
            self._annotate("error", f"Unable to process command '{shown}' successfully.")
            self._annotate("error", str(error))

    def finish(self) -> Interpretation:
        if self._region:
            self._leave(self._region, resumed=False)
        return Interpretation(
            shown=tuple(self._shown),
            annotations=tuple(self._annotations),
            masks=tuple(self._masks),
            commands=tuple(self._commands),
            stopped_regions=tuple(self._regions),
            failed=self._failed,
        )

    def _read_stopped(self, line: str, region: _Region) -> None:
        # A line is one command, in the current syntax if possible: `::error::##[TOKEN]` does not resume.
        command = _parse(line, _REGISTERED | {_key(region.token)})
        self._show(line)
        if command and command.name == _key(region.token):
            self._leave(region, resumed=True)
        else:
            region.lines.append(line)

    def _leave(self, region: _Region, *, resumed: bool) -> None:
        self._regions.append(StoppedRegion(region.token, tuple(region.lines), resumed))
        self._region = None

    def _execute(self, line: str, command: Command) -> None:
        match command.name:
            case "stop-commands":
                self._stop(line, command.data)
            case "add-mask":
                self._add_mask(command.data)
            case "group":
                self._show(f"##[group]{command.data}")
            case "endgroup":
                self._show("##[endgroup]")
            case "echo":
                self._set_echo(command.data)
            case name if name in _ISSUES:
                self._annotate(name, command.data, command.properties.get("title", ""))
            case name if name in _DISABLED:
                raise _CommandError(f"The `{name}` command is disabled. Please upgrade to using Environment Files.")
            case name if name in _DEPRECATED:
                self._annotate("warning", f"The `{name}` command is deprecated and will be disabled soon.")
                if not command.properties.get("name"):
                    raise _CommandError(f"Required field 'name' is missing in ##[{name}] command.")
            case _:
                pass  # debug messages are shown only on demand; problem matchers are not simulated

    def _stop(self, line: str, token: str) -> None:
        if not token or _key(token) in _REGISTERED | {"pause-logging"}:
            raise _CommandError(
                "You cannot use a endToken that is an empty string, the string 'pause-logging', "
                "or another workflow command."
            )
        self._region = _Region(token)
        if len(token) >= _SHORTEST_MASKED_TOKEN:
            self._masks[token] = None
        self._show(line)

    def _add_mask(self, secret: str) -> None:
        if not secret.strip():
            self._annotate("warning", "Can't add secret mask for empty string in ##[add-mask] command.")
            return
        if self._echo:
            self._show(f"::add-mask::{_MASKED}")
        self._masks |= dict.fromkeys([secret, *filter(None, map(str.strip, re.split("[\r\n]", secret)))])

    def _set_echo(self, value: str) -> None:
        switch = value.strip().upper()
        if switch not in {"ON", "OFF"}:
            raise _CommandError(
                f"Invalid echo command value. Possible values can be: 'on', 'off'. Current value is: '{value}'."
            )
        self._echo = switch == "ON"

    def _annotate(self, level: str, message: str, title: str = "") -> None:
        self._annotations.append(Annotation(level, title, mask(message, self._masks)))
        if message:
            self._show(f"##[{level}]{message}")

    def _show(self, text: str) -> None:
        self._shown += mask(text, self._masks).split("\n")


def _key(name: str) -> str:
    """A key that is equal for names that any case-insensitive comparison might consider equal."""
    return name.upper().casefold()


def _parse(line: str, registered: Collection[str]) -> Command | None:
    if ":" not in line and "#" not in line:
        return None
    # .NET's culture-sensitive comparison ignores invisible characters, so the runner may find "::" despite them.
    for text in dict.fromkeys((line, _without_ignorable(line))):
        command = _parse_current(text, registered) or _parse_legacy(text, registered)
        if command:
            return command
    return None


def _without_ignorable(line: str) -> str:
    return "".join(
        char
        for char in line
        if char.isspace() or not (unicodedata.category(char) in {"Cc", "Cf", "Cn"} or ord(char) in _IGNORABLE)
    )


def _parse_current(line: str, registered: Collection[str]) -> Command | None:
    """`::name key=value,key=value::data` at the start of a line."""
    # Python's white space is .NET's plus four control characters.
    line = line.lstrip()
    info, separator, data = line[2:].partition("::")
    if not line.startswith("::") or not separator:
        return None
    name, _, properties = info.partition(" ")
    if _key(name) not in registered:
        return None
    pairs = _properties(properties.strip().split(","), {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"})
    return Command(_key(name), pairs, _unescape(data, {"%0D": "\r", "%0A": "\n", "%25": "%"}))


def _parse_legacy(line: str, registered: Collection[str]) -> Command | None:
    """`##[name key=value;key=value]data` anywhere in a line; only the first `##[` counts."""
    info, separator, data = line.partition("##[")[2].partition("]")
    name, _, properties = info.partition(" ")
    if not separator or _key(name) not in registered:
        return None
    escapes = {"%3B": ";", "%0D": "\r", "%0A": "\n", "%5D": "]", "%25": "%"}
    return Command(_key(name), _properties(properties.split(";"), escapes), _unescape(data, escapes))


def _properties(pairs: Iterable[str], escapes: Mapping[str, str]) -> dict[str, str]:
    properties = {}
    for pair in pairs:
        # .NET's Split, which removes empty entries, drops the equals signs before both parts.
        name, _, value = pair.lstrip("=").partition("=")
        if value := value.lstrip("="):
            properties[_key(name)] = _unescape(value, escapes)
    return properties


def _unescape(text: str, escapes: Mapping[str, str]) -> str:
    for escaped, char in escapes.items():
        text = text.replace(escaped, char)
    return text
