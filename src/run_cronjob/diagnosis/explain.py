"""Pure: errors -> cause and exact fix, in words for the person who gets them.

One function for each failure; its `reason` is the heading in docs/troubleshooting.md. Names in sentences are
`quoted`, what others wrote stands in `said`, what is to be copied in `paste`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from run_cronjob.core.errors import ApiError, AwsError, Cause, GitHubError, NoAnswer, UnusableKubeconfig
from run_cronjob.core.models import Concerns, Problem, WaitFor
from run_cronjob.core.text import clean, command_line, duration, kubectl, quoted, redact
from run_cronjob.diagnosis import snippets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from run_cronjob.core.models import Inputs, Outcome, RunningJob

_OUR_POLICY = "run-cronjob-template"
"""The one in examples/admission-policy.yaml that compares a Job with its CronJob."""
SHOWN_CLAIMS = ("iss", "sub", "aud", "repository", "ref", "environment", "job_workflow_ref")


@dataclass(frozen=True)
class Situation:
    """What was being asked for when an error came."""

    inputs: Inputs
    namespace: str = ""
    cluster: str = ""
    claims: Mapping[str, object] = field(default_factory=dict)
    caller: str = ""
    """The ARN that AWS knows us by: the role to assume, or whose credentials the environment holds."""
    cronjob_names: Sequence[str] | None = None
    """Those of the namespace; None where they can't be listed."""
    namespace_exists: bool | None = None
    env_values: frozenset[str] = frozenset()


ServiceError = NoAnswer | GitHubError | AwsError | ApiError | UnusableKubeconfig


def explain(error: ServiceError, at: Situation) -> Problem:
    """Cause and fix of an error that came while doing what `at` describes."""
    match error:
        case NoAnswer():
            return _no_answer(error, at)
        case GitHubError():
            return _oidc_failed(error)
        case AwsError():
            return _aws(error, at)
        case ApiError():
            return _api(error, at)
        case UnusableKubeconfig():
            return _kubeconfig_unusable(error)


# --- before any request -------------------------------------------------------------------------------------


def invalid_inputs(complaints: Sequence[str]) -> Problem:
    """One or more inputs can't be used."""
    listed = complaints[0] if len(complaints) == 1 else "\n".join(f"- {complaint}" for complaint in complaints)
    return Problem(
        reason="InvalidInput",
        what=listed,
        why="The values come from the form and from `with:` in the workflow file; an unset variable arrives "
        "as an empty one. Nothing was asked of AWS or the cluster yet.",
        fix="Correct the form's value and run the workflow again; what the form does not offer is set in the "
        "workflow file or in the repository's or environment's variables.",
        concerns=Concerns.DEVELOPER,
    )


def no_id_token_permission() -> Problem:
    """The runner offers no OIDC token."""
    return Problem(
        reason="NoIdTokenPermission",
        what="This job may not ask GitHub for an OIDC token.",
        why="`role-to-assume` needs one, and GitHub offers it only to jobs with `id-token: write`. A workflow "
        "started from a fork never gets it.",
        fix="Add this to the job in the workflow file (naming any permission takes away all others, hence `contents`):",
        paste="permissions:\n  id-token: write\n  contents: read",
    )


def kubeconfig_unreadable(why: str) -> Problem:
    """The kubeconfig's file can't be read."""
    return Problem(
        reason="KubeconfigUnreadable",
        what="The file that `kubeconfig` names can't be read.",
        why="The action runs in a container: it sees the workspace and `${{ runner.temp }}`, but neither the "
        "runner's home folder nor its `/tmp`.",
        fix="Write the file to `${{ runner.temp }}` and give that path, or pass its text from a secret: as it is, with "
        "its line breaks, not encoded.",
        said=why,
    )


def _kubeconfig_unusable(error: UnusableKubeconfig) -> Problem:
    return Problem(
        reason="InvalidKubeconfig",
        what="The kubeconfig's certificates, keys or files can't be loaded.",
        why="One of them is missing, or is not base64 of PEM as it should be; the message names it. Files are looked "
        "for beside the kubeconfig, and only in places that the action's container sees.",
        fix="Make the kubeconfig anew, with its certificates and keys inside (`kubectl config view --flatten`).",
        said=error.detail,
    )


def ca_bundle_unreadable(path: str, why: str) -> Problem:
    """AWS_CA_BUNDLE or its like names a file that isn't there."""
    return Problem(
        reason="CaBundleUnreadable",
        what=f"The certificates in {quoted(path)} can't be read.",
        why="AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or SSL_CERT_FILE names that file, and the action's container "
        "sees only the workspace and `${{ runner.temp }}`.",
        fix="Put the PEM file there and let the variable name it by that path, or unset the variable.",
        said=why,
    )


