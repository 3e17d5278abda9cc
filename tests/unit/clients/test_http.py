"""Timeouts, and the causes of connection errors.

The errors are those of real sockets and TLS on loopback, as urllib3 and botocore raise them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING

import pytest
import urllib3
from botocore.awsrequest import AWSRequest  # noqa: TID251  errors as boto3 meets them
from botocore.httpsession import URLLib3Session  # noqa: TID251  errors as boto3 meets them

from run_cronjob.clients import http
from run_cronjob.core.errors import Cause, NoAnswer
from tests.unit.clients.listener import (
    API,
    LOOPBACK,
    PASSWORD,
    TIMEOUTS,
    Listener,
    answering,
    by_urllib3,
    closing,
    encrypted,
    resetting,
    silent,
    truncating,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


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


def test_every_request_has_timeouts() -> None:
    timeout = http.pool(API, http.ssl_context(), TIMEOUTS).connection_pool_kw["timeout"]

    assert timeout.connect_timeout == TIMEOUTS.connect
    assert timeout.read_timeout == TIMEOUTS.read
