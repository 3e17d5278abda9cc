"""Pure: what keeps a Job's pod from being created, or from running -> the cause, and whether it can pass by itself.

The texts looked at are those of kubernetes 1.31 to 1.37 and of containerd: pkg/controller/controller_utils.go
(FailedCreate, "Error creating: ..."), plugin/pkg/admission, apiserver/pkg/admission (quota, webhooks, policies),
pod-security-admission, pkg/kubelet/{images,kuberuntime,volumemanager} and pkg/volume. What is not among them gets a
general answer with the cluster's own words.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import yaml

from run_cronjob.core.status import Role
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import failures, pod_creation, scheduling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from run_cronjob.core.models import Problem
    from run_cronjob.core.status import Container, Event, Job, Pod

GRACE = timedelta(minutes=2)
"""So long may be missing what others are just making: a Secret, a ServiceAccount, an image that is being pushed."""

NODE_GRACE = timedelta(minutes=5)
"""So long may a new node, or a disk, take to come: twice what they usually need on EC2."""

SETTLING = timedelta(seconds=20)
"""So long nothing is said of a pod without a node or network: the autoscalers look about every 10 seconds."""

_TRIES = 3
"""After so many pulls (about 30 s, with the kubelet's pauses) an image that is missing counts as missing."""

_CRASHES = 3
"""After so many restarts a sidecar that does not come up counts as broken."""


@dataclass(frozen=True)
class Trouble:
    """A cause that keeps the Job from running; `lasting` where it can't pass by itself."""

    problem: Problem
    lasting: bool


# --- before there is a pod ----------------------------------------------------------------------------------


def of_creation(job: Job, pods: Sequence[Pod], events: Iterable[Event], now: datetime) -> Trouble | None:
    """Why the cluster refuses to create the Job's pod, unless it has done so since."""
    latest = last(event for event in events if event.kind == "Job" and event.reason in _REFUSED)
    if not latest:
        return None
    made = max((pod.created for pod in pods if pod.created), default=None)
    if pods and (made is None or latest.at is None or made >= latest.at):
        return None
    return _refusal(job, latest.message, waited=_waited(job.started or job.created, now))


_REFUSED = {"FailedCreate", "FailedWorkloadCompilation", "FailedWorkloadCreate"}


def _refusal(job: Job, said: str, waited: timedelta) -> Trouble:
    is_patient = waited < GRACE
    if found := re.search(r"exceeded quota: (\S+), requested: (.*?), used: (.*?), limited: (.*)", said):
        asks, never = _quota(found[2], found[3], found[4])
        return Trouble(pod_creation.quota_exceeded(job, said, found[1], asks, never_fits=never), lasting=never)
    if found := re.search(r"failed quota: (\S+): must specify (.*)", said):
        resources = ", ".join(dict.fromkeys(re.findall(r"([\w./-]+) for: ", found[2]))) or found[2]
        return Trouble(pod_creation.quota_wants_amounts(job, said, found[1], resources), lasting=True)
    if found := re.search(r'violates PodSecurity "([^":]+)', said):
        return Trouble(pod_creation.pod_security_refused(job, said, found[1], _secure_settings(said)), lasting=True)
    if found := re.search(r"(?:(?:minimum|maximum) \S+ usage|\S+ max limit to request ratio) per \w+ is [^\],]+", said):
        return Trouble(pod_creation.outside_limit_range(job, said, quoted(found[0])), lasting=True)
    if found := re.search(r"error looking up service account [^\s/]+/([^\s:]+)", said):
        return Trouble(pod_creation.service_account_missing(job, said, found[1]), lasting=not is_patient)
    if found := re.search(r"no PriorityClass with name (\S+) was found", said):
        return Trouble(pod_creation.priority_class_missing(said, found[1]), lasting=not is_patient)
    if found := re.search(r'RuntimeClass "([^"]+)" not found', said):
        return Trouble(pod_creation.runtime_class_missing(said, found[1]), lasting=not is_patient)
    if found := re.search(r'failed calling webhook "([^"]+)"', said):
        return Trouble(pod_creation.pod_webhook_failed(said, found[1]), lasting=False)
    if found := re.search(r"""(?:webhook|[Pp]olicy) ['"]([^'"]+)['"].* denied (?:the )?request""", said):
        return Trouble(pod_creation.pod_denied(said, found[1]), lasting=True)
    return Trouble(pod_creation.pod_not_created(said), lasting="is forbidden:" in said or "is invalid:" in said)


def _quota(requested: str, used: str, limited: str) -> tuple[str, bool]:
    """What is asked for, in words, and whether it is more than the quota allows in all."""
    asked, taken, allowed = map(_amounts, (requested, used, limited))
    parts = [
        f"{quoted(name)}: it asks for {quoted(amount)}, {quoted(taken[name])} of {quoted(allowed[name])} are used"
        for name, amount in asked.items()
        if name in taken and name in allowed
    ]
    never = any(_number(amount) > _number(allowed.get(name, ""), math.inf) for name, amount in asked.items())
    return (f" ({'; '.join(parts)})" if parts else ""), never


def _amounts(listed: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in listed.strip().split(","))
    return {name: amount for name, _, amount in pairs if name and amount}


def _number(amount: str, unreadable: float = -math.inf) -> float:
    """A Kubernetes quantity: 100m, 1.5, 2Gi, 1e3."""
    found = re.fullmatch(r"([+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)([numkMGTPE]?|[KMGTPE]i)", amount)
    return float(found[1]) * _UNITS[found[2]] if found else unreadable


_UNITS = (
    {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3}
    | {unit: 1000.0**power for power, unit in enumerate("kMGTPE", 1)}
    | {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)}
)


