"""Pure: Job, pods and events as they are now -> what the Job waits for, why it does not run, why it failed.

startup.py knows what keeps a pod from running, failures.py how a pod failed, pod_creation.py the words; here is what
the Job as a whole makes of it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from run_cronjob.core import status
from run_cronjob.core.status import Container, Role
from run_cronjob.core.text import clean, quoted, redact
from run_cronjob.diagnosis import failures, pod_creation, startup
from run_cronjob.diagnosis.startup import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from run_cronjob.core.models import Problem
    from run_cronjob.core.status import Condition, Event, Job, Pod
    from run_cronjob.diagnosis.failures import Ending

__all__ = ["PostMortem", "Trouble", "View", "post_mortem", "trouble", "waiting"]

_FIRST_PAUSE, _LONGEST_PAUSE = 10, 600
"""Seconds between attempts, doubled each time (pkg/controller/job, DefaultJobPodFailureBackOff)."""

_LONG_AGO, _IN_THE_END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class View:
    """The Job, its pods and its events as they are known now.

    `pods` are the Job's pods as they were seen last, those among them that are gone by now: at a deadline the cluster
    deletes them, and nothing else tells why. `events` are those of the Job and its pods, in any order.
    """

    job: Job = field(repr=False)
    pods: tuple[Pod, ...] = field(repr=False, default=())
    events: tuple[Event, ...] = field(repr=False, default=())
    env_values: frozenset[str] = field(repr=False, default=frozenset())
    """Struck from what the cluster says."""


@dataclass(frozen=True)
class PostMortem:
    """Why the Job failed.

    `pod` and `container` are those whose log tells most, both empty if there are none. `exit_code` is that of the
    container which decided, None unless there is exactly one.
    """

    problem: Problem
    pod: str = ""
    container: str = ""
    exit_code: int | None = None


@dataclass(frozen=True)
class _Seen:
    """A View, read."""

    job: Job
    pods: tuple[Pod, ...]
    """Oldest first."""
    events: tuple[Event, ...]

    def about(self, pod: Pod) -> tuple[Event, ...]:
        """The events of `pod`."""
        return tuple(event for event in self.events if event.kind == "Pod" and event.name == pod.name)

    @property
    def alive(self) -> tuple[Pod, ...]:
        """The pods that have not ended and are not being stopped."""
        return tuple(pod for pod in self.pods if not pod.is_over and not pod.leaving)

    @property
    def verdict(self) -> Condition | None:
        """Why the Job failed, or is about to: FailureTarget stands while its pods are being stopped."""
        return self.job.condition("Failed") or self.job.condition("FailureTarget")


def _see(view: View) -> _Seen:
    pods = sorted(view.pods, key=lambda pod: (pod.created or _LONG_AGO, pod.name))
    return _Seen(view.job, tuple(pods), view.events)


# --- what is it waiting for? --------------------------------------------------------------------------------


def waiting(view: View, now: datetime) -> str:
    """What the Job is doing or waiting for, as one sentence that stays the same until something changes."""
    seen = _see(view)
    job = seen.job
    if job.condition("Complete") or job.condition("Failed"):
        return "The Job has ended."
    if job.condition("FailureTarget"):
        return "The Job has failed; what is left of it is being stopped."
    if job.condition("SuccessCriteriaMet"):
        return "The Job's work is done; the cluster is finishing it."
    if job.suspended:
        return "The Job is suspended: it starts nothing until someone resumes it."
    if not seen.alive:
        return _between_pods(seen, now)
    if _is_many(job):
        return _many(seen, now)
    return f"{_doing(seen, seen.alive[-1], now)}{_attempt(seen)}."


def _is_many(job: Job) -> bool:
    return job.parallelism > 1 or (job.completions or 1) > 1


def _held_up(by: Trouble) -> str:
    after = "that does not pass by itself" if by.lasting else "the cluster tries again"
    return f"{_middle(by.problem)}; {after}"


def _middle(problem: Problem) -> str:
    """What is wrong, for the middle of a sentence."""
    return problem.what.removesuffix(".")


def _between_pods(seen: _Seen, now: datetime) -> str:
    job = seen.job
    if refusal := startup.of_creation(job, seen.pods, seen.events, now):
        return f"{_held_up(refusal)}."
    if seen.pods and seen.pods[-1].phase == "Succeeded":
        return _many(seen, now) if _is_many(job) else "The Job's pod has ended; the cluster is working out the result."
    failed = _failures(seen)
    if failed:
        how = _how_it_ended(seen)
        if job.backoff_limit_per_index is None and failed > job.backoff_limit:
            return f"Attempt {failed} has failed{how}; the cluster is working out the result."
        pause = min(_FIRST_PAUSE * 2 ** min(failed - 1, 10), _LONGEST_PAUSE)
        return f"Attempt {failed} has failed{how}; the next one{_most(job)} comes after a pause of about {pause} s."
    return "The Job is created; the cluster has not made its pod yet."


def _many(seen: _Seen, now: datetime) -> str:
    """Parallel or indexed: numbers, and what those wait for that don't run."""
    job = seen.job
    running = [pod for pod in seen.alive if pod.phase == "Running" and any(each.running for each in pod.containers)]
    others = [pod for pod in seen.alive if pod not in running]
    done = f"{job.succeeded} of {job.completions} done" if job.completions else f"{job.succeeded} done"
    parts = [done, f"{len(running)} running"]
    failed = _failures(seen)
    if failed:
        parts.append(f"{failed} failed")
    stages = Counter(_doing(seen, pod, now) for pod in others)
    if len(stages) == 1 and len(others) == 1:
        return f"{', '.join(parts)}, 1 not yet: {next(iter(stages))}."
    if stages:
        stage, count = stages.most_common(1)[0]
        return f"{', '.join(parts)}, {len(others)} not yet; of those {count}: {stage}."
    return f"{', '.join(parts)}."


