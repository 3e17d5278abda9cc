"""Pure: what one pod is doing, and what keeps it from running, by the stage that it has reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from run_cronjob.core.models import Problem
from run_cronjob.core.status import Container, Event, Job, Pod, Role
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import blocker, image_pull, pod_failure, scheduling, startup
from run_cronjob.diagnosis.blocker import Blocker


def pod_blocker(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> Blocker | None:
    """Find what keeps `pod` from running; `events` are those of the pod."""
    if pod.is_over or pod.terminating:
        return None
    if not _has_node(pod):
        return scheduling.unscheduled(job, pod, events, now)
    for container in pod.containers:
        if container.waiting and (found := _container_blocker(job, pod, container, events, now)):
            return found
    return None if pod.has_run else startup.node_blocker(job, pod, events, now)


def _has_node(pod: Pod) -> bool:
    scheduled = pod.conditions.get("PodScheduled")
    return bool(pod.node) or (scheduled is not None and scheduled.true)


def _container_blocker(
    job: Job, pod: Pod, container: Container, events: Sequence[Event], now: datetime
) -> Blocker | None:
    waited = blocker.waited(_turn(pod, container), now)
    if container.reason in image_pull.REASONS:
        return image_pull.pull_failure(container, events, waited)
    if container.reason == "CrashLoopBackOff":
        return pod_failure.crash_loop(job, pod, container)
    return startup.container_blocker(job, pod, container, waited)


def _turn(pod: Pod, container: Container) -> datetime | None:
    """When the init containers before `container` had ended."""
    others = [each.ended for each in pod.containers if each.role is Role.INIT and each.name != container.name]
    return max((end.at for end in others if end and end.at), default=pod.started or pod.created)


def before_deletion(pod: Pod, events: Iterable[Event]) -> Pod:
    """`pod`, which was deleted before it ran, as it waited until then.

    The kubelet reports containers that never ran as lost (ContainerStatusUnknown). Events alone still say why they
    did not run.
    """
    latest = blocker.latest(event for event in events if event.reason == "Failed")
    said = latest.message if latest else ""
    pulling = said.startswith("Failed to pull image") or said in {"Error: ImagePullBackOff", "Error: ErrImagePull"}
    reason = "ImagePullBackOff" if pulling else "CreateContainerConfigError" if said else ""
    message = "Back-off pulling image" if pulling else said.removeprefix("Error: ")
    containers = tuple(
        replace(each, ended=None, waiting=True, reason=reason, message=message) if each.is_lost else each
        for each in pod.containers
    )
    return replace(pod, phase="Pending", terminating=False, containers=containers)


# --- what it is doing


def doing(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> str:
    """Say what `pod` is doing or waiting for, in a sentence without a full stop; `events` are those of the pod."""
    if not _has_node(pod):
        return _waiting_for_node(job, pod, events, now)
    waits = [container for container in pod.containers if container.waiting]
    for container in waits:
        if container.reason == "CrashLoopBackOff" and (failure := pod_failure.of_container(job, pod, container)):
            return f"{_clause(failure.problem)}; it is started again after a pause"
    if found := pod_blocker(job, pod, events, now):
        return held_up(found)
    running = [container for container in pod.containers if container.running]
    inits = [container for container in pod.containers if container.role is Role.INIT]
    for number, container in enumerate(inits, 1):
        if container.running:
            return f"Init container {number} of {len(inits)} ({quoted(container.name)}) runs{_since(container)}"
    mains = [container for container in running if container.role is Role.MAIN]
    if mains:
        names = "It" if len(pod.containers) == 1 else " and ".join(quoted(each.name) for each in mains[:3])
        return f"{names} {'runs' if len(mains) == 1 else 'run'}{_since(mains[0])}"
    if not waits and pod.has_run:
        return "Its containers have ended; the cluster is working out the result"
    return _being_set_up(pod, events)


def held_up(by: Blocker) -> str:
    """Say what keeps a pod from running, and whether it may pass, without a full stop."""
    after = "that does not pass by itself" if by.lasting else "the cluster tries again"
    return f"{_clause(by.problem)}; {after}"


def _clause(problem: Problem) -> str:
    return problem.what.removesuffix(".")


def _since(container: Container) -> str:
    return f" since {container.running_since:%H:%M:%S} UTC" if container.running_since else ""


def _waiting_for_node(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> str:
    if pod.scheduling_gates:
        return _clause(scheduling.gated(pod))
    if scheduling.is_scaling_up(events, now):
        return "It waits for a new node, which is being started for it"
    found = pod_blocker(job, pod, events, now)
    return held_up(found) if found else "It waits for a node to run on"


def _being_set_up(pod: Pod, events: Sequence[Event]) -> str:
    latest = blocker.latest(event for event in events if event.reason in _STEPS)
    if latest and latest.reason == "Pulling":
        images = [each.image for each in pod.containers if f'"{each.image}"' in latest.message]
        return f"The image {quoted(images[0])} is being pulled to its node" if images else "An image is being pulled"
    if latest and latest.reason == "FailedCreatePodSandBox":
        return "It waits for its network"
    return "Its containers are being set up on their node"


_STEPS = {"Pulling", "Pulled", "Created", "Started", "FailedCreatePodSandBox"}
