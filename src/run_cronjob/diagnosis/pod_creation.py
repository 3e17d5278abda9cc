"""Pure: explains why a Job has no pod: suspended, quota, LimitRange, PodSecurity, policies, missing objects.

The patterns are those of kubernetes 1.31 to 1.37: pkg/controller/controller_utils.go (FailedCreate, "Error creating:
..."), plugin/pkg/admission, apiserver/pkg/admission (quota, webhooks, policies) and pod-security-admission. Any other
text gets a general answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import yaml

from run_cronjob.core.models import Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import Event, Job, Pod
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import blocker
from run_cronjob.diagnosis.blocker import CONTINUES, GRACE, RECREATE, Blocker, blocked


def suspended(job: Job) -> Problem:
    """The Job's `spec.suspend` is true."""
    return Problem(
        reason=Reason.JOB_SUSPENDED,
        what=f"The Job {quoted(job.name)} is suspended: it starts nothing until someone resumes it.",
        why="Its `spec.suspend` is true: the CronJob's template says so, someone set it, or a queueing system such as "
        "Kueue holds the Job back until there is space.",
        fix="If a queueing system holds it, it will resume it. Otherwise this resumes it:",
        paste=kubectl(job.namespace, "patch job", job.name, "--type", "merge", "--patch", '{"spec":{"suspend":false}}'),
    )


def refusal(job: Job, pods: Sequence[Pod], events: Iterable[Event], now: datetime) -> Blocker | None:
    """Why the cluster refuses to create the Job's pod; None if it has created one since."""
    latest = blocker.latest(event for event in events if event.kind == "Job" and event.reason in _REFUSED)
    if not latest:
        return None
    created = max((pod.created for pod in pods if pod.created), default=None)
    if pods and (created is None or latest.at is None or created >= latest.at):
        return None
    waited = blocker.waited(job.started or job.created, now)
    said = latest.message
    if found := re.search(r"exceeded quota: (\S+), requested: (.*?), used: (.*?), limited: (.*)", said):
        return _quota_exceeded(job, found)
    for pattern, build, lasts_after in _CAUSES:
        if found := re.search(pattern, said):
            return blocked(build(job, found), said, lasting=waited >= lasts_after)
    return None


_REFUSED = {"FailedCreate", "FailedWorkloadCompilation", "FailedWorkloadCreate"}


def _quota_exceeded(job: Job, found: re.Match[str]) -> Blocker:
    asks, never_fits = _quota(found[2], found[3], found[4])
    problem = Problem(
        reason=Reason.POD_QUOTA_EXCEEDED,
        what=f"The Job's pod does not fit into what the quota {quoted(found[1])} leaves to the namespace "
        f"{quoted(job.namespace)}{asks}.",
        why="It asks for more than the quota allows in all, so it will never fit."
        if never_fits
        else "What runs there now has used the quota up. The cluster tries again by itself as soon as something ends.",
        first="Does the CronJob need that much? Lower `resources` of its containers if not."
        if never_fits
        else "Wait until other runs in the namespace have ended.",
        fix=f"Raise the quota{', or lower what the CronJob asks for' if not never_fits else ''}. This shows what is "
        "used and allowed:",
        paste=kubectl(job.namespace, "describe resourcequota"),
    )
    return blocked(problem, found.string, lasting=never_fits)


def _quota(requested: str, used: str, limited: str) -> tuple[str, bool]:
    """The request in words, and whether it is more than the quota allows in all."""
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


def _quota_wants_amounts(job: Job, found: re.Match[str]) -> Problem:
    # A ResourceQuota on cpu or memory demands that every container names its share.
    resources = ", ".join(dict.fromkeys(re.findall(r"([\w./-]+) for: ", found[2]))) or found[2]
    missing = quoted(resources) if resources else "its resources"
    return developer_problem(
        reason=Reason.POD_QUOTA_EXCEEDED,
        what=f"The cluster refuses the Job's pod: its containers don't say how much they need ({missing}).",
        why=f"The quota {quoted(found[1])} in {quoted(job.namespace)} counts these amounts, "
        "so every container there must name them.",
        fix=f"Name them in the CronJob's template. {RECREATE} In each container, with amounts of your own:",
        paste="resources:\n  requests:\n    cpu: 100m\n    memory: 256Mi\n  limits:\n    cpu: '1'\n    memory: 256Mi",
        paste_language="yaml",
    )


def _pod_security_refused(job: Job, found: re.Match[str]) -> Problem:
    settings = _secure_settings(found.string)
    return developer_problem(
        reason=Reason.POD_SECURITY_REFUSED,
        what=f"The cluster refuses the Job's pod: the namespace {quoted(job.namespace)} enforces the PodSecurity level "
        f"{quoted(found[1])}, and the CronJob's template does not keep it.",
        why="The level forbids what could harm other work on a node. The message lists each rule that is broken, and "
        "the setting that it wants.",
        fix="An image that runs as root needs a `USER` in its Dockerfile. Add to the CronJob's template what is "
        f"missing of this. {RECREATE}"
        if settings
        else f"Change the CronJob's template as the message says, or have the namespace's level lowered. {RECREATE}",
        paste=settings,
        paste_language="yaml",
    )


def _secure_settings(said: str) -> str:
    """The settings of the restricted level that `said` asks for, as far as one answer fits all."""
    parts = []
    for place, settings in _RESTRICTED.items():
        missing = {name: value for words, name, value in settings if words in said}
        if missing:
            text = yaml.safe_dump({"securityContext": missing}, sort_keys=False).strip()
            parts.append(f"# in {place}:\n{text}")
    return "\n".join(parts)


