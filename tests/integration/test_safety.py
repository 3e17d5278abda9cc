"""Untrusted text stays text, secrets are not shown, and files of other steps have no effect."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from cmarkgfm import cmark, github_flavored_markdown_to_html

from sandbox import CRONJOB, CRONJOB_MANIFEST, NAMESPACE
from sandbox.emulator.admission import Webhook
from sandbox.net.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox, StepResult

# Several in each text, because a process takes a second. tests/unit tries each one, and thousands more.
HOSTILE = {
    "commands": "::error::gotcha\nx\n::add-mask::e\rx\r::set-output name=job-name::forged\n::stop-commands::t",
    "disguised commands": (
        "x ##[set-output name=job-name]forged\n\u200b::stop-commands::t\u2028::warning::w\n#\u200d#[error]gotcha"
    ),
    "markup": (
        "a`b``` | <img src=x onerror=alert(1)> [x](javascript:alert(1)) **b** @octocat\n# h\n| a | b |\n\n"
        "</details><script>alert(1)</script>\n\n```\n~~~\n<!--"
    ),
    "invisible": "abc\u202egnp.exe\u2066\x1b[31m\x00",
}
EXPECTED_COMMANDS = {"add-mask", "notice", "warning", "error", "group", "endgroup"}


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


def elements(run: StepResult) -> Elements:
    return Elements(github_flavored_markdown_to_html(run.summary, cmark.Options.CMARK_OPT_UNSAFE))


def expect_harmless(run: StepResult) -> None:
    """No command or markup took effect but the action's own."""
    assert {command.name for command in run.log.commands} <= EXPECTED_COMMANDS
    assert not run.log.failed
    assert "forged" not in run.outputs.values()
    assert sum(each.level != "warning" for each in run.log.annotations) == 1
    assert all(len(mask) > 10 for mask in run.log.masks)
    found = elements(run)
    assert not {"script", "img", "h1"} & set(found.names)
    assert all(link.startswith("https://github.com/") for link in found.links)
    for char in "\u202e\u2066\x1b\x00\u200b\u200d\u2028":
        assert char not in run.summary
        assert char not in run.stdout.decode()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_actor_and_the_workflows_name_are_text(sandbox: Sandbox, text: str):
    hostile = text.replace("\x00", "")  # an environment variable can't hold it
    sandbox.github.event = replace(sandbox.github.event, actor=hostile, triggering_actor=hostile, workflow=hostile)

    run = sandbox.run()

    expect_harmless(run)
    assert run.outputs["result"] == "created"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_inputs_are_text(sandbox: Sandbox, text: str):
    hostile = text.replace("\x00", "")
    run = sandbox.run({"cronjob": hostile, "namespace": hostile, "if-running": hostile, "cluster": hostile})

    expect_harmless(run)
    assert run.outputs["reason"] == "InvalidInput"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_messages_of_the_cluster_are_text(sandbox: Sandbox, text: str):
    sandbox.cluster.webhooks.append(Webhook("policy.example", lambda _: text))

    run = sandbox.run()

    expect_harmless(run)
    assert run.outputs["reason"] == "AdmissionRefused"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.emulator("it takes no such CronJob")
def test_fields_of_the_cronjob_are_text(sandbox: Sandbox, text: str):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["schedule"] = manifest["spec"]["timeZone"] = text
    container = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["name"] = text
    sandbox.cluster.apply(manifest)

    for run in (sandbox.run(), sandbox.run({"dry-run": "true"})):
        expect_harmless(run)
        assert run.exit_status == 0


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_actor_of_another_run_is_text(sandbox: Sandbox, text: str):
    first = sandbox.run()
    annotate = lambda job: job["metadata"]["annotations"].update({"run-cronjob/triggering-actor": text})  # noqa: E731
    sandbox.cluster.patch("Job", NAMESPACE, first.outputs["job-name"], annotate)

    expect_harmless(sandbox.run())
    expect_harmless(sandbox.run({"if-running": "refuse"}))


def test_no_credential_is_shown(sandbox: Sandbox):
    run = sandbox.run()

    sandbox.cluster.delete("RoleBinding", NAMESPACE, "run-cronjob")
    refused = sandbox.run()
    for each in (run, refused):
        shown = "\n".join([*each.log.shown, each.summary, *each.outputs.values()])
        # The OIDC token, the role's key id, secret and session token, the cluster's bearer token.
        assert len(each.log.masks) >= 5
        assert not [secret for secret in each.log.masks if secret in shown]
        assert sandbox.github.request_token not in each.stdout.decode()


