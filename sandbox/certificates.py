"""The sandbox's own certificate authority, for every TLS server on loopback."""

from __future__ import annotations

import ssl

import trustme


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

    def client_context(self) -> ssl.SSLContext:
        """A client-side TLS context that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.pem)