# --- connections --------------------------------------------------------------------------------------------


def _no_answer(error: NoAnswer, at: Situation) -> Problem:
    what = f"No answer from {error.service} at {quoted(error.host)}: {error.cause.value}."
    if error.cause is Cause.PROXY:
        return Problem(
            reason="ProxyRefused",
            what=what,
            why="HTTPS_PROXY (or the kubeconfig's proxy-url) sends this connection through a proxy, and that "
            "refused it, wants a login, or is not there.",
            fix="Let the proxy pass this host, or add the host to NO_PROXY if the runner reaches it directly. "
            "A login goes into the proxy's URL: `http://USER:PASSWORD@HOST:PORT`.",
            said=error.detail,
        )
    if error.cause is Cause.TLS:
        return Problem(
            reason="CertificateRejected",
            what=what,
            why="Its certificate is not signed by an authority that this action trusts, or is for another "
            "name. A proxy that inspects TLS shows its own certificate in place of the real one.",
            fix="For AWS and GitHub behind such a proxy, let AWS_CA_BUNDLE name a PEM file with the proxy's "
            "CA in the workspace. For the cluster, whose CA comes from EKS or the kubeconfig, take the "
            "inspection away: add its host to NO_PROXY. Verification can't be switched off.",
            said=error.detail,
        )
    if error.cause is Cause.FOREIGN:
        return _not_kubernetes(redact(error.detail, at.env_values), at)
    if error.service.startswith("AWS"):
        return _aws_unreachable(error, what, at)
    if error.service.startswith("GitHub"):
        return Problem(
            reason="OidcUnavailable",
            what=what,
            why="GitHub's service that issues OIDC tokens could not be reached from this runner.",
            fix="Run the workflow again. If it stays so: see https://www.githubstatus.com, or, on a "
            "self-hosted runner, whether its network lets this host through.",
            concerns=Concerns.DEVELOPER,
            said=error.detail,
        )
    if error.cause.sent:
        return Problem(
            reason="ClusterUnreachable",
            what=what,
            why="The connection was made, but no answer came in time or something cut it: the API server is "
            "overloaded, or a proxy or load balancer between is.",
            fix="Run the workflow again in a few minutes.",
            concerns=Concerns.DEVELOPER,
            said=error.detail,
        )
    return Problem(
        reason="ClusterUnreachable",
        what=what,
        why="The runner can't reach the cluster's API server. Most often the cluster's endpoint is private, "
        "or open to certain addresses only, and this runner is not among them.",
        fix="Run the job on a runner inside the cluster's network (`runs-on:` a self-hosted runner), or add "
        "the runners' addresses to the endpoint's allowed public access."
        + (" The cluster's owner sees both in the answer of the command below." if at.inputs.cluster else ""),
        said=error.detail,
        paste=_describe_command(at, "--query cluster.resourcesVpcConfig"),
        paste_language="sh",
    )


def _aws_unreachable(error: NoAnswer, what: str, at: Situation) -> Problem:
    region = quoted(at.inputs.aws_region)
    if error.cause is Cause.NAME:
        return Problem(
            reason="RegionUnknown",
            what=what,
            why=f"AWS hosts carry the region's name, and {region} is the one asked for: it may be misspelt. "
            "Otherwise this runner resolves no public names.",
            fix="Set `aws-region` to the cluster's region, such as `eu-central-1`.",
            said=error.detail,
        )
    return Problem(
        reason="AwsUnreachable",
        what=what,
        why="This runner could not reach AWS: a passing failure, or a network without a way out to it.",
        fix="Run the workflow again. If it stays so, the runner's network must let this host through, by "
        f"its gateway, a proxy (HTTPS_PROXY) or VPC endpoints for STS and EKS in {region}.",
        said=error.detail,
    )


def _oidc_failed(error: GitHubError) -> Problem:
    return Problem(
        reason="OidcUnavailable",
        what=f"GitHub did not issue an OIDC token (HTTP {error.status}).",
        why="Its service is disturbed, or the token that the runner asks with has ended with its job.",
        fix="Run the workflow again. If it stays so, see https://www.githubstatus.com.",
        concerns=Concerns.DEVELOPER,
        said=error.message,
    )


# --- AWS ----------------------------------------------------------------------------------------------------


