"""Pure: explains how a pod or one of its containers failed, and which container's exit decided.

The reasons are those of kubernetes 1.31 to 1.37: `DisruptionTarget` conditions (pkg/controller/{podgc,tainteviction},
pkg/scheduler, pkg/registry/core/pod/storage/eviction.go, pkg/kubelet), a pod's own reason
(pkg/kubelet/{eviction,nodeshutdown,lifecycle}), and containerd's reasons for a container's end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from run_cronjob.core.models import Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import NEVER_STARTED, Container, Ended, Job, Pod, Role
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import startup
from run_cronjob.diagnosis.blocker import Blocker

_STOPPED = {137, 143}
"""The exit codes of a container that is stopped together with its pod."""

_CRASHES = 3
"""After so many restarts a sidecar that does not come up counts as broken."""


@dataclass(frozen=True)
class Failure:
    """Why a pod or the Job failed.

    `pod` and `container` are those whose log says most; both are empty if there are none. `exit_code` is that of the
    container which decided; None unless there is exactly one.
    """

    problem: Problem
    pod: str = ""
    container: str = ""
    exit_code: int | None = None

    @property
    def is_certain_again(self) -> bool:
        """Whether the next attempt will fail in the same way."""
        return self.problem.reason is Reason.START_FAILED


def of_pod(job: Job, pod: Pod) -> Failure | None:
    """Why `pod` failed; None if it did not, or does not say."""
    if pod.phase == "Succeeded":
        return None
    if problem := _ended_by_cluster(job, pod):
        return Failure(problem, pod.name, only_main(pod))
    failed = [container for container in pod.containers if _end(pod, container)]
    # An init container that fails keeps all others from starting; a sidecar's end decides nothing.
    first = [container for container in failed if container.role is Role.INIT]
    mains = [container for container in failed if container.role is Role.MAIN]
    for container in sorted(first or mains or failed, key=lambda each: _timestamp(_end(pod, each))):
        found = of_container(job, pod, container)
        if found:
            return found if first or len(mains) == 1 else replace(found, exit_code=None)
    if pod.phase == "Failed" and (pod.reason or pod.message):
        return Failure(replace(_disrupted(pod.reason), said=pod.message), pod.name, only_main(pod))
    return None


def of_container(job: Job, pod: Pod, container: Container) -> Failure | None:
    """Why `container` failed the last time; None if it did not."""
    end = _end(pod, container)
    if not end:
        return None
    code = end.exit_code or 128 + end.signal
    if container.is_lost:
        problem = _node_lost(pod.node)
    elif end.reason in NEVER_STARTED:
        problem = startup.start_failed(container, end.message)
    elif end.reason == "OOMKilled":
        problem = _oom_killed(container)
    elif code in _STOPPED:
        problem = _container_killed(job, pod, container, code)
    else:
        problem = _container_failed(job, pod, container, code)
    exit_code = None if container.is_lost else code
    return Failure(replace(problem, said=end.message), pod.name, container.name, exit_code)


def crash_loop(job: Job, pod: Pod, container: Container) -> Blocker | None:
    """Why `container` is restarted again and again.

    The Job counts the restarts and ends the loop, except for a sidecar.
    """
    found = of_container(job, pod, container)
    if not found:
        return None
    is_stuck = container.role is Role.SIDECAR and container.restarts >= _CRASHES
    return Blocker(found.problem, lasting=is_stuck or found.is_certain_again)


def was_stopped(job: Job, pod: Pod) -> bool:
    """Whether `pod` did not fail, but was stopped when the Job ended."""
    if not pod.terminating or _ended_by_cluster(job, pod):
        return False
    ends = [end for container in pod.containers if (end := _end(pod, container))]
    return all(map(_is_stop, ends))


def only_main(pod: Pod) -> str:
    """The name of the pod's only main container; empty if there are several."""
    names = [container.name for container in pod.containers if container.role is Role.MAIN]
    return names[0] if len(names) == 1 else ""


