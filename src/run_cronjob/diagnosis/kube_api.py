"""Pure: explains errors of the Kubernetes API by status and message."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import replace

from run_cronjob.core.errors import ApiError
from run_cronjob.core.models import ErrorContext, Problem, WaitFor, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.redactor import redact
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import network, snippets


def api_error(error: ApiError, context: ErrorContext) -> Problem:
    """Cause and fix of an error that the API server answered with."""
    build = next((build for fits, build in _ROWS if fits(error)), _job_refused)
    return replace(build(error, context), said=_said(error, context))


def _said(error: ApiError, context: ErrorContext) -> str:
    return redact(error.message, context.env_values, known=(context.inputs.cronjob, context.namespace))


def is_webhook_failure(error: ApiError) -> bool:
    """Whether the API server could not ask a webhook; it stores nothing then."""
    return "failed calling webhook" in error.message


def is_denied(error: ApiError) -> bool:
    """Whether admission denied the request; a webhook does so with any HTTP status and often without a reason."""
    return error.is_status and ("denied the request" in error.message or "denied request" in error.message)


def _unauthorized(_error: ApiError, context: ErrorContext) -> Problem:
    if not context.inputs.cluster:
        return Problem(
            reason=Reason.UNAUTHORIZED,
            what=f"The cluster {quoted(context.cluster)} does not accept the kubeconfig's token or certificate.",
            why="It has expired, was revoked, or belongs to another cluster.",
            fix="Make a new kubeconfig and put it where this one came from.",
        )
    return Problem(
        reason=Reason.UNAUTHORIZED,
        what=f"The cluster {quoted(context.cluster)} does not know {quoted(context.caller or 'this AWS identity')}.",
        why="AWS accepted the identity, but the cluster has neither an access entry nor an aws-auth line for "
        "it (a change there takes up to a minute to be seen).",
        fix="Add one of the two, whichever this cluster uses (`aws eks describe-cluster` shows its "
        "authentication mode). Give the role's ARN with its path, if it has one.",
        paste=snippets.cluster_entry(context.inputs, context.caller),
    )


def _forbidden(error: ApiError, context: ErrorContext) -> Problem:
    found = re.search(r'cannot (\w+) resource "([\w./-]+)"', error.message)
    if not found:
        return Problem(
            reason=Reason.JOB_REFUSED,
            what="The API server refused the request (HTTP 403), for the reason in its message.",
            why="It names no missing RBAC rule: something else in the cluster said no.",
            fix="Run the workflow again; if it stays so, give the message to whoever runs the cluster.",
        )
    right = quoted(f"{found[1]} {found[2]}")
    # The CronJob is read first; once that is allowed, the namespace is known to be right.
    is_first = found[2] == "cronjobs"
    named = re.search(r'User "([^"]+)"', _said(error, context))
    # A kubeconfig's user stays the same. On EKS each session is another user, so the rights are bound to a group.
    user = named[1] if named and not context.inputs.cluster else ""
    # In another namespace the ClusterRole may serve a workflow that needs more rights.
    alone = f"; where the ClusterRole `{snippets.GROUP}` exists already, the RoleBinding alone" if is_first else ""
    who = f"the kubeconfig's user {quoted(user)}" if user else "this role"
    return Problem(
        reason=Reason.FORBIDDEN,
        what=f"The cluster does not let {who} {right} in the namespace {quoted(context.namespace)}.",
        why="No RBAC rule allows it there."
        + (" A namespace that does not exist, or is misspelt, answers in the same way." if is_first else ""),
        first=f"Is {quoted(context.namespace)} the namespace you meant? If not, correct it in the form."
        if is_first
        else "",
        fix="Apply these rights:"
        if user
        else f"Apply these rights{alone}. The role must be in the group `{snippets.GROUP}`; if it is not, bind them to "
        "the user that the message names:",
        paste=snippets.rbac(context.namespace, user=user, follow=context.inputs.wait_for is not WaitFor.CREATED),
        paste_language="yaml",
    )


def _throttled(_error: ApiError, context: ErrorContext) -> Problem:
    return developer_problem(
        reason=Reason.API_THROTTLED,
        what=f"The API server of {quoted(context.cluster)} is limiting requests.",
        why="It has too much to do just now, and asked to wait longer than this action can.",
        fix="Run the workflow again in a few minutes.",
    )


def _api_failed(error: ApiError, context: ErrorContext) -> Problem:
    return developer_problem(
        reason=Reason.API_FAILED,
        what=f"The API server of {quoted(context.cluster)} answered with HTTP {error.status}.",
        why="It, or a load balancer before it, is disturbed; it was asked again for a while, in vain.",
        fix="Run the workflow again in a few minutes.",
    )


# --- the CronJob and its namespace


def _not_found(error: ApiError, context: ErrorContext) -> Problem:
    if context.namespace_exists is False or 'namespaces "' in error.message:
        return developer_problem(
            reason=Reason.NAMESPACE_NOT_FOUND,
            what=f"There is no namespace {quoted(context.namespace)} in the cluster {quoted(context.cluster)}.",
            why="The name is misspelt, or it is in another cluster.",
            fix="Correct `namespace` in the form, or choose another environment.",
        )
    namespace, listing = quoted(context.namespace), kubectl(context.namespace, "get cronjobs")
    if context.cronjob_names is None:
        fix = "Correct the name or the namespace, and run the workflow again. With kubectl, this lists what there is:"
    elif not context.cronjob_names:
        fix = f"The namespace {namespace} holds no CronJobs at all: check the namespace. With kubectl, this lists all:"
        listing = "kubectl get cronjobs --all-namespaces"
    else:
        near = difflib.get_close_matches(context.inputs.cronjob, context.cronjob_names, n=3, cutoff=0.5)
        shown = near or sorted(context.cronjob_names)[:10]
        some = "It holds, among others," if len(context.cronjob_names) > len(shown) else "It holds"
        fix = (
            f"{'Did you mean' if near else some} {', '.join(map(quoted, shown))}{'?' if near else '.'} Correct the "
            "name in the form, and run the workflow again. With kubectl, this lists all:"
        )
    return developer_problem(
        reason=Reason.CRONJOB_NOT_FOUND,
        what=f"There is no CronJob {quoted(context.inputs.cronjob)} in the namespace {namespace} of "
        f"{quoted(context.cluster)}.",
        why="The name is misspelt, or it is in another namespace or cluster.",
        fix=fix,
        paste=listing,
    )


def _namespace_terminating(_error: ApiError, context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.NAMESPACE_TERMINATING,
        what=f"The namespace {quoted(context.namespace)} is being deleted.",
        why="Nothing new can be created in it.",
        fix="Choose another namespace, or find out who deleted it.",
    )


# --- the Job


def _quota_exceeded(_error: ApiError, context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.QUOTA_EXCEEDED,
        what=f"The namespace {quoted(context.namespace)} has as many Jobs as its quota allows.",
        why="A ResourceQuota counts the Jobs there, also those that have finished.",
        fix="Delete finished Jobs, or raise the quota. This lists the Jobs with their age:",
        paste=kubectl(context.namespace, "get jobs --sort-by=.metadata.creationTimestamp"),
    )


def _dry_run_unsupported(_error: ApiError, _context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.DRY_RUN_UNSUPPORTED,
        what="A dry run is not possible in this cluster.",
        why="An admission webhook there has side effects and does not declare how to avoid them, so the "
        "API server refuses every dry run that would reach it. A real run is not affected.",
        fix="Run without `dry-run`, or have the webhook's owner set `sideEffects: None` or `NoneOnDryRun` "
        "on it, if that is true of it.",
    )


def _webhook_failed(_error: ApiError, _context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.WEBHOOK_FAILED,
        what="An admission webhook of the cluster did not answer, so the API server refused the Job.",
        why="Every new Job must pass it, also those that the CronJob's schedule starts.",
        fix="The webhook's owner has to bring it back; then run the workflow again. Its name is in the message.",
    )


def _admission_refused(error: ApiError, _context: ErrorContext) -> Problem:
    # The policy of examples/admission-policy.yaml that compares a Job with its CronJob.
    if "'run-cronjob-template'" in error.message:
        return developer_problem(
            reason=Reason.ADMISSION_REFUSED,
            what="A policy of the cluster refused the Job.",
            why="It differs from its CronJob. Either the CronJob was changed after it was read, or a webhook of the "
            "cluster changes new Jobs before the policy sees them.",
            fix="Run the workflow again. If it is refused again, the webhook's owner has to leave Jobs as they are; "
            "the message says where this one differs.",
        )
    return Problem(
        reason=Reason.ADMISSION_REFUSED,
        what="A policy of the cluster refused the Job.",
        why="An admission webhook or policy checks new Jobs, and this one breaks its rule. The Jobs of "
        "the CronJob's schedule may meet the same rule.",
        fix="Change the CronJob so that it keeps the rule, or have the policy's owner except it. The "
        "message names the policy.",
    )


def _job_refused(error: ApiError, _context: ErrorContext) -> Problem:
    return Problem(
        reason=Reason.JOB_REFUSED,
        what=f"The API server refused the Job (HTTP {error.status}, {quoted(error.reason or 'no reason')}).",
        why="It does not take the Job that the CronJob's template describes; runs by the schedule would fail alike.",
        fix="Correct the CronJob's `spec.jobTemplate` where the message points.",
    )


_ROWS: tuple[tuple[Callable[[ApiError], bool], Callable[[ApiError, ErrorContext], Problem]], ...] = (
    (lambda error: error.status == 401 and not is_denied(error), _unauthorized),
    (lambda error: error.status == 429 and not is_denied(error), _throttled),
    (lambda error: "exceeded quota" in error.message, _quota_exceeded),
    (lambda error: "does not support dry run" in error.message, _dry_run_unsupported),
    (is_webhook_failure, _webhook_failed),
    (is_denied, _admission_refused),
    (lambda error: "is being terminated" in error.message, _namespace_terminating),
    (lambda error: not error.is_status and error.status < 500, lambda _, context: network.not_kubernetes(context)),
    (lambda error: error.status == 403, _forbidden),
    (lambda error: error.status == 404, _not_found),
    (lambda error: error.status >= 500, _api_failed),
)
"""Which errors, and the builder of their Problem. The first row that fits counts."""
