"""An OIDC issuer that the API server trusts: issues bearer tokens for any user."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.wrappers import Response

from sandbox.net.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Request

    from sandbox.net.certificates import Authority

_AUDIENCE = "sandbox"
_LIFETIME_SECONDS = 24 * 3600
_KEY_ID = "only"


class Issuer:
    """Issues tokens; serves the discovery document and the key."""

    def __init__(self, authority: Authority) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._server = Server(self._answer, tls=authority.server_context())

    def api_server_flags(self, ca_file: object) -> list[str]:
        """Return the flags by which kube-apiserver takes names and groups from the tokens."""
        return [
            f"--oidc-issuer-url={self._server.url}",
            f"--oidc-client-id={_AUDIENCE}",
            f"--oidc-ca-file={ca_file}",
            "--oidc-username-claim=sub",
            "--oidc-username-prefix=-",
            "--oidc-groups-claim=groups",
        ]

    def token(self, name: str, groups: Iterable[str] = ()) -> str:
        """Issue a bearer token for `name`."""
        now = int(time.time())
        claims = {"iss": self._server.url, "aud": _AUDIENCE, "sub": name, "groups": list(groups)}
        times = {"iat": now, "exp": now + _LIFETIME_SECONDS}
        return jwt.encode(claims | times, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def close(self) -> None:
        """Stop the server."""
        self._server.close()

    def _answer(self, request: Request) -> Response:
        document: dict[str, Any]
        match request.path:
            case "/.well-known/openid-configuration":
                document = {
                    "issuer": self._server.url,
                    "jwks_uri": f"{self._server.url}/keys",
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            case "/keys":
                key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
                document = {"keys": [{**key, "kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}
            case _:
                return Response("not found", 404)
        return Response(json.dumps(document), content_type="application/json")
