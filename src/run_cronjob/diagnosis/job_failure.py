"""Pure: explains why a Job failed: how its containers or pods failed first, then what the Job made of it.

The reasons are those of the Job controller of kubernetes 1.31 to 1.37 (pkg/controller/job).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from run_cronjob.core.models import Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import Container, Ended, Job, Pod
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import pod_creation, pod_failure, pod_state
from run_cronjob.diagnosis.pod_failure import Failure
from run_cronjob.diagnosis.view import View, ended_at

_LATEST = datetime.max.replace(tzinfo=UTC)
"""A time at which every cause has had all the time it may take to pass."""


def job_failure(view: View) -> Failure:
    """Why the Job failed."""
    # FailureTarget stands while the pods are being stopped, before Failed.
    condition = view.job.condition("Failed") or view.job.condition("FailureTarget")
    reason, said = (condition.reason, condition.message) if condition else ("", "")
    found = _by_reason(view, reason, said)
    return replace(found, problem=view.redacted(found.problem))


def _by_reason(view: View, reason: str, said: str) -> Failure:
    if reason == "DeadlineExceeded":
        return _at_deadline(view, said)
    if reason == "PodFailurePolicy":
        return _by_policy(view, said)
    failures = _pod_failures(view)
    if reason in {"FailedIndexes", "MaxFailedIndexesExceeded"}:
        return _of_indexes(view.job, reason, said, failures)
    if failures:
        by_job = f"The cluster ended the Job for it: {quoted(reason or 'no reason given')}."
        return _because(failures[-1], _attempts(view) if reason == "BackoffLimitExceeded" else by_job)
    if reason == "BackoffLimitExceeded":
        return Failure(replace(_backoff_limit_exceeded(view.job), said=said))
    return Failure(replace(_unknown(view.job, reason), said=said))


def _because(failure: Failure, then: str) -> Failure:
    return replace(failure, problem=replace(failure.problem, why=f"{failure.problem.why} {then}"))


def _pod_failures(view: View) -> list[Failure]:
    """The failures of all pods that the Job's end did not stop, the latest last; of an index, its last attempt only."""
    latest: dict[str, Failure] = {}
    for pod in sorted(view.pods, key=ended_at):
        failure = None if pod_failure.was_stopped(view.job, pod) else pod_failure.of_pod(view.job, pod)
        if failure:
            place = pod.index if view.job.backoff_limit_per_index is not None else pod.name
            latest.pop(place, None)
            latest[place] = failure
    return list(latest.values())


def _unknown(job: Job, reason: str) -> Problem:
    # The reason is newer than this code.
    return Problem(
        reason=Reason.JOB_FAILED,
        what=f"The cluster says that the Job failed ({quoted(reason or 'no reason given')}).",
        why="This action knows no more of that reason than the cluster says.",
        fix="Read the message, and what the cluster still knows:",
        paste=kubectl(job.namespace, "describe job", job.name),
    )


def _attempts(view: View) -> str:
    job = view.job
    limit = f"(`backoffLimit: {job.backoff_limit}`)"
    times = view.failed_attempts
    if job.restarts_in_place:
        times = max(times, 1 + max((each.restarts for pod in view.pods for each in pod.containers), default=0))
    if times > 1:
        return f"That was the last of {times} attempts {limit}: `BackoffLimitExceeded`."
    return f"The Job makes no further attempt {limit}: `BackoffLimitExceeded`."


def _backoff_limit_exceeded(job: Job) -> Problem:
    return Problem(
        reason=Reason.BACKOFF_LIMIT_EXCEEDED,
        what="Every attempt of the Job failed, as many as it may make.",
        why="How they failed can't be seen: their pods are gone, or may not be read.",
        fix="Where the logs are kept beyond the pods' life, look for the Job's name there. What the cluster still "
        "knows:",
        paste=kubectl(job.namespace, "describe job", job.name),
    )


def _of_indexes(job: Job, reason: str, said: str, failures: list[Failure]) -> Failure:
    latest = failures[-1] if failures else None
    if latest is None or len({each.problem.reason for each in failures}) != 1:
        general = replace(_failed_indexes(job, too_many=reason == "MaxFailedIndexesExceeded"), said=said)
        return Failure(general, latest.pod if latest else "", latest.container if latest else "")
    which = f" Failed indexes: {quoted(job.failed_indexes)}." if job.failed_indexes else ""
    stopped = " They are more than `maxFailedIndexes` allows, so the others were stopped."
    then = f"Each part of the Job has attempts of its own.{which}{stopped if reason != 'FailedIndexes' else ''}"
    return _because(replace(latest, exit_code=None) if len(failures) > 1 else latest, then)


