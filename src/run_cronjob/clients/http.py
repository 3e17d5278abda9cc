"""HTTP connections for all clients: proxies, private CAs, timeouts, and the causes of connection errors.

The environment variables are those of curl, botocore and Python: HTTPS_PROXY and NO_PROXY (also in lower case),
AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, SSL_CERT_FILE.
"""

from __future__ import annotations

import json
import os
import ssl
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3
from urllib3 import PoolManager, exceptions
from urllib3.util.ssl_match_hostname import CertificateError

from run_cronjob.core.errors import Cause, NoAnswer
from run_cronjob.core.models import Json
from run_cronjob.core.timeouts import Timeouts


def ca_bundle() -> str | None:
    """The path of the CA bundle that the environment names instead of the system's, if any."""
    names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def ssl_context(ca_file: str | None = None) -> ssl.SSLContext:
    """A context that verifies certificates and host names, against the CAs in `ca_file` or else the system's.

    VERIFY_X509_STRICT is off. With it, Python 3.13 refuses certificates without an Authority Key Identifier, such as
    those of some EKS clusters (kubernetes-client/python#2394).
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@cache
def public_ssl_context() -> ssl.SSLContext:
    """The context for GitHub and AWS, with the CA bundle of the environment.

    It is made once, because reading a hundred CAs takes longer than a request. Raises OSError or ssl.SSLError.
    """
    return ssl_context(ca_bundle())


def proxy_for(url: str) -> str:
    """The URL of the proxy that the environment names for `url`, empty for none."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    if proxy_bypass_environment(f"{parts.hostname or ''}{port}"):
        return ""
    return getproxies_environment().get(parts.scheme, "")


def pool(
    url: str, context: ssl.SSLContext, timeouts: Timeouts, *, proxy: str = "", server_name: str = ""
) -> PoolManager:
    """Connections to the host of `url`, without redirects and retries: each client decides on these itself.

    `proxy` is used instead of the environment's; `server_name` is verified instead of the host name.
    Raises NoAnswer if the proxy's URL can't be used.
    """
    timeout = urllib3.Timeout(connect=timeouts.connect, read=timeouts.read)
    options: dict[str, Any] = {"ssl_context": context, "retries": False, "timeout": timeout}
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


def json_object(text: bytes | str) -> Json:
    """The JSON object in `text`, empty if it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def no_answer(service: str, url: str, error: BaseException) -> NoAnswer:
    """The NoAnswer for `error`, which is an error of urllib3 or wraps one."""
    parts = urlsplit(url)
    host = f"{parts.hostname or url}{f':{parts.port}' if parts.port else ''}"
    return NoAnswer(service, host, _cause(error), str(error))


def _cause(error: BaseException) -> Cause:
    chain = _chain(error)
    for kind, cause in _CAUSES:
        if cause is Cause.PROXY and _may_be_cut_tunnel(chain):
            continue
        if any(isinstance(each, kind) for each in chain):
            return cause
    return Cause.BROKEN


def _may_be_cut_tunnel(chain: list[BaseException]) -> bool:
    """Whether a ProxyError may mean a tunnel that was cut after the request had been sent.

    http.client closes a connection before it raises. urllib3 then reports that it could not connect to the proxy.
    """
    if any(isinstance(each, exceptions.ConnectTimeoutError) for each in chain):  # NewConnectionError is one
        return False
    cut = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, exceptions.ReadTimeoutError)
    return any(isinstance(each, cut) for each in chain)


# The first type that occurs anywhere in the chain decides. ProxyError wraps the others. In urllib3,
# NameResolutionError is a NewConnectionError, which is a ConnectTimeoutError. An SSLError that is not about the
# certificate may occur after the request has been sent, so it counts as a broken connection.
_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    (exceptions.ProxyError, Cause.PROXY),
    (exceptions.NameResolutionError, Cause.NAME),
    (exceptions.NewConnectionError, Cause.REFUSED),
    (exceptions.ConnectTimeoutError, Cause.CONNECT_TIMEOUT),
    (ssl.SSLCertVerificationError, Cause.TLS),
    (CertificateError, Cause.TLS),  # urllib3's own check of the host name, which botocore uses
    (exceptions.ReadTimeoutError, Cause.READ_TIMEOUT),
)


def _chain(error: BaseException | None) -> list[BaseException]:
    """`error` and its causes, contexts and wrapped errors (`error` in botocore, `reason` in urllib3)."""
    found: list[BaseException] = []
    unvisited = [error]
    while unvisited:
        each = unvisited.pop()
        if not isinstance(each, BaseException) or each in found:
            continue
        found.append(each)
        kwargs = getattr(each, "kwargs", None)
        unvisited += [
            each.__cause__,
            each.__context__,
            getattr(each, "reason", None),
            getattr(each, "original_error", None),
            kwargs.get("error") if isinstance(kwargs, dict) else None,
        ]
    return found
