"""Proxies, private CAs and Enterprise Server; and servers that are slow, fail, or are not there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from sandbox import NAMESPACE
from sandbox.github.oidc_provider import TokenDefect
from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from sandbox.net.http_proxy import ForwardProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox import Sandbox, StepResult


@pytest.fixture
def forward() -> Iterator[ForwardProxy]:
    with ForwardProxy() as proxy:
        yield proxy


def expect(run: StepResult, reason: str) -> None:
    assert run.outputs["reason"] == reason, run.summary
    assert run.exit_status == 1
    assert run.outputs["job-name"] == ""


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- proxies ---


def test_the_cluster_is_reached_through_https_proxy(sandbox: Sandbox, forward: ForwardProxy):
    run = sandbox.run(environ={"HTTPS_PROXY": forward.url})

    assert run.outputs["result"] == "created", run.summary
    host = sandbox.cluster.url.removeprefix("https://")
    assert {each.path for each in forward.journal if each.method == "CONNECT"} == {host}


def test_http_proxy_does_not_stand_in_for_https_proxy(sandbox: Sandbox, forward: ForwardProxy):
    environ = {"HTTPS_PROXY": forward.url, "http_proxy": f"http://127.0.0.1:{closed_port()}", "NO_PROXY": ""}

    with FaultProxy(sandbox.github.url, authority=sandbox.authority) as github:
        # With TLS before all of GitHub and AWS, nothing goes by http_proxy.
        sandbox.github.request_url = f"{github.url}/token?api-version=2.0"
        environ |= tls_before_aws(sandbox) | {"SSL_CERT_FILE": ca_file(sandbox)}
        run = sandbox.run(environ=environ)

    assert run.outputs["result"] == "created", run.summary


def tls_before_aws(sandbox: Sandbox) -> dict[str, str]:
    proxies = [
        FaultProxy(url, authority=sandbox.authority, preserve_host=True) for url in (sandbox.sts_url, sandbox.eks_url)
    ]
    for proxy in proxies:
        sandbox.keep(proxy)
    return {"AWS_ENDPOINT_URL_STS": proxies[0].url, "AWS_ENDPOINT_URL_EKS": proxies[1].url}


def ca_file(sandbox: Sandbox) -> str:
    path = sandbox.folder / "ca.pem"
    path.write_text(sandbox.authority.pem)
    return str(path)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_honoured(sandbox: Sandbox, forward: ForwardProxy, name: str):
    run = sandbox.run(environ={"HTTPS_PROXY": forward.url, "HTTP_PROXY": forward.url, name: "127.0.0.1"})

    assert run.outputs["result"] == "created"
    assert len(forward.journal) == 0


def test_a_proxys_login_is_taken_from_its_url_and_not_shown(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    with ForwardProxy(credentials=("team", "p@ss-word-of-proxy")) as proxy:
        url = proxy.url.replace("http://", "http://team:p%40ss-word-of-proxy@")
        run = sandbox.run(environ={"HTTPS_PROXY": url})
        proxy.refuse()
        refused = sandbox.run(environ={"HTTPS_PROXY": url}, entrypoint=with_timeouts(kube_read=1))

    assert run.outputs["result"] == "created", run.summary
    expect(refused, "ProxyRefused")
    for each in (run, refused):
        assert b"ss-word-of-proxy" not in each.stdout
        assert "ss-word-of-proxy" not in each.summary


@pytest.mark.no_cluster
def test_a_proxy_that_wants_a_login(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    with ForwardProxy(credentials=("team", "secret")) as proxy:
        run = sandbox.run(environ={"HTTPS_PROXY": proxy.url}, entrypoint=with_timeouts(kube_read=1))

    expect(run, "ProxyRefused")


@pytest.mark.no_cluster
def test_a_proxy_of_a_kind_that_can_not_be_used(sandbox: Sandbox):
    expect(sandbox.run(environ={"HTTPS_PROXY": "socks5://127.0.0.1:1080"}), "ProxyRefused")


# --- certificates ---


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_ca_is_trusted_for_github_and_aws(sandbox: Sandbox, variable: str):
    with FaultProxy(sandbox.github.url, authority=sandbox.authority) as github:
        sandbox.github.request_url = f"{github.url}/token?api-version=2.0"
        run = sandbox.run(environ=tls_before_aws(sandbox) | {variable: ca_file(sandbox)})

    assert run.outputs["result"] == "created", run.summary


@pytest.mark.no_cluster
def test_a_certificate_of_an_unknown_authority_is_refused(sandbox: Sandbox):
    expect(sandbox.run(environ=tls_before_aws(sandbox)), "CertificateRejected")


def test_a_cluster_with_another_authoritys_certificate_gets_no_token(sandbox: Sandbox):
    with FaultProxy(sandbox.cluster.url, authority=Authority(), upstream_ca=sandbox.cluster.ca_pem) as impostor:
        sandbox.expose(impostor.url)
        run = sandbox.run()

        expect(run, "CertificateRejected")
        assert not impostor.journal


@pytest.mark.no_cluster
def test_a_ca_bundle_that_is_not_there(sandbox: Sandbox):
    run = sandbox.run(environ={"AWS_CA_BUNDLE": "/nowhere/ca.pem"})

    expect(run, "CaBundleUnreadable")
    assert "`/nowhere/ca.pem`" in run.summary


# --- GitHub Enterprise Server ---


def test_another_issuer_and_server_url(sandbox: Sandbox):
    sandbox.github.server_url = "https://ghes.example"
    sandbox.github.issuer = "https://ghes.example/_services/token"
    sandbox.aws.create_oidc_provider(sandbox.github.issuer, ["sts.amazonaws.com"])
    refused = sandbox.run()
    sandbox.trust(sandbox.trust_statement(aud="sts.amazonaws.com", sub=sandbox.github.event.sub))

    run = sandbox.run()

    expect(refused, "RoleRefused")
    assert '"ghes.example/_services/token:sub"' in refused.summary
    assert '"ghes.example/_services/token:ref"' not in refused.summary
    assert run.outputs["result"] == "created", run.summary
    assert f"https://ghes.example/{sandbox.github.event.repository}/actions/runs/" in run.summary


# --- servers that don't answer as they should ---


@pytest.mark.no_cluster
def test_tokens_that_have_expired_or_are_not_valid_yet(sandbox: Sandbox):
    for defect in (TokenDefect.EXPIRED, TokenDefect.NOT_YET_VALID):
        sandbox.github.token_defect = defect
        expect(sandbox.run(), "TokenExpired")


@pytest.mark.no_cluster
def test_a_token_signed_by_an_unpublished_key(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    sandbox.github.token_defect = TokenDefect.UNPUBLISHED_KEY

    expect(sandbox.run(entrypoint=with_timeouts(sts=1)), "TokenRejected")


def test_each_attempt_at_the_role_takes_a_fresh_token(sandbox: Sandbox):
    proxy = sandbox.before_sts()
    proxy.on(method="POST").status(503)
    proxy.on(method="POST").reset()

    run = sandbox.run()

    assert run.outputs["result"] == "created"
    tokens = [each.body.partition(b"WebIdentityToken=")[2].partition(b"&")[0] for each in proxy.journal]
    assert len(tokens) == len(set(tokens)) == len(sandbox.github.journal) == 3


STS_ERROR = (
    """<ErrorResponse><Error><Type>Sender</Type><Code>{0}</Code><Message>{1}</Message></Error></ErrorResponse>"""
)


def test_a_passing_failure_to_fetch_githubs_keys_is_tried_again(sandbox: Sandbox):
    proxy = sandbox.before_sts()
    body = STS_ERROR.format("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
    proxy.on(method="POST").status(400, body.encode())

    assert sandbox.run().outputs["result"] == "created"


@pytest.mark.no_cluster
def test_sts_that_throttles_for_too_long(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    proxy = sandbox.before_sts()
    proxy.on(method="POST", times=None).status(400, STS_ERROR.format("Throttling", "Rate exceeded").encode())

    expect(sandbox.run(entrypoint=with_timeouts(sts=3)), "AwsThrottled")
    assert len(proxy.journal) > 2


@pytest.mark.no_cluster
def test_a_region_in_which_sts_is_switched_off(sandbox: Sandbox):
    proxy = sandbox.before_sts()
    body = STS_ERROR.format("RegionDisabledException", "STS is not activated in this region")
    proxy.on(method="POST").status(403, body.encode())

    expect(sandbox.run(), "RegionDisabled")


@pytest.mark.no_cluster
def test_a_region_that_does_not_exist(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    entrypoint = with_timeouts(sts=1)
    run = sandbox.run({"aws-region": "eu-centrall-1"}, unset=["AWS_ENDPOINT_URL_STS"], entrypoint=entrypoint)

    expect(run, "RegionUnknown")
    assert "`eu-centrall-1`" in run.summary


@pytest.mark.no_cluster
def test_aws_that_is_not_there(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    sandbox.sts_url = f"http://127.0.0.1:{closed_port()}"

    expect(sandbox.run(entrypoint=with_timeouts(sts=1)), "AwsUnreachable")


@pytest.mark.no_cluster
@pytest.mark.parametrize("fault", ["503", "garbage", "gone"])
def test_a_failing_oidc_endpoint(sandbox: Sandbox, with_timeouts: Callable[..., Path], fault: str):
    with FaultProxy(sandbox.github.url) as proxy:
        sandbox.github.request_url = f"{proxy.url}/token?api-version=2.0"
        match fault:
            case "503":
                proxy.on(times=None).status(503, b"<html>Unicorn</html>")
            case "garbage":
                proxy.on(times=None).status(200, b'{"count": 1}')
            case "gone":
                proxy.refuse()
        # One of them within the action's own limits.
        run = sandbox.run() if fault == "503" else sandbox.run(entrypoint=with_timeouts(oidc=1))

    expect(run, "OidcUnavailable")


def test_an_oidc_endpoint_that_fails_once(sandbox: Sandbox):
    with FaultProxy(sandbox.github.url) as proxy:
        sandbox.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on().status(500)
        proxy.on().reset()

        assert sandbox.run().outputs["result"] == "created"


@pytest.mark.no_cluster
def test_an_oidc_redirect_is_not_followed_with_the_runners_token(sandbox: Sandbox):
    with FaultProxy(sandbox.github.url) as proxy, FaultProxy(sandbox.github.url) as elsewhere:
        sandbox.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on(times=None).status(302, headers={"Location": f"{elsewhere.url}/token?api-version=2.0"})

        expect(sandbox.run(), "OidcUnavailable")
        assert not elsewhere.journal


def test_a_cluster_that_is_not_there(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    sandbox.expose(f"https://127.0.0.1:{closed_port()}")

    run = sandbox.run(entrypoint=with_timeouts(kube_read=1))

    expect(run, "ClusterUnreachable")
    assert "aws eks describe-cluster" in run.summary


def test_a_cluster_that_throttles_for_too_long(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(times=None).status(429, headers={"Retry-After": "3600"})

    expect(sandbox.run(), "ApiThrottled")
    assert len(proxy.journal) == 1


def test_a_cluster_that_keeps_failing(sandbox: Sandbox, with_timeouts: Callable[..., Path]):
    proxy = sandbox.before_cluster()
    proxy.on(times=None).status(502, b"<html>Bad Gateway</html>")

    expect(sandbox.run(entrypoint=with_timeouts(kube_read=1)), "ApiFailed")


def test_a_cluster_that_never_answers_is_given_up(sandbox: Sandbox):
    """Within the action's own limits, as the same case of AWS below."""
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).hang()

    run = sandbox.run()

    expect(run, "ClusterUnreachable")
    assert not sandbox.cluster.list("Job", NAMESPACE)


