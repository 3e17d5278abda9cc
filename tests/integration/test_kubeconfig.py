"""The inputs `kubeconfig` and `context`: any cluster, without AWS, and no programs that a kubeconfig names."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox import NAMESPACE
from sandbox.net.http_proxy import ForwardProxy

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox, StepResult


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def run_with(sandbox: Sandbox, kubeconfig: str, **inputs: str) -> StepResult:
    empty = {"cluster": "", "role-to-assume": "", "aws-region": "", "namespace": ""}
    return sandbox.run({**empty, "kubeconfig": kubeconfig, **inputs}, id_token_permission=False)


def test_the_text_of_a_kubeconfig_is_enough(sandbox: Sandbox, config: dict[str, Any]):
    run = run_with(sandbox, yaml.safe_dump(config))

    assert run.outputs["result"] == "created", run.summary
    assert run.outputs["cluster"] == "here"
    assert len(sandbox.github.journal) == len(sandbox.aws.sts.journal) == len(sandbox.aws.eks.journal) == 0
    assert len(sandbox.cluster.journal) == 3


def test_the_contexts_namespace_is_the_default(sandbox: Sandbox, config: dict[str, Any]):
    assert run_with(sandbox, yaml.safe_dump(config)).outputs["namespace"] == NAMESPACE


def test_a_path_is_read_and_relative_paths_in_the_file_start_from_its_folder(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path
):
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    del cluster["certificate-authority-data"]
    cluster["certificate-authority"] = "ca.pem"
    (tmp_path / "ca.pem").write_text(sandbox.cluster.ca_pem)
    (tmp_path / "token").write_text(user.pop("token"))
    user["tokenFile"] = "token"
    (tmp_path / "config").write_text(yaml.safe_dump(config))

    run = run_with(sandbox, str(tmp_path / "config"))

    assert run.outputs["result"] == "created", run.summary


def test_a_client_certificate_is_accepted(sandbox: Sandbox, direct_config: dict[str, Any]):
    certificate, key = sandbox.cluster.client_certificate("ci", "run-cronjob")
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    direct_config["users"][0]["user"] = user

    run = run_with(sandbox, yaml.safe_dump(direct_config))

    assert run.outputs["result"] == "created", run.summary


@pytest.mark.no_cluster
@pytest.mark.parametrize("damage", ["no PEM", "!", "of another key"])
def test_a_certificate_that_can_not_be_loaded_is_an_invalid_kubeconfig(
    sandbox: Sandbox, config: dict[str, Any], damage: str
):
    certificate, _ = sandbox.cluster.client_certificate("ci", "run-cronjob")
    _, other_key = sandbox.cluster.client_certificate("ci", "run-cronjob")
    data = {"no PEM": encoded("no PEM"), "!": "!", "of another key": encoded(certificate)}[damage]
    config["users"][0]["user"] = {"client-certificate-data": data, "client-key-data": encoded(other_key)}

    refused(run_with(sandbox, yaml.safe_dump(config)), sandbox, "can't be loaded")


@pytest.mark.no_cluster
def test_a_missing_token_file_is_an_invalid_kubeconfig(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path):
    config["users"][0]["user"] = {"tokenFile": "token"}
    (tmp_path / "config").write_text(yaml.safe_dump(config))

    refused(run_with(sandbox, str(tmp_path / "config")), sandbox, "can't be loaded")


def test_the_token_in_a_token_file_is_masked(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path):
    token = config["users"][0]["user"].pop("token")
    (tmp_path / "token").write_text(token)
    config["users"][0]["user"] = {"tokenFile": str(tmp_path / "token")}

    assert token in run_with(sandbox, yaml.safe_dump(config)).log.masks


def test_another_context_can_be_chosen(sandbox: Sandbox, config: dict[str, Any]):
    run = run_with(sandbox, yaml.safe_dump(config), context="elsewhere", namespace=NAMESPACE)

    assert run.outputs["reason"] == "Unauthorized"
    assert run.outputs["cluster"] == "elsewhere"


def test_the_token_is_masked_and_not_shown(sandbox: Sandbox, config: dict[str, Any]):
    token = config["users"][0]["user"]["token"]

    run = run_with(sandbox, yaml.safe_dump(config))

    assert token in run.log.masks
    assert token not in "\n".join(run.log.shown) + run.summary


def refused(run: StepResult, sandbox: Sandbox, word: str) -> None:
    assert run.outputs["reason"] == "InvalidKubeconfig", run.summary
    assert word in run.summary
    assert run.stderr == b""
    assert len(sandbox.cluster.journal) == 0


@pytest.mark.no_cluster
def test_a_program_to_run_is_refused_and_not_run(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path):
    trace = tmp_path / "ran"
    config["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(trace)]}
    }

    refused(run_with(sandbox, yaml.safe_dump(config)), sandbox, "`exec`")
    assert not trace.exists()


@pytest.mark.no_cluster
@pytest.mark.parametrize(
    ("user", "word"),
    [
        ({"auth-provider": {"name": "oidc"}}, "`auth-provider`"),
        ({"username": "u", "password": "a-password"}, "`password`"),
        ({"token": "some-token", "as": "system:admin"}, "`as`"),
        ({}, "neither a token nor a client certificate"),
    ],
)
def test_users_without_a_token_or_certificate_are_refused(
    sandbox: Sandbox, config: dict[str, Any], user: dict[str, Any], word: str
):
    config["users"][0]["user"] = user

    refused(run_with(sandbox, yaml.safe_dump(config)), sandbox, word)


@pytest.mark.no_cluster
def test_unverified_tls_is_refused(sandbox: Sandbox, config: dict[str, Any]):
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True

    refused(run_with(sandbox, yaml.safe_dump(config)), sandbox, "insecure-skip-tls-verify")


@pytest.mark.no_cluster
def test_plain_http_is_refused(sandbox: Sandbox, config: dict[str, Any]):
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:8080"

    refused(run_with(sandbox, yaml.safe_dump(config)), sandbox, "https://")


def test_other_contexts_may_hold_refused_keys(sandbox: Sandbox, config: dict[str, Any]):
    config["users"][1]["user"] = {"exec": {"command": "false"}}

    assert run_with(sandbox, yaml.safe_dump(config)).outputs["result"] == "created"


@pytest.mark.no_cluster
def test_a_missing_context_is_reported_with_the_existing_ones(sandbox: Sandbox, config: dict[str, Any]):
    refused(run_with(sandbox, yaml.safe_dump(config), context="somewhere"), sandbox, "`elsewhere`")


@pytest.mark.no_cluster
def test_a_missing_kubeconfig_file_is_reported(sandbox: Sandbox):
    run = run_with(sandbox, "/nowhere/config")

    assert run.outputs["reason"] == "KubeconfigUnreadable"
    assert "runner.temp" in run.summary


@pytest.mark.no_cluster
def test_a_server_that_is_no_kubernetes_api_is_reported(sandbox: Sandbox, config: dict[str, Any]):
    proxy = sandbox.before_cluster()
    proxy.on(times=None).status(404, b"<html><title>nginx</title>")
    config["clusters"][0]["cluster"]["server"] = proxy.url

    assert run_with(sandbox, yaml.safe_dump(config)).outputs["reason"] == "NotKubernetes"


@pytest.mark.no_cluster
def test_a_kubeconfig_together_with_a_role_or_cluster_is_invalid(sandbox: Sandbox, config: dict[str, Any]):
    run = run_with(sandbox, yaml.safe_dump(config), cluster="staging", **{"role-to-assume": sandbox.role})

    assert run.outputs["reason"] == "InvalidInput"
    assert "Input `cluster`" in run.summary
    assert "Input `role-to-assume`" in run.summary


def test_the_input_namespace_has_priority_over_the_contexts(sandbox: Sandbox, config: dict[str, Any]):
    config["contexts"][0]["context"]["namespace"] = "elsewhere"
    assert run_with(sandbox, yaml.safe_dump(config), namespace=NAMESPACE).outputs["result"] == "created"


def test_a_context_without_a_namespace_means_default(sandbox: Sandbox, config: dict[str, Any]):
    del config["contexts"][0]["context"]["namespace"]
    assert run_with(sandbox, yaml.safe_dump(config)).outputs["namespace"] == "default"


def test_a_kubeconfig_may_be_one_line_of_json(sandbox: Sandbox, config: dict[str, Any]):
    assert run_with(sandbox, json.dumps(config)).outputs["result"] == "created"


def test_a_kubeconfigs_own_proxy_is_used(sandbox: Sandbox, config: dict[str, Any]):
    with ForwardProxy() as proxy:
        config["clusters"][0]["cluster"]["proxy-url"] = proxy.url
        run = run_with(sandbox, yaml.safe_dump(config))
    assert run.outputs["result"] == "created", run.summary
    assert {each.method for each in proxy.journal} == {"CONNECT"}


@pytest.mark.parametrize(("name", "reason"), [("localhost", ""), ("other.example", "CertificateRejected")])
def test_a_kubeconfigs_tls_server_name_is_the_one_checked(
    sandbox: Sandbox, config: dict[str, Any], name: str, reason: str
):
    config["clusters"][0]["cluster"]["tls-server-name"] = name
    assert run_with(sandbox, yaml.safe_dump(config)).outputs["reason"] == reason


def test_no_certificates_and_keys_remain_after_the_step(
    sandbox: Sandbox, direct_config: dict[str, Any], tmp_path: Path
):
    certificate, key = sandbox.cluster.client_certificate("ci", "run-cronjob")
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    direct_config["users"][0]["user"] = user
    empty = {"cluster": "", "role-to-assume": "", "aws-region": "", "kubeconfig": yaml.safe_dump(direct_config)}
    assert sandbox.run(empty, environ={"TMPDIR": str(tmp_path)}).outputs["result"] == "created"
    assert list(tmp_path.iterdir()) == []