def _aws(error: AwsError, at: Situation) -> Problem:
    if error.code == "NoCredentials":
        return Problem(
            reason="NoAwsCredentials",
            what="There are no AWS credentials.",
            why="`role-to-assume` is empty, and neither the environment nor the runner's machine holds credentials.",
            fix="Set `role-to-assume` (is the variable that it is filled from set in this environment?), or "
            "let an earlier step such as aws-actions/configure-aws-credentials provide credentials.",
            said=error.message,
        )
    throttled = "Throttl" in error.code or error.code in {"RequestLimitExceeded", "TooManyRequestsException"}
    if throttled:
        return Problem(
            reason="AwsThrottled",
            what=f"AWS is limiting requests: {error.operation} was refused again and again.",
            why="Too many requests were made in this account at once; this action waited and tried again, in vain.",
            fix="Run the workflow again in a few minutes.",
            concerns=Concerns.DEVELOPER,
            said=_said(error),
        )
    if error.operation == "AssumeRoleWithWebIdentity" and at.inputs.role_to_assume:
        return _assume_role(error, at)
    if error.operation == "DescribeCluster":
        return _describe_cluster(error, at)
    return _aws_failed(error, at)


def _assume_role(error: AwsError, at: Situation) -> Problem:
    role = quoted(at.inputs.role_to_assume)
    issuer = snippets.issuer(at.claims)
    if error.code == "AccessDenied":
        return Problem(
            reason="RoleRefused",
            what=f"AWS does not let this workflow run assume the role {role}.",
            why="Either no role has this ARN, or its trust policy has no statement that fits this run's token. "
            f"The token says: {shown_claims(at.claims)}.",
            first=f"This run is of {_pressed(at.claims)}. Is that the branch (`Use workflow from`) and the environment "
            "that you meant to choose in the form? Most roles let in `main` only.",
            fix="Is the ARN right (account, path, spelling)? If so, and runs like this one should get in, the role's "
            "trust policy needs this statement:",
            said=_said(error),
            paste=snippets.trust_statement(at.inputs.role_to_assume, at.claims),
            paste_language="json",
        )
    if error.code == "InvalidIdentityToken" and "No OpenIDConnect provider" in error.message:
        return Problem(
            reason="NoOidcProvider",
            what=f"The AWS account of {role} does not know GitHub's issuer {quoted(issuer)}.",
            why="An account needs an IAM OIDC identity provider for the issuer before a role can trust it.",
            fix="Create it, once for the account:",
            said=_said(error),
            paste=command_line(
                "aws iam create-open-id-connect-provider",
                "--url",
                f"https://{issuer}",
                "--client-id-list",
                at.inputs.audience,
            ),
            paste_language="sh",
        )
    if error.code == "InvalidIdentityToken" and "audience" in error.message:
        return Problem(
            reason="WrongAudience",
            what=f"The AWS account's OIDC provider does not accept the audience {quoted(at.inputs.audience)}.",
            why="The provider lists the audiences (client IDs) that it takes, and this one is not among them.",
            fix="Leave `audience` at its default `sts.amazonaws.com`, or add yours to the provider:",
            said=_said(error),
            paste=command_line(
                "aws iam add-client-id-to-open-id-connect-provider",
                "--open-id-connect-provider-arn",
                snippets.provider_arn(at.inputs.role_to_assume, issuer),
                "--client-id",
                at.inputs.audience,
            ),
            paste_language="sh",
        )
    if error.code == "InvalidIdentityToken":
        return Problem(
            reason="TokenRejected",
            what="AWS did not accept the OIDC token of this run.",
            why="AWS could not check its signature: GitHub's keys could not be fetched, or are not those that "
            "signed it. On GitHub Enterprise Server the issuer must be reachable from AWS.",
            fix="Run the workflow again. If it stays so, check that "
            f"{quoted(f'https://{issuer}/.well-known/jwks')} can be fetched from the internet.",
            said=_said(error),
        )
    if error.code in {"ExpiredTokenException", "ExpiredToken"}:
        return Problem(
            reason="TokenExpired",
            what="The OIDC token had expired, or is not valid yet, when AWS looked at it.",
            why="It was fresh when it was sent, so the clock that it was issued by is wrong: on GitHub "
            "Enterprise Server, the server's own.",
            fix="Set that server's clock by NTP; on GitHub.com, run the workflow again.",
            said=_said(error),
        )
    if error.code == "ValidationError" and "DurationSeconds" in error.message:
        return Problem(
            reason="SessionTooLong",
            what=f"The role {role} allows no session of {at.inputs.role_duration_seconds} seconds.",
            why="`role-duration-seconds` is more than the role's maximum session duration.",
            fix="Lower `role-duration-seconds`, or leave it out (3600), or raise the role's maximum:",
            said=_said(error),
            paste=command_line(
                "aws iam update-role",
                "--role-name",
                at.inputs.role_to_assume.rpartition("/")[2],
                "--max-session-duration",
                str(at.inputs.role_duration_seconds),
            ),
            paste_language="sh",
        )
    if error.code == "RegionDisabledException":
        return Problem(
            reason="RegionDisabled",
            what=f"STS is switched off in the region {quoted(at.inputs.aws_region)} for this AWS account.",
            why="Newer regions must be enabled for an account, and STS can be deactivated for each region.",
            fix="Activate STS for the region in IAM's account settings, or correct `aws-region`.",
            said=_said(error),
        )
    return _aws_failed(error, at)


