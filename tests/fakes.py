"""Stand-ins for what a unit test does not want to be real: time, and the writer of log, outputs and summary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from run_cronjob.report import publish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from run_cronjob.clients.workflow_commands import Actions
    from run_cronjob.core.models import Outcome


class FakeClock:
    """Time passes only by sleeping, and where a test says so; chance always falls on the same side."""

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
    """Stands in for the writer and remembers."""

    def __init__(self) -> None:
        self.written: dict[str, str] = {}
        self.annotations: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.markdown = ""

    def outputs(self, values: Mapping[str, str]) -> None:
        self.written.update(values)

    def summary(self, markdown: str) -> None:
        self.markdown = markdown

    def line(self, text: str) -> None:
        self.lines.append(text)

    def group(self, title: str, text: str) -> None:
        self.lines += [title, text]

    def notice(self, title: str, _: str) -> None:
        self.annotations.append(("notice", title))

    def error(self, title: str, _: str) -> None:
        self.annotations.append(("error", title))


def published(known: Outcome) -> tuple[int, FakeActions]:
    """The exit status, and all that was written."""
    actions = FakeActions()
    return publish.publish(known, cast("Actions", actions)), actions
