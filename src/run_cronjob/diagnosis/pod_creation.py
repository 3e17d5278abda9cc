"""Pure: why a Job does not run, or why it failed -> cause and exact fix, for people who know no Kubernetes.

One function for each failure; its `reason` is the heading in docs/troubleshooting.md. Names in sentences are
`quoted`, what others wrote stands in `said`, what is to be copied in `paste`. Which of them applies is decided in
job_state.py.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml

from run_cronjob.core.models import Concerns, Problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import kubectl, quoted

if TYPE_CHECKING:
    from run_cronjob.core.status import Container, Job, Pod
    from run_cronjob.diagnosis.scheduling import SchedulerMessage

_ANEW = "A Job that still waits keeps the old template: delete it, and run the workflow again."
_GOES_ON = "A Job that still waits goes on by itself then; only if the template was changed, delete it and run again."


# --- before there is a pod ----------------------------------------------------------------------------------


def suspended(job: Job) -> Problem:
    """`spec.suspend` of the Job."""
    return Problem(
        reason=Reason.JOB_SUSPENDED,
        what=f"The Job {quoted(job.name)} is suspended: it starts nothing until someone resumes it.",
        why="Its `spec.suspend` is true: the CronJob's template says so, someone set it, or a queueing system such as "
        "Kueue holds the Job back until there is room.",
        fix="If a queueing system holds it, it will resume it. Otherwise this resumes it:",
        paste=kubectl(job.namespace, "patch job", job.name, "--type", "merge", "--patch", '{"spec":{"suspend":false}}'),
        paste_language="sh",
    )


def quota_exceeded(job: Job, said: str, quota: str, asks: str, *, never_fits: bool) -> Problem:
    """A ResourceQuota refuses the pod; `asks` is what it says of it, in our words."""
    name = f"the quota {quoted(quota)}" if quota else "a quota"
    return Problem(
        reason=Reason.POD_QUOTA_EXCEEDED,
        what=f"The Job's pod does not fit into what {name} leaves to the namespace {quoted(job.namespace)}{asks}.",
        why="It asks for more than the quota allows in all, so it will never fit."
        if never_fits
        else "What runs there now has used the quota up. The cluster tries again by itself as soon as something ends.",
        first="Does the CronJob need that much? Lower `resources` of its containers if not."
        if never_fits
        else "Wait until other runs in the namespace have ended.",
        fix=f"Raise the quota{', or lower what the CronJob asks for' if not never_fits else ''}. This shows what is "
        "used and allowed:",
        said=said,
        paste=kubectl(job.namespace, "describe resourcequota"),
        paste_language="sh",
    )


def quota_wants_amounts(job: Job, said: str, quota: str, resources: str) -> Problem:
    """A ResourceQuota on cpu or memory demands that every container names its share."""
    missing = quoted(resources) if resources else "its resources"
    return Problem(
        reason=Reason.POD_QUOTA_EXCEEDED,
        what=f"The cluster refuses the Job's pod: its containers don't say how much they need ({missing}).",
        why=f"{f'The quota {quoted(quota)}' if quota else 'A quota'} in {quoted(job.namespace)} counts these amounts, "
        "so every container there must name them.",
        fix=f"Name them in the CronJob's template. {_ANEW} In each container, with amounts of your own:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste="resources:\n  requests:\n    cpu: 100m\n    memory: 256Mi\n  limits:\n    cpu: '1'\n    memory: 256Mi",
    )


def outside_limit_range(job: Job, said: str, broken: str) -> Problem:
    """A LimitRange refuses the pod; `broken` is its rule, quoted."""
    return Problem(
        reason=Reason.LIMIT_RANGE_REFUSED,
        what=f"The cluster refuses the Job's pod: it asks for more or less than a container or pod may have in "
        f"{quoted(job.namespace)}{f' ({broken})' if broken else ''}.",
        why="A LimitRange there sets the bounds. They may be newer than the CronJob.",
        fix=f"Set `resources` in the CronJob's template within the bounds, or have them changed. {_ANEW} This shows "
        "them:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(job.namespace, "describe limitrange"),
        paste_language="sh",
    )


def pod_security_refused(job: Job, said: str, level: str, settings: str) -> Problem:
    """PodSecurity admission refuses the pod; `settings` is what would satisfy it, as far as it is certain."""
    return Problem(
        reason=Reason.POD_SECURITY_REFUSED,
        what=f"The cluster refuses the Job's pod: the namespace {quoted(job.namespace)} enforces the PodSecurity level "
        f"{quoted(level)}, and the CronJob's template does not keep it.",
        why="The level forbids what could harm other work on a node. The message lists each rule that is broken, and "
        "the setting that it wants.",
        fix="An image that runs as root needs a `USER` in its Dockerfile. Add to the CronJob's template what is "
        f"missing of this. {_ANEW}"
        if settings
        else f"Change the CronJob's template as the message says, or have the namespace's level lowered. {_ANEW}",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=settings,
    )


def pod_denied(said: str, by: str) -> Problem:
    """A webhook or policy refuses the pod."""
    return Problem(
        reason=Reason.POD_REFUSED,
        what=f"A policy of the cluster refuses the Job's pod{f': {quoted(by)}' if by else ''}.",
        why="It checks every new pod, and this one breaks its rule; the message says which.",
        fix=f"Change the CronJob's template so that it keeps the rule, or have the policy's owner except it. {_ANEW}",
        said=said,
    )


def pod_webhook_failed(said: str, webhook: str) -> Problem:
    """A webhook for pods does not answer."""
    name = f" {quoted(webhook)}" if webhook else ""
    return Problem(
        reason=Reason.POD_WEBHOOK_FAILED,
        what=f"The cluster can't start the Job's pod: its admission webhook{name} does not answer.",
        why="Every new pod must pass it. The cluster tries again by itself.",
        fix="The webhook's owner has to bring it back. " + _GOES_ON,
        said=said,
    )


def service_account_missing(job: Job, said: str, account: str) -> Problem:
    """The pod's ServiceAccount does not exist."""
    return Problem(
        reason=Reason.SERVICE_ACCOUNT_MISSING,
        what=f"The cluster refuses the Job's pod: there is no ServiceAccount {quoted(account)} in "
        f"{quoted(job.namespace)}.",
        why="The CronJob's template names it as `serviceAccountName`; it is the identity that the program runs with.",
        fix=f"Create it, or correct the name in the template. {_GOES_ON} This lists those there are:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(job.namespace, "get serviceaccounts"),
        paste_language="sh",
    )


