"""Pure: what is known of a Job at one moment: the Job, its pods and its events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from run_cronjob.core.models import Problem
from run_cronjob.core.redactor import redact
from run_cronjob.core.status import Event, Job, Pod
from run_cronjob.core.text import clean

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class View:
    """The Job, its pods and its events as they are known now.

    `pods` holds each pod as it was seen last, deleted ones included: at a deadline the cluster deletes the pods, and
    nothing else says why the Job failed. `events` are those of the Job and its pods, in any order.
    """

    job: Job = field(repr=False)
    pods: tuple[Pod, ...] = field(repr=False, default=())
    events: tuple[Event, ...] = field(repr=False, default=())
    env_values: frozenset[str] = field(repr=False, default=frozenset())
    """The values of the template's environment variables, to be redacted."""

    def __post_init__(self) -> None:
        """Sort the pods, oldest first."""
        pods = sorted(self.pods, key=lambda pod: (pod.created or _LONG_AGO, pod.name))
        object.__setattr__(self, "pods", tuple(pods))

    def about(self, pod: Pod) -> tuple[Event, ...]:
        """The events of `pod`."""
        return tuple(event for event in self.events if event.kind == "Pod" and event.name == pod.name)

    @property
    def alive(self) -> tuple[Pod, ...]:
        """The pods that have not ended and are not being deleted."""
        return tuple(pod for pod in self.pods if not pod.is_over and not pod.terminating)

    @property
    def failed_attempts(self) -> int:
        """The number of failed attempts: by the Job's own count, which may lag, or by the pods."""
        return max(self.job.failed, sum(pod.phase == "Failed" for pod in self.pods))

    def redacted(self, problem: Problem) -> Problem:
        """`problem` without env values that the cluster may have quoted, each line of its text cleaned."""
        lines = [clean(line) for line in problem.said.splitlines() if line.strip()]
        known = (self.job.name, self.job.namespace)
        return replace(problem, said=redact("\n".join(lines), self.env_values, known=known))


def ended_at(pod: Pod) -> datetime:
    """When `pod` ended, to sort by."""
    return pod.ended_at or _LONG_AGO
