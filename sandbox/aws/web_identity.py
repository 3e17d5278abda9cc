"""Verifies an OIDC token as STS does before it looks at any role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from sandbox.aws.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

# Two spaces: so says STS.
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_REQUIRED = ("iss", "sub", "aud", "exp", "iat")


@dataclass(frozen=True)
class Provider:
    """An IAM OIDC identity provider: an issuer whose tokens count, if they are for one of these audiences."""

    arn: str
    issuer: str
    client_ids: frozenset[str]


def verify(
    token: str,
    *,
    providers: Mapping[str, Provider],
    keys: Callable[[], Mapping[str, Any]],
    now: datetime,
) -> tuple[Provider, dict[str, Any]]:
    """The provider (by its issuer) that vouches for `token`, and the token's claims. Raises AwsError."""
    try:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise AwsError("InvalidIdentityToken", _NO_JWT) from error
    claims: dict[str, Any] = unverified["payload"]
    for name in _REQUIRED:
        if name not in claims:
            raise AwsError("InvalidIdentityToken", f"Missing a required claim: {name}")
    provider = providers.get(claims["iss"])
    if provider is None:
        raise AwsError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {claims['iss']}")
    _check_signature(token, unverified["header"].get("kid"), keys())
    _check_times(claims, now)
    audiences = {claims["aud"]} if isinstance(claims["aud"], str) else set(claims["aud"])
    if not audiences & provider.client_ids:
        raise AwsError("InvalidIdentityToken", "Incorrect token audience")
    return provider, claims


def _check_signature(token: str, key_id: str | None, keys: Mapping[str, Any]) -> None:
    key = next((key for key in keys.get("keys", ()) if key.get("kid") == key_id), None)
    if key is None:
        raise AwsError("InvalidIdentityToken", _NO_KEY)
    signature_only = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
    try:
        jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], options=signature_only)  # type: ignore[arg-type]
    except jwt.InvalidTokenError as error:
        # STS's own words for this are not known; the code is its model's for whatever it can't validate.
        raise AwsError("InvalidIdentityToken", "The signature of the ID Token could not be verified") from error


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    current, expires, begins = int(now.timestamp()), int(claims["exp"]), int(claims.get("nbf", claims["iat"]))
    if current >= expires:
        raise AwsError(
            "ExpiredTokenException",
            f"Token expired: current date/time {current} must be before the expiration date/time {expires}",
        )
    if current < begins:
        # The model's "is expired or is not valid"; the words are ours, STS's are not known.
        raise AwsError(
            "ExpiredTokenException",
            f"Token not yet valid: current date/time {current} must be after the not-before date/time {begins}",
        )
