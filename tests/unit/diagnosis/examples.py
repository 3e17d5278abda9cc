"""Examples for the tests of diagnosis: one of each error and failure, and what is read from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from run_cronjob.core.errors import ApiError, AwsError, Cause, GitHubError, NoAnswer, UnusableKubeconfig
from run_cronjob.core.models import ErrorContext, Problem, RunningJob
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import run
from run_cronjob.diagnosis.aws import cluster_not_ready
from run_cronjob.diagnosis.explain import explain
from run_cronjob.diagnosis.job_state import blockers
from tests.builders import (
    BACKOFF,
    CLAIMS,
    DEADLINE,
    FULL_QUOTA,
    IMAGE,
    NOT_READY,
    SOON,
    UNPACK,
    condition,
    ended,
    event,
    failed,
    inputs,
    job,
    lost,
    outcome,
    pod,
    refused,
    unplaced,
    view,
    waits,
)

if TYPE_CHECKING:
    from run_cronjob.diagnosis.blocker import Blocker
    from run_cronjob.diagnosis.pod_failure import Failure
    from run_cronjob.diagnosis.view import View


SECRET = "hunter2&more"
ASSUME = "AssumeRoleWithWebIdentity"


def aws_error(operation: str, code: str, message: str = "") -> AwsError:
    return AwsError(operation, code, message, 400)


def api(status: int, message: str = "", reason: str = "AsInItsStatus", *, is_status: bool = True) -> ApiError:
    return ApiError(status, reason, message, is_status)


def no_answer(cause: Cause, service: str, foreign: str) -> NoAnswer:
    return NoAnswer(service, foreign, cause, foreign)


def problems(foreign: str) -> dict[str, Problem]:
    """One of each error and failure of the run, with `foreign` in each text that another program decides."""
    at = ErrorContext(
        inputs(),
        namespace="staging",
        cluster=foreign,
        claims=CLAIMS | dict.fromkeys(("sub", "aud", "repository", "ref", "environment", "iss"), foreign),
        caller=foreign,
        env_values=frozenset({SECRET}),
    )
    return {
        **_problems_of_run(foreign, at),
        **_problems_with_github(foreign, at),
        **_problems_with_aws(foreign, at),
        **_problems_with_api(foreign, at),
        **_problems_of_admission(foreign, at),
    }


def _problems_of_run(foreign: str, at: ErrorContext) -> dict[str, Problem]:
    running = (RunningJob(foreign, foreign, foreign), RunningJob("plain"))
    return {
        "invalid input": run.invalid_inputs(["Input `cronjob` is missing."]),
        "invalid inputs": run.invalid_inputs(["Input `cronjob` is missing.", "Input `cluster` is missing."]),
        "no id-token permission": run.no_id_token_permission(),
        "kubeconfig unreadable": run.kubeconfig_unreadable(foreign),
        "ca bundle unreadable": run.ca_bundle_unreadable(foreign, foreign),
        "already running": run.already_running(foreign, "staging", running, "Because."),
        "guard is blind": run.cannot_list_jobs("staging", "refuse"),
        "cannot follow": run.cannot_follow("staging", ["get", "watch"], "completed"),
        "still running": run.timed_out(outcome(job_name=foreign, timeout=90, state=f"It waits for {quoted(foreign)}.")),
        "still running, in trouble": run.timed_out(
            outcome(job_name=foreign, timeout=90, trouble=run.name_taken("staging", foreign, fixed=True))
        ),
        "deleted": run.job_deleted("staging", foreign),
        "not deleted": run.not_deleted("staging", foreign),
        "lost sight": run.lost_sight("staging", foreign, explain(api(403, foreign), at)),
        "lost sight, nothing to paste": run.lost_sight("staging", foreign, explain(api(429, foreign), at)),
        "name taken": run.name_taken("staging", foreign, fixed=False),
        "fixed name taken": run.name_taken("staging", foreign, fixed=True),
        "uncertain": run.creation_uncertain("staging", foreign, foreign),
        "uncertain, pruned": run.creation_uncertain("staging", foreign, foreign, may_be_gone=True),
        "cancelled": run.cancelled(),
        "too long": run.took_too_long("reading the CronJob", 110),
        "unexpected": raised(ValueError(foreign)),
    }


def _problems_with_github(foreign: str, at: ErrorContext) -> dict[str, Problem]:
    github = "GitHub's OIDC endpoint"
    return {
        "github: no answer": explain(no_answer(Cause.CONNECT_TIMEOUT, github, foreign), at),
        "github: proxy": explain(no_answer(Cause.PROXY, github, foreign), at),
        "github: tls": explain(no_answer(Cause.TLS, github, foreign), at),
        "github: 500": explain(GitHubError(500, foreign), at),
    }


def _problems_with_aws(foreign: str, at: ErrorContext) -> dict[str, Problem]:
    by_environment = replace(at, inputs=inputs(role_to_assume=""))
    return {
        "aws: no name": explain(no_answer(Cause.NAME, "AWS STS", foreign), at),
        "aws: no answer": explain(no_answer(Cause.READ_TIMEOUT, "AWS EKS", foreign), at),
        "aws: no credentials": explain(aws_error("DescribeCluster", "NoCredentials", foreign), by_environment),
        "aws: throttled": explain(aws_error(ASSUME, "ThrottlingException", foreign), at),
        "aws: trust policy": explain(aws_error(ASSUME, "AccessDenied", foreign), at),
        "aws: no provider": explain(
            aws_error(ASSUME, "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {foreign}"),
            at,
        ),
        "aws: audience": explain(aws_error(ASSUME, "InvalidIdentityToken", f"Incorrect token audience {foreign}"), at),
        "aws: no keys": explain(
            aws_error(ASSUME, "InvalidIdentityToken", f"Couldn't retrieve verification key {foreign}"), at
        ),
        "aws: token expired": explain(aws_error(ASSUME, "ExpiredTokenException", foreign), at),
        "aws: session too long": explain(
            aws_error(ASSUME, "ValidationError", f"DurationSeconds exceeds {foreign}"), at
        ),
        "aws: region disabled": explain(aws_error(ASSUME, "RegionDisabledException", foreign), at),
        "aws: role, unknown error": explain(aws_error(ASSUME, foreign, foreign), at),
        "aws: no cluster": explain(aws_error("DescribeCluster", "ResourceNotFoundException", foreign), at),
        "aws: may not describe": explain(aws_error("DescribeCluster", "AccessDeniedException", foreign), at),
        "aws: credentials rejected": explain(aws_error("DescribeCluster", "UnrecognizedClientException", foreign), at),
        "aws: other credentials rejected": explain(
            aws_error("DescribeCluster", "ExpiredTokenException"), by_environment
        ),
        "aws: unknown error": explain(aws_error("DescribeCluster", foreign, foreign), at),
        "cluster not ready": cluster_not_ready(at, foreign),
    }


def _problems_with_api(foreign: str, at: ErrorContext) -> dict[str, Problem]:
    kubernetes = "the Kubernetes API"
    by_kubeconfig = replace(at, inputs=inputs(cluster="", role_to_assume="", aws_region="", kubeconfig="k.yaml"))
    return {
        "api: no answer": explain(no_answer(Cause.CONNECT_TIMEOUT, kubernetes, foreign), at),
        "api: no answer, kubeconfig": explain(no_answer(Cause.NAME, kubernetes, foreign), by_kubeconfig),
        "api: an answer cut off": explain(no_answer(Cause.READ_TIMEOUT, kubernetes, foreign), at),
        "api: no Kubernetes": explain(api(404, foreign, reason="", is_status=False), by_kubeconfig),
        "api: 401": explain(api(401, foreign), at),
        "api: 401, nobody known": explain(api(401, foreign), replace(at, caller="")),
        "api: 401, kubeconfig": explain(api(401, foreign), by_kubeconfig),
        "api: 403": explain(api(403, f'User "{foreign}" cannot get resource "cronjobs" in API group "batch"'), at),
        "api: 403, without a reason": explain(api(403, foreign), at),
        "api: 404 cronjob": explain(api(404, foreign), at),
        "api: 404 cronjob, some there": explain(
            api(404, foreign), replace(at, cronjob_names=[foreign, "x"], namespace_exists=True)
        ),
        "api: 404 cronjob, none there": explain(
            api(404, foreign), replace(at, cronjob_names=[], namespace_exists=True)
        ),
        "api: 404 namespace": explain(api(404, foreign), replace(at, cronjob_names=[], namespace_exists=False)),
        "api: 404 namespace, by its words": explain(api(404, f'namespaces "{foreign}" not found'), at),
        "api: 422": explain(api(422, foreign, foreign), at),
        "api: 400": explain(api(400, foreign), at),
        "api: 429": explain(api(429, foreign), at),
        "api: 500": explain(api(500, foreign), at),
        "kubeconfig unusable": explain(UnusableKubeconfig(foreign), at),
    }


def _problems_of_admission(foreign: str, at: ErrorContext) -> dict[str, Problem]:
    return {
        "api: quota": explain(api(403, f'jobs.batch "x" is forbidden: exceeded quota: {foreign}'), at),
        "api: no dry run": explain(api(400, f'admission webhook "{foreign}" does not support dry run'), at),
        "api: webhook fails": explain(api(500, f'Internal error occurred: failed calling webhook "{foreign}"'), at),
        "api: webhook denies, without a reason": explain(
            api(400, f'admission webhook "{foreign}" denied the request: {foreign}', reason=""), at
        ),
        "api: webhook denies, by an error of its own": explain(
            api(500, f'admission webhook "{foreign}" denied the request: {foreign}', reason=""), at
        ),
        "api: webhook denies": explain(api(403, f'admission webhook "{foreign}" denied the request: {foreign}'), at),
        "api: policy denies": explain(api(422, f"ValidatingAdmissionPolicy '{foreign}' denied request: {foreign}"), at),
        "api: our policy denies": explain(
            api(422, f"ValidatingAdmissionPolicy 'run-cronjob-template' denied request: {foreign}"), at
        ),
        "api: terminating": explain(api(403, f"namespace {foreign} because it is being terminated"), at),
    }


def raised(error: Exception) -> Problem:
    try:
        raise error  # noqa: TRY301  to have a traceback
    except Exception as caught:  # noqa: BLE001  with its traceback, as it would come
        return run.unexpected(caught)


HONEST = problems("honest-name")


def sentences(problem: Problem) -> list[str]:
    """The sentences of a message; complaints about inputs are a list."""
    return [*problem.what.split("\n"), problem.why, problem.first or "None.", problem.fix]


def outside_quotes(sentence: str) -> str:
    """The parts of a sentence outside of code spans."""
    parts = sentence.split("`")
    assert len(parts) % 2 == 1, f"an open code span: {sentence}"
    return "``".join(parts[::2])


def only_blocker(known: View, now: Any = SOON) -> Blocker:
    """The only cause that keeps the Job from running."""
    (found,) = blockers(known, now)
    return found


def reasons(known: View, now: Any = SOON) -> list[tuple[str, bool]]:
    return [(each.problem.reason, each.lasting) for each in blockers(known, now)]


def blamed(found: Failure) -> tuple[str, str, str, int | None]:
    return found.problem.reason, found.pod, found.container, found.exit_code


def _stuck(reason: str, message: str = "") -> View:
    return view(job(), pod(phase="Pending", containers=[waits(reason, message)]))


def _pulling(why: str) -> View:
    return _stuck("ErrImagePull", why)


def _noted(reason: str, message: str) -> View:
    return view(job(), pod(phase="Pending", containers=[waits("ContainerCreating")]), events=[event(reason, message)])


def _ended(*containers: dict[str, Any], **changes: Any) -> View:
    return view(failed(*BACKOFF), lost(*containers, **changes))


def _disrupted(by: str) -> View:
    return _ended(status={"conditions": [condition("DisruptionTarget", by)]})


BLOCKED = {
    Reason.JOB_SUSPENDED: view(job(suspend=True)),
    Reason.POD_QUOTA_EXCEEDED: refused(FULL_QUOTA),
    Reason.LIMIT_RANGE_REFUSED: refused("maximum cpu usage per Container is 1, but limit is 2"),
    Reason.POD_SECURITY_REFUSED: refused('violates PodSecurity "restricted:latest": runAsNonRoot != true'),
    Reason.POD_REFUSED: refused('admission webhook "scan.example.com" denied the request: no'),
    Reason.POD_WEBHOOK_FAILED: refused('failed calling webhook "scan.example.com"'),
    Reason.SERVICE_ACCOUNT_MISSING: refused("error looking up service account staging/reporter: not found"),
    Reason.PRIORITY_CLASS_MISSING: refused("no PriorityClass with name urgent was found"),
    Reason.RUNTIME_CLASS_MISSING: refused('pod rejected: RuntimeClass "gvisor" not found'),
    Reason.UNSCHEDULABLE: view(job(), unplaced(NOT_READY)),
    Reason.VOLUME_CLAIM_MISSING: view(job(), unplaced('persistentvolumeclaim "data" not found')),
    Reason.VOLUME_FAILED: _noted("FailedAttachVolume", "Multi-Attach error for volume"),
    Reason.SCHEDULING_GATED: view(job(), unplaced("", reason="SchedulingGated", schedulingGates=[{"name": "kueue"}])),
    Reason.IMAGE_NAME_INVALID: _stuck("InvalidImageName"),
    Reason.IMAGE_NOT_FOUND: _pulling(f"{UNPACK}{IMAGE}: not found"),
    Reason.IMAGE_PULL_DENIED: _pulling("403 Forbidden"),
    Reason.IMAGE_REGISTRY_UNREACHABLE: _pulling("no such host"),
    Reason.IMAGE_PULL_THROTTLED: _pulling("toomanyrequests"),
    Reason.IMAGE_PLATFORM_MISSING: _pulling("no match for platform"),
    Reason.IMAGE_NEVER_PULLED: _stuck("ErrImageNeverPull"),
    Reason.IMAGE_PULL_FAILED: _pulling("no space left on device"),
    Reason.CONFIG_MAP_MISSING: _stuck("CreateContainerConfigError", 'configmap "settings" not found'),
    Reason.SECRET_MISSING: _stuck("CreateContainerConfigError", 'secret "database" not found'),
    Reason.RUNS_AS_ROOT: _stuck("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
    Reason.CONTAINER_NOT_CREATED: _stuck("CreateContainerError", "something"),
    Reason.START_FAILED: _stuck("RunContainerError", "permission denied"),
    Reason.POD_SANDBOX_FAILED: _noted("FailedCreatePodSandBox", "failed to assign an IP address to container"),
}
"""A Job that does not run, for each reason."""

FAILED = {
    Reason.CONTAINER_FAILED: _ended(ended(1)),
    Reason.INIT_CONTAINER_FAILED: _ended(init=[ended(1, name="migrate")]),
    Reason.OOM_KILLED: _ended(ended(137, "OOMKilled")),
    Reason.CONTAINER_KILLED: _ended(ended(137)),
    Reason.DEADLINE_EXCEEDED: view(failed(*DEADLINE)),
    Reason.EVICTED: _ended(status={"reason": "Evicted", "message": "The node was low on resource: memory. "}),
    Reason.PREEMPTED: _disrupted("PreemptionByScheduler"),
    Reason.DRAINED: _disrupted("EvictionByEvictionAPI"),
    Reason.NODE_LOST: _disrupted("DeletionByPodGC"),
    Reason.NODE_REFUSED: _ended(status={"reason": "OutOfcpu"}),
    Reason.POD_DISRUPTED: _disrupted("DeletionBySomethingNew"),
    Reason.BACKOFF_LIMIT_EXCEEDED: view(failed(*BACKOFF)),
    Reason.POD_FAILURE_POLICY: view(failed("PodFailurePolicy")),
    Reason.FAILED_INDEXES: view(failed("FailedIndexes")),
    Reason.MAX_FAILED_INDEXES_EXCEEDED: view(failed("MaxFailedIndexesExceeded")),
    Reason.JOB_FAILED: view(failed("ManagedElsewhere")),
}
"""A Job that failed, for each reason."""
