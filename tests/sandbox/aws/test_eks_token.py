"""EKS tokens are parsed and their callers are mapped as aws-iam-authenticator does."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from sandbox.aws import eks_token

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
HOST = "sts.eu-central-1.amazonaws.com"
QUERY = {
    "Action": "GetCallerIdentity",
    "Version": "2011-06-15",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": "ASIAEXAMPLE/20261123/eu-central-1/sts/aws4_request",
    "X-Amz-Date": "20261123T040506Z",
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
    "X-Amz-Security-Token": "session",
    "X-Amz-Signature": "0" * 64,
}


def encode(url: str) -> str:
    return eks_token.PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def token(host: str = HOST, scheme: str = "https", path: str = "/", **changes: str) -> str:
    return encode(f"{scheme}://{host}{path}?{urlencode(QUERY | changes)}")


def caller(arn: str, user_id: str = "AROAEXAMPLE:octocat@acme") -> eks_token.Caller:
    return eks_token.Caller(arn, "123456789012", user_id, "ASIAEXAMPLE")


def test_a_valid_token_holds_a_request_and_its_host() -> None:
    presigned = eks_token.parse(token(), partition="aws", now=NOW)

    assert presigned == eks_token.PresignedUrl(HOST, f"/?{urlencode(QUERY)}", "ASIAEXAMPLE")


@pytest.mark.parametrize(
    ("malformed", "complaint"),
    [
        (token().removeprefix(eks_token.PREFIX), "prefix"),
        (token() + "=", "base64"),
        (eks_token.PREFIX + "a", "base64"),
        (eks_token.PREFIX + "_w", "base64"),
        (token(**{"X-Amz-Security-Token": "x" * 4096}), "too large"),
        (token(scheme="http"), "scheme"),
        (token(path="/other"), "path"),
        (token(path=""), "path"),
        (token(Action="GetSessionToken"), "action"),
        (token(Extra="1"), "non-whitelisted query parameter 'Extra'"),
        (token(action="GetCallerIdentity"), "duplicate query parameter"),
        (token(**{"X-Amz-SignedHeaders": "host"}), "x-k8s-aws-id"),
        (token(**{"X-Amz-Expires": "901"}), "X-Amz-Expires"),
        (token(**{"X-Amz-Expires": "-1"}), "X-Amz-Expires"),
        (token(**{"X-Amz-Expires": "soon"}), "X-Amz-Expires"),
        (token(**{"X-Amz-Date": ""}), "X-Amz-Date"),
    ],
)
def test_a_token_the_verifier_would_not_send_to_sts_is_refused(malformed: str, complaint: str) -> None:
    with pytest.raises(eks_token.MalformedTokenError, match=complaint):
        eks_token.parse(malformed, partition="aws", now=NOW)


def test_a_token_expires_after_fifteen_minutes_even_if_its_expires_is_longer() -> None:
    eks_token.parse(token(), partition="aws", now=NOW + timedelta(minutes=15))

    with pytest.raises(eks_token.MalformedTokenError, match="expired"):
        eks_token.parse(token(), partition="aws", now=NOW + timedelta(minutes=15, seconds=1))


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", HOST),
        ("aws", "sts.amazonaws.com"),
        ("aws", "sts-fips.us-east-1.amazonaws.com"),
        ("aws", "sts.eu-central-1.api.aws"),
        ("aws-cn", "sts.cn-north-1.amazonaws.com.cn"),
        ("aws-us-gov", "sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_a_regions_own_sts_host_is_accepted(partition: str, host: str) -> None:
    assert eks_token.parse(token(host), partition=partition, now=NOW).host == host


@pytest.mark.parametrize(
    ("partition", "host"),
    [
        ("aws", "127.0.0.1:8080"),
        ("aws", "sts.eu-central-1.amazonaws.com.evil.example"),
        ("aws", "sts.eu-central-1.amazonaws.com:443"),
        ("aws", "user@sts.eu-central-1.amazonaws.com"),
        ("aws", "sts.cn-north-1.amazonaws.com.cn"),
        ("aws", "vpce-0a1b.sts.eu-central-1.vpce.amazonaws.com"),
        ("aws-cn", "sts.amazonaws.com"),
        ("aws-cn", "sts.cn-north-1.amazonaws.com"),
    ],
)
def test_any_other_host_is_refused(partition: str, host: str) -> None:
    with pytest.raises(eks_token.MalformedTokenError, match=r"hostname|global endpoint"):
        eks_token.parse(token(host), partition=partition, now=NOW)


@pytest.mark.parametrize(
    ("arn", "canonical"),
    [
        ("arn:aws:sts::123456789012:assumed-role/run-cronjob/octocat", "arn:aws:iam::123456789012:role/run-cronjob"),
        ("arn:aws-cn:sts::123456789012:assumed-role/run/x", "arn:aws-cn:iam::123456789012:role/run"),
        ("arn:aws:iam::123456789012:user/ops/bob", "arn:aws:iam::123456789012:user/ops/bob"),
    ],
)
def test_a_session_is_looked_up_by_its_roles_arn(arn: str, canonical: str) -> None:
    assert caller(arn).canonical_arn == canonical


def test_placeholders_of_aws_auth_are_filled_in() -> None:
    template = "{{AccountID}}:{{SessionName}}:{{SessionNameRaw}}:{{AccessKeyID}}"

    rendered = eks_token.render(template, caller("arn:aws:sts::123456789012:assumed-role/run-cronjob/octocat@acme"))

    assert rendered == "123456789012:octocat-acme:octocat@acme:ASIAEXAMPLE"
