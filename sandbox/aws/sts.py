"""Simulates STS: checks AssumeRoleWithWebIdentity and GetCallerIdentity as AWS does, and gets answers from moto.

The codes and statuses are those of botocore's service model. The messages were collected from public issue threads.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.aws import sigv4, trust_policy, web_identity
from sandbox.aws.errors import AwsRequestError, query_error
from sandbox.aws.sigv4 import SignatureProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from werkzeug.wrappers import Request, Response

    from sandbox.aws.account import Account

_VERSION = "2011-06-15"
_WINDOW = timedelta(minutes=15)
_SIGNATURE_CODES = {
    SignatureProblem.MISSING: "MissingAuthenticationToken",
    SignatureProblem.INCOMPLETE: "IncompleteSignature",
    SignatureProblem.UNKNOWN_KEY: "InvalidClientTokenId",
    SignatureProblem.EXPIRED_KEY: "ExpiredToken",
    SignatureProblem.MISMATCH: "SignatureDoesNotMatch",
}


class STS:
    """STS of one account as a WSGI application, for all regions."""

    def __init__(self, account: Account, issuer_keys: Callable[[], Mapping[str, Any]]) -> None:
        self._account = account
        self._issuer_keys = issuer_keys

    def answer(self, request: Request) -> Response:
        """Answer one request, in JSON if the client accepts only JSON, as the verifier of EKS tokens does."""
        as_json = request.headers.get("Accept") == "application/json"
        try:
            return self._act(request, {"ContentType": "JSON"} if as_json else {})
        except AwsRequestError as error:
            return query_error(error, as_json=as_json)

    def _act(self, request: Request, style: Mapping[str, str]) -> Response:
        match request.values.get("Action"):
            case "AssumeRoleWithWebIdentity":
                return self._assume_role(request.values, style)
            case "GetCallerIdentity":
                return self._caller_identity(request, style)
            case other:
                raise AwsRequestError("InvalidAction", f"Could not find operation {other} for version {_VERSION}")

    def _assume_role(self, given: Mapping[str, str], style: Mapping[str, str]) -> Response:
        role_arn, session_name, token = map(_required(given), ("RoleArn", "RoleSessionName", "WebIdentityToken"))
        duration = int(given.get("DurationSeconds", 3600))
        _check_session(session_name, duration)
        if not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/.+", role_arn, re.ASCII):
            raise AwsRequestError("ValidationError", "Request ARN is invalid")
        provider, claims = web_identity.verify(
            token, providers=self._account.providers, keys=self._issuer_keys, now=self._account.now()
        )
        role = self._account.roles.get(role_arn)
        # The answer is the same for an unknown role and for a trust policy that does not match.
        if role is None or not trust_policy.decide(role.trust_policy, claims, provider=provider.arn).allowed:
            raise AwsRequestError("AccessDenied", f"Not authorized to perform {trust_policy.ACTION}", 403)
        if duration > role.max_session:
            raise AwsRequestError(
                "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            )
        return self._account.call_moto(
            "sts",
            self._account.home_region,
            Action="AssumeRoleWithWebIdentity",
            Version=_VERSION,
            RoleArn=role_arn,
            RoleSessionName=session_name,
            WebIdentityToken=token,
            DurationSeconds=duration,
            **style,
        )

    def _caller_identity(self, request: Request, style: Mapping[str, str]) -> Response:
        signer = sigv4.verify(request, service="sts", account=self._account, window=_WINDOW, codes=_SIGNATURE_CODES)
        return self._account.call_moto(
            "sts", signer.region, signer.key_id, Action="GetCallerIdentity", Version=_VERSION, **style
        )


def _required(given: Mapping[str, str]) -> Callable[[str], str]:
    def get(name: str) -> str:
        value = given.get(name)
        if value is None:
            raise _invalid("null", name, "Member must not be null")
        return value

    return get


def _check_session(name: str, seconds: int) -> None:
    if not re.fullmatch(r"[\w+=,.@-]*", name, re.ASCII):
        raise _invalid(f"'{name}'", "RoleSessionName", r"Member must satisfy regular expression pattern: [\w+=,.@-]*")
    if len(name) < 2:
        raise _invalid(f"'{name}'", "RoleSessionName", "Member must have length greater than or equal to 2")
    if len(name) > 64:
        raise _invalid(f"'{name}'", "RoleSessionName", "Member must have length less than or equal to 64")
    if seconds < 900:
        raise _invalid(f"'{seconds}'", "DurationSeconds", "Member must have value greater than or equal to 900")
    if seconds > 43200:
        raise _invalid(f"'{seconds}'", "DurationSeconds", "Member must have value less than or equal to 43200")


def _invalid(value: str, name: str, constraint: str) -> AwsRequestError:
    member = name[0].lower() + name[1:]
    return AwsRequestError(
        "ValidationError",
        f"1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}",
    )
