"""Why a Job failed, and which container decided.

The scheduler's, admission's and Job controller's words were taken from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from what people report of EKS.
"""

from __future__ import annotations

from typing import Any

import pytest

from run_cronjob.core.models import Concerns
from run_cronjob.diagnosis.job_failure import JobFailure, job_failure
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
    end,
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

Raw = dict[str, Any]


def blamed(found: JobFailure) -> tuple[str, str, str, int | None]:
    return found.problem.reason, found.pod, found.container, found.exit_code


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (1, "what most programs say for any"),
        (2, "arguments"),
        (42, "The program chose that code itself"),
        (126, "no execute permission"),
        (127, "does not find"),
        (134, "SIGABRT"),
        (139, "SIGSEGV"),
        (255, "ends with -1"),
        (140, "signal 12"),
    ],
)
def test_an_exit_code_is_explained(code: int, told: str):
    found = job_failure(view(failed(*BACKOFF, backoffLimit=0), lost(ended(code))))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", code)
    assert f"exit code {code}" in found.problem.what
    assert told in found.problem.why
    assert "no further attempt (`backoffLimit: 0`)" in found.problem.why
    assert found.problem.concerns is Concerns.DEVELOPER
    assert "logs nightly-abcde --container report" in found.problem.paste


@pytest.mark.parametrize(("code", "told"), [(137, "killed at once"), (143, "asked to stop")])
def test_a_container_ended_from_outside_is_no_exit_code_of_the_program(code: int, told: str):
    found = job_failure(view(failed(*BACKOFF), lost(ended(code))))

    assert blamed(found) == ("ContainerKilled", "nightly-abcde", "report", code)
    assert told in found.problem.why


def test_out_of_memory_is_told_with_the_limit():
    specs = {"report": {"resources": {"limits": {"memory": "256Mi"}}}}

    found = job_failure(view(failed(*BACKOFF), lost(ended(137, "OOMKilled"), container_specs=specs)))

    assert blamed(found) == ("OOMKilled", "nightly-abcde", "report", 137)
    assert "`256Mi`" in found.problem.what


def test_out_of_memory_without_a_limit_is_the_nodes():
    found = job_failure(view(failed(*BACKOFF), lost(ended(137, "OOMKilled"))))

    assert "no limit of its own" in found.problem.what


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('exec: "nosuch": executable file not found in $PATH: unknown', "is not in the image"),
        ('exec: "/app": stat /app: no such file or directory: unknown', "is not in the image"),
        ('exec: "/app/run.sh": permission denied: unknown', "not executable"),
        ("exec /app: exec format error", "another processor"),
    ],
)
def test_a_command_that_cannot_be_run_is_explained(said: str, told: str):
    start = "failed to create containerd task: OCI runtime create failed: runc create failed: unable to start: "

    found = job_failure(view(failed(*BACKOFF), lost(ended(128, "StartError", message=start + said))))

    assert blamed(found) == ("StartFailed", "nightly-abcde", "report", 128)
    assert told in found.problem.why
    assert said in found.problem.said


def test_an_init_container_that_fails_is_told_as_such():
    broken = lost(waits("PodInitializing"), init=[ended(0, "Completed", "fetch"), ended(3, name="migrate")])

    found = job_failure(view(failed(*BACKOFF), broken))

    assert blamed(found) == ("InitContainerFailed", "nightly-abcde", "migrate", 3)
    assert "never began" in found.problem.what


def test_what_a_container_left_as_its_last_message_is_shown_as_foreign():
    found = job_failure(view(failed(*BACKOFF), lost(ended(1, message="disk quota\nof the bucket is used up\n"))))

    assert found.problem.said == "disk quota\nof the bucket is used up"


def test_two_containers_that_failed_leave_the_exit_code_open():
    found = job_failure(view(failed(*BACKOFF), lost(ended(2, seconds=40), ended(1, name="shipper", seconds=30))))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "shipper", None)


def test_a_sidecar_that_is_stopped_at_the_end_decides_nothing():
    stopped = ended(143, name="proxy")

    assert blamed(job_failure(view(failed(*BACKOFF), lost(ended(5), sidecars=[stopped])))) == (
        "ContainerFailed",
        "nightly-abcde",
        "report",
        5,
    )


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


