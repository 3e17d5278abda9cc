"""Promises between the rooms that no other test would miss, by the file that each belongs beside."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox import CRONJOB_MANIFEST, NAMESPACE
from sandbox.faults import FaultProxy
from sandbox.forwarding import ForwardProxy

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Run, Sandbox


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def press(world: Sandbox, kubeconfig: str, **inputs: str) -> Run:
    empty = {"cluster": "", "role-to-assume": "", "aws-region": "", "namespace": ""}
    return world.run({**empty, "kubeconfig": kubeconfig, **inputs}, id_token_permission=False)


# --- test_kubeconfig.py
def test_the_namespace_of_the_form_goes_before_the_contexts(world: Sandbox, config: dict[str, Any]):
    config["contexts"][0]["context"]["namespace"] = "elsewhere"
    assert press(world, yaml.safe_dump(config), namespace=NAMESPACE).outputs["result"] == "created"


def test_a_context_without_a_namespace_means_default(world: Sandbox, config: dict[str, Any]):
    del config["contexts"][0]["context"]["namespace"]
    assert press(world, yaml.safe_dump(config)).outputs["namespace"] == "default"


def test_a_kubeconfig_may_be_one_line_of_json(world: Sandbox, config: dict[str, Any]):
    assert press(world, json.dumps(config)).outputs["result"] == "created"


def test_a_kubeconfigs_own_proxy_is_used(world: Sandbox, config: dict[str, Any]):
    with ForwardProxy() as proxy:
        config["clusters"][0]["cluster"]["proxy-url"] = proxy.url
        run = press(world, yaml.safe_dump(config))
    assert run.outputs["result"] == "created", run.summary
    assert {each.method for each in proxy.journal} == {"CONNECT"}


@pytest.mark.parametrize(("name", "reason"), [("localhost", ""), ("other.example", "CertificateRejected")])
def test_a_kubeconfigs_tls_server_name_is_the_one_checked(
    world: Sandbox, config: dict[str, Any], name: str, reason: str
):
    config["clusters"][0]["cluster"]["tls-server-name"] = name
    assert press(world, yaml.safe_dump(config)).outputs["reason"] == reason


def test_certificates_and_keys_do_not_outlive_the_step(world: Sandbox, direct_config: dict[str, Any], tmp_path: Path):
    certificate, key = world.cluster.client_certificate("ci", "run-cronjob")
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    direct_config["users"][0]["user"] = user
    empty = {"cluster": "", "role-to-assume": "", "aws-region": "", "kubeconfig": yaml.safe_dump(direct_config)}
    assert world.run(empty, environ={"TMPDIR": str(tmp_path)}).outputs["result"] == "created"
    assert list(tmp_path.iterdir()) == []


# --- test_trust.py
def test_a_profile_serves_where_no_role_is_named(world: Sandbox, tmp_path: Path):
    key_id, secret = world.aws.long_lived_key("ci")
    world.aws.map_user("arn:aws:iam::123456789012:user/ci", "ci", ["run-cronjob"])
    file = tmp_path / "credentials"
    file.write_text(f"[ci]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    run = world.run({"role-to-assume": ""}, environ={"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "ci"})
    assert run.outputs["result"] == "created", run.summary


def test_service_models_in_home_have_no_effect_with_credentials_of_the_environment(world: Sandbox, tmp_path: Path):
    models = tmp_path / "home" / ".aws" / "models" / "eks" / "2017-11-01"
    models.mkdir(parents=True)
    (models / "service-2.json").write_text("{}")
    key_id, secret = world.aws.long_lived_key("ci")
    world.aws.map_user("arn:aws:iam::123456789012:user/ci", "ci", ["run-cronjob"])
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}
    run = world.run({"role-to-assume": ""}, environ=keys, home=tmp_path / "home")
    assert run.outputs["result"] == "created", run.summary


def test_the_session_name_may_be_chosen(world: Sandbox):
    world.run({"role-session-name": "nightly@acme"})
    (asked,) = world.aws.sts.journal
    assert b"RoleSessionName=nightly%40acme&" in asked.body + b"&"


# --- test_names.py
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_the_names_time_is_utc_wherever_the_runner_is(world: Sandbox, zone: str):
    run = world.run(environ={"TZ": zone})
    named = datetime.strptime(run.outputs["job-name"][-14:], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - named) < timedelta(minutes=5)


# --- test_guard.py
BLIND = [
    {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
]


@pytest.mark.parametrize(("policy", "reason"), [("Forbid", "CannotListJobs"), ("Replace", ""), ("Allow", "")])
def test_policy_must_see_where_the_cronjob_forbids(world: Sandbox, policy: str, reason: str):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["concurrencyPolicy"] = policy
    world.cluster.apply(manifest)
    world.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=BLIND))
    run = world.run({"if-running": "policy"})
    assert run.outputs["reason"] == reason
    assert len(world.cluster.list("Job", NAMESPACE)) == (0 if reason else 1)


def test_a_list_that_fails_is_no_missing_right(world: Sandbox):
    proxy = world.before_cluster()
    proxy.on(method="GET", path_contains="/jobs?", times=None).status(
        400, b'{"kind": "Status", "reason": "BadRequest"}'
    )
    run = world.run()
    assert run.outputs["result"] == "error"
    assert not world.cluster.list("Job", NAMESPACE)


def test_a_list_that_expires_between_two_pages_is_read_anew_and_whole(world: Sandbox):
    world.run()
    spec = CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"]
    for number in range(600):
        metadata = {"name": f"a{number:04}", "namespace": NAMESPACE}
        world.cluster.apply({"kind": "Job", "metadata": metadata, "spec": copy.deepcopy(spec)})
    proxy = world.before_cluster()
    proxy.on(path_contains="continue=").status(410, b'{"kind": "Status", "reason": "Expired", "code": 410}')
    assert world.run({"if-running": "refuse"}).outputs["result"] == "refused"


# --- test_errors.py
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


def test_aws_that_never_answers_is_asked_twice_and_given_up(world: Sandbox):
    proxy = world.before_sts()
    proxy.on(times=None).hang()
    assert world.run().outputs["reason"] == "AwsUnreachable"
    assert len(proxy.journal) == 2  # a read ends before the budget does


# --- test_exactly_once.py
def test_each_further_name_is_another(world: Sandbox):
    proxy = world.before_cluster()
    spec = copy.deepcopy(CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"])

    def take_the_name(asked: Any) -> None:
        if asked.method == "POST" and len(world.cluster.list("Job", NAMESPACE)) < 2:
            name = json.loads(asked.body)["metadata"]["name"]
            world.cluster.apply({"kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    proxy.on_request = take_the_name
    run = world.run()
    assert run.outputs["result"] == "created", run.summary
    assert len(world.cluster.list("Job", NAMESPACE)) == 3


def test_why_the_post_was_not_repeated_is_told(world: Sandbox):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["successfulJobsHistoryLimit"] = 0
    world.cluster.apply(manifest)
    proxy = world.before_cluster()
    proxy.on(method="POST").lose_answer()

    def prune(asked: Any, _: int) -> None:
        for job in world.cluster.list("Job", NAMESPACE) if asked.method == "POST" else ():
            world.cluster.delete("Job", NAMESPACE, job["metadata"]["name"])

    proxy.on_answer = prune
    assert "that is why the request was not repeated" in world.run().summary


# --- test_warnings.py
def test_a_dry_run_shows_the_warnings_too(world: Sandbox):
    world.cluster.warnings.append("spec.x: deprecated")
    assert "spec.x: deprecated" in world.run({"dry-run": "true"}).summary


@pytest.mark.parametrize("text", ["::error::x", "a`b <img src=x> ##[error]", "</details><script>"])
def test_what_the_api_warns_of_is_text(world: Sandbox, text: str):
    world.cluster.warnings.append(text)
    run = world.run()
    assert [each.level for each in run.log.annotations] == ["warning", "notice"]
    (line,) = [each for each in run.summary.splitlines() if "The API server warns" in each]
    assert line.count("`") == 2
    assert line.endswith("`.")


# --- test_safety.py
def test_what_was_handed_out_is_masked_although_what_follows_fails(world: Sandbox):
    world.trust(world.trust_statement(sub=world.github.event.sub), describe_clusters=[])
    # the token, the role's key id, secret and session token
    assert len(world.run().log.masks) == 4
    world.trust(world.trust_statement(sub="nobody"))
    (token,) = world.run().log.masks
    assert token.count(".") == 2


def test_the_runners_token_is_not_shown_when_github_quotes_it(world: Sandbox):
    with FaultProxy(world.github.url) as proxy:
        world.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on().status(403, json.dumps({"message": f"bad token {world.github.request_token}"}).encode())
        run = world.run()
    assert run.outputs["reason"] == "OidcUnavailable"
    assert "bad token ***" in run.summary
    assert world.github.request_token.encode() not in run.stdout + run.files["step_summary"]


# --- test_network.py
def test_github_with_a_certificate_of_an_unknown_authority_gets_no_request(world: Sandbox):
    with FaultProxy(world.github.url, authority=world.authority) as github:
        world.github.request_url = f"{github.url}/token?api-version=2.0"
        assert world.run().outputs["reason"] == "CertificateRejected"
        assert not github.journal


def test_a_cluster_is_trusted_by_its_own_ca_only(world: Sandbox):
    from sandbox.certificates import Authority  # noqa: PLC0415

    mine = Authority()
    bundle = world.folder / "mine.pem"
    bundle.write_text(mine.pem)
    with FaultProxy(world.cluster.url, authority=mine, upstream_ca=world.cluster.ca_pem) as impostor:
        world.expose(impostor.url)
        run = world.run(environ={"SSL_CERT_FILE": str(bundle)})
        assert run.outputs["reason"] == "CertificateRejected"
        assert not impostor.journal


def test_an_oidc_request_that_is_refused_is_not_repeated(world: Sandbox):
    with FaultProxy(world.github.url) as proxy:
        world.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on(times=None).status(403, b'{"message": "no"}')
        assert world.run().outputs["reason"] == "OidcUnavailable"
        assert len(proxy.journal) == 1


def test_an_audience_arrives_at_github_as_it_was_given(world: Sandbox):
    world.run({"audience": "a+b=c@d"})
    (asked,) = world.github.journal
    assert asked.query["audience"] == "a+b=c@d"


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


def test_a_summary_that_can_not_be_written_changes_nothing_else(world: Sandbox):
    run = world.run(environ={"GITHUB_STEP_SUMMARY": "/nowhere/summary"})
    assert run.outputs["result"] == "created"
    assert run.exit_status == 0
    assert run.stderr == b""


def test_a_long_message_is_not_cut_within_a_secret(world: Sandbox):
    with FaultProxy(world.github.url) as proxy:
        world.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on().status(403, json.dumps({"message": "x" * 3980 + f" {world.github.request_token}"}).encode())
        run = world.run()
    assert world.github.request_token[:10].encode() not in run.stdout + run.files["step_summary"]


def test_an_answer_that_names_another_job_is_not_believed(world: Sandbox):
    proxy = world.before_cluster()
    other = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other", "uid": "u"}}
    proxy.on(method="POST").status_after(201, json.dumps(other).encode())
    run = world.run()
    (job,) = world.cluster.list("Job", NAMESPACE)
    assert run.outputs["job-uid"] == job["metadata"]["uid"]
