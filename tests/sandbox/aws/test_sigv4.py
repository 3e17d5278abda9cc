"""STS and EKS accept only requests with a valid signature."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.aws.conftest import (
    CA,
    CLUSTER,
    REGION,
    assume,
    client,
    refusal,
    unknown_key,
    wrong_secret,
    wrong_session,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws.server import AWS


def no_session(credentials: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in credentials.items() if name != "SessionToken"}


@pytest.mark.parametrize(
    ("spoil", "of_sts", "of_eks"),
    [
        (wrong_secret, "SignatureDoesNotMatch", "InvalidSignatureException"),
        (wrong_session, "InvalidClientTokenId", "UnrecognizedClientException"),
        (no_session, "InvalidClientTokenId", "UnrecognizedClientException"),
        (unknown_key, "InvalidClientTokenId", "UnrecognizedClientException"),
    ],
)
def test_a_request_signed_with_anything_but_the_issued_credentials_is_refused(
    aws: AWS, role: str, spoil: Callable[[dict[str, str]], dict[str, str]], of_sts: str, of_eks: str
) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    spoilt = spoil(assume(aws, role))

    from_sts = refusal(client("sts", aws.sts.url, spoilt).get_caller_identity)
    from_eks = refusal(lambda: client("eks", aws.eks.url, spoilt).describe_cluster(name=CLUSTER))

    assert from_sts[:2] == (of_sts, 403)
    assert from_eks[:2] == (of_eks, 403)


def test_an_unsigned_request_is_refused(aws: AWS) -> None:
    assert refusal(client("sts", aws.sts.url).get_caller_identity)[:2] == ("MissingAuthenticationToken", 403)
    assert refusal(lambda: client("eks", aws.eks.url).describe_cluster(name=CLUSTER))[:2] == (
        "MissingAuthenticationTokenException",
        403,
    )


def test_a_sessions_credentials_end_with_it(aws: AWS, role: str) -> None:
    credentials = assume(aws, role, DurationSeconds=900)
    present = aws.now()
    aws.now = lambda: present + timedelta(seconds=901)

    from_sts = refusal(client("sts", aws.sts.url, credentials).get_caller_identity)
    from_eks = refusal(lambda: client("eks", aws.eks.url, credentials).describe_cluster(name=CLUSTER))

    assert from_sts == ("ExpiredToken", 403, "The security token included in the request is expired")
    assert from_eks[:2] == ("ExpiredTokenException", 403)


@pytest.mark.parametrize(("minutes", "complaint"), [(6, "Signature expired: "), (-6, "Signature not yet current: ")])
def test_a_signature_from_a_wrong_clock_is_refused(aws: AWS, role: str, minutes: int, complaint: str) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    eks = client("eks", aws.eks.url, assume(aws, role))
    present = aws.now()
    aws.now = lambda: present + timedelta(minutes=minutes)

    code, _, message = refusal(lambda: eks.describe_cluster(name=CLUSTER))

    assert code == "InvalidSignatureException"
    assert message.startswith(complaint)


def test_a_request_that_was_changed_after_signing_is_refused(aws: AWS, role: str) -> None:
    for name in (CLUSTER, "production"):
        aws.create_cluster(name, REGION, "https://127.0.0.1:6443", CA)
    eks = client("eks", aws.eks.url, assume(aws, role))

    def redirect(request: Any, **_: object) -> None:
        request.url = request.url.replace(CLUSTER, "production")

    eks.meta.events.register("before-send.eks.DescribeCluster", redirect)

    assert refusal(lambda: eks.describe_cluster(name=CLUSTER))[0] == "InvalidSignatureException"


def test_a_users_access_key_works_without_a_session(aws: AWS) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    key_id, secret = aws.create_access_key("ops")
    credentials = {"AccessKeyId": key_id, "SecretAccessKey": secret}

    assert client("eks", aws.eks.url, credentials).describe_cluster(name=CLUSTER)
    identity = client("sts", aws.sts.url, credentials).get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/ops"
