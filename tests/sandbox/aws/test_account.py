"""An account has its own resources, in one partition."""

from __future__ import annotations

import pytest

from sandbox.aws.server import AWS
from tests.sandbox.aws.conftest import CA, CLUSTER, ISSUER, JWKS, SUBJECT, assume, client, oidc_token, policy, refusal


def test_a_role_created_again_has_the_new_trust_policy_only(aws: AWS, role: str) -> None:
    other = "repo:acme/other:ref:refs/heads/main"
    assert aws.create_role("run-cronjob", policy(sub=other)) == role

    assert assume(aws, role, oidc_token(sub=other))
    assert refusal(lambda: assume(aws, role))[0] == "AccessDenied"

    moved = aws.create_role("run-cronjob", policy(sub=other), path="/ci/")
    assert assume(aws, moved, oidc_token(sub=other))
    assert refusal(lambda: assume(aws, role, oidc_token(sub=other)))[0] == "AccessDenied"


def test_a_cluster_must_be_in_its_accounts_partition(aws: AWS) -> None:
    with pytest.raises(ValueError, match="cn-north-1"):
        aws.create_cluster(CLUSTER, "cn-north-1", "https://127.0.0.1:6443", CA)


def test_an_account_starts_empty() -> None:
    with AWS(lambda: JWKS) as former:
        former.create_oidc_provider(ISSUER)
        role = former.create_role("run-cronjob", policy(sub=SUBJECT))
        key_id, secret = former.create_access_key("ops")
    with AWS(lambda: JWKS) as aws:
        aws.create_oidc_provider(ISSUER)
        sts = client("sts", aws.sts.url, {"AccessKeyId": key_id, "SecretAccessKey": secret})

        assert refusal(lambda: assume(aws, role))[0] == "AccessDenied"
        assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"
        assert aws.create_role("run-cronjob", policy(sub=SUBJECT)) == role


@pytest.mark.usefixtures("aws")
def test_a_second_account_at_the_same_time_is_refused() -> None:
    with pytest.raises(RuntimeError, match="already open"):
        AWS(lambda: JWKS)
