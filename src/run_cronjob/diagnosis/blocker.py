"""Pure: a cause that keeps a Job from running, and how long a cause may take to pass.

One module for each stage of a pod's life recognises the causes: pod_creation, scheduling, image_pull, startup.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from run_cronjob.core.models import Problem
from run_cronjob.core.status import Event

GRACE = timedelta(minutes=2)
"""For so long an object may be missing that is just being created: a Secret, a ServiceAccount, an image."""

NODE_GRACE = timedelta(minutes=5)
"""For so long a new node or a disk may take to come: twice the usual time on EC2."""

SETTLING = timedelta(seconds=20)
"""For so long a pod without a node or network is no problem: autoscalers look about every 10 seconds."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

RECREATE = "A Job that still waits keeps the old template: delete it, and run the workflow again."
CONTINUES = "A Job that still waits goes on by itself then; only if the template was changed, delete it and run again."


@dataclass(frozen=True)
class Blocker:
    """A cause that keeps the Job from running; `lasting` if it can't pass by itself."""

    problem: Problem
    lasting: bool


def blocked(problem: Problem, said: str, *, lasting: bool) -> Blocker:
    """`problem` as a Blocker that shows the cluster's text `said`."""
    return Blocker(replace(problem, said=said), lasting)


def latest(events: Iterable[Event]) -> Event | None:
    """The latest event; of those without a time, the last in order."""
    return max(reversed([*events]), key=lambda event: event.at or _LONG_AGO, default=None)


def waited(since: datetime | None, now: datetime) -> timedelta:
    """The time since then; zero if it is not known."""
    return now - since if since else timedelta()
