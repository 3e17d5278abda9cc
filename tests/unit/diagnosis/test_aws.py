"""Errors of AWS are explained by operation and code."""

from __future__ import annotations

import json

import pytest

from run_cronjob.core.models import ErrorContext
from run_cronjob.diagnosis.explain import explain
from tests.builders import CLAIMS, inputs
from tests.unit.diagnosis.examples import ASSUME, HONEST, aws_error


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aws: no credentials", "NoAwsCredentials"),
        ("aws: throttled", "AwsThrottled"),
        ("aws: trust policy", "RoleRefused"),
        ("aws: no provider", "NoOidcProvider"),
        ("aws: audience", "WrongAudience"),
        ("aws: no keys", "TokenRejected"),
        ("aws: token expired", "TokenExpired"),
        ("aws: session too long", "SessionTooLong"),
        ("aws: region disabled", "RegionDisabled"),
        ("aws: role, unknown error", "AwsFailed"),
        ("aws: no cluster", "ClusterNotFound"),
        ("aws: may not describe", "DescribeClusterDenied"),
        ("aws: credentials rejected", "AwsCredentialsRejected"),
        ("aws: other credentials rejected", "AwsCredentialsRejected"),
        ("cluster not ready", "ClusterNotReady"),
    ],
)
def test_each_error_has_its_own_message(name: str, reason: str) -> None:
    assert HONEST[name].reason == reason


def test_a_refusing_trust_policy_is_answered_with_the_tokens_claims_and_the_statement_that_would_fit() -> None:
    problem = explain(aws_error(ASSUME, "AccessDenied"), ErrorContext(inputs(), claims=CLAIMS))

    for name in ("iss", "sub", "aud", "repository", "ref", "job_workflow_ref"):
        assert f"{name} `{CLAIMS[name]}`" in problem.why
    condition = json.loads(problem.paste)["Condition"]["StringEquals"]
    assert condition["token.actions.githubusercontent.com:sub"] == CLAIMS["sub"]