def test_each_secret_is_masked_before_it_occurs_in_the_log(sandbox: Sandbox):
    run = sandbox.run()

    lines = run.stdout.decode().splitlines()
    for secret in run.log.masks:
        assert lines.index(f"::add-mask::{secret}") == next(i for i, line in enumerate(lines) if secret in line)


def test_env_values_are_not_shown_although_the_api_quotes_them(sandbox: Sandbox):
    sandbox.cluster.webhooks.append(Webhook("policy.example", lambda job: json.dumps(job["spec"])))
    sandbox.cluster.warnings.append("the value correct-horse-battery-staple looks like a password")

    refused = sandbox.run()
    sandbox.cluster.webhooks.clear()
    created = sandbox.run()

    assert refused.outputs["reason"] == "AdmissionRefused"
    assert "DATABASE_PASSWORD" in refused.summary
    assert "looks like a password" in created.summary
    for run in (refused, created):
        assert "correct-horse" not in run.summary
        assert b"correct-horse" not in run.stdout


def test_secrets_in_a_kubeconfig_that_is_no_yaml_are_not_shown(sandbox: Sandbox):
    text = "apiVersion: v1\nusers: [{name: x, user: {token: very-secret-token"

    run = sandbox.run(kubeconfig_only(text))

    assert run.outputs["reason"] == "InvalidKubeconfig"
    assert b"very-secret" not in run.stdout
    assert "very-secret" not in run.summary


def test_a_base64_encoded_kubeconfig_is_not_shown_as_a_path(sandbox: Sandbox):
    text = base64.b64encode(b"apiVersion: v1\nusers: [{name: x, user: {token: t}}]").decode()

    run = sandbox.run(kubeconfig_only(text))

    assert run.outputs["reason"] == "KubeconfigUnreadable"
    assert text[:20] not in run.summary + run.stdout.decode()


@pytest.mark.no_cluster
def test_credentials_of_the_environment_are_not_shown_although_aws_quotes_them(sandbox: Sandbox):
    keys = {
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-environment",
        "AWS_SESSION_TOKEN": "the-session-token-of-the-environment",
    }
    quoting = {"message": f"The Canonical String should have been x-amz-security-token:{keys['AWS_SESSION_TOKEN']}"}
    headers = {"x-amzn-ErrorType": "InvalidSignatureException", "Content-Type": "application/json"}
    sandbox.before_eks().on(times=None).status(403, json.dumps(quoting).encode(), headers=headers)

    run = sandbox.run({"role-to-assume": ""}, environ=keys)

    assert run.outputs["reason"] == "AwsCredentialsRejected"
    assert "x-amz-security-token:***" in run.summary
    for secret in (keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"]):
        assert secret not in run.summary + run.stdout.decode()


def test_an_env_value_that_is_a_word_of_kubernetes_does_not_hide_the_missing_right(sandbox: Sandbox):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    container = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "QUEUE", "value": "jobs"})
    sandbox.cluster.apply(manifest)
    rules = [{"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]}]
    sandbox.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=rules))

    assert sandbox.run({"if-running": "allow"}).outputs["reason"] == "Forbidden"


def kubeconfig_only(text: str) -> dict[str, str]:
    return {"kubeconfig": text, "cluster": "", "role-to-assume": ""}


@pytest.mark.emulator("it drops what it does not know itself")
def test_fields_that_no_client_knows_reach_the_job_unchanged(sandbox: Sandbox):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod["fieldOfTheFuture"] = {"nested": [1, 2.5, None, {"übung": "☃"}], "quantity": "1e3"}
    manifest["spec"]["jobTemplate"]["spec"]["anotherOne"] = True
    sandbox.cluster.apply(manifest)

    sandbox.run()

    (job,) = sandbox.cluster.list("Job", NAMESPACE)
    assert job["spec"]["template"]["spec"] == pod
    assert job["spec"]["anotherOne"] is True