def priority_class_missing(said: str, name: str) -> Problem:
    """The pod's PriorityClass does not exist."""
    return Problem(
        reason=Reason.PRIORITY_CLASS_MISSING,
        what=f"The cluster refuses the Job's pod: it has no PriorityClass {quoted(name)}.",
        why="The CronJob's template names it as `priorityClassName`. It is misspelt, or exists in other clusters only.",
        fix=f"Correct the name or leave it out, or have the class created. {_GOES_ON} This lists those there are:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste="kubectl get priorityclasses",
        paste_language="sh",
    )


def runtime_class_missing(said: str, name: str) -> Problem:
    """The pod's RuntimeClass does not exist, or no node has its handler."""
    return Problem(
        reason=Reason.RUNTIME_CLASS_MISSING,
        what=f"The cluster can't run the Job's pod: it has no RuntimeClass {quoted(name)}, or its node does not.",
        why="The CronJob's template names it as `runtimeClassName`: a special way to run containers, which must be set "
        "up in the cluster and on its nodes.",
        fix=f"Correct the name or leave it out, or have it set up. {_GOES_ON} This lists those there are:",
        said=said,
        paste="kubectl get runtimeclasses",
        paste_language="sh",
    )


def pod_not_created(said: str) -> Problem:
    """The Job's pod is refused for a reason that we don't know."""
    return Problem(
        reason=Reason.POD_REFUSED,
        what="The cluster refuses to create the Job's pod, for the reason in its message.",
        why="It accepted the Job, but not what the CronJob's template asks for.",
        fix="Change the CronJob's template as the message says; if it speaks of none of your fields, give it to "
        f"whoever runs the cluster. {_ANEW}",
        said=said,
    )