_RESTRICTED: dict[str, tuple[tuple[str, str, object], ...]] = {
    "spec.jobTemplate.spec.template.spec": (
        ("runAsNonRoot", "runAsNonRoot", True),
        ("seccompProfile", "seccompProfile", {"type": "RuntimeDefault"}),
    ),
    "each of its containers": (
        ("allowPrivilegeEscalation", "allowPrivilegeEscalation", False),
        ("unrestricted capabilities", "capabilities", {"drop": ["ALL"]}),
    ),
}
"""For each place in the template: words of the message, and the setting that they ask for."""


def _outside_limit_range(job: Job, found: re.Match[str]) -> Problem:
    return developer_problem(
        reason=Reason.LIMIT_RANGE_REFUSED,
        what=f"The cluster refuses the Job's pod: it asks for more or less than a container or pod may have in "
        f"{quoted(job.namespace)} ({quoted(found[0])}).",
        why="A LimitRange there sets the bounds. They may be newer than the CronJob.",
        fix=f"Set `resources` in the CronJob's template within the bounds, or have them changed. {RECREATE} This shows "
        "them:",
        paste=kubectl(job.namespace, "describe limitrange"),
    )


def _service_account_missing(job: Job, found: re.Match[str]) -> Problem:
    return developer_problem(
        reason=Reason.SERVICE_ACCOUNT_MISSING,
        what=f"The cluster refuses the Job's pod: there is no ServiceAccount {quoted(found[1])} in "
        f"{quoted(job.namespace)}.",
        why="The CronJob's template names it as `serviceAccountName`; it is the identity that the program runs with.",
        fix=f"Create it, or correct the name in the template. {CONTINUES} This lists those there are:",
        paste=kubectl(job.namespace, "get serviceaccounts"),
    )


def _priority_class_missing(_job: Job, found: re.Match[str]) -> Problem:
    return developer_problem(
        reason=Reason.PRIORITY_CLASS_MISSING,
        what=f"The cluster refuses the Job's pod: it has no PriorityClass {quoted(found[1])}.",
        why="The CronJob's template names it as `priorityClassName`. It is misspelt, or exists in other clusters only.",
        fix=f"Correct the name or leave it out, or have the class created. {CONTINUES} This lists those there are:",
        paste="kubectl get priorityclasses",
    )


def runtime_class_missing(name: str) -> Problem:
    """The pod's RuntimeClass does not exist, or no node has its handler."""
    return Problem(
        reason=Reason.RUNTIME_CLASS_MISSING,
        what=f"The cluster can't run the Job's pod: it has no RuntimeClass {quoted(name)}, or its node does not.",
        why="The CronJob's template names it as `runtimeClassName`: a special way to run containers, which must be set "
        "up in the cluster and on its nodes.",
        fix=f"Correct the name or leave it out, or have it set up. {CONTINUES} This lists those there are:",
        paste="kubectl get runtimeclasses",
    )


def _webhook_failed(_job: Job, found: re.Match[str]) -> Problem:
    return Problem(
        reason=Reason.POD_WEBHOOK_FAILED,
        what=f"The cluster can't start the Job's pod: its admission webhook {quoted(found[1])} does not answer.",
        why="Every new pod must pass it. The cluster tries again by itself.",
        fix="The webhook's owner has to bring it back. " + CONTINUES,
    )


def _denied(_job: Job, found: re.Match[str]) -> Problem:
    return Problem(
        reason=Reason.POD_REFUSED,
        what=f"A policy of the cluster refuses the Job's pod: {quoted(found[1])}.",
        why="It checks every new pod, and this one breaks its rule; the message says which.",
        fix="Change the CronJob's template so that it keeps the rule, or have the policy's owner except it. "
        + RECREATE,
    )


def _not_created(_job: Job, _found: re.Match[str]) -> Problem:
    return Problem(
        reason=Reason.POD_REFUSED,
        what="The cluster refuses to create the Job's pod, for the reason in its message.",
        why="It accepted the Job, but not what the CronJob's template asks for.",
        fix="Change the CronJob's template as the message says; if it speaks of none of your fields, give it to "
        f"whoever runs the cluster. {RECREATE}",
    )


_OUTSIDE_LIMIT_RANGE = r"(?:(?:minimum|maximum) \S+ usage|\S+ max limit to request ratio) per \w+ is [^\],]+"
_AT_ONCE, _NEVER = timedelta.min, timedelta.max
_CAUSES: tuple[tuple[str, Callable[[Job, re.Match[str]], Problem], timedelta], ...] = (
    (r"failed quota: (\S+): must specify (.*)", _quota_wants_amounts, _AT_ONCE),
    (r'violates PodSecurity "([^":]+)', _pod_security_refused, _AT_ONCE),
    (_OUTSIDE_LIMIT_RANGE, _outside_limit_range, _AT_ONCE),
    (r"error looking up service account [^\s/]+/([^\s:]+)", _service_account_missing, GRACE),
    (r"no PriorityClass with name (\S+) was found", _priority_class_missing, GRACE),
    (r'RuntimeClass "([^"]+)" not found', lambda _, found: runtime_class_missing(found[1]), GRACE),
    (r'failed calling webhook "([^"]+)"', _webhook_failed, _NEVER),
    (r"""(?:webhook|[Pp]olicy) ['"]([^'"]+)['"].* denied (?:the )?request""", _denied, _AT_ONCE),
    (r"is forbidden:|is invalid:", _not_created, _AT_ONCE),
    (r"", _not_created, _NEVER),
)
"""The pattern, the cause, and the wait after which it counts as lasting. The first that fits counts."""