def _describe_cluster(error: AwsError, at: Situation) -> Problem:
    cluster, region = quoted(at.inputs.cluster), quoted(at.inputs.aws_region)
    if error.code == "ResourceNotFoundException":
        return Problem(
            reason="ClusterNotFound",
            what=f"There is no EKS cluster {cluster} in {region} of this AWS account.",
            why="The name (case matters), the region, or the account, which is that of the role, is another "
            "one. After a blue/green switch the cluster has a new name.",
            fix="Correct the variable that `cluster` is filled from, `aws-region` or `role-to-assume`. This "
            "lists the clusters there are:",
            said=_said(error),
            paste=command_line("aws eks list-clusters", "--region", at.inputs.aws_region),
            paste_language="sh",
        )
    if error.code in {"AccessDeniedException", "AccessDenied"}:
        return Problem(
            reason="DescribeClusterDenied",
            what=f"AWS does not let {quoted(at.caller) if at.caller else 'these credentials'} look up the "
            f"cluster {cluster}.",
            why="The permission `eks:DescribeCluster` for this cluster is missing (or a policy of the "
            "organization takes it away).",
            fix="Attach a policy with this statement to the role (a wildcard such as `cluster/staging-*` covers a "
            "successor too):",
            said=_said(error),
            paste=snippets.describe_cluster_statement(at.inputs),
            paste_language="json",
        )
    return _aws_failed(error, at)


_REJECTED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


def _aws_failed(error: AwsError, at: Situation) -> Problem:
    if error.code in _REJECTED and at.inputs.role_to_assume:
        return Problem(
            reason="AwsCredentialsRejected",
            what="AWS does not accept the credentials of the role that it gave out just now.",
            why="The role and `aws-region` belong to different partitions of AWS, or this runner's clock is wrong by "
            "more than five minutes.",
            fix="Check `aws-region`; on a self-hosted runner, set the clock by NTP.",
            said=_said(error),
        )
    if error.code in _REJECTED:
        return Problem(
            reason="AwsCredentialsRejected",
            what="AWS does not accept the credentials in the environment.",
            why="They have expired, were deactivated, are incomplete (a session token is missing) or belong "
            "to another partition of AWS.",
            fix="Let the step that provides them run in this job, shortly before this one, or set "
            "`role-to-assume` and leave them out.",
            said=_said(error),
        )
    return Problem(
        reason="AwsFailed",
        what=f"AWS answered {error.operation} with the error {quoted(error.code)}.",
        why="This action knows no more of it than AWS says.",
        fix="Run the workflow again; if it stays so, give AWS's words to whoever manages the AWS account.",
        said=_said(error),
    )


def cluster_not_ready(at: Situation, status: str) -> Problem:
    """EKS knows the cluster but it has no endpoint in service."""
    return Problem(
        reason="ClusterNotReady",
        what=f"The EKS cluster {quoted(at.inputs.cluster)} is {quoted(status)}.",
        why="Only a cluster that is ACTIVE or UPDATING can run anything.",
        fix="Wait until it is ready, and run the workflow again; this shows its state:",
        paste=_describe_command(at, "--query cluster.status"),
        paste_language="sh",
    )


# --- the Kubernetes API -------------------------------------------------------------------------------------