# --- no node ------------------------------------------------------------------------------------------------


def unschedulable(job: Job, pod: Pod, verdict: SchedulerMessage, said: str, *, declined: bool) -> Problem:
    """No node takes the pod."""
    scaling = " The cluster's autoscaler says that it can't add a node for it." if declined else ""
    reasons = f": {verdict.words}" if verdict.refusals else ""
    return Problem(
        reason=Reason.UNSCHEDULABLE,
        what=f"No node of the cluster can take the Job's pod{reasons}.",
        why="A node must have enough free cpu and memory, be open for this work, and fit what the template asks for."
        + scaling,
        first="Is what the CronJob's template asks for right: `resources`, `nodeSelector`, `affinity`, `tolerations`? "
        f"Correct it if not. {_ANEW}"
        + ("" if verdict.needs_change else " Otherwise wait: it starts once a node is free."),
        fix="Add nodes that fit, or let those there are take this work. This shows what is known, and what sets the "
        "nodes apart:",
        said=said,
        paste="\n".join([kubectl(job.namespace, "describe pod", pod.name), _NODES]),
        paste_language="sh",
    )


_NODES = (
    "kubectl get nodes --output custom-columns="
    "NAME:.metadata.name,CPU:.status.allocatable.cpu,MEMORY:.status.allocatable.memory,TAINTS:.spec.taints"
)


def volume_claim_missing(job: Job, said: str, claim: str) -> Problem:
    """A PersistentVolumeClaim that the pod names does not exist."""
    return Problem(
        reason=Reason.VOLUME_CLAIM_MISSING,
        what=f"The Job's pod can't start: there is no PersistentVolumeClaim {quoted(claim)} in "
        f"{quoted(job.namespace)}.",
        why="The CronJob's template mounts it.",
        fix=f"Create it, or correct the name in the template. {_GOES_ON} This lists those there are:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(job.namespace, "get persistentvolumeclaims"),
        paste_language="sh",
    )


def volume_unavailable(job: Job, verdict: SchedulerMessage, said: str) -> Problem:
    """No node can be chosen because of the pod's volumes."""
    return Problem(
        reason=Reason.VOLUME_FAILED,
        what=f"The Job's pod can't start for want of its volume: {verdict.words}.",
        why="A volume must exist, and be reachable from the node that the pod runs on.",
        fix="Look at the claim that the CronJob's template mounts: its events tell why it has no volume, or where it "
        "is:",
        said=said,
        paste=kubectl(job.namespace, "describe persistentvolumeclaims"),
        paste_language="sh",
    )


def scheduling_gated(pod: Pod) -> Problem:
    """Gates hold the pod back."""
    gates = ", ".join(map(quoted, pod.gates)) or "a scheduling gate"
    return Problem(
        reason=Reason.SCHEDULING_GATED,
        what=f"The Job's pod is held back on purpose, by {gates}.",
        why="A scheduling gate keeps a pod from starting until the part of the cluster that set it takes it away: a "
        "queueing system, mostly.",
        fix="Wait. If nothing happens, ask whoever runs what set the gate; its name tells which that is.",
    )


# --- on its node, before it runs ----------------------------------------------------------------------------


def image_name_invalid(container: Container, said: str) -> Problem:
    """The image's name can't be read."""
    return Problem(
        reason=Reason.IMAGE_NAME_INVALID,
        what=f"{quoted(container.image)} can't be the name of an image (container {quoted(container.name)}).",
        why="A name is `registry/path:tag`: lower case, no blanks, no scheme such as `https://`. A placeholder that "
        "was not filled in is the usual cause.",
        fix=f"Correct `image` in the CronJob's template. {_ANEW}",
        concerns=Concerns.DEVELOPER,
        said=said,
    )