@pytest.mark.no_cluster
def test_aws_that_never_answers_is_asked_twice_and_given_up(sandbox: Sandbox):
    proxy = sandbox.before_sts()
    proxy.on(times=None).hang()
    assert sandbox.run().outputs["reason"] == "AwsUnreachable"
    assert len(proxy.journal) == 2  # a read ends before the budget does


def test_github_with_a_certificate_of_an_unknown_authority_gets_no_request(sandbox: Sandbox):
    with FaultProxy(sandbox.github.url, authority=sandbox.authority) as github:
        sandbox.github.request_url = f"{github.url}/token?api-version=2.0"
        assert sandbox.run().outputs["reason"] == "CertificateRejected"
        assert not github.journal


def test_a_cluster_is_trusted_by_its_own_ca_only(sandbox: Sandbox):
    mine = Authority()
    bundle = sandbox.folder / "mine.pem"
    bundle.write_text(mine.pem)
    with FaultProxy(sandbox.cluster.url, authority=mine, upstream_ca=sandbox.cluster.ca_pem) as impostor:
        sandbox.expose(impostor.url)
        run = sandbox.run(environ={"SSL_CERT_FILE": str(bundle)})
        assert run.outputs["reason"] == "CertificateRejected"
        assert not impostor.journal


def test_an_oidc_request_that_is_refused_is_not_repeated(sandbox: Sandbox):
    with FaultProxy(sandbox.github.url) as proxy:
        sandbox.github.request_url = f"{proxy.url}/token?api-version=2.0"
        proxy.on(times=None).status(403, b'{"message": "no"}')
        assert sandbox.run().outputs["reason"] == "OidcUnavailable"
        assert len(proxy.journal) == 1