def _api(error: ApiError, at: Situation) -> Problem:
    said = redact(error.message, at.env_values, known=(at.inputs.cronjob, at.namespace))
    if error.status == 401 and not is_denied(error):
        return _unauthorized(said, at)
    if error.status == 429 and not is_denied(error):
        return Problem(
            reason="ApiThrottled",
            what=f"The API server of {quoted(at.cluster)} is limiting requests.",
            why="It has too much to do just now, and asked to wait longer than this action can.",
            fix="Run the workflow again in a few minutes.",
            concerns=Concerns.DEVELOPER,
            said=said,
        )
    if "exceeded quota" in error.message:
        return Problem(
            reason="QuotaExceeded",
            what=f"The namespace {quoted(at.namespace)} has as many Jobs as its quota allows.",
            why="A ResourceQuota counts the Jobs there, also those that have finished.",
            fix="Delete finished Jobs, or raise the quota. This lists the Jobs with their age:",
            said=said,
            paste=kubectl(at.namespace, "get jobs --sort-by=.metadata.creationTimestamp"),
            paste_language="sh",
        )
    if "does not support dry run" in error.message:
        return Problem(
            reason="DryRunUnsupported",
            what="A dry run is not possible in this cluster.",
            why="An admission webhook there has side effects and does not declare how to avoid them, so the "
            "API server refuses every dry run that would reach it. A real run is not affected.",
            fix="Run without `dry-run`, or have the webhook's owner set `sideEffects: None` or `NoneOnDryRun` "
            "on it, if that is true of it.",
            said=said,
        )
    if is_webhook_failure(error):
        return Problem(
            reason="WebhookFailed",
            what="An admission webhook of the cluster did not answer, so the API server refused the Job.",
            why="Every new Job must pass it, also those that the CronJob's schedule starts.",
            fix="The webhook's owner has to bring it back; then run the workflow again. Its name is in the message.",
            said=said,
        )
    if is_denied(error):
        return _denied(error.message, said)
    if "is being terminated" in error.message:
        return Problem(
            reason="NamespaceTerminating",
            what=f"The namespace {quoted(at.namespace)} is being deleted.",
            why="Nothing new can be created in it.",
            fix="Choose another namespace, or find out who deleted it.",
            said=said,
        )
    if not error.is_status and error.status < 500:
        return _not_kubernetes(said, at)
    if error.status == 403:
        return _forbidden(error.message, said, at)
    if error.status == 404:
        return _not_found(error.message, said, at)
    if error.status >= 500:
        return Problem(
            reason="ApiFailed",
            what=f"The API server of {quoted(at.cluster)} answered with HTTP {error.status}.",
            why="It, or a load balancer before it, is disturbed; it was asked again for a while, in vain.",
            fix="Run the workflow again in a few minutes.",
            concerns=Concerns.DEVELOPER,
            said=said,
        )
    return Problem(
        reason="JobRefused",
        what=f"The API server refused the Job (HTTP {error.status}, {quoted(error.reason or 'no reason')}).",
        why="It does not take the Job that the CronJob's template describes; runs by the schedule would fail alike.",
        fix="Correct the CronJob's `spec.jobTemplate` where the message points.",
        said=said,
    )


def _not_kubernetes(said: str, at: Situation) -> Problem:
    return Problem(
        reason="NotKubernetes",
        what=f"What answers at the address of {quoted(at.cluster)} is not a Kubernetes API.",
        why="A proxy or a log-in page answers in its place, or the kubeconfig's `server` is another service.",
        fix="Let the runner reach the cluster without that proxy (NO_PROXY); with a kubeconfig, check its `server`.",
        said=said,
    )


def is_webhook_failure(error: ApiError) -> bool:
    """Whether a webhook could not be asked: the API server then stores nothing."""
    return "failed calling webhook" in error.message


def is_denied(error: ApiError) -> bool:
    """Whether admission said no: a webhook does so with any HTTP status and often without a reason."""
    return error.is_status and ("denied the request" in error.message or "denied request" in error.message)


def _denied(message: str, said: str) -> Problem:
    if f"'{_OUR_POLICY}'" in message:
        return Problem(
            reason="AdmissionRefused",
            what="A policy of the cluster refused the Job.",
            why="It differs from its CronJob. Either the CronJob was changed after it was read, or a webhook of the "
            "cluster changes new Jobs before the policy sees them.",
            fix="Run the workflow again. If it is refused again, the webhook's owner has to leave Jobs as they are; "
            "the message says where this one differs.",
            concerns=Concerns.DEVELOPER,
            said=said,
        )
    return Problem(
        reason="AdmissionRefused",
        what="A policy of the cluster refused the Job.",
        why="An admission webhook or policy checks new Jobs, and this one breaks its rule. The Jobs of "
        "the CronJob's schedule may meet the same rule.",
        fix="Change the CronJob so that it keeps the rule, or have the policy's owner except it. The "
        "message names the policy.",
        said=said,
    )


def _unauthorized(said: str, at: Situation) -> Problem:
    if not at.inputs.cluster:
        return Problem(
            reason="Unauthorized",
            what=f"The cluster {quoted(at.cluster)} does not accept the kubeconfig's token or certificate.",
            why="It has expired, was revoked, or belongs to another cluster.",
            fix="Make a new kubeconfig and put it where this one came from.",
            said=said,
        )
    return Problem(
        reason="Unauthorized",
        what=f"The cluster {quoted(at.cluster)} does not know {quoted(at.caller or 'this AWS identity')}.",
        why="AWS accepted the identity, but the cluster has neither an access entry nor an aws-auth line for "
        "it (a change there takes up to a minute to be seen).",
        fix="Add one of the two, whichever this cluster uses (`aws eks describe-cluster` shows its "
        "authentication mode). Give the role's ARN with its path, if it has one.",
        said=said,
        paste=snippets.cluster_entry(at.inputs, at.caller),
        paste_language="sh",
    )


