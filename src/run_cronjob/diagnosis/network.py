"""Pure: explains requests without a usable answer: proxy, TLS, names, routes, GitHub's OIDC endpoint."""

from __future__ import annotations

from dataclasses import replace

from run_cronjob.core.errors import Cause, GitHubError, NoAnswer
from run_cronjob.core.models import ErrorContext, Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.redactor import redact
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import snippets


def no_answer(error: NoAnswer, context: ErrorContext) -> Problem:
    """No HTTP answer came: the cause decides first, then the service."""
    what = f"No answer from {error.service} at {quoted(error.host)}: {error.cause.value}."
    said = error.detail
    if error.cause is Cause.PROXY:
        problem = _proxy_refused(what)
    elif error.cause is Cause.TLS:
        problem = _certificate_rejected(what)
    elif error.cause is Cause.FOREIGN:
        problem, said = not_kubernetes(context), redact(said, context.env_values)
    elif error.service.startswith("AWS"):
        problem = _aws_unreachable(error, what, context)
    elif error.service.startswith("GitHub"):
        problem = _github_unreachable(what)
    else:
        problem = _cluster_unreachable(error, what, context)
    return replace(problem, said=said)


def _proxy_refused(what: str) -> Problem:
    return Problem(
        reason=Reason.PROXY_REFUSED,
        what=what,
        why="HTTPS_PROXY (or the kubeconfig's proxy-url) sends this connection through a proxy, and that "
        "refused it, wants a login, or is not there.",
        fix="Let the proxy pass this host, or add the host to NO_PROXY if the runner reaches it directly. "
        "A login goes into the proxy's URL: `http://USER:PASSWORD@HOST:PORT`.",
    )


def _certificate_rejected(what: str) -> Problem:
    return Problem(
        reason=Reason.CERTIFICATE_REJECTED,
        what=what,
        why="Its certificate is not signed by an authority that this action trusts, or is for another "
        "name. A proxy that inspects TLS shows its own certificate in place of the real one.",
        fix="For AWS and GitHub behind such a proxy, let AWS_CA_BUNDLE name a PEM file with the proxy's "
        "CA in the workspace. For the cluster, whose CA comes from EKS or the kubeconfig, take the "
        "inspection away: add its host to NO_PROXY. Verification can't be switched off.",
    )


def not_kubernetes(context: ErrorContext) -> Problem:
    """The address of the cluster answers with something else than the Kubernetes API."""
    return Problem(
        reason=Reason.NOT_KUBERNETES,
        what=f"What answers at the address of {quoted(context.cluster)} is not a Kubernetes API.",
        why="A proxy or a log-in page answers in its place, or the kubeconfig's `server` is another service.",
        fix="Let the runner reach the cluster without that proxy (NO_PROXY); with a kubeconfig, check its `server`.",
    )


def _aws_unreachable(error: NoAnswer, what: str, context: ErrorContext) -> Problem:
    region = quoted(context.inputs.aws_region)
    if error.cause is Cause.NAME:
        return Problem(
            reason=Reason.REGION_UNKNOWN,
            what=what,
            why=f"AWS hosts carry the region's name, and {region} is the one asked for: it may be misspelt. "
            "Otherwise this runner resolves no public names.",
            fix="Set `aws-region` to the cluster's region, such as `eu-central-1`.",
        )
    return Problem(
        reason=Reason.AWS_UNREACHABLE,
        what=what,
        why="This runner could not reach AWS: a passing failure, or a network without a way out to it.",
        fix="Run the workflow again. If it stays so, the runner's network must let this host through, by "
        f"its gateway, a proxy (HTTPS_PROXY) or VPC endpoints for STS and EKS in {region}.",
    )


def _github_unreachable(what: str) -> Problem:
    return developer_problem(
        reason=Reason.OIDC_UNAVAILABLE,
        what=what,
        why="GitHub's service that issues OIDC tokens could not be reached from this runner.",
        fix="Run the workflow again. If it stays so: see https://www.githubstatus.com, or, on a "
        "self-hosted runner, whether its network lets this host through.",
    )


def no_oidc_token(error: GitHubError) -> Problem:
    """GitHub's OIDC endpoint answered, but with no token."""
    return developer_problem(
        reason=Reason.OIDC_UNAVAILABLE,
        what=f"GitHub did not issue an OIDC token (HTTP {error.status}).",
        why="Its service is disturbed, or the token that the runner asks with has ended with its job.",
        fix="Run the workflow again. If it stays so, see https://www.githubstatus.com.",
        said=error.message,
    )


def _cluster_unreachable(error: NoAnswer, what: str, context: ErrorContext) -> Problem:
    if error.cause.sent:
        return developer_problem(
            reason=Reason.CLUSTER_UNREACHABLE,
            what=what,
            why="The connection was made, but no answer came in time or something cut it: the API server is "
            "overloaded, or a proxy or load balancer between is.",
            fix="Run the workflow again in a few minutes.",
        )
    return Problem(
        reason=Reason.CLUSTER_UNREACHABLE,
        what=what,
        why="The runner can't reach the cluster's API server. Most often the cluster's endpoint is private, "
        "or open to certain addresses only, and this runner is not among them.",
        fix="Run the job on a runner inside the cluster's network (`runs-on:` a self-hosted runner), or add "
        "the runners' addresses to the endpoint's allowed public access."
        + (" The cluster's owner sees both in the answer of the command below." if context.inputs.cluster else ""),
        paste=snippets.describe_cluster(context.inputs, "--query cluster.resourcesVpcConfig"),
    )
