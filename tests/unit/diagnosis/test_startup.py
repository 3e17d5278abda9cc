"""Why a Job does not run, and whether that can pass by itself.

The scheduler's, admission's and Job controller's words were taken from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from what people report of EKS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.core.models import Concerns
from run_cronjob.diagnosis.job_state import blockers
from tests.builders import (
    FULL_QUOTA,
    IMAGE,
    LATER,
    MUCH_LATER,
    SOON,
    UNPACK,
    after,
    at,
    condition,
    end,
    ended,
    event,
    job,
    modern_event,
    pod,
    refused,
    running,
    unplaced,
    view,
    waits,
)

if TYPE_CHECKING:
    from run_cronjob.diagnosis.blocker import Blocker
    from run_cronjob.diagnosis.view import View

Raw = dict[str, Any]


def one(known: View, now: Any = SOON) -> Blocker:
    """The only trouble there is."""
    (found,) = blockers(known, now)
    return found


def reasons(known: View, now: Any = SOON) -> list[tuple[str, bool]]:
    return [(each.problem.reason, each.lasting) for each in blockers(known, now)]


# --- it has no pod ------------------------------------------------------------------------------------------


POD_SECURITY = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "report" must set '
    'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "report" must set '
    'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "report" must set '
    'securityContext.runAsNonRoot=true), seccompProfile (pod or container "report" must set '
    'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)
SMALL_QUOTA = "exceeded quota: compute, requested: requests.cpu=4, used: requests.cpu=0, limited: requests.cpu=2"
NO_AMOUNTS = "failed quota: compute: must specify requests.cpu for: report; requests.memory for: report"
LIMIT_RANGE = "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, ...]"
RATIO = "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000"
POLICY = "ValidatingAdmissionPolicy 'signed-images' with binding 'everywhere' denied request: images must be signed"
NO_ACCOUNT = 'error looking up service account staging/reporter: serviceaccount "reporter" not found'


@pytest.mark.parametrize(
    ("message", "reason", "lasting", "told"),
    [
        (FULL_QUOTA, "PodQuotaExceeded", False, "`requests.cpu`: it asks for `1`, `1500m` of `2` are used"),
        (SMALL_QUOTA, "PodQuotaExceeded", True, "it will never fit"),
        (NO_AMOUNTS, "PodQuotaExceeded", True, "`requests.cpu, requests.memory`"),
        (LIMIT_RANGE, "LimitRangeRefused", True, "`maximum cpu usage per Container is 1`"),
        (RATIO, "LimitRangeRefused", True, "`cpu max limit to request ratio per Container is 2`"),
        (POD_SECURITY, "PodSecurityRefused", True, "`restricted`"),
        (POLICY, "PodRefused", True, "`signed-images`"),
        ('admission webhook "scan.example.com" denied the request: no', "PodRefused", True, "`scan.example.com`"),
        (NO_ACCOUNT, "ServiceAccountMissing", False, "`reporter`"),
        ("no PriorityClass with name urgent was found", "PriorityClassMissing", False, "`urgent`"),
        ('pod rejected: RuntimeClass "gvisor" not found', "RuntimeClassMissing", False, "`gvisor`"),
        ("a rule that nobody here knows", "PodRefused", True, "in its message"),
    ],
)
def test_a_refused_pod_is_explained_from_the_jobs_events(message: str, reason: str, lasting: bool, told: str):
    found = one(refused(message))

    assert (found.problem.reason, found.lasting) == (reason, lasting)
    assert told in f"{found.problem.what} {found.problem.why}"
    assert message in found.problem.said


@pytest.mark.parametrize("message", [NO_ACCOUNT, "no PriorityClass with name urgent was found"])
def test_what_someone_may_be_just_making_is_missed_for_two_minutes_first(message: str):
    assert not one(refused(message), after(119)).lasting
    assert one(refused(message), after(120)).lasting


def test_a_webhook_that_does_not_answer_may_come_back():
    said = (
        'Error creating: Internal error occurred: failed calling webhook "scan.example.com": '
        'failed to call webhook: Post "https://scan.staging.svc:443/x?timeout=10s": connect: connection refused'
    )

    found = one(view(job(), events=[event("FailedCreate", said, "nightly")]), MUCH_LATER)

    assert (found.problem.reason, found.lasting) == ("PodWebhookFailed", False)
    assert "`scan.example.com`" in found.problem.what


def test_a_passing_error_of_the_api_server_is_not_called_lasting():
    said = "Error creating: etcdserver: request timed out"

    assert reasons(view(job(), events=[event("FailedCreate", said, "nightly")]), LATER) == [("PodRefused", False)]


def test_a_refusal_is_over_once_a_pod_was_made_after_it():
    made = pod(metadata={"creationTimestamp": at(21)}, containers=[running()])
    before = pod(metadata={"creationTimestamp": at(5)}, containers=[running()])

    assert blockers(refused(FULL_QUOTA, made), SOON) == ()
    assert reasons(refused(FULL_QUOTA, before, parallelism=2)) == [("PodQuotaExceeded", False)]


def test_the_refusal_that_counts_is_the_latest_in_whatever_order_events_come():
    early = event("FailedCreate", f'Error creating: pods "x" is forbidden: {SMALL_QUOTA}', "nightly", seconds=10)
    late = event("FailedCreate", f'Error creating: pods "x" is forbidden: {POLICY}', "nightly", seconds=20)

    assert reasons(view(job(), events=[late, early])) == reasons(view(job(), events=[early, late]))
    assert reasons(view(job(), events=[late, early])) == [("PodRefused", True)]


def test_pod_security_comes_with_the_settings_that_the_level_wants():
    paste = one(refused(POD_SECURITY)).problem.paste

    for line in ("runAsNonRoot: true", "type: RuntimeDefault", "allowPrivilegeEscalation: false", "- ALL"):
        assert line in paste


def test_pod_security_offers_nothing_to_paste_where_it_does_not_know_the_cure():
    found = one(refused('violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'))

    assert found.problem.paste == ""
    assert "hostNetwork" in found.problem.said


@pytest.mark.parametrize(
    ("asks", "limit", "never"),
    [
        ("2", "1", True),
        ("1500m", "1", True),
        ("1Gi", "1G", True),
        ("1e3", "999", True),
        ("0.5", "499m", True),
        ("1", "1", False),
        ("900m", "1", False),
        ("1G", "1Gi", False),
        ("odd", "1", False),
        ("9", "odd", False),
    ],
)
def test_what_is_more_than_the_quota_in_all_never_fits(asks: str, limit: str, never: bool):
    found = one(refused(f"exceeded quota: q, requested: x={asks}, used: x=0, limited: x={limit}"))

    assert found.lasting is never


def test_a_suspended_job_is_told_with_the_command_that_resumes_it():
    found = one(view(job(suspend=True)))

    assert (found.problem.reason, found.lasting) == ("JobSuspended", True)
    assert 'patch job nightly --type merge --patch \'{"spec":{"suspend":false}}\'' in found.problem.paste


# --- no node ------------------------------------------------------------------------------------------------

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
def test_the_schedulers_words_become_plain_ones(message: str, words: str):
    wants = [{"name": "report", "image": IMAGE, "resources": {"requests": {"cpu": "8"}}}]

    problem = one(view(job(), unplaced(message, containers=wants, nodeSelector={"disk": "ssd"}))).problem

    assert problem.reason == "Unschedulable"
    assert problem.what == f"No node of the cluster can take the Job's pod: {words}."
    assert problem.said == message


def test_for_a_while_a_pod_without_a_node_is_nothing_to_speak_of():
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
def test_what_no_autoscaler_cures_is_lasting(declined: Raw, lasting: bool):
    known = view(job(), unplaced("0/3 nodes are available: 3 Insufficient cpu."), events=[declined])

    found = one(known, LATER)

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

    assert not one(known, LATER).lasting
    assert one(known, MUCH_LATER).lasting is lasting


def test_a_missing_volume_claim_is_named():
    known = view(job(), unplaced('0/3 nodes are available: persistentvolumeclaim "data" not found. not found'))

    assert "`data`" in one(known).problem.what
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
def test_a_volume_that_keeps_it_from_every_node_is_told_as_such(message: str):
    assert reasons(view(job(), unplaced(message)), MUCH_LATER) == [("VolumeFailed", True)]


def test_a_scheduling_gate_is_named_and_may_open():
    gated = unplaced("Scheduling is blocked", reason="SchedulingGated", schedulingGates=[{"name": "kueue.x-k8s.io/a"}])

    assert reasons(view(job(), gated), MUCH_LATER) == [("SchedulingGated", False)]
    assert "`kueue.x-k8s.io/a`" in one(view(job(), gated)).problem.what


def test_the_schedulers_event_serves_where_the_pod_says_nothing():
    silent = pod(phase="Pending", spec={"nodeName": ""}, status={"conditions": []})
    noted = modern_event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.")

    assert reasons(view(job(), silent, events=[noted])) == [("Unschedulable", False)]
    assert blockers(view(job(), silent), MUCH_LATER) == ()


def test_the_latest_word_of_the_scheduler_counts_though_its_events_keep_their_time_elsewhere():
    silent = pod(phase="Pending", spec={"nodeName": ""}, status={"conditions": []})
    early = modern_event("FailedScheduling", 'persistentvolumeclaim "data" not found', seconds=3)
    late = modern_event("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", seconds=9)

    for events in ([early, late], [late, early]):
        assert reasons(view(job(), silent, events=events)) == [("Unschedulable", False)]


# --- on its node --------------------------------------------------------------------------------------------

CREATE_FAILED = "failed to create containerd task: failed to create shim task: OCI runtime create failed"


@pytest.mark.parametrize(
    ("why", "reason", "certain"),
    [
        (f"rpc error: code = NotFound desc = {UNPACK}{IMAGE}: not found", "ImageNotFound", True),
        (
            f"{UNPACK}pull access denied, repository does not exist or may require authorization: insufficient_scope",
            "ImagePullDenied",
            True,
        ),
        (
            f"{UNPACK}unexpected status from HEAD request to https://registry.example: 403 Forbidden",
            "ImagePullDenied",
            True,
        ),
        (f"{UNPACK}failed to authorize: failed to fetch oauth token: 401 Unauthorized", "ImagePullDenied", True),
        (f"{UNPACK}no basic auth credentials", "ImagePullDenied", True),
        (
            f'{UNPACK}failed to do request: Head "https://r.example": dial tcp: lookup r.example: no such host',
            "ImageRegistryUnreachable",
            True,
        ),
        (f"{UNPACK}failed to do request: Head: dial tcp 10.0.0.9:443: i/o timeout", "ImageRegistryUnreachable", False),
        (f"{UNPACK}failed to authorize: Get: dial tcp: connection refused", "ImageRegistryUnreachable", False),
        (f"{UNPACK}tls: x509: certificate signed by unknown authority", "ImageRegistryUnreachable", True),
        (f"{UNPACK}unexpected status code: 502 Bad Gateway", "ImageRegistryUnreachable", False),
        (
            f"{UNPACK}429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.",
            "ImagePullThrottled",
            False,
        ),
        (
            f'failed to pull and unpack image "{IMAGE}": no match for platform in manifest: not found',
            "ImagePlatformMissing",
            True,
        ),
        ("failed to extract layer: no space left on device", "ImagePullFailed", False),
    ],
)
def test_a_failed_pull_is_told_by_its_cause(why: str, reason: str, certain: bool):
    """As a back-off tells it, from 1.32 on in the container's own message, up to 1.31 in an event only."""
    new = waits("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {why}')
    old = waits("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    noted = event("Failed", f'Failed to pull image "{IMAGE}": {why}')
    first = waits("ErrImagePull", why)

    for status, events in ((new, []), (old, [noted]), (first, [])):
        known = view(job(), pod(phase="Pending", containers=[status]), events=events)
        assert reasons(known) == [(reason, False)]
        assert reasons(known, LATER) == [(reason, certain)]
        assert IMAGE in one(known).problem.what
        assert why in one(known).problem.said


def test_three_pulls_are_enough_to_call_an_image_missing():
    missing = waits("ErrImagePull", f"{UNPACK}{IMAGE}: not found")
    noted = event("Failed", f'Failed to pull image "{IMAGE}": {UNPACK}{IMAGE}: not found', count=3)

    assert reasons(view(job(), pod(phase="Pending", containers=[missing]), events=[noted])) == [("ImageNotFound", True)]


def test_after_a_long_init_container_the_next_image_has_its_two_minutes_too():
    missing = waits("ErrImagePull", f"{UNPACK}{IMAGE}: not found")
    known = view(job(), pod(phase="Pending", init=[ended(0, "Completed", "fetch", seconds=500)], containers=[missing]))

    assert reasons(known, after(600)) == [("ImageNotFound", False)]
    assert reasons(known, after(620)) == [("ImageNotFound", True)]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            waits("InvalidImageName", 'Failed to apply default image tag "Registry/X": invalid reference format'),
            "ImageNameInvalid",
        ),
        (
            waits("ErrImageNeverPull", f'Container image "{IMAGE}" is not present with pull policy of Never'),
            "ImageNeverPulled",
        ),
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
def test_what_cannot_heal_is_lasting_at_once(status: Raw, reason: str):
    assert reasons(view(job(), pod(phase="Pending", containers=[status])), after(3)) == [(reason, True)]


@pytest.mark.parametrize(
    ("message", "reason", "told"),
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
def test_missing_configuration_is_named_and_lasting_after_two_minutes(message: str, reason: str, told: str):
    known = view(job(), pod(phase="Pending", containers=[waits("CreateContainerConfigError", message)]))

    assert told in one(known).problem.what
    assert one(known).problem.concerns is Concerns.DEVELOPER
    assert reasons(known, after(121)) == [(reason, False)]
    assert reasons(known, after(122)) == [(reason, True)]


CREATING = waits("ContainerCreating")
NO_SANDBOX = "Failed to create pod sandbox: rpc error: code = Unknown desc ="


@pytest.mark.parametrize(
    ("reason", "message", "expected", "told"),
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
def test_what_the_node_notes_of_volumes_and_network_is_told(reason: str, message: str, expected: str, told: str):
    known = view(job(), pod(phase="Pending", containers=[CREATING]), events=[event(reason, message)])

    assert one(known).problem.reason == expected
    assert told in one(known).problem.what


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


def test_one_failed_try_at_the_network_is_nothing_to_speak_of():
    noted = event("FailedCreatePodSandBox", "Failed to create pod sandbox: failed to assign an IP address to container")
    known = view(job(), pod(phase="Pending", containers=[CREATING]), events=[noted])

    assert blockers(known, after(15)) == ()
    assert reasons(known, after(30)) == [("PodSandboxFailed", False)]


def test_a_reason_newer_than_this_code_is_told_in_the_clusters_words_after_a_while():
    known = view(job(), pod(phase="Pending", containers=[waits("QuantumDecoherence", "the cat is both")]))

    assert blockers(known, SOON) == ()
    assert reasons(known, LATER) == [("ContainerNotCreated", False)]
    assert "QuantumDecoherence: the cat is both" in one(known, LATER).problem.said


def test_a_crashing_container_is_told_with_its_exit_and_left_to_the_jobs_own_limit():
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


def test_a_failed_attempt_is_told_while_the_next_one_is_awaited():
    lost = pod("a", "Failed", containers=[ended(1)])

    assert reasons(view(job(status={"failed": 1}), lost)) == [("ContainerFailed", False)]
    assert blockers(view(job(status={"failed": 1}), lost, pod("b", containers=[running()])), SOON) == ()


def test_a_command_that_is_not_there_will_not_be_there_for_the_next_attempt():
    lost = pod(
        "a", "Failed", containers=[ended(128, "StartError", message='exec: "nosuch": executable file not found')]
    )

    assert reasons(view(job(status={"failed": 1}), lost)) == [("StartFailed", True)]


def test_each_cause_is_told_once_whatever_the_number_of_pods():
    """Though what is to be pasted names another pod each time."""
    broken = waits("CreateContainerError", "the message")
    stuck = [pod(f"p{number}", "Pending", containers=[broken]) for number in range(100)]

    assert reasons(view(job(completions=100, parallelism=100), *stuck)) == [("ContainerNotCreated", False)]


def test_two_secrets_that_are_missing_are_two_causes():
    stuck = [
        pod(name, "Pending", containers=[waits("CreateContainerConfigError", f'secret "{name}" not found')])
        for name in ("a", "b")
    ]

    assert reasons(view(job(completions=2, parallelism=2), *stuck)) == [("SecretMissing", False)] * 2


def test_the_cause_that_lasts_comes_first():
    pods = [
        pod("a", "Pending", containers=[waits("CreateContainerConfigError", 'secret "s" not found')]),
        pod("b", "Pending", containers=[waits("InvalidImageName", "bad")]),
    ]

    assert reasons(view(job(completions=2, parallelism=2), *pods)) == [
        ("ImageNameInvalid", True),
        ("SecretMissing", False),
    ]


@pytest.mark.parametrize("kind", ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"])
def test_nothing_keeps_a_job_from_running_that_has_ended(kind: str):
    stuck = pod(phase="Pending", containers=[waits("InvalidImageName", "bad")])

    assert blockers(view(job(condition(kind)), stuck), SOON) == ()