def _secure_settings(said: str) -> str:
    """What the restricted level wants, as far as the message speaks of it and one answer fits all."""
    of_pod: dict[str, object] = {}
    of_container: dict[str, object] = {}
    if "runAsNonRoot" in said:
        of_pod["runAsNonRoot"] = True
    if "seccompProfile" in said:
        of_pod["seccompProfile"] = {"type": "RuntimeDefault"}
    if "allowPrivilegeEscalation" in said:
        of_container["allowPrivilegeEscalation"] = False
    if "unrestricted capabilities" in said:
        of_container["capabilities"] = {"drop": ["ALL"]}
    parts = []
    if of_pod:
        parts.append("# in spec.jobTemplate.spec.template.spec:\n" + _yaml({"securityContext": of_pod}))
    if of_container:
        parts.append("# in each of its containers:\n" + _yaml({"securityContext": of_container}))
    return "\n".join(parts)


def _yaml(settings: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(settings), sort_keys=False).strip()


# --- a pod that does not run --------------------------------------------------------------------------------


def of_pod(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> Trouble | None:
    """What keeps `pod` from running; `events` are its own."""
    if pod.is_over or pod.leaving:
        return None
    if not pod.node and _unplaced(pod):
        return _without_node(job, pod, events, now)
    for container in pod.containers:
        if container.waiting and (found := _waiting(job, pod, container, events, now)):
            return found
    if pod.has_run:
        return None
    return _surroundings(job, pod, events, now)


def as_it_waited(pod: Pod, events: Iterable[Event]) -> Pod:
    """`pod`, which was deleted before it ran, as it was until then.

    Its node says of containers that never ran that they are lost; why they did not run, events alone still tell.
    """
    noted = last(event for event in events if event.reason == "Failed")
    said = noted.message if noted else ""
    pulling = said.startswith("Failed to pull image") or said in {"Error: ImagePullBackOff", "Error: ErrImagePull"}
    reason = "ImagePullBackOff" if pulling else "CreateContainerConfigError" if said else ""
    message = "Back-off pulling image" if pulling else said.removeprefix("Error: ")
    containers = tuple(
        replace(each, ended=None, waiting=True, reason=reason, message=message) if each.is_lost else each
        for each in pod.containers
    )
    return replace(pod, phase="Pending", leaving=False, containers=containers)


def _unplaced(pod: Pod) -> bool:
    placed = pod.conditions.get("PodScheduled")
    return placed is None or not placed.true


def _without_node(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> Trouble | None:
    placed = pod.conditions.get("PodScheduled")
    if pod.gates or (placed and placed.reason == "SchedulingGated"):
        return Trouble(pod_creation.scheduling_gated(pod), lasting=False)
    said = _refused_by_scheduler(pod, events)
    waited = _waited(pod.created, now)
    if not said or waited < SETTLING or being_helped(events, now):
        return None
    verdict = scheduling.read(said, _asked_for(pod), pod.selector)
    if verdict.missing_claim:
        return Trouble(pod_creation.volume_claim_missing(job, said, verdict.missing_claim), lasting=waited >= GRACE)
    if verdict.is_about_volumes:
        return Trouble(pod_creation.volume_unavailable(job, verdict, said), lasting=waited >= NODE_GRACE)
    declined = last(event for event in events if _declines(event))
    hopeless = declined is not None and not scheduling.may_help_later(declined.message) and waited >= GRACE
    return Trouble(
        pod_creation.unschedulable(
            job, pod, verdict, f"{said}\n{declined.message}" if declined else said, declined=declined is not None
        ),
        lasting=hopeless or (verdict.needs_change and waited >= NODE_GRACE),
    )


def _refused_by_scheduler(pod: Pod, events: Iterable[Event]) -> str:
    """The scheduler's own words on why `pod` has no node, if it has said any."""
    placed = pod.conditions.get("PodScheduled")
    if placed and placed.message:
        return placed.message
    noted = last(event for event in events if event.reason == "FailedScheduling" and not _declines(event))
    return noted.message if noted else ""


def being_helped(events: Sequence[Event], now: datetime) -> bool:
    """Whether an autoscaler has said not long ago that it makes room."""
    helped = last(event for event in events if scheduling.autoscaler_helps(event.reason))
    return helped is not None and _waited(helped.at, now) < 2 * NODE_GRACE


def _declines(event: Event) -> bool:
    return scheduling.autoscaler_declines(event.reason, event.message, event.component)


def _asked_for(pod: Pod) -> dict[str, list[str]]:
    """The amounts that the containers ask for, by resource."""
    asked: dict[str, list[str]] = {}
    for container in pod.containers:
        if container.role is not Role.INIT:
            for resource, amount in container.requests.items():
                asked.setdefault(resource, []).append(amount)
    return asked


# --- a container that waits ---------------------------------------------------------------------------------


def _waiting(job: Job, pod: Pod, container: Container, events: Sequence[Event], now: datetime) -> Trouble | None:
    reason, said = container.reason, container.message or container.reason
    waited = _waited(_turn(pod, container), now)
    if reason in _ORDINARY:
        return None
    if reason in _PULLING:
        return _image(container, events, waited)
    if reason in {"CrashLoopBackOff", "RunContainerError"}:
        return _crashing(job, pod, container, said)
    if reason in {"CreateContainerConfigError", "CreateContainerError"}:
        return _configuration(job, pod, container, said, waited)
    if waited < GRACE:
        return None
    return Trouble(
        pod_creation.container_not_created(job, pod, container, f"{reason}: {container.message}"), lasting=False
    )


_ORDINARY = {"", "ContainerCreating", "PodInitializing"}

_PULLING = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}


def _image(container: Container, events: Sequence[Event], waited: timedelta) -> Trouble:
    failed = [event for event in events if event.message.startswith(f'Failed to pull image "{container.image}')]
    noted = last(failed)
    # Up to 1.31 a back-off's own message does not say why; the event does.
    said = noted.message if noted and "Back-off" in container.message else container.message
    said = said or container.reason
    if container.reason == "InvalidImageName":
        return Trouble(pod_creation.image_name_invalid(container, said), lasting=True)
    if container.reason == "ErrImageNeverPull":
        return Trouble(pod_creation.image_never_pulled(container, said), lasting=True)
    tried = waited >= GRACE or sum(event.count for event in failed) >= _TRIES
    known = f"{container.reason} {container.message} {said}"
    for pattern, cause, heals in _PULL_FAILURES:
        if re.search(pattern, known, re.IGNORECASE):
            return Trouble(cause(container, said), lasting=tried and not heals)
    return Trouble(pod_creation.image_pull_failed(container, said), lasting=False)


_UNREACHABLE = (
    r"i/o timeout|connection refused|connection reset|network is unreachable|no route to host|server misbehaving|"
    r"deadline exceeded|handshake timeout|RegistryUnavailable|registry is unavailable|\b50[0-9] "
)
_DENIED = (
    r"pull access denied|401 Unauthorized|403 Forbidden|: unauthorized|: denied|no basic auth|authorization failed|"
    r"authentication required|insufficient_scope"
)
_PULL_FAILURES = (
    # The message repeats the image's name, so these are words that no name holds.
    (r"no match for platform|no matching manifest", pod_creation.image_platform_missing, False),
    (r"toomanyrequests|too many requests|rate limit", pod_creation.image_pull_throttled, True),
    (r"no such host|x509: ", pod_creation.image_registry_unreachable, False),
    (_UNREACHABLE, pod_creation.image_registry_unreachable, True),
    (_DENIED, pod_creation.image_pull_denied, False),
    (r": not found|manifest unknown|name unknown|code = NotFound|404 Not Found", pod_creation.image_not_found, False),
)
"""What the text says, the cause, and whether trying again may help. The first that fits counts."""


def _crashing(job: Job, pod: Pod, container: Container, said: str) -> Trouble | None:
    """Started again and again; the Job counts that, and ends it some time, but not where it is a sidecar."""
    if container.reason == "RunContainerError":
        return Trouble(pod_creation.start_failed(container, said), lasting=True)
    ending = failures.of_container(job, pod, container)
    if not ending:
        return None
    is_stuck = container.role is Role.SIDECAR and container.restarts >= _CRASHES
    return Trouble(ending.problem, lasting=is_stuck or ending.is_certain_again)


def _configuration(job: Job, pod: Pod, container: Container, said: str, waited: timedelta) -> Trouble:
    if missing := _missing(job, said):
        return Trouble(missing, lasting=waited >= GRACE)
    if "runAsNonRoot" in said or "non-root" in said:
        return Trouble(pod_creation.runs_as_root(container, said), lasting=True)
    if "no command specified" in said:
        return Trouble(pod_creation.start_failed(container, said), lasting=True)
    return Trouble(pod_creation.container_not_created(job, pod, container, said), lasting=waited >= NODE_GRACE)


def _missing(job: Job, said: str) -> Problem | None:
    if found := re.search(r"""couldn't find key (\S+) in (ConfigMap|Secret) [^\s/]+/(\S+)""", said):
        return pod_creation.config_missing(job, found[2], found[3], found[1], said)
    if found := re.search(r'\b(configmap|secret)s? "([^"]+)" not found', said):
        return pod_creation.config_missing(job, _KINDS[found[1]], found[2], "", said)
    if found := re.search(r"references non-existent (config|secret) key: (\S+)", said):
        return pod_creation.config_missing(job, _KINDS[found[1]], "", found[2], said)
    if found := re.search(r'persistentvolumeclaim "([^"]+)" not found', said):
        return pod_creation.volume_claim_missing(job, said, found[1])
    return None


_KINDS = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}


