"""Proxies, certificates, timeouts, and the causes of connection errors.

The errors are those of real sockets and TLS on loopback, as urllib3 and botocore raise them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import socketserver
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
import urllib3
from botocore.awsrequest import AWSRequest  # noqa: TID251  errors as boto3 meets them
from botocore.httpsession import URLLib3Session  # noqa: TID251  errors as boto3 meets them
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from run_cronjob.clients import http
from run_cronjob.core.errors import Cause, NoAnswer
from run_cronjob.core.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOPBACK = "127.0.0.1"
TIMEOUTS = Timeouts(connect=5, read=1)
PASSWORD = "pr0xy-s3cret"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CA_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, *map(str.upper, PROXY_VARIABLES), *CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return str(path)


class Listener(socketserver.ThreadingTCPServer):
    """Accepts connections and passes each to `behave`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.connections = 0

        class Handler(socketserver.BaseRequestHandler):
            def handle(handler) -> None:  # noqa: N805  `self` is the listener
                self.connections += 1
                with contextlib.suppress(OSError):
                    behave(handler.request)

        super().__init__((LOOPBACK, 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


def silent(connection: socket.socket) -> None:
    connection.recv(65536)
    threading.Event().wait(5)


def closing(connection: socket.socket) -> None:
    connection.recv(65536)


def resetting(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def truncating(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def answering(status: str) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n".encode())

    return answer


def encrypted(certificate: trustme.LeafCert) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            answering("200 OK")(secured)

    return serve


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def by_urllib3(url: str, **options: str) -> BaseException:
    pool = http.pool(url, http.ssl_context(options.pop("ca_file", None)), TIMEOUTS, **options)
    try:
        pool.request("GET", url)
    except urllib3.exceptions.HTTPError as error:
        return error
    raise AssertionError("it answered")


def by_botocore(url: str, ca_file: str | None = None, proxy: str = "") -> BaseException:
    session = URLLib3Session(
        verify=ca_file or True,
        timeout=(TIMEOUTS.connect, TIMEOUTS.read),
        proxies={"https": proxy, "http": proxy} if proxy else None,
    )
    try:
        session.send(AWSRequest("GET", url).prepare())
    except Exception as error:  # noqa: BLE001  any error of botocore
        return error
    raise AssertionError("it answered")


BOTH = pytest.mark.parametrize("library", [by_urllib3, by_botocore])


def no_answer(error: BaseException, url: str = "https://sts.eu-central-1.amazonaws.com/") -> NoAnswer:
    return http.no_answer("AWS STS", url, error)


# --- causes of connection errors ----------------------------------------------------------------------------


@BOTH
def test_a_host_name_that_does_not_resolve(
    library: Callable[[str], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert no_answer(library("https://sts.mars-1.amazonaws.com/")).cause is Cause.NAME


@BOTH
def test_a_port_without_a_listener(library: Callable[[str], BaseException], closed_port: int) -> None:
    assert no_answer(library(f"http://{LOOPBACK}:{closed_port}/")).cause is Cause.REFUSED


@BOTH
@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (TimeoutError("timed out"), Cause.CONNECT_TIMEOUT),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Cause.REFUSED),
    ],
    ids=["dropped", "no route"],
)
def test_a_host_behind_a_firewall(
    library: Callable[[str], BaseException], failure: OSError, cause: Cause, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(socket.socket, "connect", fail)

    assert no_answer(library(f"https://{LOOPBACK}/")).cause is cause


@BOTH
def test_a_server_that_sends_nothing(library: Callable[[str], BaseException]) -> None:
    with Listener(silent) as listener:
        assert no_answer(library(f"http://{LOOPBACK}:{listener.port}/")).cause is Cause.READ_TIMEOUT


@BOTH
@pytest.mark.parametrize("behaviour", [closing, resetting])
def test_a_connection_that_breaks(
    library: Callable[[str], BaseException], behaviour: Callable[[socket.socket], None]
) -> None:
    with Listener(behaviour) as listener:
        assert no_answer(library(f"http://{LOOPBACK}:{listener.port}/")).cause is Cause.BROKEN


def test_an_answer_that_breaks_off() -> None:
    with Listener(truncating) as listener:
        assert no_answer(by_urllib3(f"http://{LOOPBACK}:{listener.port}/")).cause is Cause.BROKEN


@BOTH
def test_a_tls_handshake_that_is_cut_is_no_rejected_certificate(library: Callable[[str], BaseException]) -> None:
    with Listener(closing) as listener:
        assert no_answer(library(f"https://{LOOPBACK}:{listener.port}/")).cause is Cause.BROKEN


@BOTH
def test_a_certificate_of_an_unknown_authority(library: Callable[[str], BaseException], authority: trustme.CA) -> None:
    with Listener(encrypted(authority.issue_cert(LOOPBACK))) as listener:
        assert no_answer(library(f"https://{LOOPBACK}:{listener.port}/")).cause is Cause.TLS


@BOTH
def test_a_certificate_for_another_name(
    library: Callable[..., BaseException], authority: trustme.CA, ca_file: str
) -> None:
    with Listener(encrypted(authority.issue_cert("other.example"))) as listener:
        assert no_answer(library(f"https://{LOOPBACK}:{listener.port}/", ca_file=ca_file)).cause is Cause.TLS


@BOTH
def test_a_proxy_that_is_not_there(library: Callable[..., BaseException], closed_port: int) -> None:
    error = library("https://sts.example/", proxy=f"http://{LOOPBACK}:{closed_port}")

    assert no_answer(error).cause is Cause.PROXY


@BOTH
@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 Bad Gateway"])
def test_a_proxy_that_refuses(library: Callable[..., BaseException], status: str) -> None:
    with Listener(answering(status)) as proxy:
        error = library("https://sts.example/", proxy=f"http://{LOOPBACK}:{proxy.port}")

    assert no_answer(error).cause is Cause.PROXY


@BOTH
def test_the_password_in_a_proxys_url_is_never_shown(library: Callable[..., BaseException], closed_port: int) -> None:
    for behaviour in (closing, answering("407 Proxy Authentication Required")):
        with Listener(behaviour) as proxy:
            for port in (proxy.port, closed_port):
                error = library("https://sts.example/", proxy=f"http://robot:{PASSWORD}@{LOOPBACK}:{port}")
                assert PASSWORD not in repr(no_answer(error, "https://sts.example/"))


def test_only_these_causes_allow_that_the_request_was_sent() -> None:
    assert {cause for cause in Cause if cause.sent} == {Cause.READ_TIMEOUT, Cause.FOREIGN, Cause.BROKEN}


def test_the_host_is_named_with_its_port_if_the_url_has_one() -> None:
    assert no_answer(OSError(), "https://api.example:6443/apis").host == "api.example:6443"
    assert no_answer(OSError(), "https://sts.example/?x=y").host == "sts.example"


def test_errors_that_cause_each_other_do_not_loop() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__context__ = other, one

    assert no_answer(one).cause is Cause.BROKEN


def test_the_pool_does_not_retry_or_redirect() -> None:
    with Listener(answering("302 Found")) as listener:
        url = f"http://{LOOPBACK}:{listener.port}/"
        assert http.pool(url, http.ssl_context(), TIMEOUTS).request("POST", url).status == 302
        assert listener.connections == 1

    for behaviour in (closing, resetting, answering("503 Busy\r\nRetry-After: 1")):
        with Listener(behaviour) as listener:
            url = f"http://{LOOPBACK}:{listener.port}/"
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                http.pool(url, http.ssl_context(), TIMEOUTS).request("GET", url)
            assert listener.connections == 1


# --- certificates -------------------------------------------------------------------------------------------


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


# --- proxies ------------------------------------------------------------------------------------------------

API = "https://abc.gr7.eu-central-1.eks.amazonaws.com"


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, API, ""),
        ({"HTTPS_PROXY": "http://p:1"}, API, "http://p:1"),
        ({"https_proxy": "http://p:1"}, API, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, API, ""),
        ({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"}, API, "http://p:2"),
        ({"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"}, "http://token.example", "http://p:1"),
        ({"HTTPS_PROXY": ""}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com, .eks.amazonaws.com"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "eks.amazonaws.com"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ABC.gr7.eu-central-1.eks.amazonaws.com"}, API, ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "aws.amazonaws.com,s.amazonaws.com"}, API, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example:6443"}, "https://api.example:6443/apis", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example:443"}, "https://api.example:6443", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "127.0.0.1,::1"}, "https://127.0.0.1:6443", ""),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "127.0.0.1,::1"}, "https://[::1]:6443", ""),
    ],
)
def test_the_environments_proxy_for_a_url(
    environment: dict[str, str], url: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert http.proxy_for(url) == proxy
    pool = http.pool(url, http.ssl_context(), TIMEOUTS)
    assert (str(pool.proxy) if pool.proxy else "").rstrip("/") == proxy


def test_a_given_proxy_has_priority_over_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", "*")

    pool = http.pool(API, http.ssl_context(), TIMEOUTS, proxy="http://own:2")

    assert str(pool.proxy) == "http://own:2"


@pytest.mark.parametrize("written", ["http://robot:p%40ss@{}", "robot:p%40ss@{}"], ids=["a URL", "without a scheme"])
def test_the_login_in_a_proxys_url_is_sent_to_the_proxy(written: str) -> None:
    requests: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        requests.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with Listener(listen) as proxy:
        by_urllib3("https://sts.example/", proxy=written.format(f"{LOOPBACK}:{proxy.port}"))

    request = requests[0].decode().lower()
    assert request.startswith("connect sts.example:443 ")
    assert "proxy-authorization: basic cm9ib3q6cebzcw==" in request  # robot:p@ss, in lower case


def test_a_proxy_url_without_a_login_sends_none() -> None:
    pool = http.pool(API, http.ssl_context(), TIMEOUTS, proxy="http://p:1")

    assert "proxy-authorization" not in dict(getattr(pool, "proxy_headers", {}))


def test_every_request_has_timeouts() -> None:
    timeout = http.pool(API, http.ssl_context(), TIMEOUTS).connection_pool_kw["timeout"]

    assert timeout.connect_timeout == TIMEOUTS.connect
    assert timeout.read_timeout == TIMEOUTS.read
