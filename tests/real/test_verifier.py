"""The sandbox's verifier of EKS tokens decides as aws-iam-authenticator does. `make test` relies on that."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from botocore.auth import SigV4QueryAuth  # noqa: TID251  AWS's own signer
from botocore.awsrequest import AWSRequest  # noqa: TID251  likewise
from botocore.credentials import Credentials  # noqa: TID251  likewise

from sandbox import CLUSTER, REGION
from sandbox.aws import eks_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox
    from sandbox.control_plane.cluster import RealCluster

HOST = f"sts.{REGION}.amazonaws.com"
USER = "arn:aws:iam::123456789012:user/ops"


def encode(url: str) -> str:
    return eks_token.PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def changed(url: str, **changes: str | None) -> str:
    query = dict(parse_qsl(urlsplit(url).query)) | changes
    return f"{url.partition('?')[0]}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def presigned(
    credentials: Credentials,
    *,
    cluster: str = CLUSTER,
    host: str = HOST,
    action: str = "GetCallerIdentity",
    seconds: int = 60,
) -> str:
    request = AWSRequest("GET", f"https://{host}/?Action={action}&Version=2011-06-15")
    request.headers[eks_token.CLUSTER_HEADER] = cluster
    SigV4QueryAuth(credentials, "sts", REGION, expires=seconds).add_auth(request)
    url: str = request.url
    return url


CASES: dict[str, Callable[[Credentials], str]] = {
    "sound": lambda keys: encode(presigned(keys)),
    "of another cluster": lambda keys: encode(presigned(keys, cluster="other")),
    "signed with another secret": lambda keys: encode(presigned(Credentials(keys.access_key, "guessed"))),
    "of an unknown key": lambda keys: encode(presigned(Credentials("AKIAIOSFODNN7EXAMPLE", keys.secret_key))),
    "with the signature of another": lambda keys: encode(changed(presigned(keys), **{"X-Amz-Signature": "0" * 64})),
    "that lasts longer": lambda keys: encode(presigned(keys, seconds=900)),
    "that lasts too long": lambda keys: encode(presigned(keys, seconds=901)),
    "dated back": lambda keys: encode(changed(presigned(keys), **{"X-Amz-Date": "20260101T000000Z"})),
    "for another action": lambda keys: encode(presigned(keys, action="GetSessionToken")),
    "for another host": lambda keys: encode(presigned(keys, host="sts.example.com")),
    "without a signed cluster": lambda keys: encode(changed(presigned(keys), **{"X-Amz-SignedHeaders": "host"})),
    "with another parameter": lambda keys: encode(changed(presigned(keys), Extra="1")),
    "without https": lambda keys: encode(presigned(keys).replace("https://", "http://")),
    "padded": lambda keys: encode(presigned(keys)) + "=",
    "without its prefix": lambda keys: encode(presigned(keys)).removeprefix(eks_token.PREFIX),
    "empty": lambda _: eks_token.PREFIX,
}


@pytest.mark.parametrize("case", CASES)
def test_both_verifiers_map_a_token_to_the_same_user(sandbox: Sandbox, cluster: RealCluster, case: str):
    sandbox.aws.map_identity(USER, "ops:{{AccountID}}", ["runners", "of-{{AccountID}}"])
    token = CASES[case](Credentials(*sandbox.aws.create_access_key("ops")))

    ours = sandbox.aws.authenticate(token, CLUSTER)

    assert cluster.who_is(token) == ours
    assert (ours is not None) == (case in {"sound", "that lasts longer"})


def test_both_verifiers_apply_the_removal_of_a_mapping(sandbox: Sandbox, cluster: RealCluster):
    sandbox.aws.map_identity(USER, "ops", ["runners"])
    keys = Credentials(*sandbox.aws.create_access_key("ops"))
    assert cluster.who_is(encode(presigned(keys))) == ("ops", ("runners",))

    sandbox.aws.unmap_identity(USER)
    # Another token: the API server caches the user of the first one for seconds.
    token = encode(presigned(keys, seconds=59))

    assert sandbox.aws.authenticate(token, CLUSTER) is None
    assert cluster.who_is(token) is None
