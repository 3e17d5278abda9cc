"""Why a Job failed, and which pod decided.

The scheduler's, admission's and Job controller's texts come from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from reports of EKS users.
"""

from __future__ import annotations

from typing import Any

import pytest

from run_cronjob.diagnosis.job_failure import job_failure
from tests.builders import (
    BACKOFF,
    DEADLINE,
    FULL_QUOTA,
    IMAGE,
    NOT_READY,
    POLICY_MET,
    UNPACK,
    at,
    condition,
    ended,
    event,
    failed,
    lost,
    pod,
    running,
    unplaced,
    view,
    waits,
)
from tests.unit.diagnosis.examples import blamed

Raw = dict[str, Any]


def test_the_last_of_several_attempts_decides():
    first = lost(ended(1, seconds=30), metadata={"name": "a", "creationTimestamp": at(1)})
    last = lost(ended(2, seconds=90), metadata={"name": "b", "creationTimestamp": at(60)})

    for pods in ((first, last), (last, first)):
        found = job_failure(view(failed(*BACKOFF, status={"failed": 2}, backoffLimit=1), *pods))
        assert blamed(found) == ("ContainerFailed", "b", "report", 2)
        assert "the last of 2 attempts (`backoffLimit: 1`)" in found.problem.why


def test_of_parallel_pods_the_one_that_failed_last_decides_whichever_began_first():
    long = lost(ended(2, seconds=90), metadata={"name": "a", "creationTimestamp": at(1)})
    short = lost(ended(1, seconds=30), metadata={"name": "b", "creationTimestamp": at(2)})

    assert blamed(job_failure(view(failed(*BACKOFF, parallelism=2), long, short)))[1:] == ("a", "report", 2)


def test_what_the_jobs_end_stopped_did_not_fail():
    """At a parallel Job's end the cluster deletes the pods that still run."""
    failing = lost(ended(7, seconds=30), metadata={"name": "a"})
    stopped = lost(ended(143, seconds=60), metadata={"name": "b", "deletionTimestamp": at(60)})

    assert blamed(job_failure(view(failed(*BACKOFF), failing, stopped)))[1:] == ("a", "report", 7)


@pytest.mark.parametrize("pods", [(lost(ended(42)),), ()], ids=["its pod is there", "its pod is gone"])
def test_a_pod_failure_policy_reports_the_container_it_met(pods: tuple[Raw, ...]):
    found = job_failure(view(failed("PodFailurePolicy", POLICY_MET), *pods))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", 42)
    assert "`podFailurePolicy`, rule 1, declares that final" in found.problem.why


def test_a_pod_failure_policy_that_met_a_disruption_reports_that():
    met = "Pod staging/nightly-abcde has condition DisruptionTarget matching FailJob rule at index 1"
    drained = lost(status={"conditions": [condition("DisruptionTarget", "EvictionByEvictionAPI")]})

    assert job_failure(view(failed("PodFailurePolicy", met), drained)).problem.reason == "Drained"
    assert job_failure(view(failed("PodFailurePolicy", met))).problem.reason == "PodFailurePolicy"


def test_a_deadline_that_ends_a_running_container_is_the_deadlines():
    deadline = failed(*DEADLINE, activeDeadlineSeconds=60)

    for status, metadata in (
        (running(), {}),
        (running(), {"deletionTimestamp": at(61)}),
        (ended(143), {"deletionTimestamp": at(61)}),
    ):
        found = job_failure(view(deadline, pod(containers=[status], metadata=metadata)))
        assert blamed(found) == ("DeadlineExceeded", "nightly-abcde", "report", None)
        assert "60 seconds" in found.problem.what


