"""How to get out of the runner: proxies, private CAs, and what a broken connection means.

The variables are those that curl, botocore and Python know: HTTPS_PROXY and NO_PROXY (also in lower case),
AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3 import exceptions
from urllib3.util.ssl_match_hostname import CertificateError

from run_cronjob.core.errors import Cause, NoAnswer

if TYPE_CHECKING:
    from urllib3 import PoolManager

CONNECT_SECONDS = 5
READ_SECONDS = 15


def ca_bundle() -> str | None:
    """The file of authorities that the environment names in place of the system's, if any."""
    names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def trust(ca_file: str | None = None) -> ssl.SSLContext:
    """Verify certificates and host names, against `ca_file` or else the system's authorities.

    Python 3.13 began to refuse certificates without an Authority Key Identifier, as some EKS clusters have
    (kubernetes-client/python#2394): that one check is left out.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@cache
def outside() -> ssl.SSLContext:
    """How to verify everyone but the cluster. Read once: a hundred authorities take longer than a request."""
    return trust(ca_bundle())


def proxy_for(url: str) -> str:
    """The proxy that the environment names for `url`, empty for none."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    if proxy_bypass_environment(f"{parts.hostname or ''}{port}"):
        return ""
    return getproxies_environment().get(parts.scheme, "")


def pool(url: str, context: ssl.SSLContext, *, proxy: str = "", server_name: str = "") -> PoolManager:
    """Connections to `url`: no redirects, no retries, those are decided where the request is understood.

    Raises NoAnswer for a proxy of a kind that can't be used.
    """
    options: dict[str, Any] = {"ssl_context": context, "retries": False, "timeout": timeout()}
    if server_name:
        options["server_hostname"] = server_name
    proxy = proxy or proxy_for(url)
    if not proxy:
        return urllib3.PoolManager(**options)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    headers = None
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=login)
    try:
        return urllib3.ProxyManager(parts.geturl(), proxy_headers=headers, **options)
    except exceptions.ProxySchemeUnknown as error:
        raise NoAnswer("the proxy", parts.hostname or "", Cause.PROXY, str(error)) from error
    except exceptions.LocationParseError as error:  # its text holds the URL, and so the password
        raise NoAnswer("the proxy", "", Cause.PROXY, "its URL can't be read; is the password URL-encoded?") from error


def timeout() -> urllib3.Timeout:
    """Bounds on connecting and on each read, in seconds."""
    return urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)


def no_answer(service: str, url: str, error: BaseException) -> NoAnswer:
    """What `error`, of urllib3 or wrapped around one of its errors, says of the connection."""
    parts = urlsplit(url)
    host = f"{parts.hostname or url}{f':{parts.port}' if parts.port else ''}"
    return NoAnswer(service, host, _cause(error), str(error))


def _cause(error: BaseException) -> Cause:
    chain = list(_chain(error))
    for kind, cause in _CAUSES:
        if cause is Cause.PROXY and _was_connected(chain):
            continue
        if any(isinstance(each, kind) for each in chain):
            return cause
    return Cause.BROKEN


def _was_connected(chain: list[BaseException]) -> bool:
    """Whether a ProxyError may stand for a tunnel that was cut with the request out already.

    http.client closes a connection before it raises, and urllib3 then takes it for one that never was.
    """
    if any(isinstance(each, exceptions.ConnectTimeoutError) for each in chain):  # NewConnectionError is one
        return False
    cut = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, exceptions.ReadTimeoutError)
    return any(isinstance(each, cut) for each in chain)


# The first that fits anywhere in the chain: a proxy's failure wraps the others, and in urllib3 an unknown name
# is a failed connection, which is a connect time-out. An SSLError that is not about the certificate may come
# when the request is out already, so it counts as a broken connection.
_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    (exceptions.ProxyError, Cause.PROXY),
    (exceptions.NameResolutionError, Cause.NAME),
    (exceptions.NewConnectionError, Cause.REFUSED),
    (exceptions.ConnectTimeoutError, Cause.CONNECT_TIMEOUT),
    (ssl.SSLCertVerificationError, Cause.TLS),
    (CertificateError, Cause.TLS),  # a wrong host name, found by urllib3 itself, as under botocore
    (exceptions.ReadTimeoutError, Cause.READ_TIMEOUT),
)


def _chain(error: BaseException | None) -> list[BaseException]:
    """`error` and all that it was raised from, or carries as its `error` (botocore) or `reason` (urllib3)."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or each in found:
            continue
        found.append(each)
        carried = getattr(each, "kwargs", None)
        waiting += [
            each.__cause__,
            each.__context__,
            getattr(each, "reason", None),
            getattr(each, "original_error", None),
            carried.get("error") if isinstance(carried, dict) else None,
        ]
    return found
