"""One sentence says what a pod is doing or waiting for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.diagnosis.job_failure import job_failure
from run_cronjob.diagnosis.job_state import waiting
from tests.builders import (
    DEADLINE,
    IMAGE,
    LATER,
    NOT_READY,
    SOON,
    UNPACK,
    after,
    at,
    event,
    failed,
    job,
    lost,
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


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
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
    ],
)
def test_says_in_one_sentence_what_the_pod_is_doing(known: View, sentence: str):
    assert waiting(known, SOON) == sentence


def test_what_is_missing_is_named_before_it_counts_as_missing_for_good():
    stuck = view(job(), pod(phase="Pending", containers=[waits("CreateContainerConfigError", 'secret "db" not found')]))
    there_is_none = "The Job's pod can't start: there is no Secret `db` in `staging`"

    assert waiting(stuck, SOON) == f"{there_is_none}; the cluster tries again."
    assert waiting(stuck, LATER) == f"{there_is_none}; that does not pass by itself."


def test_one_failed_try_at_the_network_is_reported_as_waiting():
    noted = event("FailedCreatePodSandBox", "Failed to create pod sandbox: failed to assign an IP address to container")
    known = view(job(), pod(phase="Pending", containers=[waits("ContainerCreating")]), events=[noted])

    assert waiting(known, after(15)) == "It waits for its network."


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
    """The kubelet replaces the reason for waiting when the pod is deleted (TerminatePod): only events still hold it."""
    unknown = {"reason": "ContainerStatusUnknown", "exitCode": 137, "startedAt": None, "finishedAt": None}
    unknown["message"] = "The container could not be located when the pod was terminated"
    deleted = lost({"name": "report", "state": {"terminated": unknown}}, metadata={"deletionTimestamp": at(61)})

    found = job_failure(view(failed(*DEADLINE, activeDeadlineSeconds=60), deleted, events=[noted]))

    assert (found.problem.reason, found.exit_code) == (reason, None)