def _failed_indexes(job: Job, *, too_many: bool) -> Problem:
    which = f": {quoted(job.failed_indexes)}" if job.failed_indexes else ""
    selector = f"batch.kubernetes.io/job-name={job.name}"
    allowed = "than the CronJob allows" if job.max_failed_indexes is None else f"than {job.max_failed_indexes}"
    return developer_problem(
        reason=Reason.MAX_FAILED_INDEXES_EXCEEDED if too_many else Reason.FAILED_INDEXES,
        what=f"Parts of the Job failed (indexes{which}).",
        why=f"They are more {allowed} (`maxFailedIndexes`), so the others were stopped."
        if too_many
        else "Each part of an Indexed Job has attempts of its own; all others have succeeded.",
        fix="Read the logs of the failed parts, which this shows, each line with its pod:",
        paste=kubectl(job.namespace, "logs --all-containers --prefix --tail=50 --selector", selector),
    )


def _by_policy(view: View, said: str) -> Failure:
    failure = _matched_by_policy(view, said)
    if not failure:
        return Failure(replace(_pod_failure_policy(view.job), said=said))
    rule = re.search(r"rule at index (\d{1,3})", said)
    which = f", rule {int(rule[1]) + 1}," if rule else ""
    then = f"The CronJob's `podFailurePolicy`{which} declares that final: no further attempt was made."
    return _because(failure, then)


def _matched_by_policy(view: View, said: str) -> Failure | None:
    """The failure that the rule matched; the message names it even if the pod is gone.

    Source: pkg/controller/job/pod_failure_policy.go.
    """
    in_container = re.match(r"Container (\S+) for pod [^\s/]+/(\S+) failed with exit code (\d{1,9}) ", said)
    by_condition = re.match(r"Pod [^\s/]+/(\S+) has condition ", said)
    name = in_container[2] if in_container else by_condition[1] if by_condition else ""
    pod = next((pod for pod in view.pods if pod.name == name), None)
    if not in_container:
        return pod_failure.of_pod(view.job, pod) if pod else None
    known = next((each for each in pod.containers if each.name == in_container[1]), None) if pod else None
    container = known or Container(in_container[1], ended=Ended(int(in_container[3])))
    return pod_failure.of_container(view.job, pod or Pod(name), container)


def _pod_failure_policy(job: Job) -> Problem:
    return developer_problem(
        reason=Reason.POD_FAILURE_POLICY,
        what="An attempt failed in a way that the CronJob declares final, so the Job gave up at once.",
        why="Its `podFailurePolicy` has a rule `FailJob` for it; the message names the rule and what it met.",
        fix="Read the message, and the log of the pod that it names. What the cluster still knows:",
        paste=kubectl(job.namespace, "describe job", job.name),
    )


def _at_deadline(view: View, said: str) -> Failure:
    """The deadline ended the Job while it ran, while it waited for something, or between attempts."""
    job = view.job
    bound = f" ({job.deadline} s)" if job.deadline is not None else ""
    cut_short = [pod for pod in view.pods if _was_running(job, pod)]
    exceeded = Failure(replace(pod_failure.deadline_exceeded(job, job.deadline), said=said))
    if cut_short:
        return replace(exceeded, pod=cut_short[-1].name, container=pod_failure.only_main(cut_short[-1]))
    for pod in view.pods:
        if not pod.is_over or pod.terminating:
            events = view.about(pod)
            if found := pod_state.pod_blocker(job, pod_state.before_deletion(pod, events), events, _LATEST):
                return Failure(_until_deadline(found.problem, bound))
    if not view.pods and (refusal := pod_creation.refusal(job, view.pods, view.events, _LATEST)):
        return Failure(_until_deadline(refusal.problem, bound))
    if failures := _pod_failures(view):
        return _because(failures[-1], f"Before a further attempt could do better, the Job's deadline{bound} was over.")
    return exceeded


def _was_running(job: Job, pod: Pod) -> bool:
    """Whether a container of `pod` ran until it was stopped from outside."""
    if pod.is_over and not pod.terminating:
        return False
    ended = [each for each in pod.containers if each.ended and not each.is_lost]
    return any(each.running for each in pod.containers) or (bool(ended) and pod_failure.was_stopped(job, pod))


def _until_deadline(problem: Problem, bound: str) -> Problem:
    waited = f"So it was until the Job's deadline{bound} ended the waiting: `DeadlineExceeded`."
    return replace(problem, why=f"{problem.why} {waited}")
