"""Pure: explains errors of AWS (STS, EKS) by operation and error code.

The codes are those of the API references of STS (AssumeRoleWithWebIdentity) and EKS (DescribeCluster), and AWS's
common errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from run_cronjob.core.errors import AwsError
from run_cronjob.core.models import ErrorContext, Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import clean, command_line, quoted
from run_cronjob.diagnosis import snippets

SHOWN_CLAIMS = ("iss", "sub", "aud", "repository", "ref", "environment", "job_workflow_ref")
"""The claims of an OIDC token that trust policies compare."""


def aws_error(error: AwsError, context: ErrorContext) -> Problem:
    """Cause and fix of an error that AWS answered with."""
    # boto3 assumes a role by itself, too, if the environment names one: `role-to-assume` is not the cause then.
    operation = "" if error.operation == _ASSUME_ROLE and not context.inputs.role_to_assume else error.operation
    said = error.message if error.code == _NO_CREDENTIALS else clean(f"{error.code}: {error.message}")
    for affected, code, words, build in _ROWS:
        if affected in {"", operation} and re.fullmatch(code, error.code) and words in error.message:
            return replace(build(error, context), said=said)
    return replace(_aws_failed(error), said=said)


def _no_credentials(_error: AwsError, _context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.NO_AWS_CREDENTIALS,
        what="There are no AWS credentials.",
        why="`role-to-assume` is empty, and neither the environment nor the runner's machine holds credentials.",
        fix="Set `role-to-assume` (is the variable that it is filled from set in this environment?), or "
        "let an earlier step such as aws-actions/configure-aws-credentials provide credentials.",
    )


def _throttled(error: AwsError, _context: ErrorContext) -> Problem:
    return developer_problem(
        reason=Reason.AWS_THROTTLED,
        what=f"AWS is limiting requests: {error.operation} was refused again and again.",
        why="Too many requests were made in this account at once; this action waited and tried again, in vain.",
        fix="Run the workflow again in a few minutes.",
    )


def _role_refused(_error: AwsError, context: ErrorContext) -> Problem:
    role = quoted(context.inputs.role_to_assume)
    return Problem(
        reason=Reason.ROLE_REFUSED,
        what=f"AWS does not let this workflow run assume the role {role}.",
        why="Either no role has this ARN, or its trust policy has no statement that fits this run's token. "
        f"The token says: {shown_claims(context.claims)}.",
        first=f"This run is of {_ref_and_environment(context.claims)}. Is that the branch (`Use workflow from`) "
        "and the environment that you meant to choose in the form? Most roles let in `main` only.",
        fix="Is the ARN right (account, path, spelling)? If so, and runs like this one should get in, the role's "
        "trust policy needs this statement:",
        paste=snippets.trust_statement(context.inputs.role_to_assume, context.claims),
        paste_language="json",
    )


def shown_claims(claims: Mapping[str, object]) -> str:
    """The claims that trust policies compare, for the middle of a sentence."""
    present = [(name, claims[name]) for name in SHOWN_CLAIMS if claims.get(name)]
    return ", ".join(f"{name} {quoted(str(value))}" for name, value in present) or "nothing readable"


def _ref_and_environment(claims: Mapping[str, object]) -> str:
    ref, environment = (claims.get(name) and quoted(str(claims[name])) for name in ("ref", "environment"))
    return f"the ref {ref or 'unknown'} and {f'the environment {environment}' if environment else 'no environment'}"


def _no_oidc_provider(_error: AwsError, context: ErrorContext) -> Problem:
    role, audience = quoted(context.inputs.role_to_assume), context.inputs.audience
    issuer = snippets.issuer(context.claims)
    return Problem(
        reason=Reason.NO_OIDC_PROVIDER,
        what=f"The AWS account of {role} does not know GitHub's issuer {quoted(issuer)}.",
        why="An account needs an IAM OIDC identity provider for the issuer before a role can trust it.",
        fix="Create it, once for the account:",
        paste=command_line(
            "aws iam create-open-id-connect-provider --url", f"https://{issuer}", "--client-id-list", audience
        ),
    )


def _wrong_audience(_error: AwsError, context: ErrorContext) -> Problem:
    audience = context.inputs.audience
    provider = snippets.provider_arn(context.inputs.role_to_assume, snippets.issuer(context.claims))
    add = "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn"
    return Problem(
        reason=Reason.WRONG_AUDIENCE,
        what=f"The AWS account's OIDC provider does not accept the audience {quoted(audience)}.",
        why="The provider lists the audiences (client IDs) that it takes, and this one is not among them.",
        fix="Leave `audience` at its default `sts.amazonaws.com`, or add yours to the provider:",
        paste=command_line(add, provider, "--client-id", audience),
    )


def _token_rejected(_error: AwsError, context: ErrorContext) -> Problem:
    issuer = snippets.issuer(context.claims)
    return Problem(
        reason=Reason.TOKEN_REJECTED,
        what="AWS did not accept the OIDC token of this run.",
        why="AWS could not check its signature: GitHub's keys could not be fetched, or are not those that "
        "signed it. On GitHub Enterprise Server the issuer must be reachable from AWS.",
        fix="Run the workflow again. If it stays so, check that "
        f"{quoted(f'https://{issuer}/.well-known/jwks')} can be fetched from the internet.",
    )


def _token_expired(_error: AwsError, _context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.TOKEN_EXPIRED,
        what="The OIDC token had expired, or is not valid yet, when AWS looked at it.",
        why="It was fresh when it was sent, so the clock that it was issued by is wrong: on GitHub "
        "Enterprise Server, the server's own.",
        fix="Set that server's clock by NTP; on GitHub.com, run the workflow again.",
    )


def _session_too_long(_error: AwsError, context: ErrorContext) -> Problem:
    role, seconds = context.inputs.role_to_assume, str(context.inputs.role_duration_seconds)
    name = role.rpartition("/")[2]
    return Problem(
        reason=Reason.SESSION_TOO_LONG,
        what=f"The role {quoted(role)} allows no session of {seconds} seconds.",
        why="`role-duration-seconds` is more than the role's maximum session duration.",
        fix="Lower `role-duration-seconds`, or leave it out (3600), or raise the role's maximum:",
        paste=command_line("aws iam update-role --role-name", name, "--max-session-duration", seconds),
    )


def _region_disabled(_error: AwsError, context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.REGION_DISABLED,
        what=f"STS is switched off in the region {quoted(context.inputs.aws_region)} for this AWS account.",
        why="Newer regions must be enabled for an account, and STS can be deactivated for each region.",
        fix="Activate STS for the region in IAM's account settings, or correct `aws-region`.",
    )


def _cluster_not_found(_error: AwsError, context: ErrorContext) -> Problem:
    cluster, region = quoted(context.inputs.cluster), quoted(context.inputs.aws_region)
    return Problem(
        reason=Reason.CLUSTER_NOT_FOUND,
        what=f"There is no EKS cluster {cluster} in {region} of this AWS account.",
        why="The name (case matters), the region, or the account, which is that of the role, is another "
        "one. After a blue/green switch the cluster has a new name.",
        fix="Correct the variable that `cluster` is filled from, `aws-region` or `role-to-assume`. This "
        "lists the clusters there are:",
        paste=command_line("aws eks list-clusters", "--region", context.inputs.aws_region),
    )


def _describe_cluster_denied(_error: AwsError, context: ErrorContext) -> Problem:
    cluster = quoted(context.inputs.cluster)
    return Problem(
        reason=Reason.DESCRIBE_CLUSTER_DENIED,
        what=f"AWS does not let {quoted(context.caller) if context.caller else 'these credentials'} look up the "
        f"cluster {cluster}.",
        why="The permission `eks:DescribeCluster` for this cluster is missing (or a policy of the "
        "organization takes it away).",
        fix="Attach a policy with this statement to the role (a wildcard such as `cluster/staging-*` covers a "
        "successor too):",
        paste=snippets.describe_cluster_statement(context.inputs),
        paste_language="json",
    )


def cluster_not_ready(context: ErrorContext, status: str) -> Problem:
    """EKS knows the cluster, but its `status` is neither ACTIVE nor UPDATING, or it has no endpoint."""
    return Problem(
        reason=Reason.CLUSTER_NOT_READY,
        what=f"The EKS cluster {quoted(context.inputs.cluster)} is {quoted(status)}.",
        why="Only a cluster that is ACTIVE or UPDATING can run anything.",
        fix="Wait until it is ready, and run the workflow again; this shows its state:",
        paste=snippets.describe_cluster(context.inputs, "--query cluster.status"),
    )


def _credentials_rejected(_error: AwsError, context: ErrorContext) -> Problem:
    if context.inputs.role_to_assume:
        return Problem(
            reason=Reason.AWS_CREDENTIALS_REJECTED,
            what="AWS does not accept the credentials of the role that it gave out just now.",
            why="The role and `aws-region` belong to different partitions of AWS, or this runner's clock is wrong by "
            "more than five minutes.",
            fix="Check `aws-region`; on a self-hosted runner, set the clock by NTP.",
        )
    return Problem(
        reason=Reason.AWS_CREDENTIALS_REJECTED,
        what="AWS does not accept the credentials in the environment.",
        why="They have expired, were deactivated, are incomplete (a session token is missing) or belong "
        "to another partition of AWS.",
        fix="Let the step that provides them run in this job, shortly before this one, or set "
        "`role-to-assume` and leave them out.",
    )


def _aws_failed(error: AwsError) -> Problem:
    return Problem(
        reason=Reason.AWS_FAILED,
        what=f"AWS answered {error.operation} with the error {quoted(error.code)}.",
        why="This action knows no more of it than AWS says.",
        fix="Run the workflow again; if it stays so, give AWS's words to whoever manages the AWS account.",
    )


_NO_CREDENTIALS = "NoCredentials"
_ASSUME_ROLE, _DESCRIBE_CLUSTER = "AssumeRoleWithWebIdentity", "DescribeCluster"
_REJECTED = (
    "ExpiredToken|ExpiredTokenException|InvalidClientTokenId|InvalidSignatureException|RequestExpired|"
    "RequestTimeTooSkewed|SignatureDoesNotMatch|UnrecognizedClientException"
)
_ROWS: tuple[tuple[str, str, str, Callable[[AwsError, ErrorContext], Problem]], ...] = (
    ("", _NO_CREDENTIALS, "", _no_credentials),
    ("", ".*Throttl.*|RequestLimitExceeded|TooManyRequestsException", "", _throttled),
    (_ASSUME_ROLE, "AccessDenied", "", _role_refused),
    (_ASSUME_ROLE, "InvalidIdentityToken", "No OpenIDConnect provider", _no_oidc_provider),
    (_ASSUME_ROLE, "InvalidIdentityToken", "audience", _wrong_audience),
    (_ASSUME_ROLE, "InvalidIdentityToken", "", _token_rejected),
    (_ASSUME_ROLE, "ExpiredTokenException|ExpiredToken", "", _token_expired),
    (_ASSUME_ROLE, "ValidationError", "DurationSeconds", _session_too_long),
    (_ASSUME_ROLE, "RegionDisabledException", "", _region_disabled),
    (_DESCRIBE_CLUSTER, "ResourceNotFoundException", "", _cluster_not_found),
    (_DESCRIBE_CLUSTER, "AccessDeniedException|AccessDenied", "", _describe_cluster_denied),
    ("", _REJECTED, "", _credentials_rejected),
)
"""Operation (empty for any), pattern of the code, part of the message, builder. The first row that fits counts."""
