"""STS verifies OIDC tokens and refuses them with the messages of AWS."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.sandbox.aws.conftest import ISSUER, assume, oidc_token, refusal

if TYPE_CHECKING:
    from sandbox.aws.server import AWS

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def unsigned(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "1"})


NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            "no.jwt.here",
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
        ),
        (
            oidc_token(iss="https://ghes.example/_services/token"),
            "No OpenIDConnect provider found in your account for https://ghes.example/_services/token",
        ),
        (oidc_token(kid="2"), NO_KEY),
        (oidc_token(key=OTHER_KEY), "The signature of the ID Token could not be verified"),
        (unsigned(oidc_token()), "The signature of the ID Token could not be verified"),
        (oidc_token(aud="https://github.com/acme"), "Incorrect token audience"),
        (oidc_token(sub=None), "Missing a required claim: sub"),
    ],
    ids=["not a JWT", "unknown issuer", "unknown key", "wrong key", "unsigned", "audience", "no subject"],
)
def test_a_token_that_cannot_be_verified_is_refused_in_stss_words(
    aws: AWS, role: str, token: str, message: str
) -> None:
    assert refusal(lambda: assume(aws, role, token)) == ("InvalidIdentityToken", 400, message)


def test_a_tampered_token_is_refused(aws: AWS, role: str) -> None:
    header, payload, signature = oidc_token(sub="repo:eve/x:ref:refs/heads/main").split(".")
    forged = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(payload + "==").replace(b"repo:eve/x:", b"repo:acme/batch:")
    )

    code, _, _ = refusal(lambda: assume(aws, role, f"{header}.{forged.decode().rstrip('=')}.{signature}"))

    assert code == "InvalidIdentityToken"


def test_an_expired_token_is_refused_with_both_times(aws: AWS, role: str) -> None:
    expired = int(time.time()) - 1

    code, status, message = refusal(lambda: assume(aws, role, oidc_token(exp=expired)))

    assert (code, status) == ("ExpiredTokenException", 400)
    assert message.startswith("Token expired: current date/time ")
    assert message.endswith(f" must be before the expiration date/time {expired}")


def test_a_token_for_the_future_is_not_valid_yet(aws: AWS, role: str) -> None:
    code, status, message = refusal(lambda: assume(aws, role, oidc_token(nbf=int(time.time()) + 100)))

    assert (code, status) == ("ExpiredTokenException", 400)
    assert "not yet valid" in message


def test_an_audience_of_the_providers_own_is_accepted(aws: AWS, role: str) -> None:
    aws.create_oidc_provider(ISSUER, ["acme"])

    assert assume(aws, role, oidc_token(aud="acme"))
    assert refusal(lambda: assume(aws, role))[2] == "Incorrect token audience"
