"""What a Job waits for, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.diagnosis.job_state import waiting
from tests.builders import (
    IMAGE,
    LATER,
    NOT_READY,
    SOON,
    after,
    condition,
    end,
    ended,
    event,
    job,
    pod,
    running,
    unplaced,
    view,
    waits,
)

if TYPE_CHECKING:
    from run_cronjob.diagnosis.view import View

Raw = dict[str, Any]


PULLING = event("Pulling", f'Pulling image "{IMAGE}"')
THIRD_FAILED = "The container `report` ended with exit code 3"
REFUSED = "The cluster refuses to create the Job's pod, for the reason in its message"
SECOND_FAILED = "Attempt 2 has failed (ContainerFailed, exit code 1)"
RETRYING = job(status={"failed": 2})
PARALLEL = job(status={"succeeded": 3, "active": 2}, completions=10, parallelism=2)


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (view(job()), "The Job is created; the cluster has not made its pod yet."),
        (view(job(suspend=True)), "The Job is suspended: it starts nothing until someone resumes it."),
        (view(job(), unplaced("")), "It waits for a node to run on."),
        (
            view(job(), unplaced(NOT_READY)),
            "No node of the cluster can take the Job's pod: 3 nodes: not ready; the cluster tries again.",
        ),
        (
            view(
                job(), unplaced("Scheduling is blocked", reason="SchedulingGated", schedulingGates=[{"name": "kueue"}])
            ),
            "The Job's pod is held back on purpose, by `kueue`.",
        ),
        (
            view(
                job(),
                unplaced("0/3 nodes are available: 3 Insufficient cpu."),
                events=[event("Nominated", "Pod should schedule on: nodeclaim/default-x7k2q", seconds=30)],
            ),
            "It waits for a new node, which is being started for it.",
        ),
        (
            view(job(), pod(phase="Pending", containers=[waits("ContainerCreating")])),
            "Its containers are being set up on their node.",
        ),
        (
            view(job(), pod(phase="Pending", containers=[waits("ContainerCreating")]), events=[PULLING]),
            f"The image `{IMAGE}` is being pulled to its node.",
        ),
        (
            view(
                job(),
                pod(phase="Pending", containers=[waits("ContainerCreating")]),
                events=[event("FailedMount", "MountVolume.SetUp failed", seconds=9), PULLING],
            ),
            "A volume of the Job's pod can't be attached to its node, or mounted there; the cluster tries again.",
        ),
        (
            view(
                job(),
                pod(
                    phase="Pending",
                    init=[ended(0, "Completed", "fetch"), running("migrate")],
                    containers=[waits("PodInitializing")],
                ),
            ),
            "Init container 2 of 2 (`migrate`) runs since 04:05:11 UTC.",
        ),
        (
            view(job(), pod(phase="Pending", containers=[waits("ImagePullBackOff")])),
            f"The image `{IMAGE}` can't be pulled (container `report`); the cluster tries again.",
        ),
        (
            view(job(), pod(phase="Pending", containers=[waits("CreateContainerConfigError")])),
            "The node can't set up the container `report`; the cluster tries again.",
        ),
        (view(job(), pod(containers=[running()])), "It runs since 04:05:11 UTC."),
        (
            view(job(), pod(containers=[running(), running("shipper", 8)])),
            "`report` and `shipper` run since 04:05:11 UTC.",
        ),
        (
            view(RETRYING, pod("a", "Failed", containers=[ended(1)]), pod("b", containers=[running()])),
            "It runs since 04:05:11 UTC (attempt 3 of at most 7).",
        ),
        (
            view(RETRYING, pod("a", "Failed", containers=[ended(1)])),
            f"{SECOND_FAILED}; the next one of at most 7 comes after a pause of about 20 s.",
        ),
        (
            view(
                job(pod_spec={"restartPolicy": "OnFailure"}),
                pod(containers=[waits("CrashLoopBackOff", restartCount=2, lastState=end(3))]),
            ),
            f"{THIRD_FAILED}; it is started again after a pause (restart 2 of at most 6).",
        ),
        (
            view(
                PARALLEL,
                pod("a", "Succeeded", containers=[ended(0, "Completed")]),
                pod("b", containers=[running()]),
                pod("c", "Pending", containers=[waits("ContainerCreating")]),
            ),
            "3 of 10 done, 1 running, 1 not yet: Its containers are being set up on their node.",
        ),
        (
            view(job(), pod(phase="Succeeded", containers=[ended(0, "Completed")])),
            "The Job's pod has ended; the cluster is working out the result.",
        ),
        (
            view(job(condition("FailureTarget", "DeadlineExceeded")), pod(containers=[running()])),
            "The Job has failed; what is left of it is being stopped.",
        ),
        (view(job(condition("SuccessCriteriaMet"))), "The Job's work is done; the cluster is finishing it."),
        (view(job(condition("Complete"))), "The Job has ended."),
        (
            view(job(), events=[event("FailedCreate", 'Error creating: pods "x" is forbidden: no', "nightly")]),
            f"{REFUSED}; that does not pass by itself.",
        ),
    ],
)
def test_says_in_one_sentence_what_the_job_is_doing(known: View, sentence: str):
    assert waiting(known, SOON) == sentence


def test_between_two_parts_of_the_work_the_numbers_are_told():
    done = pod(phase="Succeeded", containers=[ended(0, "Completed")])

    assert waiting(view(job(completions=3, status={"succeeded": 1}), done), SOON) == "1 of 3 done, 0 running."


def test_what_is_missing_is_named_before_it_counts_as_missing_for_good():
    stuck = view(job(), pod(phase="Pending", containers=[waits("CreateContainerConfigError", 'secret "db" not found')]))
    there_is_none = "The Job's pod can't start: there is no Secret `db` in `staging`"

    assert waiting(stuck, SOON) == f"{there_is_none}; the cluster tries again."
    assert waiting(stuck, LATER) == f"{there_is_none}; that does not pass by itself."


def test_one_failed_try_at_the_network_is_told_as_waiting():
    noted = event("FailedCreatePodSandBox", "Failed to create pod sandbox: failed to assign an IP address to container")
    known = view(job(), pod(phase="Pending", containers=[waits("ContainerCreating")]), events=[noted])

    assert waiting(known, after(15)) == "It waits for its network."


def test_the_sentence_stays_the_same_while_nothing_changes():
    known = view(RETRYING, pod("a", "Failed", containers=[ended(1)]), unplaced(NOT_READY, "b"))

    assert waiting(known, SOON) == waiting(known, after(3600))


def test_a_hundred_pods_make_one_short_sentence():
    many = [pod(f"p{number}", "Pending", containers=[waits("ContainerCreating")]) for number in range(100)]

    assert waiting(view(job(completions=200, parallelism=100), *many), SOON) == (
        "0 of 200 done, 0 running, 100 not yet; of those 100: Its containers are being set up on their node."
    )
