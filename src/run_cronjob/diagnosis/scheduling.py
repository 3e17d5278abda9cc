"""Pure: explains why no node takes a pod: the scheduler's message, autoscalers, volume claims, scheduling gates.

The scheduler's message is "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption:
..." (kubernetes pkg/scheduler/framework/types.go, FitError); its parts come from the scheduler's plugins. 1.33 names
the taint, 1.37 does not. A reason without a number holds for all nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from run_cronjob.core.models import Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import Event, Job, Pod, Role
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import blocker
from run_cronjob.diagnosis.blocker import CONTINUES, GRACE, NODE_GRACE, RECREATE, SETTLING, Blocker, blocked


def unscheduled(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> Blocker | None:
    """Why `pod` has no node; `events` are those of the pod."""
    scheduled = pod.conditions.get("PodScheduled")
    if pod.scheduling_gates or (scheduled and scheduled.reason == "SchedulingGated"):
        return Blocker(gated(pod), lasting=False)
    said = _scheduler_text(pod, events)
    waited = blocker.waited(pod.created, now)
    if not said or waited < SETTLING or is_scaling_up(events, now):
        return None
    message = parse(said, _requests(pod), pod.node_selector)
    if message.missing_claim:
        return blocked(volume_claim_missing(job, message.missing_claim), said, lasting=waited >= GRACE)
    if message.is_about_volumes:
        return blocked(_volume_unavailable(job, message), said, lasting=waited >= NODE_GRACE)
    declined = blocker.latest(event for event in events if _is_declined(event))
    # The autoscaler's refusal may pass where a limit is reached, or where it pauses after a failure.
    passing = declined and re.search(r"max .*reached|in backoff|exceed limits|not been processed", declined.message)
    hopeless = declined is not None and not passing and waited >= GRACE
    return blocked(
        _unschedulable(job, pod, message, declined=declined is not None),
        f"{said}\n{declined.message}" if declined else said,
        lasting=hopeless or (message.needs_change and waited >= NODE_GRACE),
    )


def _scheduler_text(pod: Pod, events: Iterable[Event]) -> str:
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled and scheduled.message:
        return scheduled.message
    latest = blocker.latest(event for event in events if event.reason == "FailedScheduling" and not _is_declined(event))
    return latest.message if latest else ""


def _requests(pod: Pod) -> dict[str, list[str]]:
    """The amounts that the containers request, by resource."""
    requests: dict[str, list[str]] = {}
    for container in pod.containers:
        if container.role is not Role.INIT:
            for resource, amount in container.requests.items():
                requests.setdefault(resource, []).append(amount)
    return requests


def _unschedulable(job: Job, pod: Pod, message: SchedulerMessage, *, declined: bool) -> Problem:
    scaling = " The cluster's autoscaler says that it can't add a node for it." if declined else ""
    reasons = f": {message.words}" if message.reasons else ""
    return Problem(
        reason=Reason.UNSCHEDULABLE,
        what=f"No node of the cluster can take the Job's pod{reasons}.",
        why="A node must have enough free cpu and memory, be open for this work, and fit what the template asks for."
        + scaling,
        first="Is what the CronJob's template asks for right: `resources`, `nodeSelector`, `affinity`, `tolerations`? "
        f"Correct it if not. {RECREATE}"
        + ("" if message.needs_change else " Otherwise wait: it starts once a node is free."),
        fix="Add nodes that fit, or let those there are take this work. This shows what is known, and what sets the "
        "nodes apart:",
        paste="\n".join([kubectl(job.namespace, "describe pod", pod.name), _NODES]),
    )


_NODES = (
    "kubectl get nodes --output custom-columns="
    "NAME:.metadata.name,CPU:.status.allocatable.cpu,MEMORY:.status.allocatable.memory,TAINTS:.spec.taints"
)


def volume_claim_missing(job: Job, claim: str) -> Problem:
    """A PersistentVolumeClaim that the pod names does not exist."""
    return developer_problem(
        reason=Reason.VOLUME_CLAIM_MISSING,
        what=f"The Job's pod can't start: there is no PersistentVolumeClaim {quoted(claim)} in "
        f"{quoted(job.namespace)}.",
        why="The CronJob's template mounts it.",
        fix=f"Create it, or correct the name in the template. {CONTINUES} This lists those there are:",
        paste=kubectl(job.namespace, "get persistentvolumeclaims"),
    )


def _volume_unavailable(job: Job, message: SchedulerMessage) -> Problem:
    return Problem(
        reason=Reason.VOLUME_FAILED,
        what=f"The Job's pod can't start for want of its volume: {message.words}.",
        why="A volume must exist, and be reachable from the node that the pod runs on.",
        fix="Look at the claim that the CronJob's template mounts: its events tell why it has no volume, or where it "
        "is:",
        paste=kubectl(job.namespace, "describe persistentvolumeclaims"),
    )


def gated(pod: Pod) -> Problem:
    """Scheduling gates hold the pod back."""
    gates = ", ".join(map(quoted, pod.scheduling_gates)) or "a scheduling gate"
    return Problem(
        reason=Reason.SCHEDULING_GATED,
        what=f"The Job's pod is held back on purpose, by {gates}.",
        why="A scheduling gate keeps a pod from starting until the part of the cluster that set it takes it away: a "
        "queueing system, mostly.",
        fix="Wait. If nothing happens, ask whoever runs what set the gate; its name tells which that is.",
    )


# --- autoscalers: cluster-autoscaler, Karpenter, EKS Auto Mode


def is_scaling_up(events: Iterable[Event], now: datetime) -> bool:
    """Whether an autoscaler announced a new node less than two node start-ups ago."""
    announced = blocker.latest(event for event in events if event.reason in {"TriggeredScaleUp", "Nominated"})
    return announced is not None and blocker.waited(announced.at, now) < 2 * NODE_GRACE


def _is_declined(event: Event) -> bool:
    """Whether an autoscaler says that it can't add a node; Karpenter's event has the scheduler's reason."""
    return event.reason == "NotTriggerScaleUp" or (
        event.reason == "FailedScheduling"
        and (event.message.startswith("Failed to schedule pod") or "karpenter" in event.component)
    )


