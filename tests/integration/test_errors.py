"""Each failure that a user can meet: its reason, its exit status, and that the fix on offer works."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox import CRONJOB, NAMESPACE
from sandbox.emulator.admission import Webhook, WebhookFailure
from sandbox.emulator.server import EmulatedCluster

if TYPE_CHECKING:
    from sandbox import Sandbox, StepResult

QUOTA: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "few", "namespace": NAMESPACE},
    "spec": {"hard": {"count/jobs.batch": "0"}},
}


def expect(run: StepResult, reason: str) -> None:
    """Outputs, exit status, summary and annotations report the same failure."""
    assert run.outputs["reason"] == reason, run.summary
    assert run.outputs["result"] == "error"
    assert run.outputs["job-name"] == ""
    assert run.exit_status == 1
    assert run.stderr == b""
    assert f"troubleshooting.md#{reason.lower()}" in run.summary
    assert [each.level for each in run.log.annotations if each.level != "warning"] == ["error"]


def pasted(run: StepResult, language: str) -> str:
    """What the summary offers to copy."""
    found = re.search(rf"^```{language}\n(.*?)\n```$", run.summary, re.DOTALL | re.MULTILINE)
    assert found, run.summary
    return found[1]


def jobs(sandbox: Sandbox) -> tuple[Any, ...]:
    return sandbox.cluster.list("Job", NAMESPACE)


@pytest.mark.no_cluster
def test_every_wrong_input_is_named_in_one_go_before_any_request(sandbox: Sandbox):
    run = sandbox.run({"cronjob": "Nightly Report", "namespace": "_", "if-running": "refuze", "dry-run": "yes"})

    expect(run, "InvalidInput")
    for name in ("cronjob", "namespace", "if-running", "dry-run"):
        assert f"Input `{name}`" in run.summary
    assert "did you mean `refuse`?" in run.summary
    assert len(sandbox.github.journal) == len(sandbox.aws.sts.journal) == len(sandbox.cluster.journal) == 0


@pytest.mark.no_cluster
def test_a_job_without_id_token_permission(sandbox: Sandbox):
    run = sandbox.run(id_token_permission=False)

    expect(run, "NoIdTokenPermission")
    assert yaml.safe_load(pasted(run, "yaml"))["permissions"]["id-token"] == "write"


@pytest.mark.no_cluster
def test_a_branch_that_the_trust_policy_does_not_name(sandbox: Sandbox):
    sandbox.github.event = replace(sandbox.github.event, ref="refs/heads/feature")

    run = sandbox.run()

    expect(run, "RoleRefused")
    assert "sub `repo:acme/batch:environment:staging`" in run.summary
    assert "This run is of the ref `refs/heads/feature` and the environment `staging`." in run.summary


@pytest.mark.no_cluster
def test_a_job_that_names_no_environment(sandbox: Sandbox):
    sandbox.github.event = replace(sandbox.github.event, environment=None)

    run = sandbox.run()

    expect(run, "RoleRefused")
    assert "This run is of the ref `refs/heads/main` and no environment." in run.summary


@pytest.mark.parametrize("environment", ["production", None])
@pytest.mark.parametrize("immutable", [False, True])
def test_the_trust_statement_offered_lets_the_run_in(sandbox: Sandbox, environment: str | None, immutable: bool):
    sandbox.github.event = replace(sandbox.github.event, environment=environment, immutable_sub=immutable)
    refused = sandbox.run()
    expect(refused, "RoleRefused")

    statement = json.loads(pasted(refused, "json"))
    sandbox.trust(statement)

    assert sandbox.run().outputs["result"] == "created"


@pytest.mark.no_cluster
def test_a_role_that_does_not_exist(sandbox: Sandbox):
    expect(sandbox.run({"role-to-assume": "arn:aws:iam::123456789012:role/nobody"}), "RoleRefused")


@pytest.mark.no_cluster
def test_an_account_without_the_oidc_provider(sandbox: Sandbox):
    sandbox.github.issuer = "https://ghes.example/_services/token"

    run = sandbox.run()

    expect(run, "NoOidcProvider")
    assert "--url https://ghes.example/_services/token" in pasted(run, "sh")


@pytest.mark.no_cluster
def test_an_audience_that_the_provider_does_not_list(sandbox: Sandbox):
    run = sandbox.run({"audience": "sts.example.com"})

    expect(run, "WrongAudience")
    assert "--client-id sts.example.com" in pasted(run, "sh")


@pytest.mark.no_cluster
def test_a_session_longer_than_the_role_allows(sandbox: Sandbox):
    run = sandbox.run({"role-duration-seconds": "43200"})

    expect(run, "SessionTooLong")
    assert "--max-session-duration 43200" in pasted(run, "sh")


@pytest.mark.no_cluster
def test_no_role_and_no_credentials(sandbox: Sandbox):
    expect(sandbox.run({"role-to-assume": ""}, environ={"AWS_EC2_METADATA_DISABLED": "true"}), "NoAwsCredentials")


@pytest.mark.no_cluster
def test_credentials_that_aws_does_not_know(sandbox: Sandbox):
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wrong-secret-wrong-secret"}

    run = sandbox.run({"role-to-assume": ""}, environ=keys)

    expect(run, "AwsCredentialsRejected")
    assert "wrong-secret" not in run.summary


def test_a_role_that_may_not_describe_the_cluster(sandbox: Sandbox):
    ours = sandbox.trust_statement(sub=sandbox.github.event.sub)
    sandbox.trust(ours, describe_clusters=[])
    refused = sandbox.run()
    expect(refused, "DescribeClusterDenied")

    statement = json.loads(pasted(refused, "json"))
    assert statement["Action"] == "eks:DescribeCluster"
    sandbox.trust(ours, describe_clusters=[statement["Resource"]])

    assert sandbox.run().outputs["result"] == "created"


@pytest.mark.no_cluster
def test_a_cluster_that_does_not_exist(sandbox: Sandbox):
    run = sandbox.run({"cluster": "stagging"})

    expect(run, "ClusterNotFound")
    assert "`stagging`" in run.summary


@pytest.mark.no_cluster
@pytest.mark.parametrize("status", ["CREATING", "DELETING", "FAILED"])
def test_a_cluster_that_is_not_ready(sandbox: Sandbox, status: str):
    sandbox.expose(sandbox.cluster.url, status=status)

    run = sandbox.run()

    expect(run, "ClusterNotReady")
    assert f"`{status}`" in run.summary


def test_a_cluster_that_is_being_updated_is_ready(sandbox: Sandbox):
    sandbox.expose(sandbox.cluster.url, status="UPDATING")

    assert sandbox.run().exit_status == 0


def test_a_role_that_the_cluster_does_not_know(sandbox: Sandbox):
    sandbox.aws.unmap_identity(sandbox.role)
    refused = sandbox.run()
    expect(refused, "Unauthorized")
    assert f"--principal-arn {sandbox.role}" in pasted(refused, "sh")

    (line,) = yaml.safe_load(pasted(refused, "sh").partition("mapRoles (which takes no role path):\n")[2])
    sandbox.aws.map_identity(line["rolearn"], line["username"], line["groups"])

    assert sandbox.run().outputs["result"] == "created"


def test_missing_rbac_and_the_rules_offered_let_it_in(sandbox: Sandbox):
    sandbox.cluster.delete("RoleBinding", NAMESPACE, "run-cronjob")
    refused = sandbox.run()
    expect(refused, "Forbidden")
    assert "get cronjobs" in refused.summary

    sandbox.cluster.apply(pasted(refused, "yaml"))

    assert sandbox.run().outputs["result"] == "created"


def test_a_misspelt_cronjob_brings_the_nearest_name(sandbox: Sandbox):
    run = sandbox.run({"cronjob": "nightly-reprot"})

    expect(run, "CronJobNotFound")
    assert "Did you mean `nightly-report`?" in run.summary


def test_a_misspelt_cronjob_where_listing_is_not_allowed(sandbox: Sandbox):
    minimal_rights(sandbox)

    expect(sandbox.run({"cronjob": "nightly-reprot"}), "CronJobNotFound")


def test_a_namespace_that_does_not_exist(sandbox: Sandbox):
    everywhere(sandbox)

    expect(sandbox.run({"namespace": "bacht"}), "NamespaceNotFound")


def test_a_namespace_that_is_being_deleted(sandbox: Sandbox):
    everywhere(sandbox)
    # It stays for as long as something in it has to.
    sandbox.cluster.patch(
        "CronJob", NAMESPACE, CRONJOB, lambda it: it["metadata"].update(finalizers=["example.com/stay"])
    )
    sandbox.cluster.delete("Namespace", "", NAMESPACE)

    expect(sandbox.run(), "NamespaceTerminating")


def test_a_quota_that_is_used_up(sandbox: Sandbox):
    sandbox.cluster.apply(QUOTA)
    # The part of the controller that a bare API server lacks.
    sandbox.cluster.set_status(
        "ResourceQuota", NAMESPACE, "few", hard=QUOTA["spec"]["hard"], used=QUOTA["spec"]["hard"]
    )

    run = sandbox.run()

    expect(run, "QuotaExceeded")
    assert "exceeded quota: few" in run.summary


def test_a_webhook_that_refuses(sandbox: Sandbox):
    sandbox.cluster.webhooks.append(Webhook("policy.example", lambda _: "images need a digest"))

    run = sandbox.run()

    expect(run, "AdmissionRefused")
    assert "images need a digest" in run.summary


@pytest.mark.parametrize("code", [400, 401, 409, 422, 429, 500])
def test_a_webhook_may_refuse_with_any_http_status(sandbox: Sandbox, code: int):
    sandbox.cluster.webhooks.append(Webhook("policy.example", lambda _: "images need a digest", code=code))

    expect(sandbox.run(), "AdmissionRefused")
    assert [each.method for each in sandbox.cluster.journal].count("POST") == 1


def test_a_webhook_that_does_not_answer_is_not_asked_twice(sandbox: Sandbox):
    sandbox.cluster.webhooks.append(Webhook("policy.example", lambda _: WebhookFailure()))

    run = sandbox.run()

    expect(run, "WebhookFailed")
    assert [each.method for each in sandbox.cluster.journal].count("POST") == 1


@pytest.mark.emulator("admissionregistration/v1 allows no webhook with side effects any more")
def test_a_webhook_without_dry_run(sandbox: Sandbox):
    sandbox.cluster.webhooks.append(Webhook("policy.example", lambda _: None, supports_dry_run=False))

    expect(sandbox.run({"dry-run": "true"}), "DryRunUnsupported")
    assert sandbox.run().outputs["result"] == "created"


@pytest.mark.emulator("it would have kept the CronJob from having it")
def test_a_field_that_the_api_server_does_not_know(sandbox: Sandbox):
    assert isinstance(sandbox.cluster, EmulatedCluster)
    sandbox.cluster.unknown_fields.add("spec.backoffLimit")

    run = sandbox.run()

    expect(run, "JobRefused")
    assert "spec.backoffLimit" in run.summary


def test_a_fixed_name_that_is_taken(sandbox: Sandbox):
    first = sandbox.run({"job-name": "report-again"})
    second = sandbox.run({"job-name": "report-again"})

    assert first.outputs["job-name"] == "report-again"
    expect(second, "NameTaken")
    assert len(jobs(sandbox)) == 1


def test_a_guard_that_may_not_look_refuses_before_it_creates(sandbox: Sandbox):
    minimal_rights(sandbox)

    run = sandbox.run({"if-running": "refuse"})

    expect(run, "CannotListJobs")
    assert not jobs(sandbox)


def minimal_rights(sandbox: Sandbox) -> None:
    """`get cronjobs` and `create jobs`, nothing else."""
    rules = [
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    sandbox.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=rules))


def everywhere(sandbox: Sandbox) -> None:
    """The rights in all namespaces, those that don't exist included."""
    sandbox.cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "run-cronjob"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "run-cronjob"},
            "subjects": [{"kind": "Group", "name": "run-cronjob", "apiGroup": "rbac.authorization.k8s.io"}],
        }
    )
    sandbox.cluster.patch(
        "ClusterRole",
        "",
        "run-cronjob",
        lambda it: it["rules"].append({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}),
    )


