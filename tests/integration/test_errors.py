"""Each failure that a person can meet, provoked for real: its reason, its exit status, and that its fix works."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox import CRONJOB, NAMESPACE
from sandbox.emulator.admission import Failing, Webhook
from sandbox.emulator.server import Cluster

if TYPE_CHECKING:
    from sandbox import Run, Sandbox

QUOTA: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "few", "namespace": NAMESPACE},
    "spec": {"hard": {"count/jobs.batch": "0"}},
}


def expect(run: Run, reason: str) -> None:
    """The same failure on every way that it is told."""
    assert run.outputs["reason"] == reason, run.summary
    assert run.outputs["result"] == "error"
    assert run.outputs["job-name"] == ""
    assert run.exit_status == 1
    assert run.stderr == b""
    assert f"troubleshooting.md#{reason.lower()}" in run.summary
    assert [each.level for each in run.log.annotations if each.level != "warning"] == ["error"]


def pasted(run: Run, language: str) -> str:
    """What the summary offers to copy."""
    found = re.search(rf"^```{language}\n(.*?)\n```$", run.summary, re.DOTALL | re.MULTILINE)
    assert found, run.summary
    return found[1]


def jobs(world: Sandbox) -> tuple[Any, ...]:
    return world.cluster.list("Job", NAMESPACE)


@pytest.mark.no_cluster
def test_every_wrong_input_is_named_in_one_go_before_any_request(world: Sandbox):
    run = world.run({"cronjob": "Nightly Report", "namespace": "_", "if-running": "refuze", "dry-run": "yes"})

    expect(run, "InvalidInput")
    for name in ("cronjob", "namespace", "if-running", "dry-run"):
        assert f"Input `{name}`" in run.summary
    assert "did you mean `refuse`?" in run.summary
    assert len(world.github.journal) == len(world.aws.sts.journal) == len(world.cluster.journal) == 0


@pytest.mark.no_cluster
def test_a_job_without_id_token_permission(world: Sandbox):
    run = world.run(id_token_permission=False)

    expect(run, "NoIdTokenPermission")
    assert yaml.safe_load(pasted(run, "yaml"))["permissions"]["id-token"] == "write"


@pytest.mark.no_cluster
def test_a_branch_that_the_trust_policy_does_not_name(world: Sandbox):
    world.github.event = replace(world.github.event, ref="refs/heads/feature")

    run = world.run()

    expect(run, "RoleRefused")
    assert "sub `repo:acme/batch:environment:staging`" in run.summary
    assert "This run is of the ref `refs/heads/feature` and the environment `staging`." in run.summary


@pytest.mark.no_cluster
def test_a_job_that_names_no_environment(world: Sandbox):
    world.github.event = replace(world.github.event, environment=None)

    run = world.run()

    expect(run, "RoleRefused")
    assert "This run is of the ref `refs/heads/main` and no environment." in run.summary


@pytest.mark.parametrize("environment", ["production", None])
@pytest.mark.parametrize("immutable", [False, True])
def test_the_trust_statement_offered_lets_the_run_in(world: Sandbox, environment: str | None, immutable: bool):
    world.github.event = replace(world.github.event, environment=environment, immutable_sub=immutable)
    refused = world.run()
    expect(refused, "RoleRefused")

    statement = json.loads(pasted(refused, "json"))
    world.trust(statement)

    assert world.run().outputs["result"] == "created"


@pytest.mark.no_cluster
def test_a_role_that_does_not_exist(world: Sandbox):
    expect(world.run({"role-to-assume": "arn:aws:iam::123456789012:role/nobody"}), "RoleRefused")


@pytest.mark.no_cluster
def test_an_account_without_the_oidc_provider(world: Sandbox):
    world.github.issuer = "https://ghes.example/_services/token"

    run = world.run()

    expect(run, "NoOidcProvider")
    assert "--url https://ghes.example/_services/token" in pasted(run, "sh")


@pytest.mark.no_cluster
def test_an_audience_that_the_provider_does_not_list(world: Sandbox):
    run = world.run({"audience": "sts.example.com"})

    expect(run, "WrongAudience")
    assert "--client-id sts.example.com" in pasted(run, "sh")


@pytest.mark.no_cluster
def test_a_session_longer_than_the_role_allows(world: Sandbox):
    run = world.run({"role-duration-seconds": "43200"})

    expect(run, "SessionTooLong")
    assert "--max-session-duration 43200" in pasted(run, "sh")


@pytest.mark.no_cluster
def test_no_role_and_no_credentials(world: Sandbox):
    expect(world.run({"role-to-assume": ""}, environ={"AWS_EC2_METADATA_DISABLED": "true"}), "NoAwsCredentials")


@pytest.mark.no_cluster
def test_credentials_that_aws_does_not_know(world: Sandbox):
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wrong-secret-wrong-secret"}

    run = world.run({"role-to-assume": ""}, environ=keys)

    expect(run, "AwsCredentialsRejected")
    assert "wrong-secret" not in run.summary


def test_a_role_that_may_not_describe_the_cluster(world: Sandbox):
    ours = world.trust_statement(sub=world.github.event.sub)
    world.trust(ours, describe_clusters=[])
    refused = world.run()
    expect(refused, "DescribeClusterDenied")

    statement = json.loads(pasted(refused, "json"))
    assert statement["Action"] == "eks:DescribeCluster"
    world.trust(ours, describe_clusters=[statement["Resource"]])

    assert world.run().outputs["result"] == "created"


@pytest.mark.no_cluster
def test_a_cluster_that_does_not_exist(world: Sandbox):
    run = world.run({"cluster": "stagging"})

    expect(run, "ClusterNotFound")
    assert "`stagging`" in run.summary


@pytest.mark.no_cluster
@pytest.mark.parametrize("status", ["CREATING", "DELETING", "FAILED"])
def test_a_cluster_that_is_not_ready(world: Sandbox, status: str):
    world.expose(world.cluster.url, status=status)

    run = world.run()

    expect(run, "ClusterNotReady")
    assert f"`{status}`" in run.summary


def test_a_cluster_that_is_being_updated_is_ready(world: Sandbox):
    world.expose(world.cluster.url, status="UPDATING")

    assert world.run().exit_status == 0


def test_a_role_that_the_cluster_does_not_know(world: Sandbox):
    world.aws.unmap_role(world.role)
    refused = world.run()
    expect(refused, "Unauthorized")
    assert f"--principal-arn {world.role}" in pasted(refused, "sh")

    (line,) = yaml.safe_load(pasted(refused, "sh").partition("mapRoles (which takes no role path):\n")[2])
    world.aws.map_role(line["rolearn"], line["username"], line["groups"])

    assert world.run().outputs["result"] == "created"


def test_missing_rbac_and_the_rules_offered_let_it_in(world: Sandbox):
    world.cluster.delete("RoleBinding", NAMESPACE, "run-cronjob")
    refused = world.run()
    expect(refused, "Forbidden")
    assert "get cronjobs" in refused.summary

    world.cluster.apply(pasted(refused, "yaml"))

    assert world.run().outputs["result"] == "created"


def test_a_misspelt_cronjob_brings_the_nearest_name(world: Sandbox):
    run = world.run({"cronjob": "nightly-reprot"})

    expect(run, "CronJobNotFound")
    assert "Did you mean `nightly-report`?" in run.summary


def test_a_misspelt_cronjob_where_listing_is_not_allowed(world: Sandbox):
    minimal_rights(world)

    expect(world.run({"cronjob": "nightly-reprot"}), "CronJobNotFound")


def test_a_namespace_that_does_not_exist(world: Sandbox):
    everywhere(world)

    expect(world.run({"namespace": "bacht"}), "NamespaceNotFound")


def test_a_namespace_that_is_being_deleted(world: Sandbox):
    everywhere(world)
    # It stays for as long as something in it has to.
    world.cluster.patch(
        "CronJob", NAMESPACE, CRONJOB, lambda it: it["metadata"].update(finalizers=["example.com/stay"])
    )
    world.cluster.delete("Namespace", "", NAMESPACE)

    expect(world.run(), "NamespaceTerminating")


def test_a_quota_that_is_used_up(world: Sandbox):
    world.cluster.apply(QUOTA)
    # The part of the controller that a bare API server lacks.
    world.cluster.set_status("ResourceQuota", NAMESPACE, "few", hard=QUOTA["spec"]["hard"], used=QUOTA["spec"]["hard"])

    run = world.run()

    expect(run, "QuotaExceeded")
    assert "exceeded quota: few" in run.summary


def test_a_webhook_that_refuses(world: Sandbox):
    world.cluster.webhooks.append(Webhook("policy.example", lambda _: "images need a digest"))

    run = world.run()

    expect(run, "AdmissionRefused")
    assert "images need a digest" in run.summary


@pytest.mark.parametrize("code", [400, 401, 409, 422, 429, 500])
def test_a_webhook_may_refuse_with_any_http_status(world: Sandbox, code: int):
    world.cluster.webhooks.append(Webhook("policy.example", lambda _: "images need a digest", code=code))

    expect(world.run(), "AdmissionRefused")
    assert [each.method for each in world.cluster.journal].count("POST") == 1


def test_a_webhook_that_does_not_answer_is_not_asked_twice(world: Sandbox):
    world.cluster.webhooks.append(Webhook("policy.example", lambda _: Failing()))

    run = world.run()

    expect(run, "WebhookFailed")
    assert [each.method for each in world.cluster.journal].count("POST") == 1


@pytest.mark.emulator("admissionregistration/v1 allows no webhook with side effects any more")
def test_a_webhook_without_dry_run(world: Sandbox):
    world.cluster.webhooks.append(Webhook("policy.example", lambda _: None, supports_dry_run=False))

    expect(world.run({"dry-run": "true"}), "DryRunUnsupported")
    assert world.run().outputs["result"] == "created"


@pytest.mark.emulator("it would have kept the CronJob from having it")
def test_a_field_that_the_api_server_does_not_know(world: Sandbox):
    assert isinstance(world.cluster, Cluster)
    world.cluster.unknown_fields.add("spec.backoffLimit")

    run = world.run()

    expect(run, "JobRefused")
    assert "spec.backoffLimit" in run.summary


def test_a_fixed_name_that_is_taken(world: Sandbox):
    first = world.run({"job-name": "report-again"})
    second = world.run({"job-name": "report-again"})

    assert first.outputs["job-name"] == "report-again"
    expect(second, "NameTaken")
    assert len(jobs(world)) == 1


def test_a_guard_that_may_not_look_refuses_before_it_creates(world: Sandbox):
    minimal_rights(world)

    run = world.run({"if-running": "refuse"})

    expect(run, "CannotListJobs")
    assert not jobs(world)


def minimal_rights(world: Sandbox) -> None:
    """`get cronjobs` and `create jobs`, nothing else."""
    rules = [
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    world.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=rules))


def everywhere(world: Sandbox) -> None:
    """The rights in all namespaces, those that don't exist included."""
    world.cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "run-cronjob"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "run-cronjob"},
            "subjects": [{"kind": "Group", "name": "run-cronjob", "apiGroup": "rbac.authorization.k8s.io"}],
        }
    )
    world.cluster.patch(
        "ClusterRole",
        "",
        "run-cronjob",
        lambda it: it["rules"].append({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}),
    )


