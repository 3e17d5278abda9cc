"""Parses EKS tokens and maps their callers as aws-iam-authenticator does, without I/O.

Source: kubernetes-sigs/aws-iam-authenticator, pkg/token/token.go, pkg/arn/arn.go, pkg/mapper/configmap and
pkg/server/server.go. The signature is not verified here: aws-iam-authenticator leaves that to STS.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
LIFETIME = timedelta(minutes=15)

_MAX_BYTES = 4096
_DOMAINS: Mapping[str, tuple[str, ...]] = {
    "aws": ("amazonaws.com", "api.aws"),
    "aws-cn": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "aws-us-gov": ("amazonaws.com", "api.aws"),
}
_PARAMETERS = frozenset(
    {
        "action",
        "version",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)


@dataclass(frozen=True)
class PresignedUrl:
    """The request for GetCallerIdentity in a token; `target` is its path and query."""

    host: str
    target: str
    key_id: str


@dataclass(frozen=True)
class Caller:
    """The identity that STS returns for a token."""

    arn: str
    account: str
    user_id: str
    key_id: str

    @property
    def canonical_arn(self) -> str:
        """The ARN to look up in aws-auth: for a role session, that of the role, without its path."""
        partition, service, _, account, resource = self.arn.split(":", 5)[1:]
        kind, *names = resource.split("/")
        if service == "sts" and kind == "assumed-role":
            return f"arn:{partition}:iam::{account}:role/{'/'.join(names[:-1])}"
        return self.arn

    @property
    def session_name(self) -> str:
        """The role session's name; empty for a user."""
        return self.user_id.partition(":")[2]


@dataclass(frozen=True)
class RejectedToken:
    """The reason for which a token is rejected; the API server only answers 401."""

    reason: str


class MalformedTokenError(ValueError):
    """A token is malformed, so that it is not sent to STS."""


def parse(token: str, *, partition: str, now: datetime) -> PresignedUrl:
    """The presigned request in `token`, checked as before a request to STS. Raises MalformedTokenError."""
    url = urlsplit(_decode(token))
    _require(url.scheme == "https", f"unexpected scheme {url.scheme!r} in pre-signed URL")
    _check_host(url.netloc, partition)
    _require(url.path == "/", "unexpected path in pre-signed URL")
    parameters = _parameters(url.query)
    _require(parameters.get("action") == "GetCallerIdentity", "unexpected action parameter in pre-signed URL")
    _require(
        CLUSTER_HEADER in parameters.get("x-amz-signedheaders", "").lower().split(";"),
        f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL",
    )
    expires = parameters.get("x-amz-expires", "")
    _require(
        expires.isdecimal() and int(expires) <= LIFETIME.total_seconds(),
        f"invalid X-Amz-Expires parameter in pre-signed URL: {expires}",
    )
    _check_age(parameters.get("x-amz-date", ""), now)
    return PresignedUrl(url.netloc, f"{url.path}?{url.query}", parameters.get("x-amz-credential", "").split("/")[0])


def render(template: str, caller: Caller) -> str:
    """Replace the placeholders in a username or group of aws-auth."""
    values = {
        "{{AccountID}}": caller.account,
        "{{SessionName}}": caller.session_name.replace("@", "-"),
        "{{SessionNameRaw}}": caller.session_name,
        "{{AccessKeyID}}": caller.key_id,
    }
    for placeholder, value in values.items():
        template = template.replace(placeholder, value)
    return template


def _require(condition: bool, otherwise: str) -> None:  # noqa: FBT001  an assertion
    if not condition:
        raise MalformedTokenError(otherwise)


def _decode(token: str) -> str:
    _require(len(token.encode()) <= _MAX_BYTES, "token is too large")
    _require(token.startswith(PREFIX), f'token is missing expected "{PREFIX}" prefix')
    encoded = token.removeprefix(PREFIX)
    # Go's RawURLEncoding accepts neither padding nor the standard alphabet.
    _require(re.fullmatch(r"[A-Za-z0-9_-]*", encoded) is not None, "illegal base64 data")
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise MalformedTokenError("illegal base64 data") from error


def _check_host(host: str, partition: str) -> None:
    if host == "sts.amazonaws.com":
        _require(partition == "aws", f"global endpoint unsupported in partition {partition}")
        return
    domains = "|".join(map(re.escape, _DOMAINS[partition]))
    known = re.fullmatch(rf"sts(-fips)?\.[a-z0-9]([a-z0-9-]*[a-z0-9])?\.({domains})", host)
    _require(known is not None, f"unexpected hostname {host!r} in pre-signed URL")


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        _require(name.lower() in _PARAMETERS, f"non-whitelisted query parameter {name!r}")
        _require(name.lower() not in parameters, f"duplicate query parameter found: {name!r}")
        parameters[name.lower()] = value
    return parameters


def _check_age(date: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedTokenError(f"error parsing X-Amz-Date parameter {date!r}") from error
    _require(now <= signed_at + LIFETIME, f"X-Amz-Date parameter is expired (15 minute expiration) {signed_at}")
