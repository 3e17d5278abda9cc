"""docs/setup.md shows the files of examples/, and its statements about them are true."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePath

import pytest
import yaml

from run_cronjob import inputs
from run_cronjob.clients import kubeconfig
from run_cronjob.diagnosis import snippets
from sandbox.aws import trust_policy

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").iterdir())
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/setup.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)

HOST = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{HOST}"
CLASSIC = "repo:acme/batch"
WITH_IDS = "repo:acme@1234567/batch@987654321"
MAIN = "refs/heads/main"


def example(name: str) -> str:
    return (ROOT / "examples" / name).read_text(encoding="utf-8")


def token(sub: str, **claims: str) -> dict[str, str]:
    return {"aud": "sts.amazonaws.com", "ref": MAIN, "repository": "acme/batch", "sub": sub, **claims}


def allows(policy: str, claims: dict[str, str]) -> bool:
    return trust_policy.decide(json.loads(policy), claims, provider=PROVIDER).allowed


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_text_to_paste_is_the_example_file(file: Path):
    assert file.read_text(encoding="utf-8") in [text for _, text in BLOCKS]


def test_every_block_of_json_and_yaml_can_be_read():
    languages = [language for language, _ in BLOCKS]
    assert {"json", "yaml"} <= set(languages)
    for language, text in BLOCKS:
        if language == "json":
            json.loads(text)
        elif language == "yaml":
            assert all(yaml.safe_load_all(text))


def test_the_rights_are_those_that_the_message_of_a_refused_run_offers():
    assert example("rbac.yaml").strip() == snippets.rbac("batch")
    assert example("rbac-created.yaml").strip() == snippets.rbac("batch", follow=False)


def test_the_aws_auth_line_is_the_one_that_the_message_about_an_unknown_role_offers():
    (entry,) = yaml.safe_load(example("aws-auth.yaml"))
    run_inputs = inputs.read(
        {
            "INPUT_CRONJOB": "nightly-report",
            "INPUT_CLUSTER": "staging-blue",
            "INPUT_AWS-REGION": "eu-central-1",
            "INPUT_ROLE-TO-ASSUME": entry["rolearn"],
        }
    )

    offered = snippets.cluster_entry(run_inputs, entry["rolearn"]).partition("mapRoles (which takes no role path):\n")[
        2
    ]

    assert yaml.safe_load(offered) == [entry]


@pytest.mark.parametrize("repository", [CLASSIC, WITH_IDS])
@pytest.mark.parametrize(
    ("file", "context"),
    [
        ("trust-policy-environment.json", "environment:staging"),
        ("trust-policy-branch.json", "ref:refs/heads/main"),
    ],
)
def test_the_trust_policy_allows_main_with_either_format_of_sub(file: str, context: str, repository: str):
    assert allows(example(file), token(f"{repository}:{context}"))


@pytest.mark.parametrize(
    "claims",
    [
        token(f"{CLASSIC}:environment:staging", ref="refs/heads/feature"),
        token(f"{WITH_IDS}:environment:staging", ref="refs/heads/feature"),
        token(f"{CLASSIC}:environment:staging", ref="refs/tags/main"),
        token(f"{CLASSIC}:environment:production"),
        token(f"{CLASSIC}:ref:refs/heads/main"),
        token("repo:acme/other:environment:staging"),
        token("repo:acme@1/batch@2:environment:staging"),
        token(f"{CLASSIC}:environment:staging", aud="https://github.com/acme"),
    ],
    ids=lambda claims: f"{claims['sub']} {claims['ref']} {claims['aud']}",
)
def test_the_trust_policy_by_environment_allows_nothing_else(claims: dict[str, str]):
    assert not allows(example("trust-policy-environment.json"), claims)


@pytest.mark.parametrize(
    "claims",
    [
        token(f"{CLASSIC}:ref:refs/heads/feature", ref="refs/heads/feature"),
        token(f"{CLASSIC}:ref:refs/tags/main", ref="refs/tags/main"),
        token(f"{CLASSIC}:pull_request", ref="refs/pull/1/merge"),
        token(f"{CLASSIC}:environment:staging"),
        token("repo:acme/other:ref:refs/heads/main"),
        token("repo:acme@1/batch@2:ref:refs/heads/main"),
        token(f"{CLASSIC}:ref:refs/heads/main", aud="https://github.com/acme"),
    ],
    ids=lambda claims: f"{claims['sub']} {claims['aud']}",
)
def test_the_trust_policy_by_branch_allows_nothing_else(claims: dict[str, str]):
    assert not allows(example("trust-policy-branch.json"), claims)


def test_a_bare_branch_in_sub_matches_nothing_as_the_page_warns():
    policy = example("trust-policy-branch.json").replace(f"{CLASSIC}:ref:{MAIN}", f"{CLASSIC}:main")

    assert policy != example("trust-policy-branch.json")
    assert not allows(policy, token(f"{CLASSIC}:ref:{MAIN}"))


def test_an_environment_alone_allows_any_branch_as_the_page_warns():
    policy = json.loads(example("trust-policy-environment.json"))
    del policy["Statement"][0]["Condition"]["StringEquals"][f"{HOST}:ref"]

    assert allows(json.dumps(policy), token(f"{CLASSIC}:environment:staging", ref="refs/heads/anything"))


def test_the_right_to_describe_clusters_covers_the_cluster_and_its_successor_only():
    (statement,) = json.loads(example("describe-cluster-policy.json"))["Statement"]

    def covers(cluster: str) -> bool:
        return trust_policy.like(f"arn:aws:eks:eu-central-1:123456789012:cluster/{cluster}", statement["Resource"])

    assert statement["Action"] == "eks:DescribeCluster"
    assert covers("staging-blue")
    assert covers("staging-green")
    assert not covers("production-blue")


def test_the_admission_policies_are_for_the_group_of_the_rights_and_are_in_force():
    documents = list(yaml.safe_load_all(example("admission-policy.yaml")))
    policies, bindings = documents[::2], documents[1::2]

    assert len(policies) == len(bindings) == 2
    for policy, binding in zip(policies, bindings, strict=True):
        (condition,) = policy["spec"]["matchConditions"]
        assert condition["expression"] == f"'{snippets.GROUP}' in request.userInfo.groups"
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert binding["spec"]["policyName"] == policy["metadata"]["name"]
        assert binding["spec"]["validationActions"] == ["Deny"]
        # In a namespace without CronJobs, `Deny` would refuse everybody's Jobs, since it ignores matchConditions.
        assert binding["spec"].get("paramRef", {}).get("parameterNotFoundAction") in {None, "Allow"}


def test_the_kubeconfig_that_is_shown_is_accepted_by_the_action():
    (text,) = [text for language, text in BLOCKS if language == "yaml" and "kind: Config\n" in text]

    access = kubeconfig.parse(text, "", PurePath("/"))

    assert (access.cluster, access.namespace) == ("staging", "batch")