def test_the_minimal_rights_are_enough(sandbox: Sandbox):
    minimal_rights(sandbox)

    run = sandbox.run()

    assert run.outputs["result"] == "created"
    assert "those that people started can't be seen: listing Jobs is not allowed" in "\n".join(run.log.shown)


def test_a_cluster_that_has_no_certificate_yet_gets_no_token(sandbox: Sandbox):
    real, sandbox.cluster.ca_pem = sandbox.cluster.ca_pem, ""
    sandbox.expose(sandbox.cluster.url)
    sandbox.cluster.ca_pem = real
    run = sandbox.run()
    assert run.outputs["reason"] == "ClusterNotReady"
    assert not sandbox.cluster.journal


def test_an_unexpected_exception_is_reported_too(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(path_contains="/cronjobs/").status(200, b'{"metadata": {}, "spec": null}')
    run = sandbox.run()
    assert run.outputs["reason"] == "Unexpected", run.summary
    assert run.exit_status == 1
    assert run.stderr == b""


def test_a_request_to_eks_that_fails_is_repeated(sandbox: Sandbox):
    proxy = sandbox.before_eks()
    proxy.on().status(503)
    proxy.on().reset()
    proxy.on().status(400, b'{"message": "Rate exceeded"}', {"x-amzn-ErrorType": "ThrottlingException"})
    assert sandbox.run().outputs["result"] == "created"
    assert len(proxy.journal) == 4


@pytest.mark.no_cluster
def test_a_runners_clock_that_is_wrong(sandbox: Sandbox):
    proxy = sandbox.before_eks()
    body = b'{"message": "Signature not yet current"}'
    proxy.on().status(403, body, {"x-amzn-ErrorType": "RequestTimeTooSkewed"})
    run = sandbox.run()
    assert run.outputs["reason"] == "AwsCredentialsRejected"
    assert "NTP" in run.summary


def test_the_rules_offered_open_one_namespace_only(sandbox: Sandbox):
    sandbox.cluster.delete("RoleBinding", NAMESPACE, "run-cronjob")
    sandbox.cluster.apply({"kind": "Namespace", "metadata": {"name": "payroll"}})
    sandbox.cluster.apply(sandbox.run().summary.partition("```yaml\n")[2].partition("\n```")[0])
    assert sandbox.run().outputs["result"] == "created"
    assert sandbox.run({"namespace": "payroll"}).outputs["reason"] == "Forbidden"