def image_not_found(container: Container, said: str) -> Problem:
    """The registry does not know the image."""
    return Problem(
        reason=Reason.IMAGE_NOT_FOUND,
        what=f"The image {quoted(container.image)} is not in its registry (container {quoted(container.name)}).",
        why="The tag or the path is misspelt, or the image was never pushed, or has been cleaned up.",
        fix=f"Push the image, or correct `image` in the CronJob's template. {_GOES_ON}",
        concerns=Concerns.DEVELOPER,
        said=said,
    )


def image_pull_denied(container: Container, said: str) -> Problem:
    """The registry gives the node no access; many say so too where the image does not exist."""
    return Problem(
        reason=Reason.IMAGE_PULL_DENIED,
        what=f"The registry does not give out the image {quoted(container.image)} (container "
        f"{quoted(container.name)}).",
        why="The cluster has no right to read it, or shows no credentials, or they have expired. Many registries "
        "answer in the same way where the image does not exist.",
        first="Is the name right, letter by letter, and was the image pushed? Correct it if not.",
        fix="Let the cluster read it: for ECR, the nodes' role needs `AmazonEC2ContainerRegistryPullOnly`, and the "
        "repository's policy must let another account in; for others, the pod needs an `imagePullSecrets` entry that "
        "names an existing Secret with valid credentials. " + _GOES_ON,
        said=said,
    )


def image_registry_unreachable(container: Container, said: str) -> Problem:
    """The node gets no answer from the registry."""
    return Problem(
        reason=Reason.IMAGE_REGISTRY_UNREACHABLE,
        what=f"The node can't reach the registry of the image {quoted(container.image)} (container "
        f"{quoted(container.name)}).",
        why="Its host name does not resolve, it does not answer, or its certificate is not trusted. The cluster tries "
        "again by itself.",
        first="Is the registry's name in `image` right? Correct it if not.",
        fix="Let the nodes reach it: a way out to the internet, a proxy, a VPC endpoint, its CA on the nodes. "
        + _GOES_ON,
        said=said,
    )


def image_pull_throttled(container: Container, said: str) -> Problem:
    """The registry limits how often may be pulled."""
    return Problem(
        reason=Reason.IMAGE_PULL_THROTTLED,
        what=f"The registry limits how often images may be pulled, {quoted(container.image)} among them (container "
        f"{quoted(container.name)}).",
        why="Docker Hub, for one, counts the pulls of everyone who has no account, by address. The cluster tries "
        "again by itself.",
        fix="Wait. If it comes back, pull with an account (`imagePullSecrets`), or keep the image in a registry of "
        "your own (ECR has a pull-through cache).",
        said=said,
    )


def image_platform_missing(container: Container, said: str) -> Problem:
    """The image is not made for the node's processor."""
    return Problem(
        reason=Reason.IMAGE_PLATFORM_MISSING,
        what=f"The image {quoted(container.image)} is not made for the processor of the node (container "
        f"{quoted(container.name)}).",
        why="It was built for amd64 or arm64 only, and the node has the other one.",
        fix="Build it for both (`docker buildx build --platform linux/amd64,linux/arm64`), or choose fitting nodes in "
        f"the CronJob's template. {_ANEW} For the nodes:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste="nodeSelector:\n  kubernetes.io/arch: amd64",
    )


def image_never_pulled(container: Container, said: str) -> Problem:
    """`imagePullPolicy: Never`, and the node does not have it."""
    return Problem(
        reason=Reason.IMAGE_NEVER_PULLED,
        what=f"The image {quoted(container.image)} is not on the node, and must not be pulled (container "
        f"{quoted(container.name)}).",
        why="The CronJob's template says `imagePullPolicy: Never`, which suits a laptop's cluster only.",
        fix=f"Set `imagePullPolicy: IfNotPresent`, or leave it out. {_ANEW}",
        concerns=Concerns.DEVELOPER,
        said=said,
    )


