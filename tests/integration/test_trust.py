"""The trust policies in docs/setup.md allow the runs that they describe, and no others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import ENTRYPOINT, NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

EXAMPLES = ENTRYPOINT.parent / "examples"


def statements(name: str) -> list[Any]:
    found = json.loads((EXAMPLES / name).read_text())["Statement"]
    assert isinstance(found, list)
    return found


def refused(ref: str, environment: str | None):
    return pytest.param(ref, environment, False, marks=pytest.mark.no_cluster)


@pytest.fixture
def acme(sandbox: Sandbox) -> Sandbox:
    """A repository with the owner and repository ids of the examples."""
    sandbox.github.event = replace(sandbox.github.event, repository_owner_id=1234567, repository_id=987654321)
    return sandbox


@pytest.mark.parametrize("immutable", [False, True])
@pytest.mark.parametrize(
    ("ref", "environment", "allowed"),
    [
        ("refs/heads/main", "staging", True),
        refused("refs/heads/feature", "staging"),
        refused("refs/tags/main", "staging"),
        refused("refs/heads/main", "production"),
        refused("refs/heads/main", None),
    ],
)
def test_the_policy_by_environment_and_ref(
    acme: Sandbox, immutable: bool, ref: str, environment: str | None, allowed: bool
):
    acme.trust(*statements("trust-policy-environment.json"))
    acme.github.event = replace(acme.github.event, ref=ref, environment=environment, immutable_sub=immutable)

    run = acme.run()

    assert run.outputs["reason"] == ("" if allowed else "RoleRefused"), run.summary


@pytest.mark.parametrize("immutable", [False, True])
@pytest.mark.parametrize(
    ("ref", "environment", "allowed"),
    [
        ("refs/heads/main", None, True),
        refused("refs/heads/main2", None),
        refused("refs/heads/feature", None),
        refused("refs/heads/main", "staging"),
    ],
)
def test_the_policy_by_branch(acme: Sandbox, immutable: bool, ref: str, environment: str | None, allowed: bool):
    acme.trust(*statements("trust-policy-branch.json"))
    acme.github.event = replace(acme.github.event, ref=ref, environment=environment, immutable_sub=immutable)

    assert acme.run().outputs["reason"] == ("" if allowed else "RoleRefused")


@pytest.mark.no_cluster
def test_another_repository_is_not_allowed(acme: Sandbox):
    acme.trust(*statements("trust-policy-environment.json"))
    acme.github.event = replace(acme.github.event, repository="acme/other")

    assert acme.run().outputs["reason"] == "RoleRefused"


@pytest.mark.no_cluster
def test_a_bare_branch_name_matches_nothing(acme: Sandbox):
    acme.trust(acme.trust_statement(sub="repo:acme/batch:main"))
    acme.github.event = replace(acme.github.event, environment=None)

    assert acme.run().outputs["reason"] == "RoleRefused"


def test_a_policy_by_environment_alone_allows_any_branch(acme: Sandbox):
    acme.trust(acme.trust_statement(sub="repo:acme/batch:environment:staging"))
    acme.github.event = replace(acme.github.event, ref="refs/heads/anything")

    assert acme.run().outputs["reason"] == ""


def test_the_right_to_describe_clusters_covers_the_successor(acme: Sandbox):
    policy = json.loads((EXAMPLES / "describe-cluster-policy.json").read_text())
    acme.trust(*statements("trust-policy-environment.json"), describe_clusters=[policy["Statement"][0]["Resource"]])
    for name in ("staging-blue", "staging-green", "production"):
        acme.aws.create_cluster(name, "eu-central-1", acme.cluster.url, acme.cluster.ca_pem)

    reasons = [acme.run({"cluster": name}).outputs["reason"] for name in ("staging-blue", "production")]

    # The emulator's verifier knows the cluster by one name: a token for another is not accepted there.
    assert reasons == ["Unauthorized", "DescribeClusterDenied"]


def test_without_a_role_the_credentials_of_the_environment_are_used(sandbox: Sandbox):
    key_id, secret = sandbox.aws.create_access_key("ci")
    sandbox.aws.map_identity("arn:aws:iam::123456789012:user/ci", "ci", ["run-cronjob"])
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}

    run = sandbox.run({"role-to-assume": ""}, environ=keys, id_token_permission=False)

    assert run.outputs["result"] == "created", run.summary
    assert len(sandbox.github.journal) == len(sandbox.aws.sts.journal) == 0
    assert secret not in run.summary + run.stdout.decode()


def test_credentials_of_the_environment_that_the_cluster_rejects_are_named(sandbox: Sandbox):
    key_id, secret = sandbox.aws.create_access_key("ci")
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}

    run = sandbox.run({"role-to-assume": ""}, environ=keys)

    assert run.outputs["reason"] == "Unauthorized"
    assert "arn:aws:iam::123456789012:user/ci" in run.summary


def test_a_token_for_one_cluster_is_not_valid_for_another(sandbox: Sandbox):
    sandbox.aws.create_cluster("other", "eu-central-1", sandbox.cluster.url, sandbox.cluster.ca_pem)

    assert sandbox.run({"cluster": "other"}).outputs["reason"] == "Unauthorized"
    assert not sandbox.cluster.list("Job", NAMESPACE)


def test_without_a_role_a_profile_is_used(sandbox: Sandbox, tmp_path: Path):
    key_id, secret = sandbox.aws.create_access_key("ci")
    sandbox.aws.map_identity("arn:aws:iam::123456789012:user/ci", "ci", ["run-cronjob"])
    file = tmp_path / "credentials"
    file.write_text(f"[ci]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    run = sandbox.run({"role-to-assume": ""}, environ={"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_PROFILE": "ci"})
    assert run.outputs["result"] == "created", run.summary


def test_service_models_in_home_have_no_effect_with_credentials_of_the_environment(sandbox: Sandbox, tmp_path: Path):
    models = tmp_path / "home" / ".aws" / "models" / "eks" / "2017-11-01"
    models.mkdir(parents=True)
    (models / "service-2.json").write_text("{}")
    key_id, secret = sandbox.aws.create_access_key("ci")
    sandbox.aws.map_identity("arn:aws:iam::123456789012:user/ci", "ci", ["run-cronjob"])
    keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}
    run = sandbox.run({"role-to-assume": ""}, environ=keys, home=tmp_path / "home")
    assert run.outputs["result"] == "created", run.summary


def test_the_session_name_may_be_chosen(sandbox: Sandbox):
    sandbox.run({"role-session-name": "nightly@acme"})
    (asked,) = sandbox.aws.sts.journal
    assert b"RoleSessionName=nightly%40acme&" in asked.body + b"&"


@pytest.mark.no_cluster
def test_the_audience_arrives_at_github_unchanged(sandbox: Sandbox):
    sandbox.run({"audience": "a+b=c@d"})
    (asked,) = sandbox.github.journal
    assert asked.query["audience"] == "a+b=c@d"
