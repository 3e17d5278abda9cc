"""Authentication of requests: by static token, token webhook or client certificate."""

from __future__ import annotations

import secrets
import ssl
from typing import TYPE_CHECKING

import trustme
from cryptography import x509
from cryptography.x509.oid import NameOID

from sandbox.emulator.errors import unauthorized
from sandbox.emulator.rbac import User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from werkzeug.wrappers import Request

_EVERYONE = "system:authenticated"


class Authentication:
    """Issues credentials and authenticates requests.

    `ask` stands for a token webhook: it maps a token to (username, groups), or to None.
    """

    def __init__(self, ask: Callable[[str], tuple[str, tuple[str, ...]] | None]) -> None:
        self._ask = ask
        self._users: dict[str, User] = {}
        # As in a real cluster, client certificates have a CA of their own.
        self._authority = trustme.CA()

    def accept_certificates(self, context: ssl.SSLContext) -> None:
        """Accept a client certificate in the TLS handshake, but don't require one."""
        context.verify_mode = ssl.CERT_OPTIONAL
        self._authority.configure_trust(context)

    def token(self, name: str, groups: Iterable[str]) -> str:
        """Issue a bearer token for `name`."""
        token = secrets.token_urlsafe(32)
        self._users[token] = User(name, (*groups, _EVERYONE))
        return token

    def certificate(self, name: str, group: str | None) -> tuple[str, str]:
        """Issue a client certificate and its key, as PEM."""
        leaf = self._authority.issue_cert("client", common_name=name, organization_name=group)
        return leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()

    def identify(self, request: Request) -> User:
        """Return the user who sent `request`. Raises StatusError (401) for missing or unknown credentials."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if token in self._users:
                return self._users[token]
            if known := self._ask(token):
                name, groups = known
                return User(name, (*groups, _EVERYONE))
        elif pem := request.environ.get("SSL_CLIENT_CERT"):
            return _subject(x509.load_pem_x509_certificate(pem.encode()))
        raise unauthorized()


def _subject(certificate: x509.Certificate) -> User:
    [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return User(str(name.value), (*(str(group.value) for group in groups), _EVERYONE))