# --- volumes and network ------------------------------------------------------------------------------------


def _surroundings(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> Trouble | None:
    """What its node notes about volumes and network, unless it has come further since."""
    noted = last(event for event in events if event.reason in _STAGES)
    waited = _waited(pod.started or pod.created, now)
    if not noted or noted.reason not in _FAILURES:
        return None
    said = noted.message
    if noted.reason == "FailedCreatePodSandBox":
        if found := re.search(r'no runtime for "([^"]+)" is configured', said):
            return Trouble(pod_creation.runtime_class_missing(said, found[1]), lasting=waited >= GRACE)
        # With the VPC CNI the first try often fails, while addresses are being attached.
        return Trouble(pod_creation.sandbox_failed(job, pod, said), lasting=False) if waited >= SETTLING else None
    # "timed out waiting for the condition" says nothing; the volume's own event does.
    telling = last(event for event in events if event.reason in _FAILURES and not event.message.startswith(_UNTELLING))
    said = telling.message if telling else said
    if missing := _missing(job, said):
        return Trouble(missing, lasting=waited >= GRACE)
    in_use = "Multi-Attach error" in said
    return Trouble(
        pod_creation.volume_failed(job, pod, said, in_use=in_use), lasting=waited >= NODE_GRACE and not in_use
    )


_FAILURES = {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}
_STAGES = _FAILURES | {"Pulling", "Pulled", "Created", "Started"}
_UNTELLING = "Unable to attach or mount volumes"


# --- times --------------------------------------------------------------------------------------------------


def last(events: Iterable[Event]) -> Event | None:
    """The latest; of those without a time, the one that comes last."""
    found: Event | None = None
    for event in events:
        if found is None or found.at is None or (event.at is not None and event.at >= found.at):
            found = event
    return found


def _turn(pod: Pod, container: Container) -> datetime | None:
    """When it became `container`'s turn."""
    before: Iterator[Container] = (each for each in pod.containers if each.role is Role.INIT)
    ends = [each.ended.at for each in before if each.name != container.name and each.ended and each.ended.at]
    return max(ends, default=pod.started or pod.created)


def _waited(since: datetime | None, now: datetime) -> timedelta:
    """How long since then; nothing where it is not known."""
    return now - since if since else timedelta()