def _end(pod: Pod, container: Container) -> Ended | None:
    """How `container` failed the last time.

    If the Job's end stopped a pod whose container had failed before, the earlier failure counts.
    """
    end = container.ended
    if not end or (pod.terminating and _is_stop(end) and _failed(container.before)):
        end = container.before
    return end if _failed(end) else None


def _is_stop(end: Ended) -> bool:
    return end.exit_code in _STOPPED and end.reason != "OOMKilled"


def _failed(end: Ended | None) -> bool:
    return end is not None and (end.exit_code != 0 or end.signal != 0)


def _timestamp(end: Ended | None) -> float:
    return end.at.timestamp() if end and end.at else float("inf")


# --- a container failed


def _oom_killed(container: Container) -> Problem:
    limit = container.memory_limit
    return developer_problem(
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
    )


def _container_failed(job: Job, pod: Pod, container: Container, code: int) -> Problem:
    init = container.role is Role.INIT
    what = f"container {quoted(container.name)} ended with exit code {code}"
    return developer_problem(
        reason=Reason.INIT_CONTAINER_FAILED if init else Reason.CONTAINER_FAILED,
        what=f"The init {what}, so the Job's own work never began." if init else f"The {what}.",
        why=("Init containers prepare the ground, and each must succeed before the next one starts. " if init else "")
        + _meaning(code),
        fix="Read the last lines of its output: the program says there what went wrong. All of it is in this step's "
        "log, unless `logs` keeps it out; kubectl shows it too:",
        paste=_log(job, pod, container),
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


def _container_killed(job: Job, pod: Pod, container: Container, code: int) -> Problem:
    # 137 or 143 without OOMKilled.
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
        paste="\n".join([_log(job, pod, container), kubectl(job.namespace, "describe pod", pod.name)]),
    )


# --- the cluster ended the pod


def _ended_by_cluster(job: Job, pod: Pod) -> Problem | None:
    disruption = pod.conditions.get("DisruptionTarget")
    by = disruption.reason if disruption and disruption.true else ""
    said = pod.message or (disruption.message if disruption else "")
    problem = None
    if pod.reason == "Evicted":
        problem = _evicted(said)
    elif pod.reason == "DeadlineExceeded":
        problem = deadline_exceeded(job, pod.deadline, of_pod=True)
    elif pod.reason == "Preempting" or by == "PreemptionByScheduler":
        problem = _preempted()
    elif pod.reason in {"NodeLost", "NodeShutdown", "Shutdown", "Terminated"} or by in _NODE_GONE:
        problem = _node_lost(pod.node)
    elif by == "EvictionByEvictionAPI":
        problem = _drained(pod.node)
    elif by:
        problem = _disrupted(by)
    elif pod.phase == "Failed" and pod.reason and not pod.has_run:
        problem = _node_refused(pod)
    return problem and replace(problem, said=said)


_NODE_GONE = {"DeletionByTaintManager", "DeletionByPodGC"}


def _evicted(said: str) -> Problem:
    # By the kubelet, if a resource runs short on the node or a limit is exceeded.
    disk = re.search(r"ephemeral|EmptyDir|disk", said)
    own = re.search(r"exceed", said)
    what = "The Job's pod was put out by its node (evicted)"
    if disk:
        how = "it wrote more to the node's disk than it may" if own else "the node ran short of disk space"
        what = f"{what}: {how}"
    elif "memory" in said:
        what = f"{what}: the node ran short of memory"
    return developer_problem(
        reason=Reason.EVICTED,
        what=f"{what}.",
        why="What a program writes to files of its container, to `emptyDir` volumes and to its log counts."
        if disk
        else "A node that runs short puts out first what uses more than it asked for (`resources.requests`).",
        fix="Write less, or raise `resources.limits.ephemeral-storage` (or the volume's `sizeLimit`), or use a volume."
        if disk and own
        else "Set `resources.requests` of the container to what it needs "
        f"(`{'ephemeral-storage' if disk else 'memory'}`), so that it gets a node that has it.",
    )