def test_a_deadline_that_ends_a_waiting_reports_what_was_waited_for():
    deadline = failed(*DEADLINE, activeDeadlineSeconds=60)
    pulling = pod(
        phase="Pending",
        containers=[waits("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": {UNPACK}{IMAGE}: not found')],
        metadata={"deletionTimestamp": at(61)},
    )

    found = job_failure(view(deadline, pulling))

    assert blamed(found) == ("ImageNotFound", "", "", None)
    assert "until the Job's deadline (60 s) ended the waiting: `DeadlineExceeded`" in found.problem.why
    assert job_failure(view(deadline, unplaced(NOT_READY))).problem.reason == "Unschedulable"
    assert (
        job_failure(
            view(deadline, events=[event("FailedCreate", f"Error creating: {FULL_QUOTA}", "nightly")])
        ).problem.reason
        == "PodQuotaExceeded"
    )


def test_a_deadline_shorter_than_the_time_to_settle_reports_what_was_waited_for_too():
    known = view(failed(*DEADLINE, activeDeadlineSeconds=1), unplaced("0/3 nodes are available: 3 Insufficient cpu."))

    assert job_failure(known).problem.reason == "Unschedulable"


def test_a_deadline_between_attempts_reports_how_the_last_one_failed():
    found = job_failure(view(failed(*DEADLINE, activeDeadlineSeconds=60), lost(ended(9))))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", 9)
    assert "deadline (60 s) was over" in found.problem.why


def test_a_deadline_of_which_nothing_else_is_known_is_reported_as_it_is():
    found = job_failure(view(failed(*DEADLINE)))

    assert blamed(found) == ("DeadlineExceeded", "", "", None)


def indexed(number: int, *containers: Raw, name: str = "") -> Raw:
    annotations = {"batch.kubernetes.io/job-completion-index": str(number)}
    return lost(*containers, metadata={"name": name or f"nightly-{number}", "annotations": annotations})


INDEXED: Raw = {"completions": 4, "parallelism": 4, "completionMode": "Indexed", "backoffLimitPerIndex": 1}


def test_one_failed_index_reports_its_own_cause():
    of_indexes = failed("FailedIndexes", "Job has failed indexes", status={"failedIndexes": "2"}, **INDEXED)
    attempts = (indexed(2, ended(1, seconds=30), name="first"), indexed(2, ended(6, seconds=60), name="second"))

    found = job_failure(view(of_indexes, *attempts))

    assert blamed(found) == ("ContainerFailed", "second", "report", 6)
    assert "Failed indexes: `2`" in found.problem.why


def test_indexes_that_failed_alike_report_that_without_an_exit_code():
    too_many = failed("MaxFailedIndexesExceeded", status={"failedIndexes": "0,1"}, maxFailedIndexes=1, **INDEXED)

    found = job_failure(view(too_many, indexed(0, ended(137, "OOMKilled")), indexed(1, ended(137, "OOMKilled"))))

    assert (found.problem.reason, found.exit_code) == ("OOMKilled", None)
    assert "`maxFailedIndexes`" in found.problem.why


@pytest.mark.parametrize("reason", ["FailedIndexes", "MaxFailedIndexesExceeded"])
def test_indexes_that_failed_each_in_its_way_are_reported_together(reason: str):
    several = failed(reason, status={"failedIndexes": "0,1"}, maxFailedIndexes=1, **INDEXED)

    found = job_failure(view(several, indexed(0, ended(137, "OOMKilled")), indexed(1, ended(1))))

    assert (found.problem.reason, found.exit_code) == (reason, None)
    assert "`0,1`" in found.problem.what


@pytest.mark.parametrize(
    "reason", ["BackoffLimitExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded"]
)
def test_without_pods_the_jobs_own_reason_is_reported(reason: str):
    found = job_failure(view(failed(reason, "as it says")))

    assert blamed(found) == (reason, "", "", None)
    assert found.problem.said == "as it says"


def test_a_reason_of_the_job_newer_than_this_code_is_reported_in_the_clusters_words():
    assert job_failure(view(failed("ManagedElsewhere", "by others"))).problem.reason == "JobFailed"
    with_pod = job_failure(view(failed("ManagedElsewhere", "by others"), lost(ended(4))))
    assert blamed(with_pod) == ("ContainerFailed", "nightly-abcde", "report", 4)
    assert "`ManagedElsewhere`" in with_pod.problem.why