def test_the_minimal_rights_are_enough(world: Sandbox):
    minimal_rights(world)

    run = world.run()

    assert run.outputs["result"] == "created"
    assert "those that people started can't be seen: listing Jobs is not allowed" in "\n".join(run.log.shown)


def test_a_cluster_that_has_no_certificate_yet_gets_no_token(world: Sandbox):
    real, world.cluster.ca_pem = world.cluster.ca_pem, ""
    world.expose(world.cluster.url)
    world.cluster.ca_pem = real
    run = world.run()
    assert run.outputs["reason"] == "ClusterNotReady"
    assert not world.cluster.journal


def test_what_nobody_foresaw_is_told_all_the_same(world: Sandbox):
    proxy = world.before_cluster()
    proxy.on(path_contains="/cronjobs/").status(200, b'{"metadata": {}, "spec": null}')
    run = world.run()
    assert run.outputs["reason"] == "Unexpected", run.summary
    assert run.exit_status == 1
    assert run.stderr == b""


def test_eks_that_stumbles_is_asked_again(world: Sandbox):
    proxy = world.before_eks()
    proxy.on().status(503)
    proxy.on().reset()
    proxy.on().status(400, b'{"message": "Rate exceeded"}', {"x-amzn-ErrorType": "ThrottlingException"})
    assert world.run().outputs["result"] == "created"
    assert len(proxy.journal) == 4


@pytest.mark.no_cluster
def test_aws_that_never_answers_is_asked_twice_and_given_up(world: Sandbox):
    proxy = world.before_sts()
    proxy.on(times=None).hang()
    assert world.run().outputs["reason"] == "AwsUnreachable"
    assert len(proxy.journal) == 2  # a read ends before the budget does


@pytest.mark.no_cluster
def test_a_runners_clock_that_is_wrong(world: Sandbox):
    proxy = world.before_eks()
    body = b'{"message": "Signature not yet current"}'
    proxy.on().status(403, body, {"x-amzn-ErrorType": "RequestTimeTooSkewed"})
    run = world.run()
    assert run.outputs["reason"] == "AwsCredentialsRejected"
    assert "NTP" in run.summary


def test_the_rules_offered_open_one_namespace_only(world: Sandbox):
    world.cluster.delete("RoleBinding", NAMESPACE, "run-cronjob")
    world.cluster.apply({"kind": "Namespace", "metadata": {"name": "payroll"}})
    world.cluster.apply(world.run().summary.partition("```yaml\n")[2].partition("\n```")[0])
    assert world.run().outputs["result"] == "created"
    assert world.run({"namespace": "payroll"}).outputs["reason"] == "Forbidden"
