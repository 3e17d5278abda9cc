"""A local AWS: an account with its STS and EKS endpoints, and the verifier of its clusters' tokens.

moto issues the credentials and describes the clusters; a front of our own evaluates what moto leaves out: web
identity tokens, trust policies, request signatures, the right to DescribeCluster.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Self

import yaml

from sandbox.aws import eks_token
from sandbox.aws.account import Account
from sandbox.aws.eks import EKS
from sandbox.aws.eks_token import Caller, Refused
from sandbox.aws.sts import STS
from sandbox.net.server import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class AWS(Account):
    """One account; `sts.url` and `eks.url` are its endpoints for all regions, until closed.

    `issuer_keys` gives the OIDC issuer's JWKS.
    """

    def __init__(self, issuer_keys: Callable[[], Mapping[str, Any]], *, partition: str = "aws") -> None:
        super().__init__(partition=partition)
        self._identities: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.on_mapping: Callable[[], None] = lambda: None
        """Called after each change of `aws_auth`."""
        self.answer_sts = STS(self, issuer_keys).answer
        self.sts = Server(self.answer_sts)
        self.eks = Server(EKS(self).answer)
        # The verifier has its own door to STS: the journal of `sts` tells what clients did, and nothing else.
        self._verifiers_sts = Server(self.answer_sts)

    def map_role(self, role_arn: str, username: str, groups: Iterable[str] = ()) -> None:
        """A line of aws-auth's mapRoles. As there, an ARN with a path is never found."""
        self._map(role_arn, username, groups)

    def unmap_role(self, role_arn: str) -> None:
        """Take the role's line away."""
        del self._identities[role_arn.lower()]
        self.on_mapping()

    def map_user(self, user_arn: str, username: str, groups: Iterable[str] = ()) -> None:
        """A line of aws-auth's mapUsers."""
        self._map(user_arn, username, groups)

    def _map(self, arn: str, username: str, groups: Iterable[str]) -> None:
        self._identities[arn.lower()] = (username, tuple(groups))
        self.on_mapping()

    @property
    def aws_auth(self) -> dict[str, str]:
        """What the ConfigMap aws-auth says, for a verifier that reads it there."""
        lines: dict[str, list[dict[str, object]]] = {"role": [], "user": []}
        for arn, (username, groups) in self._identities.items():
            kind = "user" if ":user/" in arn else "role"
            lines[kind].append({f"{kind}arn": arn, "username": username, "groups": list(groups)})
        return {"mapRoles": yaml.safe_dump(lines["role"]), "mapUsers": yaml.safe_dump(lines["user"])}

    def authenticate(self, token: str, cluster: str) -> tuple[str, tuple[str, ...]] | None:
        """Whom `cluster` takes the bearer of `token` for (username, groups); None means 401."""
        caller = self.identify(token, cluster)
        if isinstance(caller, Refused) or caller.canonical_arn.lower() not in self._identities:
            return None
        username, groups = self._identities[caller.canonical_arn.lower()]
        return eks_token.render(username, caller), tuple(eks_token.render(group, caller) for group in groups)

    def identify(self, token: str, cluster: str) -> Caller | Refused:
        """Whose `token` this is, for `cluster`: found out by asking STS, as aws-iam-authenticator does."""
        try:
            presigned = eks_token.read(token, partition=self.partition, now=self.now())
        except eks_token.MalformedTokenError as error:
            return Refused(f"input token was not properly formatted: {error}")
        # The host name is the real region's, as signed; the connection goes to the sandbox.
        headers = {"Host": presigned.host, eks_token.CLUSTER_HEADER: cluster, "Accept": "application/json"}
        connection = HTTPConnection(HOST, self._verifiers_sts.port, timeout=10)
        try:
            connection.request("GET", presigned.target, headers=headers)
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            return Refused(
                f"sts getCallerIdentity failed: error from AWS (expected 200, got {answer.status}). Body: {body}"
            )
        told = json.loads(body)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
        return Caller(told["Arn"], told["Account"], told["UserId"], presigned.key_id)

    def close(self) -> None:
        """Stop serving and forget the account."""
        for server in (self.sts, self.eks, self._verifiers_sts):
            server.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
