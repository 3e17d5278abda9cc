"""How a pod or a container failed, and which container's exit decided.

The scheduler's, admission's and Job controller's texts come from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from reports of EKS users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.core.models import Concerns
from run_cronjob.diagnosis.job_failure import job_failure
from tests.builders import BACKOFF, at, condition, end, ended, failed, job, lost, pod, running, view, waits
from tests.unit.diagnosis.examples import blamed, reasons

if TYPE_CHECKING:
    from run_cronjob.diagnosis.view import View
Raw = dict[str, Any]


@pytest.mark.parametrize(
    ("code", "expected"),
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
def test_an_exit_code_is_explained(code: int, expected: str):
    found = job_failure(view(failed(*BACKOFF, backoffLimit=0), lost(ended(code))))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", code)
    assert f"exit code {code}" in found.problem.what
    assert expected in found.problem.why
    assert "no further attempt (`backoffLimit: 0`)" in found.problem.why
    assert found.problem.concerns is Concerns.DEVELOPER
    assert "logs nightly-abcde --container report" in found.problem.paste


@pytest.mark.parametrize(("code", "expected"), [(137, "killed at once"), (143, "asked to stop")])
def test_a_container_ended_from_outside_is_no_exit_code_of_the_program(code: int, expected: str):
    found = job_failure(view(failed(*BACKOFF), lost(ended(code))))

    assert blamed(found) == ("ContainerKilled", "nightly-abcde", "report", code)
    assert expected in found.problem.why


def test_out_of_memory_is_reported_with_the_limit():
    specs = {"report": {"resources": {"limits": {"memory": "256Mi"}}}}

    found = job_failure(view(failed(*BACKOFF), lost(ended(137, "OOMKilled"), container_specs=specs)))

    assert blamed(found) == ("OOMKilled", "nightly-abcde", "report", 137)
    assert "`256Mi`" in found.problem.what


def test_out_of_memory_without_a_limit_is_the_nodes():
    found = job_failure(view(failed(*BACKOFF), lost(ended(137, "OOMKilled"))))

    assert "no limit of its own" in found.problem.what


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('exec: "nosuch": executable file not found in $PATH: unknown', "is not in the image"),
        ('exec: "/app": stat /app: no such file or directory: unknown', "is not in the image"),
        ('exec: "/app/run.sh": permission denied: unknown', "not executable"),
        ("exec /app: exec format error", "another processor"),
    ],
)
def test_a_command_that_cannot_be_run_is_explained(said: str, expected: str):
    start = "failed to create containerd task: OCI runtime create failed: runc create failed: unable to start: "

    found = job_failure(view(failed(*BACKOFF), lost(ended(128, "StartError", message=start + said))))

    assert blamed(found) == ("StartFailed", "nightly-abcde", "report", 128)
    assert expected in found.problem.why
    assert said in found.problem.said


def test_an_init_container_that_fails_is_reported_as_such():
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


@pytest.mark.parametrize("now", [waits("CrashLoopBackOff", "back-off 10s"), ended(143), running()])
def test_a_container_that_was_restarted_in_place_is_judged_by_its_own_end(now: Raw):
    """With OnFailure the pod is deleted at the limit: that end is not why the container failed."""
    onfailure = failed(*BACKOFF, pod_spec={"restartPolicy": "OnFailure"}, backoffLimit=2, status={"failed": 1})
    status = now | {"restartCount": 2, "lastState": end(3)}

    found = job_failure(view(onfailure, pod(containers=[status], metadata={"deletionTimestamp": at(70)})))

    assert blamed(found) == ("ContainerFailed", "nightly-abcde", "report", 3)
    assert "the last of 3 attempts" in found.problem.why


@pytest.mark.parametrize(
    ("message", "expected"),
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
def test_an_eviction_is_reported_with_what_ran_short(message: str, expected: str):
    """The kubelet kills the containers: their exit code 137 says nothing about the program."""
    conditions = [condition("PodScheduled"), condition("DisruptionTarget", "TerminationByKubelet", message)]
    evicted = lost(ended(137), status={"reason": "Evicted", "message": message, "conditions": conditions})

    found = job_failure(view(failed(*BACKOFF), evicted))

    assert blamed(found) == ("Evicted", "nightly-abcde", "report", None)
    assert expected in found.problem.what
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
def test_a_pods_own_reason_is_reported(status: Raw, reason: str):
    found = job_failure(view(failed(*BACKOFF), lost(status=status)))

    assert blamed(found) == (reason, "nightly-abcde", "report", None)
    assert found.problem.said == status["message"]


def test_a_container_that_its_node_has_no_record_of_has_no_exit_code_of_its_own():
    unknown = ended(
        137, "ContainerStatusUnknown", message="The container could not be located when the pod was deleted"
    )

    assert blamed(job_failure(view(failed(*BACKOFF), lost(unknown)))) == ("NodeLost", "nightly-abcde", "report", None)


def test_a_crashing_container_is_reported_with_its_exit_and_left_to_the_jobs_own_limit():
    crashing = waits("CrashLoopBackOff", "back-off 10s", restartCount=4, lastState=end(1))

    assert reasons(view(job(pod_spec={"restartPolicy": "OnFailure"}), pod(containers=[crashing]))) == [
        ("ContainerFailed", False)
    ]


def test_a_sidecar_that_never_comes_up_is_lasting():
    def crashing(times: int) -> View:
        sidecar = waits("CrashLoopBackOff", "back-off", "proxy", restartCount=times, lastState=end(1))
        return view(job(), pod(phase="Pending", sidecars=[sidecar], containers=[waits("PodInitializing")]))

    assert reasons(crashing(2)) == [("ContainerFailed", False)]
    assert reasons(crashing(3)) == [("ContainerFailed", True)]


FROM_LOG = {"terminationMessagePolicy": "FallbackToLogsOnError"}


@pytest.mark.parametrize(
    ("reason", "spec", "is_shown"),
    [
        ("Error", FROM_LOG, False),
        ("OOMKilled", FROM_LOG, False),
        ("StartError", FROM_LOG, True),
        ("Error", {}, True),
    ],
)
def test_what_may_be_the_end_of_a_log_is_not_reported_where_logs_are_not_shown(
    reason: str, spec: Raw, *, is_shown: bool
) -> None:
    raw = failed(*BACKOFF), lost(ended(1, reason, message="customer 4711"), container_specs={"report": spec})

    assert job_failure(view(*raw)).problem.said == "customer 4711"
    assert job_failure(view(*raw, shows_output=False)).problem.said == ("customer 4711" if is_shown else "")


def test_nor_is_the_end_of_an_earlier_starts_log() -> None:
    again = waits("CrashLoopBackOff") | {"lastState": end(1, message="customer 4711"), "restartCount": 1}
    raw = failed(*BACKOFF), lost(again, container_specs={"report": FROM_LOG})

    assert job_failure(view(*raw)).problem.said == "customer 4711"
    assert job_failure(view(*raw, shows_output=False)).problem.said == ""
