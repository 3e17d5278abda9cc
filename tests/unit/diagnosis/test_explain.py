"""Each failure has one message: what happened, why, the exact fix, and in whose words."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core.errors import ApiError, AwsError, Cause, GitHubError, NoAnswer, UnusableKubeconfig
from run_cronjob.core.models import Concerns, Problem, RunningJob
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import aws, kube_api, network, run
from run_cronjob.diagnosis.aws import cluster_not_ready
from run_cronjob.diagnosis.error_context import ErrorContext
from run_cronjob.diagnosis.explain import explain
from tests.builders import CLAIMS, HOSTILE, ROLE, inputs, outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "hunter2&more"
ASSUME = "AssumeRoleWithWebIdentity"


def aws_error(operation: str, code: str, message: str = "") -> AwsError:
    return AwsError(operation, code, message, 400)


def api(status: int, message: str = "", reason: str = "AsInItsStatus", *, is_status: bool = True) -> ApiError:
    return ApiError(status, reason, message, is_status)


def scenarios(foreign: str) -> dict[str, Problem]:
    """Every failure that can be told, with `foreign` wherever others decide what is written."""
    at = ErrorContext(
        inputs(),
        namespace="staging",
        cluster=foreign,
        claims=CLAIMS | dict.fromkeys(("sub", "aud", "repository", "ref", "environment", "iss"), foreign),
        caller=foreign,
        env_values=frozenset({SECRET}),
    )
    by_kubeconfig = replace(at, inputs=inputs(cluster="", role_to_assume="", aws_region="", kubeconfig="k.yaml"))
    by_environment = replace(at, inputs=inputs(role_to_assume=""))
    running = (RunningJob(foreign, foreign, foreign), RunningJob("plain"))

    def silence(cause: Cause, service: str) -> NoAnswer:
        return NoAnswer(service, foreign, cause, foreign)

    kubernetes, github = "the Kubernetes API", "GitHub's OIDC endpoint"
    return {
        "invalid input": run.invalid_inputs(["Input `cronjob` is missing."]),
        "invalid inputs": run.invalid_inputs(["Input `cronjob` is missing.", "Input `cluster` is missing."]),
        "no id-token permission": run.no_id_token_permission(),
        "kubeconfig unreadable": run.kubeconfig_unreadable(foreign),
        "ca bundle unreadable": run.ca_bundle_unreadable(foreign, foreign),
        "github: no answer": explain(silence(Cause.CONNECT_TIMEOUT, github), at),
        "github: proxy": explain(silence(Cause.PROXY, github), at),
        "github: tls": explain(silence(Cause.TLS, github), at),
        "github: 500": explain(GitHubError(500, foreign), at),
        "aws: no name": explain(silence(Cause.NAME, "AWS STS"), at),
        "aws: no answer": explain(silence(Cause.READ_TIMEOUT, "AWS EKS"), at),
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
        "api: no answer": explain(silence(Cause.CONNECT_TIMEOUT, kubernetes), at),
        "api: no answer, kubeconfig": explain(silence(Cause.NAME, kubernetes), by_kubeconfig),
        "api: an answer cut off": explain(silence(Cause.READ_TIMEOUT, kubernetes), at),
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
        "kubeconfig unusable": explain(UnusableKubeconfig(foreign), at),
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


def raised(error: Exception) -> Problem:
    try:
        raise error  # noqa: TRY301  to have a traceback
    except Exception as caught:  # noqa: BLE001  with its traceback, as it would come
        return run.unexpected(caught)


HONEST = scenarios("honest-name")
ALL = pytest.mark.parametrize("name", HONEST)


def sentences(problem: Problem) -> list[str]:
    """One by one; several complaints about inputs are a list."""
    return [*problem.what.split("\n"), problem.why, problem.first or "None.", problem.fix]


def outside_quotes(sentence: str) -> str:
    """What of a sentence is no code span."""
    parts = sentence.split("`")
    assert len(parts) % 2 == 1, f"an open code span: {sentence}"
    return "``".join(parts[::2])


# --- what every message has ---------------------------------------------------------------------------------


def test_every_reason_that_the_code_can_give_is_among_these() -> None:
    modules = (run, network, aws, kube_api)
    given = {name for each in modules for name in re.findall(r"Reason\.(\w+)", inspect.getsource(each))}

    assert {problem.reason.name for problem in HONEST.values()} == given


@ALL
def test_every_failure_tells_what_happened_why_and_what_to_do(name: str) -> None:
    problem = HONEST[name]

    assert re.fullmatch(r"([A-Z][a-z]+)+", problem.reason)
    for sentence in sentences(problem):
        assert sentence.strip() == sentence
        assert sentence.endswith((".", ":", "?", ")"))
        assert "\n" not in sentence


@ALL
def test_what_is_announced_for_copying_is_there(name: str) -> None:
    problem = HONEST[name]

    if problem.fix.endswith(":") or "below" in problem.fix:
        assert problem.paste


@ALL
def test_what_is_there_for_copying_is_valid(name: str) -> None:
    problem = HONEST[name]

    match problem.paste_language if problem.paste else "":
        case "json":
            assert json.loads(problem.paste)
        case "yaml":
            assert all(yaml.safe_load_all(problem.paste))
        case "sh":
            commands = problem.paste.partition("\n\n# or")[0]
            assert shlex.split(commands, comments=True)[0] in {"aws", "kubectl"}
        case "":
            assert not problem.paste or problem.reason == "Unexpected"
        case other:
            pytest.fail(other)


@ALL
def test_a_developer_is_not_asked_to_change_the_platform(name: str) -> None:
    problem = HONEST[name]

    if problem.concerns is Concerns.DEVELOPER:
        assert problem.paste_language == "sh" or not problem.paste


# --- other people's words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_text_stands_in_quotes_or_nowhere(hostile: str) -> None:
    for name, problem in scenarios(hostile).items():
        for said, honest in zip(sentences(problem), sentences(HONEST[name]), strict=True):
            if hostile.strip():
                assert outside_quotes(said) == outside_quotes(honest), name
            assert len(said.splitlines()) == 1


@given(st.text(min_size=1, max_size=40))
def test_no_403_brings_its_own_words_into_our_sentences(resource: str) -> None:
    problem = explain(api(403, f'cannot {resource} resource "{resource}"'), ErrorContext(inputs(), namespace="staging"))

    assert outside_quotes(problem.what) in {
        "The cluster does not let this role `` in the namespace ``.",
        "The API server refused the request (HTTP 403), for the reason in its message.",
    }


def test_a_resource_that_looks_like_a_link_is_none() -> None:
    problem = explain(api(403, 'cannot get resource "www.evil.example/login"'), ErrorContext(inputs()))

    assert "www" not in outside_quotes(problem.what)


@pytest.mark.parametrize(
    "hostile", [text for text in HOSTILE if "\n" not in text and text.isprintable() and text.strip()]
)
def test_a_foreign_name_is_one_word_of_a_command_to_copy(hostile: str) -> None:
    command = kubectl("staging", "get job", hostile)

    assert shlex.split(command) == ["kubectl", "--namespace", "staging", "get", "job", hostile]


def test_what_others_said_is_passed_on() -> None:
    for name in ("github: 500", "aws: trust policy", "api: 422", "api: quota", "api: webhook denies", "uncertain"):
        assert "honest-name" in HONEST[name].said


# --- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
@pytest.mark.parametrize(
    "words",
    [
        "{} is refused",
        "admission webhook denied the request: {}",
        "exceeded quota: {}",
        'failed calling webhook "{}"',
        "does not support dry run {}",
        'cannot get resource "{}"',
        "{} is being terminated",
    ],
)
def test_an_env_value_is_never_told_though_the_api_quotes_it(status: int, words: str) -> None:
    at = ErrorContext(inputs(), namespace="staging", cluster="blue", env_values=frozenset({SECRET}))

    for form in (SECRET, json.dumps({"value": SECRET}), r"hunter2\u0026more"):
        problem = explain(api(status, words.format(form)), at)
        assert "hunter2" not in str(astuple(problem))


def test_an_unexpected_error_is_told_without_its_values() -> None:
    def work(password: str) -> None:
        raise ValueError(f"bad password {password}")

    try:
        work(SECRET)
    except ValueError as error:
        problem = run.unexpected(error)

    assert "hunter2" not in str(astuple(problem))
    assert "ValueError" in problem.what
    assert "test_explain.py" in problem.paste
    assert "work" in problem.paste


# --- which message ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("invalid inputs", "InvalidInput"),
        ("no id-token permission", "NoIdTokenPermission"),
        ("github: no answer", "OidcUnavailable"),
        ("github: proxy", "ProxyRefused"),
        ("github: tls", "CertificateRejected"),
        ("github: 500", "OidcUnavailable"),
        ("aws: no name", "RegionUnknown"),
        ("aws: no answer", "AwsUnreachable"),
        ("aws: no credentials", "NoAwsCredentials"),
        ("aws: throttled", "AwsThrottled"),
        ("aws: trust policy", "RoleRefused"),
        ("aws: no provider", "NoOidcProvider"),
        ("aws: audience", "WrongAudience"),
        ("aws: no keys", "TokenRejected"),
        ("aws: token expired", "TokenExpired"),
        ("aws: session too long", "SessionTooLong"),
        ("aws: region disabled", "RegionDisabled"),
        ("aws: role, unknown error", "AwsFailed"),
        ("aws: no cluster", "ClusterNotFound"),
        ("aws: may not describe", "DescribeClusterDenied"),
        ("aws: credentials rejected", "AwsCredentialsRejected"),
        ("aws: other credentials rejected", "AwsCredentialsRejected"),
        ("cluster not ready", "ClusterNotReady"),
        ("api: no answer", "ClusterUnreachable"),
        ("api: 401", "Unauthorized"),
        ("api: 403", "Forbidden"),
        ("api: 404 cronjob", "CronJobNotFound"),
        ("api: 404 namespace", "NamespaceNotFound"),
        ("api: 404 namespace, by its words", "NamespaceNotFound"),
        ("api: 422", "JobRefused"),
        ("api: 400", "JobRefused"),
        ("api: 429", "ApiThrottled"),
        ("api: 500", "ApiFailed"),
        ("api: quota", "QuotaExceeded"),
        ("api: no dry run", "DryRunUnsupported"),
        ("api: webhook fails", "WebhookFailed"),
        ("api: webhook denies", "AdmissionRefused"),
        ("api: webhook denies, without a reason", "AdmissionRefused"),
        ("api: webhook denies, by an error of its own", "AdmissionRefused"),
        ("api: an answer cut off", "ClusterUnreachable"),
        ("api: no Kubernetes", "NotKubernetes"),
        ("api: policy denies", "AdmissionRefused"),
        ("api: our policy denies", "AdmissionRefused"),
        ("api: terminating", "NamespaceTerminating"),
    ],
)
def test_each_error_has_its_own_message(name: str, reason: str) -> None:
    assert HONEST[name].reason == reason


def test_a_refusing_trust_policy_is_answered_with_the_tokens_claims_and_the_statement_that_would_fit() -> None:
    problem = explain(aws_error(ASSUME, "AccessDenied"), ErrorContext(inputs(), claims=CLAIMS))

    for name in ("iss", "sub", "aud", "repository", "ref", "job_workflow_ref"):
        assert f"{name} `{CLAIMS[name]}`" in problem.why
    condition = json.loads(problem.paste)["Condition"]["StringEquals"]
    assert condition["token.actions.githubusercontent.com:sub"] == CLAIMS["sub"]


def test_a_401_prints_both_ways_to_let_the_role_in() -> None:
    problem = explain(api(401), ErrorContext(inputs(), cluster="blue", caller=ROLE))

    assert ROLE in problem.what
    assert (
        f"create-access-entry --region eu-central-1 --cluster-name blue \\\n  --principal-arn {ROLE}" in problem.paste
    )
    assert "rolearn: arn:aws:iam::123456789012:role/run-cronjob\n" in problem.paste


def test_a_403_names_verb_resource_and_namespace_and_prints_rule_and_binding() -> None:
    said = 'cronjobs.batch "x" is forbidden: User "u" cannot get resource "cronjobs" in API group "batch"'
    problem = explain(api(403, said), ErrorContext(inputs(), namespace="staging"))

    assert "`get cronjobs`" in problem.what
    assert "`staging`" in problem.what
    assert [each["kind"] for each in yaml.safe_load_all(problem.paste)] == ["ClusterRole", "RoleBinding"]


def names(*found: str) -> Mapping[str, object]:
    return {"cronjob_names": list(found), "namespace_exists": True}


@pytest.mark.parametrize(
    ("asked", "there", "fix"),
    [
        ("nightly-repot", names("hourly-sync", "nightly-report"), "Did you mean `nightly-report`?"),
        ("zzz", names("hourly-sync", "nightly-report"), "It holds `hourly-sync`, `nightly-report`."),
        ("zzz", names(*[f"job-{number:02}" for number in range(30)]), "It holds, among others, `job-00`, `job-01`"),
        ("zzz", names(), "holds no CronJobs at all"),
        ("zzz", {}, "Correct the name or the namespace"),
    ],
)
def test_a_missing_cronjob_is_answered_with_the_nearest_names(
    asked: str, there: Mapping[str, object], fix: str
) -> None:
    at = replace(ErrorContext(inputs(cronjob=asked), namespace="staging", cluster="blue"), **there)  # type: ignore[arg-type]

    assert fix in explain(api(404, "not found"), at).fix


def test_an_uncertain_job_is_told_as_such_and_not_to_be_started_again_at_once() -> None:
    problem = run.creation_uncertain("staging", "nightly-report-1", may_be_gone=True)

    assert "not certain" in problem.what
    assert "Don't run the workflow again yet" in problem.first
    assert "removed as soon as they end" in problem.why
    assert problem.paste == "kubectl --namespace staging get job nightly-report-1"