@pytest.mark.parametrize("now", [waits("CrashLoopBackOff", "back-off 10s"), ended(143), running()])
def test_a_container_that_was_restarted_in_place_is_judged_by_its_own_end(now: Raw):
    """With OnFailure the pod is deleted at the limit: what ended it then is not why it failed."""
    onfailure = failed(*BACKOFF, pod_spec={"restartPolicy": "OnFailure"}, backoffLimit=2, status={"failed": 1})
    status = now | {"restartCount": 2, "lastState": end(3)}

    found = job_failure(view(onfailure, pod(containers=[status], metadata={"deletionTimestamp": at(70)})))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", 3)
    assert "the last of 3 attempts" in found.problem.why


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi. ",
            "ran short of disk space",
        ),
        ('Container report exceeded its local ephemeral storage limit "1Gi". ', "wrote more to the node's disk"),
        ('Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ', "wrote more to the node's disk"),
        (
            "The node was low on resource: memory. Container report was using 3Gi, request is 0. ",
            "ran short of memory",
        ),
        ("Evicted by something new", "(evicted)."),
    ],
)
def test_an_eviction_is_told_with_what_ran_short(message: str, told: str):
    """The kubelet kills the containers: their 137 says nothing of the program."""
    conditions = [condition("PodScheduled"), condition("DisruptionTarget", "TerminationByKubelet", message)]
    evicted = lost(ended(137), status={"reason": "Evicted", "message": message, "conditions": conditions})

    found = job_failure(view(failed(*BACKOFF), evicted))

    assert blamed(found) == ("Evicted", "nightly-abcde", "report", None)
    assert told in found.problem.what
    assert message.strip() in found.problem.said


@pytest.mark.parametrize(
    ("by", "message", "reason"),
    [
        ("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod", "Preempted"),
        ("EvictionByEvictionAPI", "Eviction API: evicting", "Drained"),
        ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", "NodeLost"),
        ("DeletionByPodGC", "PodGC: node no longer exists", "NodeLost"),
        ("DeletionBySomethingNew", "because", "PodDisrupted"),
    ],
)
def test_what_the_cluster_did_to_a_pod_is_not_blamed_on_the_program(by: str, message: str, reason: str):
    disrupted = pod(
        containers=[ended(143)],
        status={"conditions": [condition("DisruptionTarget", by, message)]},
        metadata={"deletionTimestamp": at(60)},
    )

    found = job_failure(view(failed(*BACKOFF), disrupted))

    assert blamed(found) == (reason, "nightly-abcde", "report", None)
    assert message in found.problem.said
    assert found.problem.first


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}, "NodeLost"),
        ({"reason": "NodeLost", "message": "Node x which was running pod y is unresponsive"}, "NodeLost"),
        ({"reason": "Preempting", "message": "Preempted in order to admit critical pod"}, "Preempted"),
        ({"reason": "OutOfcpu", "message": "Pod was rejected: Node didn't have enough resource: cpu"}, "NodeRefused"),
        ({"reason": "UnexpectedAdmissionError", "message": "Pod was rejected: Allocate failed"}, "NodeRefused"),
        ({"reason": "DeadlineExceeded", "message": "Pod was active on the node longer than"}, "DeadlineExceeded"),
        ({"reason": "", "message": "something new"}, "PodDisrupted"),
    ],
)
def test_a_pods_own_reason_is_told(status: Raw, reason: str):
    found = job_failure(view(failed(*BACKOFF), lost(status=status)))

    assert blamed(found) == (reason, "nightly-abcde", "report", None)
    assert found.problem.said == status["message"]


def test_a_container_that_its_node_lost_sight_of_has_no_exit_code_of_its_own():
    unknown = ended(
        137, "ContainerStatusUnknown", message="The container could not be located when the pod was deleted"
    )

    assert blamed(job_failure(view(failed(*BACKOFF), lost(unknown)))) == ("NodeLost", "nightly-abcde", "report", None)


@pytest.mark.parametrize("pods", [(lost(ended(42)),), ()], ids=["its pod is there", "its pod is gone"])
def test_a_pod_failure_policy_tells_the_container_it_met(pods: tuple[Raw, ...]):
    found = job_failure(view(failed("PodFailurePolicy", POLICY_MET), *pods))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", 42)
    assert "`podFailurePolicy`, rule 1, declares that final" in found.problem.why


def test_a_pod_failure_policy_that_met_a_disruption_tells_that():
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


def test_a_deadline_that_ends_a_waiting_tells_what_was_waited_for():
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


@pytest.mark.parametrize(
    ("noted", "reason"),
    [
        (event("Failed", f'Failed to pull image "{IMAGE}": {UNPACK}{IMAGE}: not found'), "ImageNotFound"),
        (event("Failed", "Error: ImagePullBackOff"), "ImagePullFailed"),
        (event("Failed", 'Error: secret "database" not found'), "SecretMissing"),
        (event("FailedMount", 'MountVolume.SetUp failed for volume "s" : configmap "s" not found'), "ConfigMapMissing"),
        (event("Started", "Started container report"), "DeadlineExceeded"),
    ],
)
def test_what_never_ran_is_not_taken_for_lost_because_its_node_says_so(noted: Raw, reason: str):
    """A kubelet replaces the reason for waiting, when the pod is deleted (TerminatePod): events alone still tell."""
    unknown = {"reason": "ContainerStatusUnknown", "exitCode": 137, "startedAt": None, "finishedAt": None}
    unknown["message"] = "The container could not be located when the pod was terminated"
    deleted = lost({"name": "report", "state": {"terminated": unknown}}, metadata={"deletionTimestamp": at(61)})

    found = job_failure(view(failed(*DEADLINE, activeDeadlineSeconds=60), deleted, events=[noted]))

    assert (found.problem.reason, found.exit_code) == (reason, None)