def image_pull_failed(container: Container, said: str) -> Problem:
    """The image can't be pulled, for a reason that we don't know."""
    return Problem(
        reason=Reason.IMAGE_PULL_FAILED,
        what=f"The image {quoted(container.image)} can't be pulled (container {quoted(container.name)}).",
        why="The message says why. The cluster tries again by itself, with longer and longer pauses.",
        first="Is `image` in the CronJob's template right, and was the image pushed?",
        fix="Look at the message: the registry, the network, the node's disk. " + _GOES_ON,
        said=said,
    )


def config_missing(job: Job, kind: str, name: str, key: str, said: str) -> Problem:
    """A ConfigMap or Secret, or a key of it, that the template refers to; `kind` is one of the two."""
    what = f"there is no {kind} {quoted(name)} in {quoted(job.namespace)}"
    if key:
        named = f"the {kind} {quoted(name)}" if name else f"a {kind}"
        what = f"{named} in {quoted(job.namespace)} has no key {quoted(key)}"
    problem = Problem(
        reason=Reason.SECRET_MISSING,
        what=f"The Job's pod can't start: {what}.",
        why="The CronJob's template refers to it. It was not deployed there, has another name, or is yet to be made by "
        "an operator (External Secrets, Sealed Secrets).",
        fix=f"Create it, or correct the name in the template. {_GOES_ON} This lists those there are:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(job.namespace, f"get {kind.lower()}s"),
        paste_language="sh",
    )
    return problem if kind == "Secret" else replace(problem, reason=Reason.CONFIG_MAP_MISSING)


def runs_as_root(container: Container, said: str) -> Problem:
    """`runAsNonRoot`, and the image would run as root."""
    return Problem(
        reason=Reason.RUNS_AS_ROOT,
        what=f"The container {quoted(container.name)} may not start: it would run as root.",
        why="The template says `runAsNonRoot: true`, and the image names no user, names root, or names one by name, "
        "which the cluster can't check.",
        fix="Name the user by number, as `USER 10001` in the image's Dockerfile, or in the CronJob's template as "
        "below. " + _ANEW,
        concerns=Concerns.DEVELOPER,
        said=said,
        paste="securityContext:\n  runAsUser: 10001",
    )


def container_not_created(job: Job, pod: Pod, container: Container, said: str) -> Problem:
    """The node can't make the container of its description."""
    return Problem(
        reason=Reason.CONTAINER_NOT_CREATED,
        what=f"The node can't set up the container {quoted(container.name)}.",
        why="Something that the CronJob's template asks for does not work there; the message says what.",
        fix="Correct the template, if the message speaks of one of its fields. Otherwise something is wrong with the "
        "node; this tells more:",
        said=said,
        paste=kubectl(job.namespace, "describe pod", pod.name),
        paste_language="sh",
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
    return Problem(
        reason=Reason.START_FAILED,
        what=f"The command of the container {quoted(container.name)} can't be run.",
        why=why,
        fix="Correct `command` in the CronJob's template, or the image (`chmod +x`, its platform, its path). " + _ANEW,
        concerns=Concerns.DEVELOPER,
        said=said,
    )


def volume_failed(job: Job, pod: Pod, said: str, *, in_use: bool) -> Problem:
    """A volume can't be attached or mounted."""
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
        said=said,
        paste=kubectl(job.namespace, "describe pod", pod.name),
        paste_language="sh",
    )


def sandbox_failed(job: Job, pod: Pod, said: str) -> Problem:
    """The node can't give the pod its surroundings, the network above all."""
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
        said=said,
        paste=kubectl(job.namespace, "describe pod", pod.name),
        paste_language="sh",
    )


# --- it ran -------------------------------------------------------------------------------------------------


