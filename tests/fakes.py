"""Fakes for unit tests, one for each service: the clock, and the writer of log, outputs and summary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from run_cronjob.report import publish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from run_cronjob.clients.workflow_commands import Actions
    from run_cronjob.core.models import Outcome


class FakeClock:
    """A clock that advances only by `sleep` or by a test; `random` always returns `chance`."""

    def __init__(self, chance: float = 0.5) -> None:
        self.elapsed = 0.0
        self.chance = chance
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds

    def random(self) -> float:
        return self.chance


class FakeActions:
    """A fake of Actions that remembers what is written."""

    def __init__(self) -> None:
        self.written: dict[str, str] = {}
        self.annotations: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.output: list[str] = []
        """Those of the lines that a container printed."""
        self.markdown = ""

    def outputs(self, values: Mapping[str, str]) -> None:
        self.written.update(values)

    def summary(self, markdown: str) -> None:
        self.markdown = markdown

    def line(self, text: str) -> None:
        self.lines.append(text)

    def redact(self, text: str) -> str:
        return text

    def container_lines(self, lines: Sequence[str], prefix: str = "") -> None:
        shown = [prefix + line for line in lines]
        self.output += shown
        self.lines += shown

    def group(self, title: str, text: str) -> None:
        self.lines += [title, text]

    def annotate(self, level: str, title: str, _: str) -> None:
        self.annotations.append((level, title))


def published(known: Outcome) -> tuple[int, FakeActions]:
    """The exit status, and all that was written."""
    actions = FakeActions()
    return publish.publish(known, cast("Actions", actions)), actions