def _failures(seen: _Seen) -> int:
    """How many attempts have failed, as far as the Job's own count and the pods seen tell."""
    return max(seen.job.failed, sum(pod.phase == "Failed" for pod in seen.pods))


def _attempt(seen: _Seen) -> str:
    job, failed = seen.job, _failures(seen)
    if job.restarts_in_place:
        restarts = sum(container.restarts for pod in seen.alive for container in pod.containers)
        return f" (restart {restarts} of at most {job.backoff_limit})" if restarts else ""
    return f" (attempt {failed + 1}{_most(job)})" if failed else ""


def _most(job: Job) -> str:
    return f" of at most {job.backoff_limit + 1}" if job.backoff_limit_per_index is None else ""


def _how_it_ended(seen: _Seen) -> str:
    ending = _last_ending(seen)
    if not ending:
        return ""
    known = "" if ending.exit_code is None else f", exit code {ending.exit_code}"
    return f" ({ending.problem.reason}{known})"


def _doing(seen: _Seen, pod: Pod, now: datetime) -> str:
    """What one pod is doing, without a full stop."""
    events = seen.about(pod)
    placed = pod.conditions.get("PodScheduled")
    if not pod.node and not (placed and placed.true):
        return _looking_for_a_node(seen.job, pod, events, now)
    waits = [container for container in pod.containers if container.waiting]
    for container in waits:
        if container.reason == "CrashLoopBackOff" and (ending := failures.of_container(seen.job, pod, container)):
            return f"{_middle(ending.problem)}; it is started again after a pause"
    if obstacle := startup.of_pod(seen.job, pod, events, now):
        return _held_up(obstacle)
    running = [container for container in pod.containers if container.running]
    preparing = [container for container in pod.containers if container.role is Role.INIT]
    for number, container in enumerate(preparing, 1):
        if container.running:
            return f"Init container {number} of {len(preparing)} ({quoted(container.name)}) runs{_since(container)}"
    mains = [container for container in running if container.role is Role.MAIN]
    if mains:
        names = "It" if len(pod.containers) == 1 else " and ".join(quoted(each.name) for each in mains[:3])
        return f"{names} {'runs' if len(mains) == 1 else 'run'}{_since(mains[0])}"
    if not waits and pod.has_run:
        return "Its containers have ended; the cluster is working out the result"
    return _being_set_up(pod, events)


def _since(container: Container) -> str:
    return f" since {container.running_since:%H:%M:%S} UTC" if container.running_since else ""


def _looking_for_a_node(job: Job, pod: Pod, events: Sequence[Event], now: datetime) -> str:
    if pod.gates:
        return _middle(pod_creation.scheduling_gated(pod))
    if startup.being_helped(events, now):
        return "It waits for a new node, which is being started for it"
    obstacle = startup.of_pod(job, pod, events, now)
    return _held_up(obstacle) if obstacle else "It waits for a node to run on"