def test_a_template_can_not_set_the_actions_own_annotations(sandbox: Sandbox):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["jobTemplate"]["metadata"] = {
        "labels": {"run-cronjob/cronjob": "other", "app": "kept"},
        "annotations": {"run-cronjob/actor": "boss", "run-cronjob/approved-by": "boss", "note": "kept"},
    }
    sandbox.cluster.apply(manifest)

    sandbox.run()

    (job,) = sandbox.cluster.list("Job", NAMESPACE)
    assert job["metadata"]["labels"]["run-cronjob/cronjob"] == CRONJOB
    assert job["metadata"]["labels"]["app"] == "kept"
    assert job["metadata"]["annotations"]["run-cronjob/actor"] == "octocat"
    assert job["metadata"]["annotations"]["note"] == "kept"
    assert "run-cronjob/approved-by" not in job["metadata"]["annotations"]


@pytest.fixture
def poison(tmp_path: Path) -> dict[str, Any]:
    """A workspace and a HOME whose modules, programs and files leave a trace if they are used."""
    workspace, home, trace = tmp_path / "workspace", tmp_path / "home", tmp_path / "poisoned"
    code = f"open({str(trace)!r}, 'w').close()\nraise SystemExit('poisoned')\n"
    for module in ("boto3", "yaml", "kubernetes", "json", "sitecustomize", "usercustomize", "run_cronjob"):
        (workspace / module).mkdir(parents=True, exist_ok=True)
        (workspace / module / "__init__.py").write_text(code)
    aws = home / ".aws"
    models = aws / "models" / "sts" / "2099-01-01"
    models.mkdir(parents=True)
    (models / "service-2.json").write_text("{}")
    (aws / "config").write_text(
        f"[default]\nregion = us-gov-west-1\ncredential_process = touch {trace}\nsdk_ua_app_id = poisoned\n"
    )
    (aws / "credentials").write_text("[default]\naws_access_key_id = AKIAPOISONED\naws_secret_access_key = poisoned\n")
    (home / ".netrc").write_text("machine 127.0.0.1 login poisoned password poisoned\n")
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text("current-context: poisoned\n")
    environ = {
        "PYTHONPATH": str(workspace),
        "PYTHONSTARTUP": str(workspace / "json/__init__.py"),
        "AWS_PROFILE": "gone",
    }
    return {"workspace": workspace, "home": home, "environ": environ, "trace": trace}


def test_a_poisoned_workspace_pythonpath_and_home_have_no_effect(sandbox: Sandbox, poison: dict[str, Any]):
    trace = poison.pop("trace")

    run = sandbox.run(**poison)

    assert run.outputs["result"] == "created", run.summary
    assert not trace.exists()
    (asked,) = sandbox.aws.eks.journal
    assert "/eu-central-1/eks/" in asked.headers["authorization"]
    for each in (*sandbox.aws.sts.journal, asked):
        assert "poisoned" not in each.headers["user-agent"]


@pytest.mark.no_cluster
def test_credentials_are_masked_although_the_next_request_fails(sandbox: Sandbox):
    sandbox.trust(sandbox.trust_statement(sub=sandbox.github.event.sub), describe_clusters=[])
    # the token, the role's key id, secret and session token
    assert len(sandbox.run().log.masks) == 4
    sandbox.trust(sandbox.trust_statement(sub="nobody"))
    (token,) = sandbox.run().log.masks
    assert token.count(".") == 2


@pytest.mark.no_cluster
def test_the_runners_token_is_not_shown_although_github_quotes_it(sandbox: Sandbox):
    with FaultProxy(sandbox.github.url) as proxy:
        sandbox.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on().status(403, json.dumps({"message": f"bad token {sandbox.github.request_token}"}).encode())
        run = sandbox.run()
    assert run.outputs["reason"] == "OidcUnavailable"
    assert "bad token ***" in run.summary
    assert sandbox.github.request_token.encode() not in run.stdout + run.files["step_summary"]


@pytest.mark.no_cluster
def test_a_long_message_is_redacted_before_it_is_cut(sandbox: Sandbox):
    with FaultProxy(sandbox.github.url) as proxy:
        sandbox.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on().status(403, json.dumps({"message": "x" * 3980 + f" {sandbox.github.request_token}"}).encode())
        run = sandbox.run()
    assert sandbox.github.request_token[:10].encode() not in run.stdout + run.files["step_summary"]