def oom_killed(container: Container, said: str) -> Problem:
    """The kernel killed it for its memory."""
    limit = container.memory_limit
    return Problem(
        reason=Reason.OOM_KILLED,
        what=f"The container {quoted(container.name)} ran out of memory and was killed (OOMKilled): "
        + (f"its limit is {quoted(limit)}." if limit else "it has no limit of its own, so the node itself ran out."),
        why="It needed more memory than it may have."
        if limit
        else "Everything on the node together needed more memory than the node has; what has no limit goes first.",
        fix="Raise `resources.limits.memory` (and `requests.memory` with it) of that container in the CronJob's "
        "template, or let the program work on less at a time."
        if limit
        else "Set `resources.requests.memory` and `limits.memory` of that container to what it needs, so that it gets "
        "a node that has it.",
        concerns=Concerns.DEVELOPER,
        said=said,
    )


def container_failed(job: Job, pod: Pod, container: Container, code: int, said: str) -> Problem:
    """It ended with an exit code other than zero."""
    return Problem(
        reason=Reason.CONTAINER_FAILED,
        what=f"The container {quoted(container.name)} ended with exit code {code}.",
        why=_meaning(code),
        fix=_READ_ITS_OUTPUT,
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=_log(job, pod, container),
        paste_language="sh",
    )


def init_container_failed(job: Job, pod: Pod, container: Container, code: int, said: str) -> Problem:
    """One that prepares the ground ended with an exit code other than zero."""
    return Problem(
        reason=Reason.INIT_CONTAINER_FAILED,
        what=f"The init container {quoted(container.name)} ended with exit code {code}, so the Job's own work never "
        "began.",
        why="Init containers prepare the ground, and each must succeed before the next one starts. " + _meaning(code),
        fix=_READ_ITS_OUTPUT,
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=_log(job, pod, container),
        paste_language="sh",
    )


_READ_ITS_OUTPUT = (
    "Read the last lines of its output: the program says there what went wrong. All of it is in this step's log, "
    "unless `logs` keeps it out; kubectl shows it too:"
)


def _log(job: Job, pod: Pod, container: Container) -> str:
    return kubectl(job.namespace, "logs", pod.name, "--container", container.name)


def _meaning(code: int) -> str:
    return _MEANINGS.get(code) or (
        f"128 + {code - 128}: it was ended by signal {code - 128}, or chose that code itself."
        if 128 < code <= 128 + 64
        else "The program chose that code itself: only 0 counts as success."
    )


_MEANINGS = {
    1: "The program reports an error. 1 is what most programs say for any.",
    2: "The program reports an error. Many say 2 where their arguments can't be used.",
    126: "126 is what a shell says of a command that is there but can't be executed: no execute permission, or made "
    "for another processor.",
    127: "127 is what a shell says of a command that it does not find: misspelt, not in the image, or not in PATH.",
    132: "132 is 128 + 4 (SIGILL): the program is made for a newer processor than the node has.",
    134: "134 is 128 + 6 (SIGABRT): the program gave itself up, after a failed assertion mostly.",
    135: "135 is 128 + 7 (SIGBUS): the program touched memory or a file that is not there.",
    139: "139 is 128 + 11 (SIGSEGV): the program crashed on memory that is not its own, a defect in it or in a "
    "library of native code.",
    255: "255 is what a program says that ends with -1, and the runtime where it lost sight of it, or where the "
    "program is made for another processor.",
}


def container_killed(job: Job, pod: Pod, container: Container, code: int, said: str) -> Problem:
    """137 or 143 without OOMKilled: someone ended it from outside."""
    hard = code == 137
    return Problem(
        reason=Reason.CONTAINER_KILLED,
        what=f"The container {quoted(container.name)} was ended from outside (exit code {code}, "
        f"{'SIGKILL' if hard else 'SIGTERM'}).",
        why="It was killed at once. That it had used too much memory is not recorded, but a child process of it may "
        "have; other causes are a stop that it did not heed within its grace period, or a failed liveness probe."
        if hard
        else "It was asked to stop: its pod was deleted or moved, or a liveness probe failed.",
        fix="Look at its last lines, and at what was done to its pod:",
        said=said,
        paste="\n".join([_log(job, pod, container), kubectl(job.namespace, "describe pod", pod.name)]),
        paste_language="sh",
    )


