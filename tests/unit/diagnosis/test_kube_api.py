"""Errors of the Kubernetes API are explained by status and message."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core.models import ErrorContext
from run_cronjob.diagnosis.explain import explain
from tests.builders import ROLE, inputs
from tests.unit.diagnosis.examples import HONEST, SECRET, api, outside_quotes

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("name", "reason"),
    [
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
        ("api: policy denies", "AdmissionRefused"),
        ("api: our policy denies", "AdmissionRefused"),
        ("api: terminating", "NamespaceTerminating"),
    ],
)
def test_each_error_has_its_own_message(name: str, reason: str) -> None:
    assert HONEST[name].reason == reason


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
def test_an_env_value_is_never_reported_though_the_api_quotes_it(status: int, words: str) -> None:
    at = ErrorContext(inputs(), namespace="staging", cluster="blue", env_values=frozenset({SECRET}))

    for form in (SECRET, json.dumps({"value": SECRET}), r"hunter2\u0026more"):
        problem = explain(api(status, words.format(form)), at)
        assert "hunter2" not in str(astuple(problem))


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
