"""Tests of clients/http: which certificates are accepted."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from run_cronjob.clients import http
from tests.unit.clients.listener import CA_VARIABLES, LOOPBACK, TIMEOUTS, Listener, encrypted

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("bare_environment")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """A TLS handshake in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = client.wrap_bio(to_client, to_server, server_hostname=name)
    right = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (left, right):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def certificates_without_key_identifiers(folder: Path) -> tuple[str, ssl.SSLContext]:
    """An authority, and a server's context, as some EKS clusters have them."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())

    def signed(subject: str, extension: x509.ExtensionType, *, critical: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=critical)
            .sign(key, hashes.SHA256())
        )

    ca = signed("kubernetes", x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = signed("api", x509.SubjectAlternativeName([x509.DNSName("api.example")]), critical=False)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(private + leaf.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return str(folder / "ca.pem"), context


@pytest.fixture
def _strict_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python 3.13 and later make their contexts."""
    make = ssl.create_default_context

    def strict(*args: object, **options: object) -> ssl.SSLContext:
        context = make(*args, **options)  # type: ignore[arg-type]
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


@pytest.mark.usefixtures("_strict_python")
def test_an_eks_ca_without_key_identifiers_is_accepted_though_python_is_strict(tmp_path: Path) -> None:
    ca_file, server = certificates_without_key_identifiers(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ssl.create_default_context(cafile=ca_file), server, "api.example")
    handshake(http.ssl_context(ca_file), server, "api.example")


@pytest.mark.usefixtures("_strict_python")
def test_only_the_strict_check_is_off(ca_file: str) -> None:
    strict, ours = ssl.create_default_context(cafile=ca_file), http.ssl_context(ca_file)

    assert strict.verify_flags ^ ours.verify_flags == ssl.VERIFY_X509_STRICT
    assert ours.verify_mode is ssl.CERT_REQUIRED
    assert ours.check_hostname is True
    assert ours.minimum_version == strict.minimum_version


def test_a_certificate_of_the_given_ca_is_accepted(authority: trustme.CA, ca_file: str) -> None:
    handshake(http.ssl_context(ca_file), server_context(authority.issue_cert("api.example")), "api.example")


def test_a_certificate_of_another_ca_is_rejected(ca_file: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self-signed"):
        handshake(http.ssl_context(ca_file), server_context(trustme.CA().issue_cert("api.example")), "api.example")


def test_a_certificate_of_a_private_ca_that_was_not_given_is_rejected(authority: trustme.CA) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(http.ssl_context(), server_context(authority.issue_cert("api.example")), "api.example")


def test_host_names_are_checked(authority: trustme.CA, ca_file: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(http.ssl_context(ca_file), server_context(authority.issue_cert("evil.example")), "api.example")


def test_an_expired_certificate_is_rejected(authority: trustme.CA, ca_file: str) -> None:
    expired = authority.issue_cert("api.example", not_after=datetime.now(UTC) - timedelta(days=1))

    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(http.ssl_context(ca_file), server_context(expired), "api.example")


def test_the_given_server_name_is_checked(authority: trustme.CA, ca_file: str) -> None:
    with Listener(encrypted(authority.issue_cert("api.internal"))) as listener:
        url = f"https://{LOOPBACK}:{listener.port}/"
        pool = http.pool(url, http.ssl_context(ca_file), TIMEOUTS, server_name="api.internal")
        assert pool.request("GET", url).status == 200


def test_the_ca_bundle_is_the_first_one_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert http.ca_bundle() is None
    for name in reversed(CA_VARIABLES):
        monkeypatch.setenv(name, f"/{name}.pem")
        assert http.ca_bundle() == f"/{name}.pem"
    monkeypatch.setenv("AWS_CA_BUNDLE", "")
    assert http.ca_bundle() == "/REQUESTS_CA_BUNDLE.pem"
