"""STS answers AWS's own client as AWS does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.aws.conftest import SUBJECT, assume, client, oidc_token, policy, refusal

if TYPE_CHECKING:
    from sandbox.aws.server import AWS


def test_a_trusted_token_yields_credentials_of_a_role_session(aws: AWS, role: str) -> None:
    credentials = assume(aws, role)

    identity = client("sts", aws.sts.url, credentials).get_caller_identity()

    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/run-cronjob/octocat@acme"
    assert identity["Account"] == "123456789012"
    assert identity["UserId"].endswith(":octocat@acme")


def test_an_unknown_role_and_an_unmet_condition_have_the_same_answer(aws: AWS, role: str) -> None:
    unmet = refusal(lambda: assume(aws, role, oidc_token(sub="repo:acme/batch:ref:refs/heads/dev")))
    unknown = refusal(lambda: assume(aws, "arn:aws:iam::123456789012:role/nobody"))

    assert unmet == unknown == ("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"DurationSeconds": 3601}, "exceeds the MaxSessionDuration set for this role"),
        ({"DurationSeconds": 899}, "Value '899' at 'durationSeconds'"),
        ({"DurationSeconds": 43201}, "Value '43201' at 'durationSeconds'"),
        ({"RoleSessionName": "octo cat"}, "Value 'octo cat' at 'roleSessionName'"),
        ({"RoleSessionName": "x" * 65}, "less than or equal to 64"),
        ({"RoleArn": "arn:aws:iam::12:role/run-cronjob"}, "Request ARN is invalid"),
    ],
)
def test_parameters_out_of_bounds_are_a_validation_error(
    aws: AWS, role: str, parameters: dict[str, Any], complaint: str
) -> None:
    arguments = {"role": role} | {{"RoleArn": "role"}.get(name, name): value for name, value in parameters.items()}

    code, status, message = refusal(lambda: assume(aws, **arguments))

    assert (code, status) == ("ValidationError", 400)
    assert complaint in message


def test_a_role_may_allow_longer_sessions(aws: AWS) -> None:
    role = aws.create_role("long", policy(sub=SUBJECT), max_session=7200)

    assert assume(aws, role, DurationSeconds=7200)
