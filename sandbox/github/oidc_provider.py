"""Simulates GitHub's OIDC provider, and the workflow event that its tokens and the runner's variables describe.

Claims: docs.github.com, "OpenID Connect reference".
"""

from __future__ import annotations

import functools
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.wrappers import Response

from sandbox.net.server import Closeable, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Request

SERVER_URL = "https://github.com"
ISSUER = "https://token.actions.githubusercontent.com"

_LIFETIME_SECONDS = 300
_SKEW_SECONDS = 600
"""GitHub sets `nbf` this far into the past, for verifiers with slow clocks."""
_KEY_ID = "published"


class TokenDefect(Enum):
    """A reason for which a verifier rejects a token."""

    EXPIRED = auto()
    NOT_YET_VALID = auto()
    UNPUBLISHED_KEY = auto()


@dataclass(frozen=True)
class WorkflowEvent:
    """The event that triggered a workflow run: its actor, repository, ref and inputs."""

    repository: str = "acme/batch"
    repository_id: int = 74
    repository_owner_id: int = 65
    visibility: str = "private"
    ref: str = "refs/heads/main"
    sha: str = "7d1b31e74ee336d15cbd21741bc88a537ed063a0"
    environment: str | None = "staging"
    actor: str = "octocat"
    actor_id: int = 12
    triggering_actor: str = "octocat"
    workflow: str = "Run CronJob"
    workflow_file: str = ".github/workflows/run-cronjob.yml"
    run_id: int = 9_876_543_210
    run_number: int = 10
    run_attempt: int = 1
    event_name: str = "workflow_dispatch"
    inputs: Mapping[str, str] = field(default_factory=dict)
    immutable_sub: bool = False

    @property
    def repository_owner(self) -> str:
        """The organization or user that owns the repository."""
        return self.repository.partition("/")[0]

    @property
    def ref_type(self) -> str:
        """`branch` or `tag`."""
        return "tag" if self.ref.startswith("refs/tags/") else "branch"

    @property
    def ref_name(self) -> str:
        """The ref without `refs/heads/` or `refs/tags/`."""
        return self.ref.split("/", 2)[-1]

    @property
    def workflow_ref(self) -> str:
        """The workflow file at its ref."""
        return f"{self.repository}/{self.workflow_file}@{self.ref}"

    @property
    def sub(self) -> str:
        """The subject; repositories created since 2026-07-15 carry the immutable ids in it."""
        owner, name = self.repository.split("/")
        if self.immutable_sub:
            owner, name = f"{owner}@{self.repository_owner_id}", f"{name}@{self.repository_id}"
        if self.environment:
            context = "environment:" + self.environment.replace(":", "%3A")
        elif self.event_name == "pull_request":
            context = "pull_request"
        else:
            context = f"ref:{self.ref}"
        return f"repo:{owner}/{name}:{context}"

    @property
    def claims(self) -> dict[str, str]:
        """The claims about the run, which are the same for every audience."""
        claims = {
            "sub": self.sub,
            "ref": self.ref,
            "sha": self.sha,
            "repository": self.repository,
            "repository_owner": self.repository_owner,
            "repository_owner_id": str(self.repository_owner_id),
            "run_id": str(self.run_id),
            "run_number": str(self.run_number),
            "run_attempt": str(self.run_attempt),
            "repository_visibility": self.visibility,
            "repository_id": str(self.repository_id),
            "actor_id": str(self.actor_id),
            "actor": self.actor,
            "workflow": self.workflow,
            "head_ref": "",
            "base_ref": "",
            "event_name": self.event_name,
            "ref_protected": "true",
            "ref_type": self.ref_type,
            "workflow_ref": self.workflow_ref,
            "workflow_sha": self.sha,
            "job_workflow_ref": self.workflow_ref,
            "job_workflow_sha": self.sha,
            "runner_environment": "github-hosted",
        }
        if self.environment:
            claims["environment"] = self.environment
        return claims

    def payload(self, server_url: str) -> dict[str, Any]:
        """The webhook payload, which the runner writes to GITHUB_EVENT_PATH."""
        owner, name = self.repository.split("/")
        return {
            "inputs": dict(self.inputs) or None,
            "ref": self.ref,
            "repository": {
                "id": self.repository_id,
                "name": name,
                "full_name": self.repository,
                "private": self.visibility != "public",
                "visibility": self.visibility,
                "html_url": f"{server_url}/{self.repository}",
                "owner": {"login": owner, "id": self.repository_owner_id, "type": "Organization"},
            },
            "sender": {"login": self.actor, "id": self.actor_id, "type": "User"},
            "workflow": self.workflow_file,
        }


class GitHub(Closeable):
    """Serves one GitHub, github.com or an Enterprise Server, until closed.

    A change of `event`, `issuer` or `token_defect` applies to the tokens that are issued after it.
    """

    def __init__(self, server_url: str = SERVER_URL) -> None:
        self.server_url = server_url
        self.issuer = ISSUER if server_url == SERVER_URL else f"{server_url}/_services/token"
        self.event = WorkflowEvent()
        self.token_defect: TokenDefect | None = None
        self.request_token = ".".join(secrets.token_urlsafe(size) for size in (30, 300, 256))
        self._server = Server(self._answer)
        self.journal = self._server.journal
        self.url = self._server.url
        self.request_url = f"{self.url}/token?api-version=2.0"

    def jwks(self) -> dict[str, Any]:
        """The published keys."""
        public = RSAAlgorithm.to_jwk(_key(_KEY_ID).public_key(), as_dict=True)
        return {"keys": [{**public, "alg": "RS256", "use": "sig", "kid": _KEY_ID}]}

    def token(self, audience: str | None = None) -> str:
        """A token for the current event."""
        shift = {TokenDefect.EXPIRED: -3600, TokenDefect.NOT_YET_VALID: 3600}
        now = int(time.time()) + (shift.get(self.token_defect, 0) if self.token_defect else 0)
        claims = {
            **self.event.claims,
            "jti": str(uuid.uuid4()),
            "aud": audience or f"{self.server_url}/{self.event.repository_owner}",
            "iss": self.issuer,
            "nbf": now - _SKEW_SECONDS,
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
        }
        key_id = "unpublished" if self.token_defect is TokenDefect.UNPUBLISHED_KEY else _KEY_ID
        return jwt.encode(claims, _key(key_id), algorithm="RS256", headers={"kid": key_id})

    def _answer(self, request: Request) -> Response:
        match request.path:
            case "/.well-known/openid-configuration":
                return _json(self._configuration())
            case "/.well-known/jwks":
                return _json(self.jwks())
            case "/token":
                return self._issue(request)
            case _:
                return _json({"message": "Not Found"}, 404)

    def _configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/.well-known/jwks",
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": sorted({*self.event.claims, "environment", "jti", "aud", "iss", "nbf", "iat", "exp"}),
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        }

    def _issue(self, request: Request) -> Response:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        # GitHub does not document its messages: these are invented.
        if scheme.lower() != "bearer" or credentials != self.request_token:
            return _json({"message": "The request token is missing, wrong or expired"}, 401)
        if request.args.get("api-version") != "2.0":
            return _json({"message": "The query must keep api-version=2.0 as it was given"}, 400)
        return _json({"value": self.token(request.args.get("audience"))})

    def close(self) -> None:
        """Stop serving."""
        self._server.close()


@functools.cache  # creating a key takes longer than everything else here
def _key(_key_id: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")