def evicted(said: str) -> Problem:
    """The kubelet put it out, for want of a resource or for a limit."""
    disk = re.search(r"ephemeral|EmptyDir|disk", said)
    own = re.search(r"exceed", said)
    return Problem(
        reason=Reason.EVICTED,
        what="The Job's pod was put out by its node (evicted)"
        + (
            ": it wrote more to the node's disk than it may."
            if disk and own
            else ": the node ran short of disk space."
            if disk
            else ": the node ran short of memory."
            if "memory" in said
            else "."
        ),
        why="What a program writes to files of its container, to `emptyDir` volumes and to its log counts."
        if disk
        else "A node that runs short puts out first what uses more than it asked for (`resources.requests`).",
        fix="Write less, or raise `resources.limits.ephemeral-storage` (or the volume's `sizeLimit`), or use a volume."
        if disk and own
        else "Set `resources.requests` of the container to what it needs"
        + (" (`ephemeral-storage`)" if disk else " (`memory`)")
        + ", so that it gets a node that has it.",
        concerns=Concerns.DEVELOPER,
        said=said,
    )


def preempted(said: str) -> Problem:
    """Something more important took its place."""
    return Problem(
        reason=Reason.PREEMPTED,
        what="The Job's pod had to make room for a more important one (preempted).",
        why="The cluster was full, and the other one has a higher priority.",
        first="Run the workflow again, if half of the work done twice does no harm.",
        fix="Add nodes, or give the CronJob a higher `priorityClassName`. To let such losses not count as failed "
        "attempts, add to `spec.jobTemplate.spec` (with `restartPolicy: Never`):",
        said=said,
        paste=_IGNORE_DISRUPTION,
    )


def node_lost(node: str, said: str) -> Problem:
    """Its node went away."""
    return Problem(
        reason=Reason.NODE_LOST,
        what=f"The node that the Job's pod ran on {f'({quoted(node)}) ' if node else ''}went away.",
        why="It was shut down, failed, lost its connection, or was a spot instance that AWS took back.",
        first="Run the workflow again, if half of the work done twice does no harm.",
        fix="Let the CronJob run on nodes that stay (no spot instances), or let such losses not count as failed "
        "attempts: add to `spec.jobTemplate.spec` (with `restartPolicy: Never`):",
        said=said,
        paste=_IGNORE_DISRUPTION,
    )


def drained(node: str, said: str) -> Problem:
    """Someone asked for the pod to leave its node."""
    return Problem(
        reason=Reason.DRAINED,
        what=f"The Job's pod was made to leave its node{f' ({quoted(node)})' if node else ''} before it was done.",
        why="The node was emptied: for an upgrade, by hand, or by an autoscaler that saves nodes.",
        first="Run the workflow again, if half of the work done twice does no harm.",
        fix="Tell the autoscaler to leave such pods alone, by an annotation in the template (Karpenter, and the "
        "cluster-autoscaler, in this order):",
        said=said,
        paste="metadata:\n  annotations:\n    karpenter.sh/do-not-disrupt: 'true'\n"
        "    cluster-autoscaler.kubernetes.io/safe-to-evict: 'false'",
    )