def _forbidden(message: str, said: str, at: Situation) -> Problem:
    found = re.search(r'cannot (\w+) resource "([\w./-]+)"', message)
    if not found:
        return Problem(
            reason="JobRefused",
            what="The API server refused the request (HTTP 403), for the reason in its message.",
            why="It names no missing RBAC rule: something else in the cluster said no.",
            fix="Run the workflow again; if it stays so, give the message to whoever runs the cluster.",
            said=said,
        )
    right = quoted(f"{found[1]} {found[2]}")
    is_first = found[2] == "cronjobs"  # later the namespace is known to be right
    named = re.search(r'User "([^"]+)"', said)
    # A kubeconfig's user stays the same; on EKS each session is another user, and the group is what lasts.
    user = named[1] if named and not at.inputs.cluster else ""
    # In another namespace the ClusterRole may serve a workflow that needs more of it.
    alone = f"; where the ClusterRole `{snippets.GROUP}` exists already, the RoleBinding alone" if is_first else ""
    who = f"the kubeconfig's user {quoted(user)}" if user else "this role"
    return Problem(
        reason="Forbidden",
        what=f"The cluster does not let {who} {right} in the namespace {quoted(at.namespace)}.",
        why="No RBAC rule allows it there."
        + (" A namespace that does not exist, or is misspelt, answers in the same way." if is_first else ""),
        first=f"Is {quoted(at.namespace)} the namespace you meant? If not, correct it in the form." if is_first else "",
        fix="Apply these rights:"
        if user
        else f"Apply these rights{alone}. The role must be in the group `{snippets.GROUP}`; if it is not, bind them to "
        "the user that the message names:",
        said=said,
        paste=snippets.rbac(at.namespace, user=user, follow=at.inputs.wait_for is not WaitFor.CREATED),
    )


def _not_found(message: str, said: str, at: Situation) -> Problem:
    namespace = quoted(at.namespace)
    if at.namespace_exists is False or 'namespaces "' in message:
        return Problem(
            reason="NamespaceNotFound",
            what=f"There is no namespace {namespace} in the cluster {quoted(at.cluster)}.",
            why="The name is misspelt, or it is in another cluster.",
            fix="Correct `namespace` in the form, or choose another environment.",
            concerns=Concerns.DEVELOPER,
            said=said,
        )
    cronjob = quoted(at.inputs.cronjob)
    if at.cronjob_names is None:
        fix = "Correct the name or the namespace, and run the workflow again. With kubectl, this lists what there is:"
    elif not at.cronjob_names:
        fix = f"The namespace {namespace} holds no CronJobs at all: check the namespace. With kubectl, this lists all:"
    else:
        near = difflib.get_close_matches(at.inputs.cronjob, at.cronjob_names, n=3, cutoff=0.5)
        shown = near or sorted(at.cronjob_names)[:10]
        lead = (
            "Did you mean" if near else "It holds, among others," if len(at.cronjob_names) > len(shown) else "It holds"
        )
        fix = (
            f"{lead} {', '.join(map(quoted, shown))}{'?' if near else '.'} Correct the name in the form, and run the "
            "workflow again. With kubectl, this lists all:"
        )
    listing = kubectl(at.namespace, "get cronjobs")
    if at.cronjob_names == []:
        listing = "kubectl get cronjobs --all-namespaces"
    return Problem(
        reason="CronJobNotFound",
        what=f"There is no CronJob {cronjob} in the namespace {namespace} of {quoted(at.cluster)}.",
        why="The name is misspelt, or it is in another namespace or cluster.",
        fix=fix,
        concerns=Concerns.DEVELOPER,
        said=said,
        paste=listing,
        paste_language="sh",
    )


# --- the one Job --------------------------------------------------------------------------------------------


def already_running(cronjob: str, namespace: str, running: Sequence[RunningJob], why: str) -> Problem:
    """The guard says no."""
    return Problem(
        reason="AlreadyRunning",
        what=f"{quoted(cronjob)} is running already: {', '.join(map(running_job, running))}.",
        why=f"{why} Nothing was started.",
        fix="Wait until it has finished, and run the workflow again. This shows how it is doing:",
        concerns=Concerns.DEVELOPER,
        paste=kubectl(namespace, "get job", running[0].name),
        paste_language="sh",
    )


