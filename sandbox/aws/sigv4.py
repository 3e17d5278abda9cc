"""Verifies the AWS signature (SigV4) of a request, in its header or its URL, by computing it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4Auth  # noqa: TID251  the sandbox needs AWS's own signer
from botocore.awsrequest import AWSRequest  # noqa: TID251  the sandbox needs AWS's own signer
from botocore.credentials import Credentials  # noqa: TID251  the sandbox needs AWS's own signer

from sandbox.aws.errors import AwsRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Request

    from sandbox.aws.account import AccessKey, Account

DATE_FORMAT = "%Y%m%dT%H%M%SZ"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^, ]+), *SignedHeaders=(?P<headers>[^, ]+), *"
    r"Signature=(?P<signature>[0-9a-f]+)"
)


@dataclass(frozen=True)
class Signer:
    """The key that signed a request, and the region that the signature is for."""

    key_id: str
    region: str


class SignatureProblem(Enum):
    """A problem with a signature; each service has its own error code for it."""

    MISSING = auto()
    INCOMPLETE = auto()
    UNKNOWN_KEY = auto()
    EXPIRED_KEY = auto()
    MISMATCH = auto()


class _SignatureError(Exception):
    """A request does not have a valid signature."""

    def __init__(self, problem: SignatureProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message


@dataclass(frozen=True)
class _Signature:
    """A request's signature, and the parts of the request that it covers."""

    credential: str
    date: str
    signed_headers: tuple[str, ...]
    token: str | None
    value: str
    target: str


def verify(
    request: Request,
    *,
    service: str,
    account: Account,
    window: timedelta,
    codes: Mapping[SignatureProblem, str],
) -> Signer:
    """Check that a key of `account` signed `request` for `service` within `window` of the account's clock.

    Raises AwsRequestError with one of `codes`.
    """
    try:
        return _verify(request, service, account, window)
    except _SignatureError as error:
        status = 400 if error.problem is SignatureProblem.INCOMPLETE else 403
        raise AwsRequestError(codes[error.problem], error.message, status) from error


def _verify(request: Request, service: str, account: Account, window: timedelta) -> Signer:
    signature = _signature(request)
    try:
        key_id, _, region, _, _ = signature.credential.split("/")
        signed_at = datetime.strptime(signature.date, DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise _SignatureError(
            SignatureProblem.INCOMPLETE,
            f"The credential scope or the date is malformed: {signature.credential} {signature.date}",
        ) from error
    now = account.now()
    key = account.find_key(key_id)
    if key is None or signature.token != key.token or not account.owns_region(region):
        raise _SignatureError(SignatureProblem.UNKNOWN_KEY, "The security token included in the request is invalid.")
    if key.expires is not None and key.expires <= now:
        raise _SignatureError(SignatureProblem.EXPIRED_KEY, "The security token included in the request is expired")
    _check_host(request, region)
    if _sign(request, signature, key, region, service) != (signature.credential, signature.value):
        raise _SignatureError(
            SignatureProblem.MISMATCH,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )
    _check_time(signed_at, now, window)
    return Signer(key_id, region)


def _signature(request: Request) -> _Signature:
    parts = urlsplit(request.environ["RAW_URI"])
    path = parts.path or "/"
    if "X-Amz-Signature" in request.args:
        return _presigned(path, parts.query)
    authorization = request.headers.get("Authorization")
    if authorization is None:
        raise _SignatureError(SignatureProblem.MISSING, "Request is missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(authorization)
    date = request.headers.get("X-Amz-Date")
    if found is None or date is None:
        raise _SignatureError(
            SignatureProblem.INCOMPLETE,
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and the request "
            "an 'X-Amz-Date' header.",
        )
    return _Signature(
        credential=found["credential"],
        date=date,
        signed_headers=tuple(found["headers"].split(";")),
        token=request.headers.get("X-Amz-Security-Token"),
        value=found["signature"],
        target=f"{path}?{parts.query}",
    )


def _presigned(path: str, query: str) -> _Signature:
    given = parse_qs(query, keep_blank_values=True)
    try:
        return _Signature(
            credential=_only(given, "X-Amz-Credential"),
            date=_only(given, "X-Amz-Date"),
            signed_headers=tuple(_only(given, "X-Amz-SignedHeaders").split(";")),
            token=_only(given, "X-Amz-Security-Token") if "X-Amz-Security-Token" in given else None,
            value=_only(given, "X-Amz-Signature"),
            target=path + "?" + "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")),
        )
    except (KeyError, ValueError) as error:
        raise _SignatureError(
            SignatureProblem.INCOMPLETE, f"AWS query-string parameters must each be given once: {error}"
        ) from error


def _only(given: Mapping[str, list[str]], name: str) -> str:
    (value,) = given[name]
    return value


def _sign(request: Request, signature: _Signature, key: AccessKey, region: str, service: str) -> tuple[str, str]:
    """The credential scope and the signature of the request, computed with `key`."""
    signed = {name: request.headers[name] for name in signature.signed_headers if name in request.headers}
    # For https, botocore may leave the body unsigned; with http it always signs it, as the services expect.
    received = AWSRequest(
        method=request.method,
        url=f"http://{request.headers.get('Host', '')}{signature.target}",
        headers=signed,
        data=request.get_data(),
    )
    received.context["timestamp"] = signature.date
    signer = SigV4Auth(Credentials(key.key_id, key.secret, key.token), service, region)
    to_sign = signer.string_to_sign(received, signer.canonical_request(received))
    return signer.scope(received), signer.signature(to_sign, received)


def _check_host(request: Request, region: str) -> None:
    """Reject a signature for another region than that of the host name."""
    labels = request.headers.get("Host", "").partition(":")[0].split(".")
    if labels[0].partition("-")[0] in {"sts", "eks"} and len(labels) > 3 and labels[1] != region:
        raise _SignatureError(
            SignatureProblem.MISMATCH, f"Credential should be scoped to a valid region, not '{region}'."
        )


def _check_time(signed_at: datetime, now: datetime, window: timedelta) -> None:
    minutes = f"{window.total_seconds() / 60:.0f} min."
    signed, present = signed_at.strftime(DATE_FORMAT), now.strftime(DATE_FORMAT)
    earliest, latest = now - window, now + window
    if signed_at < earliest:
        raise _SignatureError(
            SignatureProblem.MISMATCH,
            f"Signature expired: {signed} is now earlier than {earliest.strftime(DATE_FORMAT)} ({present} - {minutes})",
        )
    if signed_at > latest:
        raise _SignatureError(
            SignatureProblem.MISMATCH,
            f"Signature not yet current: {signed} is still later than {latest.strftime(DATE_FORMAT)} "
            f"({present} + {minutes})",
        )
