"""The verifier accepts only the EKS tokens that STS confirms."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox.aws import eks_token
from sandbox.aws.eks_token import RejectedToken
from sandbox.aws.server import AWS
from tests.sandbox.aws.conftest import (
    CA,
    CLUSTER,
    ISSUER,
    JWKS,
    REGION,
    SUBJECT,
    assume,
    client,
    policy,
    refusal,
    unknown_key,
    wrong_secret,
    wrong_session,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def bearer_token(
    credentials: Mapping[str, str], cluster: str = CLUSTER, region: str = REGION, url: str | None = None
) -> str:
    sts = client("sts", url, credentials, region)
    sts.meta.events.register(
        "before-sign.sts.GetCallerIdentity",
        lambda request, **_: request.headers.add_header(eks_token.CLUSTER_HEADER, cluster),
    )
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    return eks_token.PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def reason(outcome: object) -> str:
    assert isinstance(outcome, RejectedToken)
    return outcome.reason


def test_a_roles_token_is_mapped_to_a_username_with_its_session_and_to_groups(aws: AWS, role: str) -> None:
    aws.map_identity(role, "run-cronjob:{{SessionName}}", ["runners", "of-{{AccountID}}"])

    user = aws.authenticate(bearer_token(assume(aws, role)), CLUSTER)

    assert user == ("run-cronjob:octocat-acme", ("runners", "of-123456789012"))


def test_a_users_token_is_mapped_too(aws: AWS) -> None:
    key_id, secret = aws.create_access_key("ops")
    aws.map_identity("arn:aws:iam::123456789012:user/ops", "ops", ["runners"])

    token = bearer_token({"AccessKeyId": key_id, "SecretAccessKey": secret})

    assert aws.authenticate(token, CLUSTER) == ("ops", ("runners",))


def test_the_mapping_is_readable_as_aws_auth_and_reports_its_changes(aws: AWS) -> None:
    changes: list[dict[str, str]] = []
    aws.on_aws_auth_change = lambda: changes.append(aws.aws_auth)

    aws.map_identity("arn:aws:iam::123456789012:role/ci", "{{SessionName}}", ["runners"])
    aws.map_identity("arn:aws:iam::123456789012:user/ops", "ops")
    aws.unmap_identity("arn:aws:iam::123456789012:role/ci")

    role = {"rolearn": "arn:aws:iam::123456789012:role/ci", "username": "{{SessionName}}", "groups": ["runners"]}
    user = {"userarn": "arn:aws:iam::123456789012:user/ops", "username": "ops", "groups": []}
    assert [yaml.safe_load(each["mapRoles"]) for each in changes] == [[role], [role], []]
    assert [yaml.safe_load(each["mapUsers"]) for each in changes] == [[], [user], [user]]


def test_an_unmapped_role_is_not_authenticated(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role))

    assert aws.authenticate(token, CLUSTER) is None
    assert not isinstance(aws.identify(token, CLUSTER), RejectedToken)


def test_a_mapping_with_the_roles_path_never_matches(aws: AWS) -> None:
    role = aws.create_role("run-cronjob", policy(sub=SUBJECT), path="/ci/")
    token = bearer_token(assume(aws, role))

    aws.map_identity(role, "with-path")
    assert aws.authenticate(token, CLUSTER) is None

    aws.map_identity(role.replace("/ci/", "/"), "without-path")
    assert aws.authenticate(token, CLUSTER) == ("without-path", ())


def test_a_token_is_valid_only_for_the_cluster_it_was_signed_for(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role), cluster="production")

    assert not isinstance(aws.identify(token, "production"), RejectedToken)
    assert "SignatureDoesNotMatch" in reason(aws.identify(token, "staging"))


@pytest.mark.parametrize("spoil", [wrong_secret, wrong_session, unknown_key])
def test_a_token_signed_with_other_credentials_is_refused(
    aws: AWS, role: str, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    aws.map_identity(role, "somebody")

    assert aws.authenticate(bearer_token(spoil(assume(aws, role))), CLUSTER) is None


def test_a_token_that_was_changed_after_signing_is_refused(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role))
    url = base64.urlsafe_b64decode(token.removeprefix(eks_token.PREFIX) + "==").decode()
    changed = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")

    forged = eks_token.PREFIX + base64.urlsafe_b64encode(changed.encode()).decode().rstrip("=")

    assert changed != url
    assert "SignatureDoesNotMatch" in reason(aws.identify(forged, CLUSTER))


def test_a_token_expires_after_fifteen_minutes_and_with_its_role_session(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role, DurationSeconds=3600))
    present = aws.now()

    aws.now = lambda: present + timedelta(minutes=14)
    assert not isinstance(aws.identify(token, CLUSTER), RejectedToken)
    aws.now = lambda: present + timedelta(minutes=16)
    assert "expired" in reason(aws.identify(token, CLUSTER))

    aws.now = lambda: present
    short = bearer_token(assume(aws, role, DurationSeconds=900))
    over = datetime.now(UTC) + timedelta(seconds=900)
    aws.now = lambda: over
    # By the token's own date it may live a moment longer; STS knows that the session is over.
    assert isinstance(aws.identify(short, CLUSTER), RejectedToken)


def test_a_token_signed_for_another_region_than_its_host_is_refused(aws: AWS, role: str) -> None:
    credentials = assume(aws, role)

    token = bearer_token(credentials, url="https://sts.eu-west-1.amazonaws.com")

    assert "Credential should be scoped to a valid region" in reason(aws.identify(token, CLUSTER))


def test_the_journal_of_sts_has_the_clients_requests_and_not_the_verifiers(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role))
    aws.identify(token, CLUSTER)

    (request,) = aws.sts.journal
    assert b"Action=AssumeRoleWithWebIdentity" in request.body


def test_another_partition_has_its_own_arns_and_hosts() -> None:
    region = "cn-north-1"
    with AWS(lambda: JWKS, partition="aws-cn") as aws:
        provider = aws.create_oidc_provider(ISSUER)
        role = aws.create_role("run-cronjob", policy(partition="aws-cn", sub=SUBJECT))
        aws.create_cluster(CLUSTER, region, "https://127.0.0.1:6443", CA)
        aws.map_identity(role, "{{SessionName}}")
        credentials = assume(aws, role)
        cluster = client("eks", aws.eks.url, credentials, region=region).describe_cluster(name=CLUSTER)["cluster"]
        user = aws.authenticate(bearer_token(credentials, region=region), CLUSTER)
        foreign = refusal(lambda: client("eks", aws.eks.url, credentials).describe_cluster(name=CLUSTER))

    assert provider.startswith("arn:aws-cn:iam::123456789012:oidc-provider/")
    assert role == "arn:aws-cn:iam::123456789012:role/run-cronjob"
    assert cluster["arn"] == f"arn:aws-cn:eks:{region}:123456789012:cluster/{CLUSTER}"
    assert user == ("octocat-acme", ())
    assert foreign[0] == "UnrecognizedClientException"
