"""Pure: explains why a pod on its node does not start: configuration, security settings, volumes, network, command.

The patterns are those of the kubelet of kubernetes 1.31 to 1.37 (pkg/kubelet/{kuberuntime,volumemanager}, pkg/volume)
and of containerd.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from run_cronjob.core.models import Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import Container, Event, Job, Pod
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import blocker, pod_creation, scheduling
from run_cronjob.diagnosis.blocker import CONTINUES, GRACE, NODE_GRACE, RECREATE, SETTLING, Blocker, blocked


def container_blocker(job: Job, pod: Pod, container: Container, waited: timedelta) -> Blocker | None:
    """Why the node does not start `container`, which waits since `waited`; image pulls are in image_pull.py."""
    reason, said = container.reason, container.message or container.reason
    if reason in {"", "ContainerCreating", "PodInitializing"}:
        return None
    if reason == "RunContainerError":
        return blocked(start_failed(container, said), said, lasting=True)
    if reason in {"CreateContainerConfigError", "CreateContainerError"}:
        return _not_configured(job, pod, container, said, waited)
    if waited < GRACE:
        return None
    return blocked(_container_not_created(job, pod, container), f"{reason}: {container.message}", lasting=False)


def _not_configured(job: Job, pod: Pod, container: Container, said: str, waited: timedelta) -> Blocker:
    if missing := _missing(job, said):
        return blocked(missing, said, lasting=waited >= GRACE)
    if "runAsNonRoot" in said or "non-root" in said:
        return blocked(_runs_as_root(container), said, lasting=True)
    if "no command specified" in said:
        return blocked(start_failed(container, said), said, lasting=True)
    return blocked(_container_not_created(job, pod, container), said, lasting=waited >= NODE_GRACE)


def _missing(job: Job, said: str) -> Problem | None:
    """A ConfigMap, Secret, key or PersistentVolumeClaim that the template names and that does not exist."""
    if found := re.search(r"""couldn't find key (\S+) in (ConfigMap|Secret) [^\s/]+/(\S+)""", said):
        return _config_missing(job, found[2], found[3], found[1])
    if found := re.search(r'\b(configmap|secret)s? "([^"]+)" not found', said):
        return _config_missing(job, _KINDS[found[1]], found[2], "")
    if found := re.search(r"references non-existent (config|secret) key: (\S+)", said):
        return _config_missing(job, _KINDS[found[1]], "", found[2])
    if found := re.search(r'persistentvolumeclaim "([^"]+)" not found', said):
        return scheduling.volume_claim_missing(job, found[1])
    return None


_KINDS = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}


def _config_missing(job: Job, kind: str, name: str, key: str) -> Problem:
    what = f"there is no {kind} {quoted(name)} in {quoted(job.namespace)}"
    if key:
        named = f"the {kind} {quoted(name)}" if name else f"a {kind}"
        what = f"{named} in {quoted(job.namespace)} has no key {quoted(key)}"
    return developer_problem(
        reason=Reason.SECRET_MISSING if kind == "Secret" else Reason.CONFIG_MAP_MISSING,
        what=f"The Job's pod can't start: {what}.",
        why="The CronJob's template refers to it. It was not deployed there, has another name, or is yet to be made by "
        "an operator (External Secrets, Sealed Secrets).",
        fix=f"Create it, or correct the name in the template. {CONTINUES} This lists those there are:",
        paste=kubectl(job.namespace, f"get {kind.lower()}s"),
    )


def _runs_as_root(container: Container) -> Problem:
    return developer_problem(
        reason=Reason.RUNS_AS_ROOT,
        what=f"The container {quoted(container.name)} may not start: it would run as root.",
        why="The template says `runAsNonRoot: true`, and the image names no user, names root, or names one by name, "
        "which the cluster can't check.",
        fix="Name the user by number, as `USER 10001` in the image's Dockerfile, or in the CronJob's template as "
        "below. " + RECREATE,
        paste="securityContext:\n  runAsUser: 10001",
        paste_language="yaml",
    )