# --- the scheduler's message


class ResolvedBy(Enum):
    """The change that lets a node take the pod."""

    WAITING = auto()  # other pods end, or nodes of the same kind are added
    OTHER_NODES = auto()  # nodes of another kind, or another template: no pod that ends helps
    VOLUME = auto()  # a change of the pod's volumes


@dataclass(frozen=True)
class UnfitReason:
    """Why some of the nodes don't fit the pod."""

    words: str
    resolved_by: ResolvedBy
    nodes: int | None = None  # the number of nodes; None if the reason holds for all


@dataclass(frozen=True)
class SchedulerMessage:
    """The parts of the scheduler's message."""

    reasons: tuple[UnfitReason, ...]
    missing_claim: str = ""  # a PersistentVolumeClaim that does not exist

    @property
    def is_about_volumes(self) -> bool:
        """Whether volumes alone keep the pod from a node."""
        return bool(self.reasons) and all(each.resolved_by is ResolvedBy.VOLUME for each in self.reasons)

    @property
    def needs_change(self) -> bool:
        """Whether none of the nodes will ever take the pod, however long it waits."""
        return bool(self.reasons) and all(each.resolved_by is not ResolvedBy.WAITING for each in self.reasons)

    @property
    def words(self) -> str:
        """All reasons, for the middle of a sentence."""
        return "; ".join(
            each.words if each.nodes is None else f"{each.nodes} node{'' if each.nodes == 1 else 's'}: {each.words}"
            for each in self.reasons
        )


def parse(message: str, requests: Mapping[str, Sequence[str]], selector: Mapping[str, str]) -> SchedulerMessage:
    """Parse `message`; the pod's requests (amounts by resource) and nodeSelector complete its reasons."""
    text = message.strip()
    claim = re.search(r'persistentvolumeclaim "([^"]{1,253})" not found', text)
    head = re.match(r"0/(\d+) nodes are available:\s*", text)
    body = text[head.end() :] if head else text
    # The rest says what preemption would change, which is of no use to the reader.
    body = re.split(r"(?:\bno new claims to deallocate, )?\bpreemption: ", body)[0].strip().rstrip(".,")
    if not body:
        return SchedulerMessage(())
    parts = re.split(r", (?=\d+ )", body)
    return SchedulerMessage(tuple(_reason(part, requests, selector) for part in parts), claim[1] if claim else "")


def _reason(part: str, requests: Mapping[str, Sequence[str]], selector: Mapping[str, str]) -> UnfitReason:
    number = re.match(r"(\d{1,9}) ", part)
    words, resolved_by = _in_words(part[number.end() :] if number else part, requests, selector)
    return UnfitReason(words, resolved_by, int(number[1]) if number else None)