def test_a_deadline_shorter_than_our_patience_tells_what_was_waited_for_too():
    known = view(failed(*DEADLINE, activeDeadlineSeconds=1), unplaced("0/3 nodes are available: 3 Insufficient cpu."))

    assert job_failure(known).problem.reason == "Unschedulable"


def test_a_deadline_between_attempts_tells_how_the_last_one_failed():
    found = job_failure(view(failed(*DEADLINE, activeDeadlineSeconds=60), lost(ended(9))))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", 9)
    assert "deadline (60 s) was over" in found.problem.why


def test_a_deadline_of_which_nothing_else_is_known_is_told_as_it_is():
    found = job_failure(view(failed(*DEADLINE)))

    assert blamed(found) == ("DeadlineExceeded", "", "", None)


def indexed(number: int, *containers: Raw, name: str = "") -> Raw:
    annotations = {"batch.kubernetes.io/job-completion-index": str(number)}
    return lost(*containers, metadata={"name": name or f"nightly-{number}", "annotations": annotations})


INDEXED: Raw = {"completions": 4, "parallelism": 4, "completionMode": "Indexed", "backoffLimitPerIndex": 1}


def test_one_failed_index_tells_its_own_cause():
    of_indexes = failed("FailedIndexes", "Job has failed indexes", status={"failedIndexes": "2"}, **INDEXED)
    attempts = (indexed(2, ended(1, seconds=30), name="first"), indexed(2, ended(6, seconds=60), name="second"))

    found = job_failure(view(of_indexes, *attempts))

    assert blamed(found) == ("ContainerFailed", "second", "report", 6)
    assert "Failed indexes: `2`" in found.problem.why


def test_indexes_that_failed_alike_tell_that_without_an_exit_code():
    too_many = failed("MaxFailedIndexesExceeded", status={"failedIndexes": "0,1"}, maxFailedIndexes=1, **INDEXED)

    found = job_failure(view(too_many, indexed(0, ended(137, "OOMKilled")), indexed(1, ended(137, "OOMKilled"))))

    assert (found.problem.reason, found.exit_code) == ("OOMKilled", None)
    assert "`maxFailedIndexes`" in found.problem.why


@pytest.mark.parametrize("reason", ["FailedIndexes", "MaxFailedIndexesExceeded"])
def test_indexes_that_failed_each_in_its_way_are_told_together(reason: str):
    several = failed(reason, status={"failedIndexes": "0,1"}, maxFailedIndexes=1, **INDEXED)

    found = job_failure(view(several, indexed(0, ended(137, "OOMKilled")), indexed(1, ended(1))))

    assert (found.problem.reason, found.exit_code) == (reason, None)
    assert "`0,1`" in found.problem.what


@pytest.mark.parametrize(
    "reason", ["BackoffLimitExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded"]
)
def test_without_pods_the_jobs_own_reason_is_told(reason: str):
    found = job_failure(view(failed(reason, "as it says")))

    assert blamed(found) == (reason, "", "", None)
    assert found.problem.said == "as it says"


def test_a_reason_of_the_job_newer_than_this_code_is_told_in_the_clusters_words():
    assert job_failure(view(failed("ManagedElsewhere", "by others"))).problem.reason == "JobFailed"
    with_pod = job_failure(view(failed("ManagedElsewhere", "by others"), lost(ended(4))))
    assert blamed(with_pod) == ("ContainerFailed", "nightly-abcde", "report", 4)
    assert "`ManagedElsewhere`" in with_pod.problem.why


FROM_LOG = {"terminationMessagePolicy": "FallbackToLogsOnError"}


@pytest.mark.parametrize(
    ("reason", "spec", "is_told"),
    [
        ("Error", FROM_LOG, False),
        ("OOMKilled", FROM_LOG, False),
        ("StartError", FROM_LOG, True),
        ("Error", {}, True),
    ],
)
def test_what_may_be_the_end_of_a_log_is_not_told_where_logs_are_not_shown(
    reason: str, spec: Raw, *, is_told: bool
) -> None:
    raw = failed(*BACKOFF), lost(ended(1, reason, message="customer 4711"), container_specs={"report": spec})

    assert job_failure(view(*raw)).problem.said == "customer 4711"
    assert job_failure(view(*raw, shows_output=False)).problem.said == ("customer 4711" if is_told else "")


def test_nor_is_the_end_of_an_earlier_starts_log() -> None:
    again = waits("CrashLoopBackOff") | {"lastState": end(1, message="customer 4711"), "restartCount": 1}
    raw = failed(*BACKOFF), lost(again, container_specs={"report": FROM_LOG})

    assert job_failure(view(*raw)).problem.said == "customer 4711"
    assert job_failure(view(*raw, shows_output=False)).problem.said == ""
