"""Trust policies are evaluated as IAM evaluates them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import trust_policy

HOST = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::123456789012:oidc-provider/{HOST}"
ENTERPRISE_HOST = "ghes.example/_services/token"
ENTERPRISE = f"arn:aws:iam::123456789012:oidc-provider/{ENTERPRISE_HOST}"

MAIN = {
    "aud": "sts.amazonaws.com",
    "sub": "repo:acme/batch:ref:refs/heads/main",
    "ref": "refs/heads/main",
    "repository": "acme/batch",
    "repository_id": "74",
    "repository_owner": "acme",
    "actor": "octocat",
}
STAGING = MAIN | {"sub": "repo:acme/batch:environment:staging", "environment": "staging"}


def policy(condition: dict[str, Any] | None = None, **elements: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition or {},
    }
    return {"Version": "2012-10-17", "Statement": [statement | elements]}


def allowed(condition: dict[str, Any], claims: dict[str, Any], provider: str = PROVIDER) -> bool:
    return trust_policy.decide(policy(condition), claims, provider=provider).allowed


def claim(name: str) -> str:
    return f"{HOST}:{name}"


@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("StringEquals", "refs/heads/main", True),
        ("StringEquals", "refs/heads/MAIN", False),
        ("StringEquals", "refs/heads/*", False),
        ("StringEquals", ["refs/heads/release", "refs/heads/main"], True),
        ("StringEqualsIgnoreCase", "REFS/heads/MAIN", True),
        ("StringNotEquals", "refs/heads/main", False),
        ("StringNotEquals", ["refs/heads/release", "refs/heads/main"], False),
        ("StringNotEquals", "refs/heads/release", True),
        ("StringNotEqualsIgnoreCase", "REFS/HEADS/MAIN", False),
        ("StringLike", "refs/heads/*", True),
        ("StringLike", "refs/heads/mai?", True),
        ("StringLike", "*/main", True),
        ("StringLike", "refs/heads/main?", False),
        ("StringLike", "heads/*", False),
        ("StringLike", "refs.heads.main", False),
        ("StringLike", "REFS/*", False),
        ("StringNotLike", "refs/tags/*", True),
        ("StringNotLike", "refs/heads/*", False),
    ],
)
def test_a_condition_compares_a_claim_with_its_operator(operator: str, wanted: object, *, expected: bool) -> None:
    assert allowed({operator: {claim("ref"): wanted}}, MAIN) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("StringEqualsIfExists", True),
        ("StringLikeIfExists", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEqualsIfExists", True),
    ],
)
def test_a_missing_claim_matches_according_to_the_operator(operator: str, *, expected: bool) -> None:
    assert allowed({operator: {claim("environment"): "staging"}}, MAIN) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("ForAnyValue:StringEquals", True),
        ("ForAllValues:StringEquals", False),
        ("ForAnyValue:StringNotEquals", True),
        ("ForAllValues:StringNotEquals", False),
        ("StringEquals", False),
    ],
)
def test_set_operators_compare_each_value(operator: str, *, expected: bool) -> None:
    claims = MAIN | {"aud": ["sts.amazonaws.com", "other"]}

    assert allowed({operator: {claim("aud"): "sts.amazonaws.com"}}, claims) is expected


def test_every_key_of_every_operator_must_match() -> None:
    both = {"StringEquals": {claim("aud"): "sts.amazonaws.com", claim("ref"): "refs/heads/main"}}
    one_wrong = {"StringEquals": {claim("aud"): "sts.amazonaws.com", claim("ref"): "refs/heads/dev"}}
    other_operator_wrong = both | {"StringLike": {claim("sub"): "repo:acme/other:*"}}

    assert allowed(both, MAIN)
    assert not allowed(one_wrong, MAIN)
    assert not allowed(other_operator_wrong, MAIN)


def test_condition_keys_are_case_insensitive() -> None:
    assert allowed({"StringEquals": {"Token.Actions.GitHubUserContent.com:SUB": MAIN["sub"]}}, MAIN)


def test_a_subject_with_an_environment_has_no_branch() -> None:
    by_branch = {"StringEquals": {claim("sub"): MAIN["sub"]}}

    assert allowed(by_branch, MAIN)
    assert not allowed(by_branch, STAGING)


def test_an_environment_alone_lets_any_branch_in_and_with_the_ref_it_does_not() -> None:
    from_a_branch = STAGING | {"ref": "refs/heads/experiment"}
    by_environment = {"StringEquals": {claim("sub"): STAGING["sub"]}}
    by_both = {"StringEquals": {claim("sub"): STAGING["sub"], claim("ref"): "refs/heads/main"}}

    assert allowed(by_environment, from_a_branch)
    assert not allowed(by_both, from_a_branch)
    assert allowed(by_both, STAGING)


def test_a_policy_for_names_does_not_match_the_immutable_subject() -> None:
    immutable = MAIN | {"sub": "repo:acme@65/batch@74:ref:refs/heads/main"}

    assert not allowed({"StringEquals": {claim("sub"): MAIN["sub"]}}, immutable)
    assert allowed({"StringEquals": {claim("sub"): immutable["sub"]}}, immutable)


def test_a_subject_of_repository_and_bare_branch_matches_nothing() -> None:
    assert not allowed({"StringLike": {claim("sub"): "repo:acme/batch:main"}}, MAIN)


def test_a_claim_that_sts_offers_no_key_for_counts_as_missing() -> None:
    assert not allowed({"StringEquals": {claim("repository_owner"): "acme"}}, MAIN)


def test_another_issuers_tokens_offer_audience_and_subject_only() -> None:
    by_subject = policy(
        {"StringEquals": {f"{ENTERPRISE_HOST}:sub": MAIN["sub"]}}, Principal={"Federated": [PROVIDER, ENTERPRISE]}
    )
    by_ref = policy({"StringEquals": {f"{ENTERPRISE_HOST}:ref": MAIN["ref"]}}, Principal={"Federated": ENTERPRISE})

    assert trust_policy.decide(by_subject, MAIN, provider=ENTERPRISE).allowed
    assert not trust_policy.decide(by_subject, MAIN, provider=PROVIDER).allowed
    assert not trust_policy.decide(by_ref, MAIN, provider=ENTERPRISE).allowed


@pytest.mark.parametrize(
    "elements",
    [
        {"Principal": {"Federated": ENTERPRISE}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Action": "sts:AssumeRole"},
        {"Effect": "Deny"},
    ],
    ids=["another provider", "an AWS principal", "another action", "a denial"],
)
def test_a_statement_about_something_else_allows_nothing(elements: dict[str, Any]) -> None:
    assert trust_policy.decide(policy(), MAIN, provider=PROVIDER).allowed
    assert not trust_policy.decide(policy(**elements), MAIN, provider=PROVIDER).allowed


@pytest.mark.parametrize("action", [["sts:TagSession", "sts:AssumeRoleWithWebIdentity"], "sts:Assume*", "STS:*"])
def test_an_action_may_be_a_list_or_a_pattern(action: object) -> None:
    assert trust_policy.decide(policy(Action=action), MAIN, provider=PROVIDER).allowed


def test_a_matching_deny_overrides_every_allow() -> None:
    (allow,) = policy()["Statement"]
    (deny,) = policy({"StringNotEquals": {claim("ref"): "refs/heads/main"}}, Effect="Deny", Sid="OnlyMain")["Statement"]
    both = {"Statement": [allow, deny]}

    denied = trust_policy.decide(both, MAIN | {"ref": "refs/heads/dev"}, provider=PROVIDER)

    assert denied == trust_policy.TrustDecision(allowed=False, reason="OnlyMain denies it")
    assert trust_policy.decide(both, MAIN, provider=PROVIDER).allowed


def test_any_one_matching_statement_suffices() -> None:
    (main,) = policy({"StringEquals": {claim("ref"): "refs/heads/main"}})["Statement"]
    (release,) = policy({"StringEquals": {claim("ref"): "refs/heads/release"}})["Statement"]

    assert trust_policy.decide({"Statement": [release, main]}, MAIN, provider=PROVIDER).allowed
    assert trust_policy.decide({"Statement": main}, MAIN, provider=PROVIDER).allowed
    assert not trust_policy.decide({"Statement": [release]}, MAIN, provider=PROVIDER).allowed


def test_a_refusal_names_the_claim_its_value_and_the_condition() -> None:
    decision = trust_policy.decide(policy({"StringEquals": {claim("ref"): "refs/heads/dev"}}), MAIN, provider=PROVIDER)

    assert decision.reason == (
        f"statement 1: {HOST}:ref is 'refs/heads/main', but must satisfy StringEquals 'refs/heads/dev'"
    )


def test_a_wildcard_stands_for_any_character_at_all() -> None:
    assert trust_policy.like("first line\nsecond", "first*second")


@pytest.mark.parametrize(
    ("malformed", "complaint"),
    [
        ({"Statement": []}, "at least one Statement"),
        (policy({"StringMatches": {claim("sub"): "x"}}), "StringMatches"),
        (policy(Effect="Permit"), "Permit"),
        (policy(Resource="*"), "Resource"),
        (policy(Action=None), "Action is missing"),
    ],
)
def test_a_policy_that_cannot_be_understood_is_refused_and_not_guessed_at(
    malformed: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(trust_policy.MalformedPolicyError, match=complaint):
        trust_policy.decide(malformed, MAIN, provider=PROVIDER)
