"""Pure: what the scheduler and the autoscalers say of a pod that has no node, in plain words.

The scheduler's text is "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption:
..." (kubernetes pkg/scheduler/framework/types.go, FitError), its parts come from the plugins beside it. 1.33
names the taint, 1.37 does not. A reason without a number stands for all nodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from run_cronjob.core.text import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Cure(Enum):
    """What would make room."""

    TIME = auto()
    """Other pods ending, or more nodes of the same kind."""
    OTHER_NODES = auto()
    """Nodes of another kind, or another template: no pod that ends helps."""
    VOLUME = auto()
    """Something about its volumes."""


@dataclass(frozen=True)
class Refusal:
    """Why some of the nodes don't take the pod."""

    words: str
    cure: Cure
    nodes: int | None = None
    """How many; None where it holds for all."""


@dataclass(frozen=True)
class SchedulerMessage:
    """The scheduler's message, taken apart."""

    refusals: tuple[Refusal, ...]
    missing_claim: str = ""
    """A PersistentVolumeClaim that does not exist."""

    @property
    def is_about_volumes(self) -> bool:
        """Whether volumes alone keep it from a node."""
        return bool(self.refusals) and all(each.cure is Cure.VOLUME for each in self.refusals)

    @property
    def needs_change(self) -> bool:
        """Whether no node there is would ever take it, however long one waits."""
        return bool(self.refusals) and all(each.cure is not Cure.TIME for each in self.refusals)

    @property
    def words(self) -> str:
        """All of it, for the middle of a sentence."""
        return "; ".join(each.words if each.nodes is None else _counted(each) for each in self.refusals)


def read(message: str, requests: Mapping[str, Sequence[str]], selector: Mapping[str, str]) -> SchedulerMessage:
    """`message` taken apart, with what the pod asks for: amounts by resource, and its nodeSelector."""
    text = message.strip()
    claim = re.search(r'persistentvolumeclaim "([^"]{1,253})" not found', text)
    head = re.match(r"0/(\d+) nodes are available:\s*", text)
    body = text[head.end() :] if head else text
    # What preemption would change is of no use to whoever reads this.
    body = re.split(r"(?:\bno new claims to deallocate, )?\bpreemption: ", body)[0].strip().rstrip(".,")
    if not body:
        return SchedulerMessage(())
    parts = re.split(r", (?=\d+ )", body)
    return SchedulerMessage(tuple(_refusal(part, requests, selector) for part in parts), claim[1] if claim else "")


def _counted(refusal: Refusal) -> str:
    return f"{refusal.nodes} {'node' if refusal.nodes == 1 else 'nodes'}: {refusal.words}"


def _refusal(part: str, requests: Mapping[str, Sequence[str]], selector: Mapping[str, str]) -> Refusal:
    number = re.match(r"(\d{1,9}) ", part)
    nodes = int(number[1]) if number else None
    reason = part[number.end() :] if number else part
    words, cure = _known(reason, requests, selector)
    return Refusal(words, cure, nodes)


def _known(reason: str, requests: Mapping[str, Sequence[str]], selector: Mapping[str, str]) -> tuple[str, Cure]:
    if found := re.fullmatch(r"Insufficient (\S+)", reason):
        asked = requests.get(found[1]) or ()
        wanted = f" (it asks for {' + '.join(map(quoted, asked))})" if asked else ""
        return f"not enough free {quoted(found[1])}{wanted}", Cure.TIME
    if found := re.fullmatch(r"node\(s\) had untolerated taint \{([^:}]+): ?([^}]*)\}", reason):
        return _taint(found[1], found[2])
    if reason == "node(s) didn't match Pod's node affinity/selector":
        labels = ", ".join(quoted(f"{key}={value}") for key, value in selector.items())
        wanted = f"`nodeSelector` {labels}" if labels else "`nodeSelector` or `affinity`"
        return f"not of the kind that the template asks for ({wanted})", Cure.OTHER_NODES
    for pattern, words, cure in _REASONS:
        if re.search(pattern, reason):
            return words, cure
    return quoted(reason, length=200), Cure.TIME


def _taint(key: str, value: str) -> tuple[str, Cure]:
    for sign, words in _PASSING_TAINTS.items():
        if sign in key:
            return words, Cure.TIME
    taint = quoted(f"{key}={value}" if value else key)
    return f"reserved for other work by the taint {taint}", Cure.OTHER_NODES


_PASSING_TAINTS = {
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
"""Taints that the cluster itself sets and takes away."""

_REASONS = (
    (r"^Too many pods", "as many pods there as the node takes", Cure.TIME),
    (r"untolerated taint", "reserved for other work (tainted), closed to new work, or not ready", Cure.OTHER_NODES),
    (r"^node\(s\) were unschedulable", "closed to new work", Cure.TIME),
    (r"pod topology spread constraints", "at odds with `topologySpreadConstraints`", Cure.TIME),
    (r"pod anti-affinity|pods anti-affinity", "pods there that it must keep away from (anti-affinity)", Cure.TIME),
    (r"pod affinity rules", "none of the pods there that it must run beside (`podAffinity`)", Cure.TIME),
    (r"free ports", "the port it asks for (`hostPort`) is taken", Cure.TIME),
    (r"requested node name", "not the node that the template names", Cure.OTHER_NODES),
    (r'persistentvolumeclaim "[^"]*" not found', "its volume claim does not exist", Cure.VOLUME),
    (r"unbound immediate PersistentVolumeClaims", "its volume is not provided yet", Cure.VOLUME),
    (r"available persistent volumes to bind", "no volume fits its claim", Cure.VOLUME),
    (r"PersistentVolume's node affinity|volume node affinity", "its volume is in another zone", Cure.VOLUME),
    (r"no available volume zone", "its volume is in another zone", Cure.VOLUME),
    (r"max volume count", "as many volumes there as the node takes", Cure.TIME),
    (r"ReadWriteOncePod|no available disk", "its volume is in use by another pod", Cure.TIME),
    (r"non-existent (?:pv|persistentvolume)", "its volume claim points to a volume that is gone", Cure.VOLUME),
    (r"persistentvolumeclaim .* is being deleted", "its volume claim is being deleted", Cure.VOLUME),
    (r"enough free storage", "not enough free storage for its volume", Cure.VOLUME),
    (r"^no nodes available", "there are no nodes", Cure.TIME),
)


def autoscaler_helps(reason: str) -> bool:
    """Whether an autoscaler says by this event that it makes room (cluster-autoscaler, Karpenter, EKS Auto Mode)."""
    return reason in {"TriggeredScaleUp", "Nominated"}


def autoscaler_declines(reason: str, message: str, component: str) -> bool:
    """Whether an autoscaler says that it can't help; Karpenter's event has the same reason as the scheduler's."""
    return reason == "NotTriggerScaleUp" or (
        reason == "FailedScheduling" and (message.startswith("Failed to schedule pod") or "karpenter" in component)
    )


def may_help_later(message: str) -> bool:
    """Whether what an autoscaler declines with passes: its limits are reached, or it pauses after a failure."""
    return bool(re.search(r"max .*reached|in backoff|exceed limits|not been processed", message))
