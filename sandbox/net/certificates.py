"""A certificate authority for the TLS servers of the sandbox."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """A private certificate authority; `pem` is the certificate that clients must trust."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem: str = self._ca.cert_pem.bytes().decode()

    def server_context(self, *names: str) -> ssl.SSLContext:
        """A server's TLS context with a certificate for `names`, localhost and 127.0.0.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1", "localhost", *names).configure_cert(context)
        return context

    def write_certificate(self, path: Path) -> None:
        """Write a certificate for localhost and 127.0.0.1 and its key as PEM into one file."""
        path.write_bytes(self._ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.bytes())

    def client_context(self) -> ssl.SSLContext:
        """A client's TLS context that trusts only this authority."""
        return ssl.create_default_context(cadata=self.pem)