def _being_set_up(pod: Pod, events: Sequence[Event]) -> str:
    latest = startup.last(event for event in events if event.reason in _STEPS)
    if latest and latest.reason == "Pulling":
        images = [each.image for each in pod.containers if f'"{each.image}"' in latest.message]
        return f"The image {quoted(images[0])} is being pulled to its node" if images else "An image is being pulled"
    if latest and latest.reason == "FailedCreatePodSandBox":
        return "It waits for its network"
    return "Its containers are being set up on their node"


_STEPS = {"Pulling", "Pulled", "Created", "Started", "FailedCreatePodSandBox"}


# --- why does it not run? -----------------------------------------------------------------------------------


def trouble(view: View, now: datetime) -> tuple[Trouble, ...]:
    """What keeps the Job from running, each cause once, the gravest first; nothing once it has ended."""
    seen = _see(view)
    if any(seen.job.condition(kind) for kind in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")):
        return ()
    if seen.job.suspended:
        return (Trouble(_told(view, pod_creation.suspended(seen.job)), lasting=True),)
    found = list(_obstacles(seen, now))
    if not any(pod.has_run for pod in seen.alive) and (ending := _last_ending(seen)):
        found.append(Trouble(ending.problem, lasting=ending.is_certain_again))
    each: dict[tuple[str, str], Trouble] = {}
    for one in sorted(found, key=lambda one: not one.lasting):
        each.setdefault((one.problem.reason, one.problem.what), Trouble(_told(view, one.problem), one.lasting))
    return tuple(each.values())


def _obstacles(seen: _Seen, now: datetime) -> Iterable[Trouble]:
    if refusal := startup.of_creation(seen.job, seen.pods, seen.events, now):
        yield refusal
    for pod in seen.alive:
        if found := startup.of_pod(seen.job, pod, seen.about(pod), now):
            yield found


def _last_ending(seen: _Seen) -> Ending | None:
    failed = [pod for pod in seen.pods if pod.phase == "Failed"]
    return failures.of_pod(seen.job, max(failed, key=_end_of)) if failed else None


def _end_of(pod: Pod) -> datetime:
    return pod.ended_at or _LONG_AGO


# --- why did it fail? ---------------------------------------------------------------------------------------


def post_mortem(view: View) -> PostMortem:
    """Why the Job failed: what its containers or pods tell first, then what the Job made of it."""
    seen = _see(view)
    verdict = seen.verdict
    reason, said = (verdict.reason, verdict.message) if verdict else ("", "")
    found = _judged(seen, reason, said)
    return replace(found, problem=_told(view, found.problem))


def _judged(seen: _Seen, reason: str, said: str) -> PostMortem:
    job = seen.job
    if reason == "DeadlineExceeded":
        return _at_deadline(seen, said)
    if reason == "PodFailurePolicy":
        ending = _met_by_policy(seen, said)
        return _because(ending, _finally(said)) if ending else PostMortem(pod_creation.pod_failure_policy(job, said))
    failed = _failed(seen)
    ending = failed[-1] if failed else None
    if reason in {"FailedIndexes", "MaxFailedIndexesExceeded"}:
        differ = len({each.problem.reason for each in failed}) != 1
        if ending is None or differ:
            general = pod_creation.failed_indexes(job, said, too_many=reason == "MaxFailedIndexesExceeded")
            return PostMortem(general, ending.pod if ending else "", ending.container if ending else "")
        alone = replace(ending, exit_code=None) if len(failed) > 1 else ending
        return _because(alone, _of_indexes(job, reason))
    if ending:
        return _because(ending, _tried(seen) if reason == "BackoffLimitExceeded" else _by_job(reason))
    if reason == "BackoffLimitExceeded":
        return PostMortem(pod_creation.backoff_limit_exceeded(job, said))
    return PostMortem(pod_creation.job_failed(job, reason, said))


def _because(ending: Ending, then: str) -> PostMortem:
    problem = replace(ending.problem, why=f"{ending.problem.why} {then}")
    return PostMortem(problem, ending.pod, ending.container, ending.exit_code)


def _failed(seen: _Seen) -> list[Ending]:
    """The endings of all pods that failed of themselves, the latest last; of an index, its last attempt only."""
    latest: dict[str, Ending] = {}
    for pod in sorted(seen.pods, key=_end_of):
        ending = None if failures.was_stopped(seen.job, pod) else failures.of_pod(seen.job, pod)
        if ending:
            place = pod.index if seen.job.backoff_limit_per_index is not None else pod.name
            latest.pop(place, None)
            latest[place] = ending
    return list(latest.values())


def _tried(seen: _Seen) -> str:
    job = seen.job
    limit = f"(`backoffLimit: {job.backoff_limit}`)"
    times = _failures(seen)
    if job.restarts_in_place:
        times = max(times, 1 + max((each.restarts for pod in seen.pods for each in pod.containers), default=0))
    if times > 1:
        return f"That was the last of {times} attempts {limit}: `BackoffLimitExceeded`."
    return f"The Job makes no further attempt {limit}: `BackoffLimitExceeded`."


def _finally(said: str) -> str:
    rule = re.search(r"rule at index (\d{1,3})", said)
    which = f", rule {int(rule[1]) + 1}," if rule else ""
    return f"The CronJob's `podFailurePolicy`{which} declares that final: no further attempt was made."


def _of_indexes(job: Job, reason: str) -> str:
    which = f" Failed indexes: {quoted(job.failed_indexes)}." if job.failed_indexes else ""
    stopped = " They are more than `maxFailedIndexes` allows, so the others were stopped."
    return f"Each part of the Job has attempts of its own.{which}{stopped if reason != 'FailedIndexes' else ''}"


def _by_job(reason: str) -> str:
    return f"The cluster ended the Job for it: {quoted(reason or 'no reason given')}."


def _met_by_policy(seen: _Seen, said: str) -> Ending | None:
    """What the rule met (pkg/controller/job/pod_failure_policy.go); the message tells even where the pod is gone."""
    found = re.match(r"Container (\S+) for pod [^\s/]+/(\S+) failed with exit code (\d{1,9}) ", said)
    named = found[2] if found else _named_pod(said)
    pod = next((pod for pod in seen.pods if pod.name == named), None)
    if not found:
        return failures.of_pod(seen.job, pod) if pod else None
    known = next((each for each in pod.containers if each.name == found[1]), None) if pod else None
    blamed = known or Container(found[1], ended=status.Ended(int(found[3])))
    return failures.of_container(seen.job, pod or status.Pod(named), blamed)


def _named_pod(said: str) -> str:
    found = re.match(r"Pod [^\s/]+/(\S+) has condition ", said)
    return found[1] if found else ""


def _at_deadline(seen: _Seen, said: str) -> PostMortem:
    """The deadline ended it: while it ran, while it waited for something, or between attempts."""
    job = seen.job
    bound = f" ({job.deadline} s)" if job.deadline is not None else ""
    cut_short = [pod for pod in seen.pods if _was_at_work(job, pod)]
    if not cut_short:
        for pod in seen.pods:
            if not pod.is_over or pod.leaving:
                events = seen.about(pod)
                if found := startup.of_pod(job, startup.as_it_waited(pod, events), events, _IN_THE_END):
                    return PostMortem(_until_deadline(found.problem, bound))
        if not seen.pods and (refusal := startup.of_creation(job, seen.pods, seen.events, _IN_THE_END)):
            return PostMortem(_until_deadline(refusal.problem, bound))
        if failed := _failed(seen):
            then = f"Before a further attempt could do better, the Job's deadline{bound} was over."
            return _because(failed[-1], then)
    problem = pod_creation.deadline_exceeded(job, job.deadline, said)
    return PostMortem(problem, cut_short[-1].name, failures.only(cut_short[-1])) if cut_short else PostMortem(problem)


def _was_at_work(job: Job, pod: Pod) -> bool:
    """Whether a container of `pod` ran until it was stopped from outside."""
    if pod.is_over and not pod.leaving:
        return False
    ended = [each for each in pod.containers if each.ended and not each.is_lost]
    return any(each.running for each in pod.containers) or (bool(ended) and failures.was_stopped(job, pod))


def _until_deadline(problem: Problem, bound: str) -> Problem:
    waited = f"So it was until the Job's deadline{bound} ended the waiting: `DeadlineExceeded`."
    return replace(problem, why=f"{problem.why} {waited}")


def _told(view: View, problem: Problem) -> Problem:
    """`problem` without the env values that the cluster may have quoted."""
    lines = [clean(line) for line in problem.said.splitlines() if line.strip()]
    return replace(problem, said=redact("\n".join(lines), view.env_values, known=(view.job.name, view.job.namespace)))
