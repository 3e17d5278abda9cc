"""Text to paste is complete and valid, and grants no more than it says."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
import yaml

from run_cronjob.core.text import kubectl
from run_cronjob.diagnosis import snippets
from tests.builders import CLAIMS, HOSTILE, ROLE, inputs

ISSUER = "token.actions.githubusercontent.com"
AT_SERVER = {"iss": "https://ghes.example/_services/token"}


def statement(role: str = ROLE, **changes: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(snippets.trust_statement(role, CLAIMS | changes))
    return found


def conditions(**changes: str) -> dict[str, str]:
    found: dict[str, str] = statement(**changes)["Condition"]["StringEquals"]
    return found


@pytest.mark.parametrize(
    "sub",
    [
        "repo:acme/batch:ref:refs/heads/main",
        "repo:acme@1234/batch@5678:ref:refs/heads/main",
        "repo:acme/batch:pull_request",
    ],
)
def test_a_trust_statement_takes_the_subject_in_the_form_that_the_token_has(sub: str) -> None:
    assert conditions(sub=sub) == {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": sub}


@pytest.mark.parametrize("owner", ["acme/batch", "acme@1234/batch@5678"])
def test_an_environment_alone_would_let_any_branch_in_so_the_ref_is_asked_for_too(owner: str) -> None:
    sub = f"repo:{owner}:environment:production"

    assert conditions(sub=sub) == {
        f"{ISSUER}:aud": "sts.amazonaws.com",
        f"{ISSUER}:sub": sub,
        f"{ISSUER}:ref": "refs/heads/main",
    }


def test_an_enterprise_servers_statement_names_its_own_issuer() -> None:
    found = statement(**AT_SERVER)

    assert found["Principal"] == {"Federated": "arn:aws:iam::123456789012:oidc-provider/ghes.example/_services/token"}
    assert set(found["Condition"]["StringEquals"]) == {f"ghes.example/_services/token:{key}" for key in ("aud", "sub")}


def test_a_trust_statement_stays_in_the_roles_partition_and_account() -> None:
    found = statement("arn:aws-cn:iam::210987654321:role/a/b")

    assert found["Principal"]["Federated"] == f"arn:aws-cn:iam::210987654321:oidc-provider/{ISSUER}"


@pytest.mark.parametrize("claims", [{}, {"aud": "sts.amazonaws.com"}, {"sub": "", "aud": ""}])
def test_a_claim_that_cannot_be_read_does_not_widen_the_statement(claims: dict[str, object]) -> None:
    found = json.loads(snippets.trust_statement(ROLE, claims))["Condition"]["StringEquals"]

    assert found[f"{ISSUER}:sub"]
    assert found[f"{ISSUER}:aud"]


def test_what_the_role_needs_of_eks() -> None:
    assert json.loads(snippets.describe_cluster_statement(inputs(role_to_assume="arn:aws-cn:iam::1:role/x"))) == {
        "Effect": "Allow",
        "Action": "eks:DescribeCluster",
        "Resource": "arn:aws-cn:eks:eu-central-1:1:cluster/blue",
    }
    without_role = json.loads(snippets.describe_cluster_statement(inputs(role_to_assume="")))
    assert without_role["Resource"] == "arn:aws:eks:eu-central-1:*:cluster/blue"


def test_the_rights_in_the_cluster_and_their_binding_to_the_group_in_one_namespace() -> None:
    role, binding = yaml.safe_load_all(snippets.rbac("staging"))

    rights = {(verb, rule["resources"][0]) for rule in role["rules"] for verb in rule["verbs"]}
    assert {("get", "cronjobs"), ("create", "jobs")} <= rights
    assert {("watch", "jobs"), ("watch", "pods"), ("get", "pods/log"), ("list", "events")} <= rights
    assert not {"*", "delete", "update", "patch"} & {verb for verb, _ in rights}
    assert [verb for verb, resource in rights if verb == "create"] == ["create"]
    assert binding["metadata"]["namespace"] == "staging"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": snippets.GROUP}]


def test_who_only_starts_jobs_needs_no_rights_on_pods() -> None:
    role, _ = yaml.safe_load_all(snippets.rbac("staging", follow=False))

    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"cronjobs", "jobs"}
    assert not {"watch", "delete"} & {verb for rule in role["rules"] for verb in rule["verbs"]}


@pytest.mark.parametrize(
    ("resource", "group", "plural"),
    [("jobs.batch", "batch", "jobs"), ("pods/log", "", "pods/log"), ("pods", "", "pods")],
)
def test_one_rule_to_add_is_one_line_of_yaml(resource: str, group: str, plural: str) -> None:
    line = snippets.rule(resource, "list", "watch")

    assert yaml.safe_load(line) == [{"apiGroups": [group], "resources": [plural], "verbs": ["list", "watch"]}]
    assert "\n" not in line


@pytest.mark.parametrize("namespace", ["on", "123", "null"])
def test_a_namespace_that_yaml_would_take_for_something_else_stays_a_name(namespace: str) -> None:
    *_, binding = yaml.safe_load_all(snippets.rbac(namespace))

    assert binding["metadata"]["namespace"] == namespace


def test_the_aws_auth_line_has_no_role_path_and_carries_the_session_name() -> None:
    (entry,) = yaml.safe_load(snippets.cluster_entry(inputs(), ROLE).partition("aws-auth")[2].partition("\n")[2])

    assert entry == {
        "rolearn": "arn:aws:iam::123456789012:role/run-cronjob",
        "username": "run-cronjob:{{SessionName}}",
        "groups": ["run-cronjob"],
    }


def test_who_is_not_known_is_left_to_fill_in() -> None:
    assert "--principal-arn ARN-OF-THE-ROLE " in snippets.cluster_entry(inputs(), "")


@pytest.mark.parametrize(
    ("caller", "role"),
    [
        (ROLE, ROLE),
        ("arn:aws:sts::123456789012:assumed-role/ci/i-0abc", "arn:aws:iam::123456789012:role/ci"),
        ("arn:aws-us-gov:sts::123456789012:assumed-role/ci/a@b", "arn:aws-us-gov:iam::123456789012:role/ci"),
        ("arn:aws:iam::123456789012:user/jo", "arn:aws:iam::123456789012:user/jo"),
    ],
)
def test_the_role_behind_a_session(caller: str, role: str) -> None:
    assert snippets.role_of(caller) == role


@pytest.mark.parametrize(
    "hostile", [text for text in HOSTILE if "\n" not in text and text.isprintable() and text.strip()]
)
def test_a_foreign_name_is_one_word_of_a_command_to_copy(hostile: str) -> None:
    command = kubectl("staging", "get job", hostile)

    assert shlex.split(command) == ["kubectl", "--namespace", "staging", "get", "job", hostile]
