"""Pure: how a pod failed -> the cause, and which container's exit decided.

The reasons looked at are those of kubernetes 1.31 to 1.37: `DisruptionTarget` conditions (pkg/controller/{podgc,
tainteviction}, pkg/scheduler, pkg/registry/core/pod/storage/eviction.go, pkg/kubelet), a pod's own reason
(pkg/kubelet/{eviction,nodeshutdown,lifecycle}), and containerd's reasons for a container's end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import Role
from run_cronjob.diagnosis import pod_creation

if TYPE_CHECKING:
    from run_cronjob.core.models import Problem
    from run_cronjob.core.status import Container, Ended, Job, Pod

_STOPPED = {137, 143}
"""What a container ends with that is stopped together with its pod."""


@dataclass(frozen=True)
class Ending:
    """Why a pod failed. `container` is the one whose log tells most, `exit_code` that of the only one that decided."""

    problem: Problem
    pod: str
    container: str = ""
    exit_code: int | None = None

    @property
    def is_certain_again(self) -> bool:
        """Whether the next attempt will end in the same way."""
        return self.problem.reason is Reason.START_FAILED


def of_pod(job: Job, pod: Pod) -> Ending | None:
    """Why `pod` failed; None where it did not, or does not say."""
    if pod.phase == "Succeeded":
        return None
    if problem := _put_out(job, pod):
        return Ending(problem, pod.name, only(pod))
    failed = [container for container in pod.containers if _end(pod, container)]
    # An init container that fails keeps all others from starting; a sidecar's end decides nothing.
    first = [container for container in failed if container.role is Role.INIT]
    mains = [container for container in failed if container.role is Role.MAIN]
    for container in sorted(first or mains or failed, key=lambda each: _moment(_end(pod, each))):
        found = of_container(job, pod, container)
        if found:
            return found if first or len(mains) == 1 else replace(found, exit_code=None)
    if pod.phase == "Failed" and (pod.reason or pod.message):
        return Ending(pod_creation.disrupted(pod.reason, pod.message), pod.name, only(pod))
    return None


def of_container(job: Job, pod: Pod, container: Container) -> Ending | None:
    """Why `container` failed the last time."""
    end = _end(pod, container)
    if not end:
        return None
    code = end.exit_code or 128 + end.signal
    said = end.message
    if container.is_lost:
        return Ending(pod_creation.node_lost(pod.node, said), pod.name, container.name)
    if end.reason in {"StartError", "ContainerCannotRun"}:
        problem = pod_creation.start_failed(container, said)
    elif end.reason == "OOMKilled":
        problem = pod_creation.oom_killed(container, said)
    elif code in _STOPPED:
        problem = pod_creation.container_killed(job, pod, container, code, said)
    elif container.role is Role.INIT:
        problem = pod_creation.init_container_failed(job, pod, container, code, said)
    else:
        problem = pod_creation.container_failed(job, pod, container, code, said)
    return Ending(problem, pod.name, container.name, code)


def was_stopped(job: Job, pod: Pod) -> bool:
    """Whether `pod` did not fail, but was stopped by the Job's own end."""
    if not pod.leaving or _put_out(job, pod):
        return False
    ends = [end for container in pod.containers if (end := _end(pod, container))]
    return all(end.exit_code in _STOPPED and end.reason != "OOMKilled" for end in ends)


def _end(pod: Pod, container: Container) -> Ended | None:
    """How `container` failed the last time, the Job's own stopping of its pod left aside where it failed before."""
    end = container.ended
    if end and pod.leaving and end.exit_code in _STOPPED and end.reason != "OOMKilled" and _failed(container.before):
        end = container.before
    end = end or container.before
    return end if _failed(end) else None


def _failed(end: Ended | None) -> bool:
    return end is not None and (end.exit_code != 0 or end.signal != 0)


def _moment(end: Ended | None) -> float:
    return end.at.timestamp() if end and end.at else float("inf")


def _put_out(job: Job, pod: Pod) -> Problem | None:
    """What the cluster did to it."""
    disruption = pod.conditions.get("DisruptionTarget")
    by = disruption.reason if disruption and disruption.true else ""
    said = pod.message or (disruption.message if disruption else "")
    if pod.reason == "Evicted":
        return pod_creation.evicted(said)
    if pod.reason == "DeadlineExceeded":
        return pod_creation.deadline_exceeded(job, pod.deadline, said, of_pod=True)
    if pod.reason == "Preempting" or by == "PreemptionByScheduler":
        return pod_creation.preempted(said)
    if pod.reason in {"NodeLost", "NodeShutdown", "Shutdown", "Terminated"} or by in _NODE_GONE:
        return pod_creation.node_lost(pod.node, said)
    if by == "EvictionByEvictionAPI":
        return pod_creation.drained(pod.node, said)
    if by:
        return pod_creation.disrupted(by, said)
    if pod.phase == "Failed" and pod.reason and not pod.has_run:
        return pod_creation.node_refused(pod, said)
    return None


_NODE_GONE = {"DeletionByTaintManager", "DeletionByPodGC"}


def only(pod: Pod) -> str:
    """The container whose log tells, if there is just one."""
    names = [container.name for container in pod.containers if container.role is Role.MAIN]
    return names[0] if len(names) == 1 else ""
