"""The sandbox's own certificate authority, for every TLS server on loopback."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """One private CA; `pem` is what a client must trust."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem: str = self._ca.cert_pem.bytes().decode()

    def server_context(self, *names: str) -> ssl.SSLContext:
        """A server-side TLS context whose certificate is valid for `names` and 127.0.0.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1", "localhost", *names).configure_cert(context)
        return context

    def write_certificate(self, path: Path) -> None:
        """A certificate for 127.0.0.1, and its key, as PEM in one file, for a server that isn't ours."""
        path.write_bytes(self._ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.bytes())

    def client_context(self) -> ssl.SSLContext:
        """A client-side TLS context that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.pem)
