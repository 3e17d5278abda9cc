"""Why no node takes a pod, and whether that can pass by itself.

The scheduler's, admission's and Job controller's texts come from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from reports of EKS users.
"""

from __future__ import annotations

from typing import Any

import pytest

from run_cronjob.diagnosis.job_state import blockers
from tests.builders import IMAGE, LATER, MUCH_LATER, after, event, job, modern_event, pod, unplaced, view
from tests.unit.diagnosis.examples import only_blocker, reasons

Raw = dict[str, Any]


PREEMPTION = " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "0/3 nodes are available: 3 Insufficient cpu." + PREEMPTION,
            "3 nodes: not enough free `cpu` (it asks for `8`)",
        ),
        (
            "0/2 nodes are available: 1 Insufficient memory, 1 Too many pods. no new claims to deallocate,"
            + PREEMPTION,
            "1 node: not enough free `memory`; 1 node: as many pods there as the node takes",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: gpu}." + PREEMPTION,
            "1 node: reserved for other work by the taint `dedicated=gpu`",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {CriticalAddonsOnly: }." + PREEMPTION,
            "1 node: reserved for other work by the taint `CriticalAddonsOnly`",
        ),
        (
            "0/4 nodes are available: 4 node(s) had untolerated taint(s)." + PREEMPTION,
            "4 nodes: reserved for other work (tainted), closed to new work, or not ready",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." + PREEMPTION,
            "1 node: not of the kind that the template asks for (`nodeSelector` `disk=ssd`)",
        ),
        ("0/1 nodes are available: 1 node(s) were unschedulable." + PREEMPTION, "1 node: closed to new work"),
        (
            "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label).",
            "1 node: at odds with `topologySpreadConstraints`",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
            "1 node: none of the pods there that it must run beside (`podAffinity`)",
        ),
        ("no nodes available to schedule pods", "there are no nodes"),
        ("0/1 nodes are available: 1 something new, 2 more.", "1 node: `something new`; 2 nodes: `more`"),
    ],
)
def test_the_schedulers_message_becomes_plain_words(message: str, words: str):
    wants = [{"name": "report", "image": IMAGE, "resources": {"requests": {"cpu": "8"}}}]

    problem = only_blocker(view(job(), unplaced(message, containers=wants, nodeSelector={"disk": "ssd"}))).problem

    assert problem.reason == "Unschedulable"
    assert problem.what == f"No node of the cluster can take the Job's pod: {words}."
    assert problem.said == message


def test_for_a_while_a_pod_without_a_node_is_no_problem():
    known = view(job(), unplaced("0/3 nodes are available: 3 Insufficient cpu."))

    assert blockers(known, after(10)) == ()
    assert reasons(known, after(30)) == [("Unschedulable", False)]


def test_nothing_is_wrong_while_an_autoscaler_starts_a_node():
    scaling = event("TriggeredScaleUp", "pod triggered scale-up: [{eks-workers 1->2 (max: 3)}]", seconds=30)
    known = view(job(), unplaced("0/3 nodes are available: 3 Insufficient cpu."), events=[scaling])

    assert blockers(known, LATER) == ()
    assert reasons(known, after(3600)) == [("Unschedulable", False)]


@pytest.mark.parametrize(
    ("declined", "lasting"),
    [
        (event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 Insufficient memory"), True),
        (event("NotTriggerScaleUp", "pod didn't trigger scale-up: 2 max node group size reached"), False),
        (event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up"), False),
        (
            event(
                "FailedScheduling",
                'Failed to schedule pod, incompatible with nodepool "default", daemonset overhead={"cpu":"150m"}, no '
                'instance type satisfied resources {"cpu":"900"} and requirements',
                source={"component": "karpenter"},
            ),
            True,
        ),
        (
            event(
                "FailedScheduling",
                'Failed to schedule pod, all available instance types exceed limits for nodepool "default"',
                source={"component": "karpenter"},
            ),
            False,
        ),
    ],
    ids=["too big", "at its maximum", "pausing", "karpenter: too big", "karpenter: at its limits"],
)
def test_what_no_autoscaler_resolves_is_lasting(declined: Raw, lasting: bool):
    known = view(job(), unplaced("0/3 nodes are available: 3 Insufficient cpu."), events=[declined])

    found = only_blocker(known, LATER)

    assert found.lasting is lasting
    assert "autoscaler says that it can't" in found.problem.why
    assert declined["message"] in found.problem.said


@pytest.mark.parametrize(
    ("message", "lasting"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu.", False),
        ("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", True),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: gpu}.", True),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.", False),
        ("0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {dedicated: gpu}.", False),
    ],
)
def test_nodes_of_the_wrong_kind_stay_wrong_and_full_ones_do_not_stay_full(message: str, lasting: bool):
    known = view(job(), unplaced(message))

    assert not only_blocker(known, LATER).lasting
    assert only_blocker(known, MUCH_LATER).lasting is lasting


def test_a_missing_volume_claim_is_named():
    known = view(job(), unplaced('0/3 nodes are available: persistentvolumeclaim "data" not found. not found'))

    assert "`data`" in only_blocker(known).problem.what
    assert reasons(known) == [("VolumeClaimMissing", False)]
    assert reasons(known, LATER) == [("VolumeClaimMissing", True)]


@pytest.mark.parametrize(
    "message",
    [
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
        "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.",
        "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.",
    ],
)
def test_a_volume_that_keeps_it_from_every_node_is_reported_as_such(message: str):
    assert reasons(view(job(), unplaced(message)), MUCH_LATER) == [("VolumeFailed", True)]


def test_a_scheduling_gate_is_named_and_may_open():
    gated = unplaced("Scheduling is blocked", reason="SchedulingGated", schedulingGates=[{"name": "kueue.x-k8s.io/a"}])

    assert reasons(view(job(), gated), MUCH_LATER) == [("SchedulingGated", False)]
    assert "`kueue.x-k8s.io/a`" in only_blocker(view(job(), gated)).problem.what


def test_the_schedulers_event_serves_where_the_pod_says_nothing():
    silent = pod(phase="Pending", spec={"nodeName": ""}, status={"conditions": []})
    noted = modern_event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.")

    assert reasons(view(job(), silent, events=[noted])) == [("Unschedulable", False)]
    assert blockers(view(job(), silent), MUCH_LATER) == ()


def test_the_latest_message_of_the_scheduler_counts_though_its_events_keep_their_time_elsewhere():
    silent = pod(phase="Pending", spec={"nodeName": ""}, status={"conditions": []})
    early = modern_event("FailedScheduling", 'persistentvolumeclaim "data" not found', seconds=3)
    late = modern_event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", seconds=9)

    for events in ([early, late], [late, early]):
        assert reasons(view(job(), silent, events=events)) == [("Unschedulable", False)]
