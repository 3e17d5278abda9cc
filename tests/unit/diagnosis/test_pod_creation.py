"""Why a Job has no pod, and whether that can pass by itself.

The scheduler's, admission's and Job controller's texts come from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from reports of EKS users.
"""

from __future__ import annotations

from typing import Any

import pytest

from run_cronjob.diagnosis.job_state import blockers
from tests.builders import FULL_QUOTA, LATER, MUCH_LATER, SOON, after, at, event, job, pod, refused, running, view
from tests.unit.diagnosis.examples import only_blocker, reasons

Raw = dict[str, Any]


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
    ("message", "reason", "lasting", "expected"),
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
def test_a_refused_pod_is_explained_from_the_jobs_events(message: str, reason: str, lasting: bool, expected: str):
    found = only_blocker(refused(message))

    assert (found.problem.reason, found.lasting) == (reason, lasting)
    assert expected in f"{found.problem.what} {found.problem.why}"
    assert message in found.problem.said


@pytest.mark.parametrize("message", [NO_ACCOUNT, "no PriorityClass with name urgent was found"])
def test_what_someone_may_be_just_making_is_missed_for_two_minutes_first(message: str):
    assert not only_blocker(refused(message), after(119)).lasting
    assert only_blocker(refused(message), after(120)).lasting


def test_a_webhook_that_does_not_answer_may_come_back():
    said = (
        'Error creating: Internal error occurred: failed calling webhook "scan.example.com": '
        'failed to call webhook: Post "https://scan.staging.svc:443/x?timeout=10s": connect: connection refused'
    )

    found = only_blocker(view(job(), events=[event("FailedCreate", said, "nightly")]), MUCH_LATER)

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


def test_pod_security_comes_with_the_settings_that_the_level_wants():
    paste = only_blocker(refused(POD_SECURITY)).problem.paste

    for line in ("runAsNonRoot: true", "type: RuntimeDefault", "allowPrivilegeEscalation: false", "- ALL"):
        assert line in paste


def test_pod_security_offers_nothing_to_paste_where_it_does_not_know_the_fix():
    found = only_blocker(refused('violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'))

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
    found = only_blocker(refused(f"exceeded quota: q, requested: x={asks}, used: x=0, limited: x={limit}"))

    assert found.lasting is never


def test_a_suspended_job_is_reported_with_the_command_that_resumes_it():
    found = only_blocker(view(job(suspend=True)))

    assert (found.problem.reason, found.lasting) == ("JobSuspended", True)
    assert 'patch job nightly --type merge --patch \'{"spec":{"suspend":false}}\'' in found.problem.paste