def running_job(job: RunningJob) -> str:
    """One unfinished Job in a sentence."""
    since = f" since {quoted(job.since)}" if job.since else ""
    return f"{quoted(job.name)}{since}{f', started by {quoted(job.by)}' if job.by else ''}"


def guard_is_blind(namespace: str, setting: str) -> Problem:
    """`if-running` would have to refuse, and may not look."""
    return Problem(
        reason="CannotListJobs",
        what=f"Whether a run is unfinished can't be seen: listing Jobs in {quoted(namespace)} is not allowed.",
        why=f"`if-running: {setting}` must be certain before it starts another run, and the CronJob's own "
        "status does not list the runs that people started. Nothing was started.",
        fix="Bind this rule there, or set `if-running` to `warn` or `allow`:",
        paste=snippets.rule("jobs.batch", "list"),
    )


def cannot_follow(namespace: str, verbs: Sequence[str], setting: str) -> Problem:
    """`wait-for` asks for more than the role may see; asked for before the Job is created."""
    listed = ", ".join(verbs)
    return Problem(
        reason="CannotFollow",
        what=f"The Job could not be followed: this role may not {listed} Jobs in {quoted(namespace)}.",
        why=f"`wait-for: {setting}` has to see the Job until it is decided. Nothing was started: a run whose end "
        "nobody sees is not what was asked for.",
        fix="Add this rule to the role that is bound there, or set `wait-for: created`:",
        paste=snippets.rule("jobs.batch", *verbs),
    )


# --- following the Job --------------------------------------------------------------------------------------


def lost_sight(namespace: str, name: str, cause: Problem) -> Problem:
    """The Job was created, and then the cluster would not let us see it any more."""
    return replace(
        cause,
        reason="LostSight",
        what=f"The Job {quoted(name)} was created, but can't be seen any more. {cause.what}",
        first="Don't run the workflow again before you know how the Job is doing: it may well be running.",
        fix=f"{cause.fix} Who may, sees the Job by: {quoted(kubectl(namespace, 'get job', name))}."
        if cause.paste
        else f"{cause.fix} Who may, sees the Job by:",
        paste=cause.paste or kubectl(namespace, "get job", name),
        paste_language=cause.paste_language if cause.paste else "sh",
    )


def still_running(known: Outcome) -> Problem:
    """Our patience is at its end, not the Job."""
    waited = (
        f"this workflow waited for {duration(known.timeout or 0)} (`timeout`) and then stopped waiting, not the Job."
    )
    told = Problem(
        reason="TimedOut",
        what=f"The Job {quoted(known.job_name)} is STILL RUNNING: {waited}",
        why=f"When it was last seen: {known.state}" if known.state else "Nothing was seen of it yet.",
        fix="Don't start it again: it would run twice. Go on watching it, or stop it, as below; or give it more "
        "`timeout` next time.",
        concerns=Concerns.DEVELOPER,
        paste="\n".join(commands(known.namespace, known.job_name)),
        paste_language="sh",
    )
    if not known.trouble:
        return told
    cause = known.trouble
    again = "Don't start it again: a second one would meet the same."
    is_mine = cause.concerns is Concerns.DEVELOPER
    return replace(
        told,
        what=f"The Job {quoted(known.job_name)} is STILL WAITING and can't get on: {waited}",
        why=f"{cause.what} {cause.why}",
        first="" if is_mine else f"{again} {cause.first}".strip(),
        fix=" ".join(filter(None, [again, cause.first, cause.fix])) if is_mine else cause.fix,
        concerns=cause.concerns,
        said=cause.said,
        paste=cause.paste or told.paste,
        paste_language=cause.paste_language if cause.paste else told.paste_language,
    )


def deleted(namespace: str, name: str) -> Problem:
    """The Job is gone, and nobody saw its end."""
    return Problem(
        reason="JobDeleted",
        what=f"The Job {quoted(name)} was deleted before its end was seen.",
        why="Someone deleted it, or its CronJob, or the cluster removed it as soon as it had ended (a history limit or "
        "a `ttlSecondsAfterFinished` of 0). Whether it did its work is not known.",
        first="Don't run the workflow again before you know: look for what a finished run leaves behind.",
        fix="If Jobs of this CronJob are removed at once, let its `successfulJobsHistoryLimit` and "
        "`failedJobsHistoryLimit` be at least 1, and `ttlSecondsAfterFinished` some minutes. This shows what is set:",
        paste=kubectl(
            namespace,
            "get job,cronjob --output",
            "custom-columns=KIND:.kind,NAME:.metadata.name,"
            "SUCCESSFUL:.spec.successfulJobsHistoryLimit,FAILED:.spec.failedJobsHistoryLimit",
        ),
        paste_language="sh",
    )


