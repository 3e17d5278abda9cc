"""Simulates an AWS account: moto stores its resources, and this module the permissions, which moto ignores."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.eks.models import Cluster, eks_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition
from werkzeug.test import Client
from werkzeug.wrappers import Response

from sandbox.aws import trust_policy, web_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ACCOUNT_ID = "123456789012"

_HOME_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

_moto_in_use = threading.Lock()


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class AccessKey:
    """An access key of a user, or of a role session, which alone has `token` and `expires`."""

    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


@dataclass(frozen=True)
class IamRole:
    """A role that web identities can assume; `max_session` is in seconds."""

    arn: str
    trust_policy: Mapping[str, Any]
    max_session: int


class Account:
    """An account in one partition; `now` is its clock, which tests replace.

    A process can have only one account at a time, because moto has one global state.
    """

    def __init__(self, *, partition: str = "aws") -> None:
        self.home_region = _HOME_REGIONS[partition]
        if not _moto_in_use.acquire(blocking=False):
            raise RuntimeError("close the AWS sandbox that is already open in this process: moto has one state for all")
        self.partition = partition
        self.now: Callable[[], datetime] = _utc_now
        self.providers: dict[str, web_identity.OidcProvider] = {}
        self.roles: dict[str, IamRole] = {}
        self._describable: dict[str, tuple[str, ...]] = {}
        self._iam = iam_backends[ACCOUNT_ID][partition]
        self._sts = sts_backends[ACCOUNT_ID][partition]
        self._moto = Client(DomainDispatcherApplication(create_backend_app), use_cookies=False)

    def create_oidc_provider(self, issuer: str, client_ids: Iterable[str] = ("sts.amazonaws.com",)) -> str:
        """Trust an issuer's tokens with one of these audiences; returns the provider's ARN."""
        arn = f"arn:{self.partition}:iam::{ACCOUNT_ID}:oidc-provider/{issuer.removeprefix('https://')}"
        self.providers[issuer] = web_identity.OidcProvider(arn, issuer, frozenset(client_ids))
        return arn

    def create_role(
        self,
        name: str,
        policy: Mapping[str, Any],
        *,
        path: str = "/",
        describe_clusters: Iterable[str] = ("*",),
        max_session: int = 3600,
    ) -> str:
        """Create or replace a role that may describe clusters whose ARNs match; returns its ARN.

        `max_session` is in seconds. Raises trust_policy.MalformedPolicyError.
        """
        trust_policy.parse(policy)
        for former in [role for role in self._iam.get_roles() if role.name == name]:
            self._iam.delete_role(name)
            del self.roles[former.arn], self._describable[former.arn]
        created = self._iam.create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(policy),
            path=path,
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration=str(max_session),
        )
        arn: str = created.arn
        self.roles[arn] = IamRole(arn, policy, max_session)
        self._describable[arn] = tuple(describe_clusters)
        return arn

    def create_access_key(self, user: str, *, describe_clusters: Iterable[str] = ("*",)) -> tuple[str, str]:
        """Create an IAM user with an access key; returns the key's ID and secret."""
        created = self._iam.create_user(self.home_region, user)
        key = self._iam.create_access_key(user)
        self._describable[created.arn] = tuple(describe_clusters)
        return key.access_key_id, key.secret_access_key

    def create_cluster(  # noqa: PLR0913  the fields of DescribeCluster
        self,
        name: str,
        region: str,
        endpoint: str | None,
        ca_pem: str | None,
        *,
        version: str = "1.34",
        status: str = "ACTIVE",
    ) -> str:
        """Create or replace an EKS cluster; returns its ARN. A real one has no endpoint and CA until it is ACTIVE."""
        if get_partition(region) != self.partition:
            raise ValueError(f"{region} is no region of the partition {self.partition}")
        # moto's create_cluster() reads all of botocore's endpoints each time, to check the partition.
        cluster: Any = Cluster(
            name=name,
            version=version,
            role_arn=f"arn:{self.partition}:iam::{ACCOUNT_ID}:role/eks-cluster",
            resources_vpc_config={},
            account_id=ACCOUNT_ID,
            region_name=region,
            aws_partition=self.partition,
        )
        eks_backends[ACCOUNT_ID][region].clusters[name] = cluster
        # moto generates these values; they can only be changed on the object.
        cluster.endpoint = endpoint
        cluster.certificate_authority = {"data": base64.b64encode(ca_pem.encode()).decode()} if ca_pem else None
        cluster.status = status
        arn: str = cluster.arn
        return arn

    def find_key(self, key_id: str) -> AccessKey | None:
        """The access key of a role session or a user."""
        session = self._sts.get_assumed_role_from_access_key(key_id)
        if session:
            expires = session.expiration.replace(tzinfo=UTC)
            return AccessKey(key_id, session.secret_access_key, session.session_token, expires)
        key = self._iam.access_keys.get(key_id)
        return AccessKey(key_id, key.secret_access_key) if key else None

    def principal_arn(self, key_id: str) -> str:
        """The ARN of the role session or user that has this key."""
        return self._sts.get_caller_identity(key_id, self.home_region)[1]

    def may_describe(self, key_id: str, cluster_arn: str) -> bool:
        """Whether the principal with this key has the permission eks:DescribeCluster for a cluster."""
        session = self._sts.get_assumed_role_from_access_key(key_id)
        principal = session.role_arn if session else self.principal_arn(key_id)
        return any(trust_policy.like(cluster_arn, pattern) for pattern in self._describable.get(principal, ()))

    def owns_region(self, region: str) -> bool:
        """Whether a region belongs to this account's partition."""
        return get_partition(region) == self.partition

    def call_moto(self, service: str, region: str, key_id: str = "", *, path: str = "/", **query: object) -> Response:
        """Send a request to moto, which reads service, region and caller only from the credential scope."""
        scope = f"{key_id}/20000101/{region}/{service}/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        answer = self._moto.get(path, query_string=query, headers={"Authorization": authorization})
        return Response(answer.get_data(), answer.status, headers=answer.headers)

    def close(self) -> None:
        """Delete everything in the account."""
        for backends in (iam_backends, sts_backends, eks_backends):
            backends.reset()
        _moto_in_use.release()