def _in_words(
    reason: str, requests: Mapping[str, Sequence[str]], selector: Mapping[str, str]
) -> tuple[str, ResolvedBy]:
    if found := re.fullmatch(r"Insufficient (\S+)", reason):
        asked = requests.get(found[1]) or ()
        wanted = f" (it asks for {' + '.join(map(quoted, asked))})" if asked else ""
        return f"not enough free {quoted(found[1])}{wanted}", ResolvedBy.WAITING
    if found := re.fullmatch(r"node\(s\) had untolerated taint \{([^:}]+): ?([^}]*)\}", reason):
        return _taint(found[1], found[2])
    if reason == "node(s) didn't match Pod's node affinity/selector":
        labels = ", ".join(quoted(f"{key}={value}") for key, value in selector.items())
        wanted = f"`nodeSelector` {labels}" if labels else "`nodeSelector` or `affinity`"
        return f"not of the kind that the template asks for ({wanted})", ResolvedBy.OTHER_NODES
    for pattern, words, resolved_by in _REASONS:
        if re.search(pattern, reason):
            return words, resolved_by
    return quoted(reason, length=200), ResolvedBy.WAITING


def _taint(key: str, value: str) -> tuple[str, ResolvedBy]:
    for part, words in _TEMPORARY_TAINTS.items():
        if part in key:
            return words, ResolvedBy.WAITING
    taint = quoted(f"{key}={value}" if value else key)
    return f"reserved for other work by the taint {taint}", ResolvedBy.OTHER_NODES


_TEMPORARY_TAINTS = {
    "node.kubernetes.io/unschedulable": "closed to new work",
    "node.kubernetes.io/not-ready": "not ready",
    "node.kubernetes.io/unreachable": "not reachable",
    "node.kubernetes.io/disk-pressure": "short of disk space",
    "node.kubernetes.io/memory-pressure": "short of memory",
    "node.kubernetes.io/pid-pressure": "short of process numbers",
    "node.kubernetes.io/network-unavailable": "without a network yet",
    "node.cloudprovider.kubernetes.io/uninitialized": "just being set up",
    "karpenter.sh/unregistered": "just being set up",
    "karpenter.sh/disrupted": "about to be removed",
    "ToBeDeletedByClusterAutoscaler": "about to be removed",
}
"""Taints that the cluster itself sets and removes."""

_REASONS = (
    (r"^Too many pods", "as many pods there as the node takes", ResolvedBy.WAITING),
    (
        r"untolerated taint",
        "reserved for other work (tainted), closed to new work, or not ready",
        ResolvedBy.OTHER_NODES,
    ),
    (r"^node\(s\) were unschedulable", "closed to new work", ResolvedBy.WAITING),
    (r"pod topology spread constraints", "at odds with `topologySpreadConstraints`", ResolvedBy.WAITING),
    (r"pods? anti-affinity", "pods there that it must keep away from (anti-affinity)", ResolvedBy.WAITING),
    (r"pod affinity rules", "none of the pods there that it must run beside (`podAffinity`)", ResolvedBy.WAITING),
    (r"free ports", "the port it asks for (`hostPort`) is taken", ResolvedBy.WAITING),
    (r"requested node name", "not the node that the template names", ResolvedBy.OTHER_NODES),
    (r'persistentvolumeclaim "[^"]*" not found', "its volume claim does not exist", ResolvedBy.VOLUME),
    (r"unbound immediate PersistentVolumeClaims", "its volume is not provided yet", ResolvedBy.VOLUME),
    (r"available persistent volumes to bind", "no volume fits its claim", ResolvedBy.VOLUME),
    (r"PersistentVolume's node affinity|volume node affinity", "its volume is in another zone", ResolvedBy.VOLUME),
    (r"no available volume zone", "its volume is in another zone", ResolvedBy.VOLUME),
    (r"max volume count", "as many volumes there as the node takes", ResolvedBy.WAITING),
    (r"ReadWriteOncePod|no available disk", "its volume is in use by another pod", ResolvedBy.WAITING),
    (r"non-existent (?:pv|persistentvolume)", "its volume claim points to a volume that is gone", ResolvedBy.VOLUME),
    (r"persistentvolumeclaim .* is being deleted", "its volume claim is being deleted", ResolvedBy.VOLUME),
    (r"enough free storage", "not enough free storage for its volume", ResolvedBy.VOLUME),
    (r"^no nodes available", "there are no nodes", ResolvedBy.WAITING),
)