def not_deleted(namespace: str, name: str) -> Problem:
    """`on-cancel: delete`, and the cluster did not do it."""
    return Problem(
        reason="NotDeleted",
        what=f"The Job {quoted(name)} of the cancelled run could not be deleted.",
        why="The cluster refused, or did not answer: the role may lack the right to delete Jobs. The Job goes on.",
        fix="Stop it by hand, as below. For the next time, add the rule "
        f"{quoted(snippets.rule('jobs.batch', 'delete'))} to the role, or leave `on-cancel` out.",
        paste=kubectl(namespace, "delete job", name),
        paste_language="sh",
    )


def commands(namespace: str, name: str) -> list[str]:
    """What can be done with a Job, for whoever has kubectl."""
    return [
        "# how is it doing?",
        kubectl(namespace, "get job", name),
        "# what does it say?",
        kubectl(namespace, "logs --all-containers --follow", f"job/{name}"),
        "# stop it, with its pods:",
        kubectl(namespace, "delete job", name),
    ]


def name_taken(namespace: str, name: str, *, fixed: bool) -> Problem:
    """A stranger's Job has the name."""
    return Problem(
        reason="NameTaken",
        what=f"A Job called {quoted(name)} exists already in {quoted(namespace)}.",
        why="`job-name` leaves no room for another name." if fixed else "So did each further name tried.",
        fix="Let `job-name` contain `{timestamp}`, or `{run-id}` and `{run-attempt}`, or leave it out; if it does, run "
        "the workflow again."
        if fixed
        else "Run the workflow again.",
        concerns=Concerns.DEVELOPER,
    )


def creation_uncertain(namespace: str, name: str, said: str = "", *, may_be_gone: bool = False) -> Problem:
    """The POST's answer is lost, and looking did not help."""
    gone = (
        " Jobs of this CronJob are removed as soon as they end, so that not finding it proves nothing; that "
        "is why the request was not repeated."
        if may_be_gone
        else ""
    )
    return Problem(
        reason="CreationUncertain",
        what=f"It is not certain whether the Job {quoted(name)} was started.",
        why=f"The cluster was asked to create it, and no answer told whether it did.{gone}",
        first="Don't run the workflow again yet: if the Job was started, a second one would do its work twice. "
        "Show this page to your platform team.",
        fix="If this finds the Job, it was started. If not, look for what a finished run leaves behind:",
        said=said,
        paste=kubectl(namespace, "get job", name),
        paste_language="sh",
    )


def cancelled() -> Problem:
    """A signal came and no Job exists."""
    return Problem(
        reason="Cancelled",
        what="The workflow run was cancelled before a Job was created.",
        why="Someone cancelled it, or its `timeout-minutes` ended.",
        fix="Nothing was started, nothing is left behind. Run the workflow again if you still want it to run.",
        concerns=Concerns.DEVELOPER,
    )


def took_too_long(stage: str, seconds: float) -> Problem:
    """The time for everything up to the Job's creation is over."""
    return Problem(
        reason="TookTooLong",
        what=f"After {seconds:g} seconds there was still no Job: it stopped while {stage}.",
        why="Something on the way answers too slowly; no single step may take that long.",
        fix="Run the workflow again. If it stays so, the log's last line names the place to look at.",
    )


def unexpected(error: BaseException) -> Problem:
    """A defect of ours, told without any value that might be a secret."""
    frames = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return Problem(
        reason="Unexpected",
        what=f"This action met an error that it does not know: {quoted(type(error).__name__)}.",
        why="That is a defect in the action itself.",
        fix="Please report it, with the text below, which holds no values of yours.",
        paste="\n".join(frames[-8:]),
        paste_language="",
    )


# --- words --------------------------------------------------------------------------------------------------


def shown_claims(claims: Mapping[str, object]) -> str:
    """The claims that trust policies look at, for a sentence."""
    present = [(name, claims[name]) for name in SHOWN_CLAIMS if claims.get(name)]
    return ", ".join(f"{name} {quoted(str(value))}" for name, value in present) or "nothing readable"


def _pressed(claims: Mapping[str, object]) -> str:
    """What was chosen in the form, of what trust policies look at."""
    ref, environment = (claims.get(name) and quoted(str(claims[name])) for name in ("ref", "environment"))
    return f"the ref {ref or 'unknown'} and {f'the environment {environment}' if environment else 'no environment'}"


def _said(error: AwsError) -> str:
    return clean(f"{error.code}: {error.message}")


def _describe_command(at: Situation, query: str) -> str:
    if not at.inputs.cluster:
        return ""
    where = command_line("aws eks describe-cluster", "--region", at.inputs.aws_region, "--name", at.inputs.cluster)
    return f"{where} {query}"
