"""An account with a trusted OIDC issuer and a role, and AWS's own client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import botocore.session  # noqa: TID251  the sandbox must satisfy AWS's own client
import jwt
import pytest
from botocore import UNSIGNED  # noqa: TID251  likewise
from botocore.config import Config  # noqa: TID251  likewise
from botocore.exceptions import ClientError  # noqa: TID251  likewise
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.aws.server import AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REGION = "eu-central-1"
ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:acme/batch:ref:refs/heads/main"
CLUSTER = "staging"
CA = "-----BEGIN CERTIFICATE-----\nexample\n-----END CERTIFICATE-----\n"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWKS = {"keys": [jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "1", "alg": "RS256"}]}


def policy(*, partition: str = "aws", **claims: str) -> dict[str, Any]:
    host = ISSUER.removeprefix("https://")
    return {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:{partition}:iam::123456789012:oidc-provider/{host}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{host}:{name}": value for name, value in claims.items()}},
        }
    }


def oidc_token(*, key: rsa.RSAPrivateKey = KEY, kid: str = "1", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": "sts.amazonaws.com", "iat": now, "nbf": now - 60, "exp": now + 300}
    given = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(given, key, algorithm="RS256", headers={"kid": kid})


@pytest.fixture
def aws() -> Iterator[AWS]:
    with AWS(lambda: JWKS) as aws:
        aws.create_oidc_provider(ISSUER)
        yield aws


@pytest.fixture
def role(aws: AWS) -> str:
    return aws.create_role("run-cronjob", policy(sub=SUBJECT))


def client(
    service: str, url: str | None = None, credentials: Mapping[str, str] | None = None, region: str = REGION
) -> Any:
    session = botocore.session.Session()
    if credentials:
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        session.set_credentials(*(credentials.get(name) for name in names))
    unsigned = {} if credentials else {"signature_version": UNSIGNED}
    # The client's own checks are off, so that what it would not send is judged by the server.
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, **unsigned)
    return session.create_client(service, region_name=region, endpoint_url=url, config=config)


def assume(aws: AWS, role: str, token: str | None = None, **parameters: Any) -> dict[str, str]:
    arguments = {"RoleSessionName": "octocat@acme"} | parameters
    answer = client("sts", aws.sts.url).assume_role_with_web_identity(
        RoleArn=role, WebIdentityToken=token or oidc_token(), **arguments
    )
    credentials: dict[str, str] = answer["Credentials"]
    return credentials


def refusal(act: Callable[[], object]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        act()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def wrong_secret(credentials: dict[str, str]) -> dict[str, str]:
    return credentials | {"SecretAccessKey": "x" * 40}


def wrong_session(credentials: dict[str, str]) -> dict[str, str]:
    return credentials | {"SessionToken": "x" * 40}


def unknown_key(credentials: dict[str, str]) -> dict[str, str]:
    return credentials | {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE"}