_IGNORE_DISRUPTION = yaml.safe_dump(
    {"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}},
    sort_keys=False,
).strip()


def node_refused(pod: Pod, said: str) -> Problem:
    """The node that was chosen did not take it after all."""
    return Problem(
        reason=Reason.NODE_REFUSED,
        what=f"The node that was chosen for the Job's pod did not take it ({quoted(pod.reason or 'no reason given')}).",
        why="Between the choice and the start the node's room or its labels changed, or a device is not there.",
        first="Run the workflow again.",
        fix="If it comes back, look at that node; the message says what it lacks.",
        said=said,
    )


def disrupted(reason: str, said: str) -> Problem:
    """The cluster ended the pod, for a reason newer than this code."""
    return Problem(
        reason=Reason.POD_DISRUPTED,
        what=f"The cluster ended the Job's pod for reasons of its own ({quoted(reason or 'no reason given')}).",
        why="That was not the program's doing.",
        first="Run the workflow again, if half of the work done twice does no harm.",
        fix="To let such losses not count as failed attempts, add to `spec.jobTemplate.spec` (with `restartPolicy: "
        "Never`):",
        said=said,
        paste=_IGNORE_DISRUPTION,
    )


def deadline_exceeded(job: Job, seconds: int | None, said: str, *, of_pod: bool = False) -> Problem:
    """`activeDeadlineSeconds` of the Job, or of its pod, ended it."""
    bound = f" of {seconds} seconds" if seconds is not None else ""
    place = "spec.jobTemplate.spec.template.spec" if of_pod else "spec.jobTemplate.spec"
    covers = "each attempt" if of_pod else "all attempts together, with the pauses and the waiting for a node"
    return Problem(
        reason=Reason.DEADLINE_EXCEEDED,
        what=f"The Job took longer than its deadline{bound}, and was stopped.",
        why=f"The CronJob sets it as `activeDeadlineSeconds` in `{place}`, for {covers}.",
        fix="Look at the last lines of its log: does it hang, or does it need longer? Then raise "
        "`activeDeadlineSeconds` there. Its log, while its pod exists:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(job.namespace, "logs --all-containers", f"job/{job.name}"),
        paste_language="sh",
    )


# --- the Job's own words, where nothing more is known --------------------------------------------------------


def backoff_limit_exceeded(job: Job, said: str) -> Problem:
    """All attempts failed; why is not to be seen."""
    return Problem(
        reason=Reason.BACKOFF_LIMIT_EXCEEDED,
        what="Every attempt of the Job failed, as many as it may make.",
        why="How they failed can't be seen: their pods are gone, or may not be read.",
        fix="Where the logs are kept beyond the pods' life, look for the Job's name there. What the cluster still "
        "knows:",
        said=said,
        paste=kubectl(job.namespace, "describe job", job.name),
        paste_language="sh",
    )


def pod_failure_policy(job: Job, said: str) -> Problem:
    """A rule of the CronJob's podFailurePolicy ended it, and what it met is not to be seen."""
    return Problem(
        reason=Reason.POD_FAILURE_POLICY,
        what="An attempt failed in a way that the CronJob declares final, so the Job gave up at once.",
        why="Its `podFailurePolicy` has a rule `FailJob` for it; the message names the rule and what it met.",
        fix="Read the message, and the log of the pod that it names. What the cluster still knows:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(job.namespace, "describe job", job.name),
        paste_language="sh",
    )


def failed_indexes(job: Job, said: str, *, too_many: bool) -> Problem:
    """Parts of an Indexed Job failed, each in its own way or unseen."""
    which = f": {quoted(job.failed_indexes)}" if job.failed_indexes else ""
    problem = Problem(
        reason=Reason.FAILED_INDEXES,
        what=f"Parts of the Job failed (indexes{which}).",
        why="Each part of an Indexed Job has attempts of its own; all others have succeeded.",
        fix="Read the logs of the failed parts, which this shows, each line with its pod:",
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=kubectl(
            job.namespace,
            "logs --all-containers --prefix --tail=50 --selector",
            f"batch.kubernetes.io/job-name={job.name}",
        ),
        paste_language="sh",
    )
    if not too_many:
        return problem
    allowed = "than the CronJob allows" if job.max_failed_indexes is None else f"than {job.max_failed_indexes}"
    return replace(
        problem,
        reason=Reason.MAX_FAILED_INDEXES_EXCEEDED,
        why=f"They are more {allowed} (`maxFailedIndexes`), so the others were stopped.",
    )


def job_failed(job: Job, reason: str, said: str) -> Problem:
    """A reason newer than this code."""
    return Problem(
        reason=Reason.JOB_FAILED,
        what=f"The cluster says that the Job failed ({quoted(reason or 'no reason given')}).",
        why="This action knows no more of that reason than the cluster says.",
        fix="Read the message, and what the cluster still knows:",
        said=said,
        paste=kubectl(job.namespace, "describe job", job.name),
        paste_language="sh",
    )
