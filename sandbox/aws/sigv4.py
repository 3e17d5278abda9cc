"""Recomputes the AWS signature (SigV4) of a request as it arrived, header-signed or presigned."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, urlsplit

from botocore.auth import SigV4Auth  # noqa: TID251  the laboratory needs AWS's own signer
from botocore.awsrequest import AWSRequest  # noqa: TID251  the laboratory needs AWS's own signer
from botocore.credentials import Credentials  # noqa: TID251  the laboratory needs AWS's own signer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Request

DATE_FORMAT = "%Y%m%dT%H%M%SZ"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<credential>[^, ]+), *SignedHeaders=(?P<headers>[^, ]+), *"
    r"Signature=(?P<signature>[0-9a-f]+)"
)


@dataclass(frozen=True)
class Key:
    """An access key that AWS gave out; `token` and `expires` only for a role session's."""

    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


@dataclass(frozen=True)
class Signer:
    """Whose key signed the request, and for which region."""

    key_id: str
    region: str


class KeyHolder(Protocol):
    """The account whose keys count."""

    def now(self) -> datetime:
        """Its clock."""

    def find_key(self, key_id: str) -> Key | None:
        """The key with this id."""

    def owns_region(self, region: str) -> bool:
        """Whether `region` is of the account's partition: elsewhere its keys are unknown."""


class Problem(Enum):
    """What can be wrong with a signature; each service has its own code for each."""

    MISSING = auto()
    INCOMPLETE = auto()
    UNKNOWN_KEY = auto()
    EXPIRED_KEY = auto()
    MISMATCH = auto()


class SignatureError(Exception):
    """The request is not signed by a key of this account."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem = problem
        self.message = message


@dataclass(frozen=True)
class _Claim:
    """What the request says of its own signature."""

    credential: str
    date: str
    signed_headers: tuple[str, ...]
    token: str | None
    signature: str
    target: str


def verify(
    request: Request,
    *,
    service: str,
    account: KeyHolder,
    window: timedelta,
) -> Signer:
    """Who of `account` signed `request` for `service`, at most `window` away from its clock. Raises SignatureError."""
    claim = _claim(request)
    try:
        key_id, _, region, _, _ = claim.credential.split("/")
        signed_at = datetime.strptime(claim.date, DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise SignatureError(
            Problem.INCOMPLETE, f"The credential scope or the date is malformed: {claim.credential} {claim.date}"
        ) from error
    now = account.now()
    key = account.find_key(key_id)
    if key is None or claim.token != key.token or not account.owns_region(region):
        raise SignatureError(Problem.UNKNOWN_KEY, "The security token included in the request is invalid.")
    if key.expires is not None and key.expires <= now:
        raise SignatureError(Problem.EXPIRED_KEY, "The security token included in the request is expired")
    _check_host(request, region)
    if _sign(request, claim, key, region, service) != (claim.credential, claim.signature):
        raise SignatureError(
            Problem.MISMATCH,
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )
    _check_time(signed_at, now, window)
    return Signer(key_id, region)


def _claim(request: Request) -> _Claim:
    parts = urlsplit(request.environ["RAW_URI"])
    path = parts.path or "/"
    if "X-Amz-Signature" in request.args:
        return _presigned_claim(path, parts.query)
    authorization = request.headers.get("Authorization")
    if authorization is None:
        raise SignatureError(Problem.MISSING, "Request is missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(authorization)
    date = request.headers.get("X-Amz-Date")
    if found is None or date is None:
        raise SignatureError(
            Problem.INCOMPLETE,
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and the request "
            "an 'X-Amz-Date' header.",
        )
    return _Claim(
        credential=found["credential"],
        date=date,
        signed_headers=tuple(found["headers"].split(";")),
        token=request.headers.get("X-Amz-Security-Token"),
        signature=found["signature"],
        target=f"{path}?{parts.query}",
    )


def _presigned_claim(path: str, query: str) -> _Claim:
    given = parse_qs(query, keep_blank_values=True)
    try:
        return _Claim(
            credential=_only(given, "X-Amz-Credential"),
            date=_only(given, "X-Amz-Date"),
            signed_headers=tuple(_only(given, "X-Amz-SignedHeaders").split(";")),
            token=_only(given, "X-Amz-Security-Token") if "X-Amz-Security-Token" in given else None,
            signature=_only(given, "X-Amz-Signature"),
            target=path + "?" + "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature=")),
        )
    except (KeyError, ValueError) as error:
        raise SignatureError(
            Problem.INCOMPLETE, f"AWS query-string parameters must each be given once: {error}"
        ) from error


def _only(given: Mapping[str, list[str]], name: str) -> str:
    (value,) = given[name]
    return value


def _sign(request: Request, claim: _Claim, key: Key, region: str, service: str) -> tuple[str, str]:
    """The credential scope and the signature that `key` gives the request: what the claim has to be."""
    signed = {name: request.headers[name] for name in claim.signed_headers if name in request.headers}
    # botocore decides by the scheme whether a body is signed; service endpoints sign theirs always.
    received = AWSRequest(
        method=request.method,
        url=f"http://{request.headers.get('Host', '')}{claim.target}",
        headers=signed,
        data=request.get_data(),
    )
    received.context["timestamp"] = claim.date
    signer = SigV4Auth(Credentials(key.key_id, key.secret, key.token), service, region)
    to_sign = signer.string_to_sign(received, signer.canonical_request(received))
    return signer.scope(received), signer.signature(to_sign, received)


def _check_host(request: Request, region: str) -> None:
    """Reject, at a region's own host name, another region's signature."""
    labels = request.headers.get("Host", "").partition(":")[0].split(".")
    if labels[0].partition("-")[0] in {"sts", "eks"} and len(labels) > 3 and labels[1] != region:
        raise SignatureError(Problem.MISMATCH, f"Credential should be scoped to a valid region, not '{region}'.")


def _check_time(signed_at: datetime, now: datetime, window: timedelta) -> None:
    minutes = f"{window.total_seconds() / 60:.0f} min."
    signed, present = signed_at.strftime(DATE_FORMAT), now.strftime(DATE_FORMAT)
    earliest, latest = now - window, now + window
    if signed_at < earliest:
        raise SignatureError(
            Problem.MISMATCH,
            f"Signature expired: {signed} is now earlier than {earliest.strftime(DATE_FORMAT)} ({present} - {minutes})",
        )
    if signed_at > latest:
        raise SignatureError(
            Problem.MISMATCH,
            f"Signature not yet current: {signed} is still later than {latest.strftime(DATE_FORMAT)} "
            f"({present} + {minutes})",
        )
