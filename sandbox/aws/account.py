"""What is in the sandbox's AWS account, kept by moto, and what moto keeps no record of: who may do what."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.eks.models import Cluster, eks_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition
from werkzeug.test import Client
from werkzeug.wrappers import Response

from sandbox.aws import sigv4, trust_policy, web_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ACCOUNT_ID = "123456789012"

_HOME_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

_moto_in_use = threading.Lock()


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Role:
    """A role that web identities may assume."""

    arn: str
    trust_policy: Mapping[str, Any]
    max_session: int


class Account:
    """One account of one partition; setting `now` moves its clock.

    One at a time: moto has one state for the whole process.
    """

    def __init__(self, *, partition: str = "aws") -> None:
        self.home_region = _HOME_REGIONS[partition]
        if not _moto_in_use.acquire(blocking=False):
            raise RuntimeError("close the AWS sandbox that is already open in this process: moto has one state for all")
        self.partition = partition
        self.now: Callable[[], datetime] = _utc_now
        self.providers: dict[str, web_identity.Provider] = {}
        self.roles: dict[str, Role] = {}
        self._describable: dict[str, tuple[str, ...]] = {}
        self._iam = iam_backends[ACCOUNT_ID][partition]
        self._sts = sts_backends[ACCOUNT_ID][partition]
        self._moto = Client(DomainDispatcherApplication(create_backend_app), use_cookies=False)

    def create_oidc_provider(self, issuer: str, client_ids: Iterable[str] = ("sts.amazonaws.com",)) -> str:
        """Trust `issuer` for tokens with one of these audiences; the provider's ARN, as trust policies name it."""
        arn = f"arn:{self.partition}:iam::{ACCOUNT_ID}:oidc-provider/{issuer.removeprefix('https://')}"
        self.providers[issuer] = web_identity.Provider(arn, issuer, frozenset(client_ids))
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
        """A role, in place of any of that name, that may describe clusters whose ARNs match; its own ARN.

        Raises trust.MalformedPolicyError.
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
        self.roles[arn] = Role(arn, policy, max_session)
        self._describable[arn] = tuple(describe_clusters)
        return arn

    def long_lived_key(self, user: str, *, describe_clusters: Iterable[str] = ("*",)) -> tuple[str, str]:
        """An access key (id, secret) of a new IAM user."""
        created = self._iam.create_user(self.home_region, user)
        key = self._iam.create_access_key(user)
        self._describable[created.arn] = tuple(describe_clusters)
        return key.access_key_id, key.secret_access_key

    def create_cluster(  # noqa: PLR0913  what DescribeCluster tells of a cluster
        self,
        name: str,
        region: str,
        endpoint: str | None,
        ca_pem: str | None,
        *,
        version: str = "1.34",
        status: str = "ACTIVE",
    ) -> str:
        """An EKS cluster, in place of any of that name; its ARN. Until ACTIVE, a real one has no endpoint and CA."""
        if get_partition(region) != self.partition:
            raise ValueError(f"{region} is no region of the partition {self.partition}")
        # Not by create_cluster(), which reads all of botocore's endpoints each time, to check the partition.
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
        # moto invents these; only the object itself takes others.
        cluster.endpoint = endpoint
        cluster.certificate_authority = {"data": base64.b64encode(ca_pem.encode()).decode()} if ca_pem else None
        cluster.status = status
        arn: str = cluster.arn
        return arn

    def find_key(self, key_id: str) -> sigv4.Key | None:
        """The access key with this id, a role session's or a user's."""
        session = self._sts.get_assumed_role_from_access_key(key_id)
        if session:
            expires = session.expiration.replace(tzinfo=UTC)
            return sigv4.Key(key_id, session.secret_access_key, session.session_token, expires)
        key = self._iam.access_keys.get(key_id)
        return sigv4.Key(key_id, key.secret_access_key) if key else None

    def arn_of(self, key_id: str) -> str:
        """The ARN of whoever holds this key."""
        return self._sts.get_caller_identity(key_id, self.home_region)[1]

    def may_describe(self, key_id: str, cluster_arn: str) -> bool:
        """Whether the holder of this key has eks:DescribeCluster for that cluster."""
        session = self._sts.get_assumed_role_from_access_key(key_id)
        principal = session.role_arn if session else self.arn_of(key_id)
        return any(trust_policy.like(cluster_arn, pattern) for pattern in self._describable.get(principal, ()))

    def owns_region(self, region: str) -> bool:
        """Whether `region` is of this account's partition."""
        return get_partition(region) == self.partition

    def ask_moto(self, service: str, region: str, key_id: str = "", *, path: str = "/", **query: object) -> Response:
        """What moto answers the holder of `key_id`: it reads service, region and caller from the scope alone."""
        scope = f"{key_id}/20000101/{region}/{service}/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        answer = self._moto.get(path, query_string=query, headers={"Authorization": authorization})
        return Response(answer.get_data(), answer.status, headers=answer.headers)

    def close(self) -> None:
        """Forget the account."""
        for backends in (iam_backends, sts_backends, eks_backends):
            backends.reset()
        _moto_in_use.release()
