"""Verifies an OIDC token as STS does before it evaluates a role's trust policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from sandbox.aws.errors import AwsRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

# STS writes two spaces.
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_REQUIRED = ("iss", "sub", "aud", "exp", "iat")


@dataclass(frozen=True)
class OidcProvider:
    """An IAM OIDC identity provider: it trusts an issuer's tokens if their audience is one of `client_ids`."""

    arn: str
    issuer: str
    client_ids: frozenset[str]


def verify(
    token: str,
    *,
    providers: Mapping[str, OidcProvider],
    keys: Callable[[], Mapping[str, Any]],
    now: datetime,
) -> tuple[OidcProvider, dict[str, Any]]:
    """Verify a token; returns its provider and its claims. `providers` maps issuers. Raises AwsRequestError."""
    try:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise AwsRequestError("InvalidIdentityToken", _NO_JWT) from error
    claims: dict[str, Any] = unverified["payload"]
    for name in _REQUIRED:
        if name not in claims:
            raise AwsRequestError("InvalidIdentityToken", f"Missing a required claim: {name}")
    provider = providers.get(claims["iss"])
    if provider is None:
        raise AwsRequestError(
            "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {claims['iss']}"
        )
    _check_signature(token, unverified["header"].get("kid"), keys())
    _check_times(claims, now)
    audiences = {claims["aud"]} if isinstance(claims["aud"], str) else set(claims["aud"])
    if not audiences & provider.client_ids:
        raise AwsRequestError("InvalidIdentityToken", "Incorrect token audience")
    return provider, claims


def _check_signature(token: str, key_id: str | None, keys: Mapping[str, Any]) -> None:
    key = next((key for key in keys.get("keys", ()) if key.get("kid") == key_id), None)
    if key is None:
        raise AwsRequestError("InvalidIdentityToken", _NO_KEY)
    signature_only = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    try:
        jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], options=signature_only)  # type: ignore[arg-type]
    except jwt.InvalidTokenError as error:
        # The message of STS is unknown; this code is in its service model, for tokens that it can't validate.
        raise AwsRequestError("InvalidIdentityToken", "The signature of the ID Token could not be verified") from error


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    current, expires, begins = int(now.timestamp()), int(claims["exp"]), int(claims.get("nbf", claims["iat"]))
    if current >= expires:
        raise AwsRequestError(
            "ExpiredTokenException",
            f"Token expired: current date/time {current} must be before the expiration date/time {expires}",
        )
    if current < begins:
        # The service model says "is expired or is not valid"; the message of STS is unknown.
        raise AwsRequestError(
            "ExpiredTokenException",
            f"Token not yet valid: current date/time {current} must be after the not-before date/time {begins}",
        )