def _preempted() -> Problem:
    return _disruption(
        Reason.PREEMPTED,
        what="The Job's pod had to make way for a more important one (preempted).",
        why="The cluster was full, and the other one has a higher priority.",
        fix="Add nodes, or give the CronJob a higher `priorityClassName`. To let such losses not count as failed "
        "attempts, add to `spec.jobTemplate.spec` (with `restartPolicy: Never`):",
    )


def _node_lost(node: str) -> Problem:
    return _disruption(
        Reason.NODE_LOST,
        what=f"The node that the Job's pod ran on {f'({quoted(node)}) ' if node else ''}went away.",
        why="It was shut down, failed, lost its connection, or was a spot instance that AWS took back.",
        fix="Let the CronJob run on nodes that stay (no spot instances), or let such losses not count as failed "
        "attempts: add to `spec.jobTemplate.spec` (with `restartPolicy: Never`):",
    )


def _drained(node: str) -> Problem:
    return _disruption(
        Reason.DRAINED,
        what=f"The Job's pod was made to leave its node{f' ({quoted(node)})' if node else ''} before it was done.",
        why="The node was emptied: for an upgrade, by hand, or by an autoscaler that saves nodes.",
        fix="Tell the autoscaler to leave such pods alone, by an annotation in the template (Karpenter, and the "
        "cluster-autoscaler, in this order):",
        paste="metadata:\n  annotations:\n    karpenter.sh/do-not-disrupt: 'true'\n"
        "    cluster-autoscaler.kubernetes.io/safe-to-evict: 'false'",
    )


def _disrupted(reason: str) -> Problem:
    # Also the answer to reasons that newer versions of Kubernetes may add.
    return _disruption(
        Reason.POD_DISRUPTED,
        what=f"The cluster ended the Job's pod for reasons of its own ({quoted(reason or 'no reason given')}).",
        why="That was not the program's doing.",
        fix="To let such losses not count as failed attempts, add to `spec.jobTemplate.spec` (with `restartPolicy: "
        "Never`):",
    )


_IGNORE_DISRUPTION = (
    "podFailurePolicy:\n  rules:\n  - action: Ignore\n    onPodConditions:\n    - type: DisruptionTarget"
)


def _disruption(reason: Reason, what: str, why: str, fix: str, paste: str = _IGNORE_DISRUPTION) -> Problem:
    first = "Run the workflow again, if half of the work done twice does no harm."
    return Problem(reason, what, why, fix, first=first, paste=paste, paste_language="yaml")


def _node_refused(pod: Pod) -> Problem:
    return Problem(
        reason=Reason.NODE_REFUSED,
        what=f"The node that was chosen for the Job's pod did not take it ({quoted(pod.reason or 'no reason given')}).",
        why="Between the choice and the start the node's free resources or its labels changed, or a device is not "
        "there.",
        first="Run the workflow again.",
        fix="If it comes back, look at that node; the message says what it lacks.",
    )


def deadline_exceeded(job: Job, seconds: int | None, *, of_pod: bool = False) -> Problem:
    """`activeDeadlineSeconds` of the Job, or of its pod, ended it."""
    bound = f" of {seconds} seconds" if seconds is not None else ""
    place = "spec.jobTemplate.spec.template.spec" if of_pod else "spec.jobTemplate.spec"
    covers = "each attempt" if of_pod else "all attempts together, with the pauses and the waiting for a node"
    return developer_problem(
        reason=Reason.DEADLINE_EXCEEDED,
        what=f"The Job took longer than its deadline{bound}, and was stopped.",
        why=f"The CronJob sets it as `activeDeadlineSeconds` in `{place}`, for {covers}.",
        fix="Look at the last lines of its log: does it hang, or does it need longer? Then raise "
        "`activeDeadlineSeconds` there. Its log, while its pod exists:",
        paste=kubectl(job.namespace, "logs --all-containers", f"job/{job.name}"),
    )
