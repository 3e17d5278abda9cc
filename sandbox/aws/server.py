"""Serves the STS and EKS endpoints of an AWS account, and verifies the tokens of its clusters.

moto creates the credentials and describes the clusters. The sandbox evaluates what moto ignores: web identity tokens,
trust policies, request signatures, the permission for DescribeCluster.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import yaml

from sandbox.aws import eks_token
from sandbox.aws.account import Account
from sandbox.aws.eks import EKS
from sandbox.aws.eks_token import Caller, RejectedToken
from sandbox.aws.sts import STS
from sandbox.net.server import HOST, Closeable, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class AWS(Account, Closeable):
    """An account whose endpoints are `sts.url` and `eks.url`, for all regions, until closed.

    `issuer_keys` returns the OIDC issuer's JWKS.
    """

    def __init__(self, issuer_keys: Callable[[], Mapping[str, Any]], *, partition: str = "aws") -> None:
        super().__init__(partition=partition)
        self._identities: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.on_aws_auth_change: Callable[[], None] = lambda: None
        """A function that is called after each change of `aws_auth`."""
        self.answer_sts = STS(self, issuer_keys).answer
        self.sts = Server(self.answer_sts)
        self.eks = Server(EKS(self).answer)
        # Tokens are verified with an STS of their own, so that the journal of `sts` has only the clients' requests.
        self._verifier_sts = Server(self.answer_sts)

    def map_identity(self, arn: str, username: str, groups: Iterable[str] = ()) -> None:
        """Add a role or user to aws-auth. As in the real one, a role's ARN with a path never matches."""
        self._identities[arn.lower()] = (username, tuple(groups))
        self.on_aws_auth_change()

    def unmap_identity(self, arn: str) -> None:
        """Remove a role or user from aws-auth."""
        del self._identities[arn.lower()]
        self.on_aws_auth_change()

    @property
    def aws_auth(self) -> dict[str, str]:
        """The data of the ConfigMap aws-auth, for a verifier that reads it."""
        lines: dict[str, list[dict[str, object]]] = {"role": [], "user": []}
        for arn, (username, groups) in self._identities.items():
            kind = "user" if ":user/" in arn else "role"
            lines[kind].append({f"{kind}arn": arn, "username": username, "groups": list(groups)})
        return {"mapRoles": yaml.safe_dump(lines["role"]), "mapUsers": yaml.safe_dump(lines["user"])}

    def authenticate(self, token: str, cluster: str) -> tuple[str, tuple[str, ...]] | None:
        """The username and groups that `cluster` maps a token to; None means 401."""
        caller = self.identify(token, cluster)
        if isinstance(caller, RejectedToken) or caller.canonical_arn.lower() not in self._identities:
            return None
        username, groups = self._identities[caller.canonical_arn.lower()]
        return eks_token.render(username, caller), tuple(eks_token.render(group, caller) for group in groups)

    def identify(self, token: str, cluster: str) -> Caller | RejectedToken:
        """The caller that STS returns for a token for `cluster`, as aws-iam-authenticator asks it."""
        try:
            presigned = eks_token.parse(token, partition=self.partition, now=self.now())
        except eks_token.MalformedTokenError as error:
            return RejectedToken(f"input token was not properly formatted: {error}")
        # The Host header is the real one, which was signed; the connection is to the sandbox.
        headers = {"Host": presigned.host, eks_token.CLUSTER_HEADER: cluster, "Accept": "application/json"}
        connection = HTTPConnection(HOST, self._verifier_sts.port, timeout=10)
        try:
            connection.request("GET", presigned.target, headers=headers)
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            return RejectedToken(
                f"sts getCallerIdentity failed: error from AWS (expected 200, got {answer.status}). Body: {body}"
            )
        identity = json.loads(body)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
        return Caller(identity["Arn"], identity["Account"], identity["UserId"], presigned.key_id)

    def close(self) -> None:
        """Stop serving, and delete everything in the account."""
        for server in (self.sts, self.eks, self._verifier_sts):
            server.close()
        super().close()
