"""Pure: what a Job is doing or waiting for, and what keeps it from running."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from run_cronjob.core.status import Job
from run_cronjob.diagnosis import pod_creation, pod_failure, pod_state
from run_cronjob.diagnosis.blocker import Blocker
from run_cronjob.diagnosis.pod_failure import Failure
from run_cronjob.diagnosis.view import View, ended_at

_FIRST_PAUSE, _LONGEST_PAUSE = 10, 600
"""Seconds between attempts, doubled each time (pkg/controller/job, DefaultJobPodFailureBackOff)."""


def waiting(view: View, now: datetime) -> str:
    """Say what the Job is doing or waiting for, in one sentence that stays the same until something changes."""
    job = view.job
    if job.condition("Complete") or job.condition("Failed"):
        return "The Job has ended."
    if job.condition("FailureTarget"):
        return "The Job has failed; what is left of it is being stopped."
    if job.condition("SuccessCriteriaMet"):
        return "The Job's work is done; the cluster is finishing it."
    if job.suspended:
        return "The Job is suspended: it starts nothing until someone resumes it."
    if not view.alive:
        return _between_pods(view, now)
    if _has_several_pods(job):
        return _numbers(view, now)
    pod = view.alive[-1]
    return f"{pod_state.doing(job, pod, view.about(pod), now)}{_attempt(view)}."


def _has_several_pods(job: Job) -> bool:
    return job.parallelism > 1 or (job.completions or 1) > 1


def _between_pods(view: View, now: datetime) -> str:
    job = view.job
    if refusal := pod_creation.refusal(job, view.pods, view.events, now):
        return f"{pod_state.held_up(refusal)}."
    if view.pods and view.pods[-1].phase == "Succeeded":
        several = _has_several_pods(job)
        return _numbers(view, now) if several else "The Job's pod has ended; the cluster is working out the result."
    if failed := view.failed_attempts:
        how = _how_it_failed(view)
        if job.backoff_limit_per_index is None and failed > job.backoff_limit:
            return f"Attempt {failed} has failed{how}; the cluster is working out the result."
        pause = min(_FIRST_PAUSE * 2 ** min(failed - 1, 10), _LONGEST_PAUSE)
        return f"Attempt {failed} has failed{how}; the next one{_most(job)} comes after a pause of about {pause} s."
    return "The Job is created; the cluster has not made its pod yet."


def _numbers(view: View, now: datetime) -> str:
    """The numbers of a parallel or indexed Job, and what most of the pods that don't run wait for."""
    job = view.job
    running = [pod for pod in view.alive if pod.phase == "Running" and any(each.running for each in pod.containers)]
    others = [pod for pod in view.alive if pod not in running]
    done = f"{job.succeeded} of {job.completions} done" if job.completions else f"{job.succeeded} done"
    parts = [done, f"{len(running)} running"]
    if failed := view.failed_attempts:
        parts.append(f"{failed} failed")
    stages = Counter(pod_state.doing(job, pod, view.about(pod), now) for pod in others)
    if len(stages) == 1 and len(others) == 1:
        return f"{', '.join(parts)}, 1 not yet: {next(iter(stages))}."
    if stages:
        stage, count = stages.most_common(1)[0]
        return f"{', '.join(parts)}, {len(others)} not yet; of those {count}: {stage}."
    return f"{', '.join(parts)}."


def _attempt(view: View) -> str:
    job, failed = view.job, view.failed_attempts
    if job.restarts_in_place:
        restarts = sum(container.restarts for pod in view.alive for container in pod.containers)
        return f" (restart {restarts} of at most {job.backoff_limit})" if restarts else ""
    return f" (attempt {failed + 1}{_most(job)})" if failed else ""


def _most(job: Job) -> str:
    return f" of at most {job.backoff_limit + 1}" if job.backoff_limit_per_index is None else ""


def _how_it_failed(view: View) -> str:
    failure = _latest_failure(view)
    if not failure:
        return ""
    code = "" if failure.exit_code is None else f", exit code {failure.exit_code}"
    return f" ({failure.problem.reason}{code})"


# --- what keeps it from running


def blockers(view: View, now: datetime) -> tuple[Blocker, ...]:
    """List what keeps the Job from running: each cause once, lasting ones first; none once it has ended."""
    job = view.job
    if any(job.condition(kind) for kind in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")):
        return ()
    if job.suspended:
        return (Blocker(view.redacted(pod_creation.suspended(job)), lasting=True),)
    found = [pod_creation.refusal(job, view.pods, view.events, now)]
    found += [pod_state.pod_blocker(job, pod, view.about(pod), now) for pod in view.alive]
    if not any(pod.has_run for pod in view.alive) and (failure := _latest_failure(view)):
        found.append(Blocker(failure.problem, lasting=failure.is_certain_again))
    each: dict[tuple[str, str], Blocker] = {}
    for one in sorted(filter(None, found), key=lambda one: not one.lasting):
        each.setdefault((one.problem.reason, one.problem.what), Blocker(view.redacted(one.problem), one.lasting))
    return tuple(each.values())


def _latest_failure(view: View) -> Failure | None:
    failed = [pod for pod in view.pods if pod.phase == "Failed"]
    return pod_failure.of_pod(view.job, max(failed, key=ended_at)) if failed else None