def _container_not_created(job: Job, pod: Pod, container: Container) -> Problem:
    return Problem(
        reason=Reason.CONTAINER_NOT_CREATED,
        what=f"The node can't set up the container {quoted(container.name)}.",
        why="Something that the CronJob's template asks for does not work there; the message says what.",
        fix="Correct the template, if the message speaks of one of its fields. Otherwise something is wrong with the "
        "node; this tells more:",
        paste=kubectl(job.namespace, "describe pod", pod.name),
    )


def start_failed(container: Container, said: str) -> Problem:
    """The container's command can't be run."""
    why = "The message says why."
    if re.search(r"executable file not found|no such file or directory", said):
        why = (
            "The program that the template's `command`, or the image's ENTRYPOINT, names is not in the image: "
            "misspelt, in another place, or a script whose first line (`#!`) names a shell that the image lacks."
        )
    elif "permission denied" in said:
        why = "The file is not executable, or the user that the container runs as may not execute it."
    elif "exec format error" in said:
        why = "The program is made for another processor, or is a script without `#!` in its first line."
    return developer_problem(
        reason=Reason.START_FAILED,
        what=f"The command of the container {quoted(container.name)} can't be run.",
        why=why,
        fix="Correct `command` in the CronJob's template, or the image (`chmod +x`, its platform, its path). "
        + RECREATE,
    )


# --- volumes and network


def node_blocker(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> Blocker | None:
    """Explain the node's latest event about volumes and network, unless the pod has come further since."""
    latest = blocker.latest(event for event in events if event.reason in _STAGES)
    waited = blocker.waited(pod.started or pod.created, now)
    if not latest or latest.reason not in _FAILURES:
        return None
    said = latest.message
    if latest.reason == "FailedCreatePodSandBox":
        if found := re.search(r'no runtime for "([^"]+)" is configured', said):
            return blocked(pod_creation.runtime_class_missing(found[1]), said, lasting=waited >= GRACE)
        # With the VPC CNI the first try often fails, while addresses are being attached.
        return blocked(_sandbox_failed(job, pod, said), said, lasting=False) if waited >= SETTLING else None
    # "timed out waiting for the condition" says nothing; the volume's own event does.
    precise = blocker.latest(
        each for each in events if each.reason in _FAILURES and not each.message.startswith(_VAGUE)
    )
    said = precise.message if precise else said
    if missing := _missing(job, said):
        return blocked(missing, said, lasting=waited >= GRACE)
    in_use = "Multi-Attach error" in said
    return blocked(_volume_failed(job, pod, in_use=in_use), said, lasting=waited >= NODE_GRACE and not in_use)


_FAILURES = {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}
_STAGES = _FAILURES | {"Pulling", "Pulled", "Created", "Started"}
_VAGUE = "Unable to attach or mount volumes"


def _volume_failed(job: Job, pod: Pod, *, in_use: bool) -> Problem:
    return Problem(
        reason=Reason.VOLUME_FAILED,
        what="A volume of the Job's pod can't be attached to its node, or mounted there.",
        why="It is in use on another node, and can be used on one only at a time (ReadWriteOnce)."
        if in_use
        else "The message says why. The cluster tries again by itself.",
        first="Wait until the other pod that uses it has ended." if in_use else "",
        fix="Let only one use it at a time, or use a volume that many can mount (EFS). This shows who has it:"
        if in_use
        else "Look at the volume and at the storage driver on the node:",
        paste=kubectl(job.namespace, "describe pod", pod.name),
    )


def _sandbox_failed(job: Job, pod: Pod, said: str) -> Problem:
    addresses = "failed to assign an IP address" in said
    return Problem(
        reason=Reason.POD_SANDBOX_FAILED,
        what="The node can't set up the network of the Job's pod."
        if addresses or "network" in said
        else "The node can't set up the surroundings of the Job's pod.",
        why="The node's subnet has no free IP addresses left, or the node has given out as many as it may."
        if addresses
        else "Something on the node fails. The cluster tries again by itself.",
        fix="Free addresses, or add subnets or nodes (for the VPC CNI: prefix delegation)."
        if addresses
        else "Look at the node's network plug-in (`aws-node` on EKS) and its container runtime:",
        paste=kubectl(job.namespace, "describe pod", pod.name),
    )
