"""Why a pod on its node does not start, and whether that can pass by itself.

The scheduler's, admission's and Job controller's texts come from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from reports of EKS users.
"""

from __future__ import annotations

from typing import Any

import pytest

from run_cronjob.core.models import Concerns
from run_cronjob.diagnosis.job_state import blockers
from tests.builders import IMAGE, LATER, SOON, after, event, job, pod, running, view, waits
from tests.unit.diagnosis.examples import only_blocker, reasons

Raw = dict[str, Any]


CREATE_FAILED = "failed to create containerd task: failed to create shim task: OCI runtime create failed"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            waits("CreateContainerConfigError", "container has runAsNonRoot and image will run as root (pod: ...)"),
            "RunsAsRoot",
        ),
        (waits("CreateContainerError", "failed to generate spec: no command specified"), "StartFailed"),
        (
            waits(
                "RunContainerError",
                f'{CREATE_FAILED}: exec: "nosuch": executable file not found in $PATH: unknown',
            ),
            "StartFailed",
        ),
    ],
)
def test_what_cannot_pass_is_lasting_at_once(status: Raw, reason: str):
    assert reasons(view(job(), pod(phase="Pending", containers=[status])), after(3)) == [(reason, True)]


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        ('configmap "settings" not found', "ConfigMapMissing", "no ConfigMap `settings` in `staging`"),
        ('secret "database" not found', "SecretMissing", "no Secret `database` in `staging`"),
        (
            "couldn't find key url in ConfigMap staging/settings",
            "ConfigMapMissing",
            "the ConfigMap `settings` in `staging` has no key `url`",
        ),
        (
            "couldn't find key password in Secret staging/database",
            "SecretMissing",
            "the Secret `database` in `staging` has no key `password`",
        ),
    ],
)
def test_missing_configuration_is_named_and_lasting_after_two_minutes(message: str, reason: str, text: str):
    known = view(job(), pod(phase="Pending", containers=[waits("CreateContainerConfigError", message)]))

    assert text in only_blocker(known).problem.what
    assert only_blocker(known).problem.concerns is Concerns.DEVELOPER
    assert reasons(known, after(121)) == [(reason, False)]
    assert reasons(known, after(122)) == [(reason, True)]


CREATING = waits("ContainerCreating")
NO_SANDBOX = "Failed to create pod sandbox: rpc error: code = Unknown desc ="


@pytest.mark.parametrize(
    ("reason", "message", "expected", "text"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "settings" : configmap "settings" not found',
            "ConfigMapMissing",
            "`settings`",
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "keys" : references non-existent secret key: tls.key',
            "SecretMissing",
            "no key `tls.key`",
        ),
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other',
            "VolumeFailed",
            "attached to its node",
        ),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "nfs" : mount failed: exit status 32',
            "VolumeFailed",
            "mounted there",
        ),
        (
            "FailedCreatePodSandBox",
            f"{NO_SANDBOX} failed to setup network for sandbox: add cmd: failed to assign an IP address to container",
            "PodSandboxFailed",
            "network",
        ),
        (
            "FailedCreatePodSandBox",
            f'{NO_SANDBOX} no runtime for "kata" is configured',
            "RuntimeClassMissing",
            "`kata`",
        ),
    ],
)
def test_what_the_node_notes_of_volumes_and_network_is_reported(reason: str, message: str, expected: str, text: str):
    known = view(job(), pod(phase="Pending", containers=[CREATING]), events=[event(reason, message)])

    assert only_blocker(known).problem.reason == expected
    assert text in only_blocker(known).problem.what


def test_the_event_that_says_nothing_does_not_hide_the_one_that_does():
    telling = event("FailedMount", 'MountVolume.SetUp failed for volume "s" : secret "s" not found', seconds=9)
    vague = event(
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[s], unattached volumes=[]: "
        "timed out waiting for the condition",
        seconds=125,
    )

    known = view(job(), pod(phase="Pending", containers=[CREATING]), events=[vague, telling])

    assert reasons(known, after(130)) == [("SecretMissing", True)]


def test_what_the_node_noted_is_over_once_it_has_come_further():
    noted = event("FailedMount", 'MountVolume.SetUp failed for volume "s" : secret "s" not found', seconds=9)
    pulled = event("Pulling", f'Pulling image "{IMAGE}"', seconds=11)

    assert blockers(view(job(), pod(phase="Pending", containers=[CREATING]), events=[pulled, noted]), LATER) == ()
    assert blockers(view(job(), pod(containers=[running()]), events=[noted]), LATER) == ()


def test_one_failed_try_at_the_network_is_no_problem():
    noted = event("FailedCreatePodSandBox", "Failed to create pod sandbox: failed to assign an IP address to container")
    known = view(job(), pod(phase="Pending", containers=[CREATING]), events=[noted])

    assert blockers(known, after(15)) == ()
    assert reasons(known, after(30)) == [("PodSandboxFailed", False)]


def test_a_reason_newer_than_this_code_is_reported_in_the_clusters_words_after_a_while():
    known = view(job(), pod(phase="Pending", containers=[waits("QuantumDecoherence", "the cat is both")]))

    assert blockers(known, SOON) == ()
    assert reasons(known, LATER) == [("ContainerNotCreated", False)]
    assert "QuantumDecoherence: the cat is both" in only_blocker(known, LATER).problem.said
