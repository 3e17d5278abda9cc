"""Admission in the emulator: namespaces, quotas, webhooks and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.emulator.admission import Policy, Webhook, WebhookFailure
from tests.sandbox.emulator.client import Client, job

if TYPE_CHECKING:
    from sandbox.emulator.errors import Object
    from sandbox.emulator.server import EmulatedCluster


def test_a_namespace_that_is_not_there_is_named(root: Client) -> None:
    answer = root("POST", "/apis/batch/v1/namespaces/nowhere/jobs", job())

    assert (answer.status, answer.json["message"]) == (404, 'namespaces "nowhere" not found')
    assert answer.json["details"] == {"name": "nowhere", "kind": "namespaces"}


def test_a_namespace_that_is_going_takes_nothing(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.set_status("Namespace", "", "staging", phase="Terminating")

    answer = runner.create(job())

    assert answer.status == 403
    assert answer.json["message"] == (
        'jobs.batch "nightly-1" is forbidden: unable to create new content in namespace staging'
        " because it is being terminated"
    )
    assert answer.json["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace staging is being terminated",
            "field": "metadata.namespace",
        }
    ]


def test_an_object_quota_counts_jobs(cluster: EmulatedCluster, runner: Client) -> None:
    metadata = {"name": "few-jobs", "namespace": "staging"}
    cluster.apply({"kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"count/jobs.batch": "1"}}})

    assert runner.create(job("a"), dryRun="All").status == 201
    assert runner.create(job("a")).status == 201
    answer = runner.create(job("b"))

    assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
    assert answer.json["message"] == (
        'jobs.batch "b" is forbidden: exceeded quota: few-jobs, requested: count/jobs.batch=1,'
        " used: count/jobs.batch=1, limited: count/jobs.batch=1"
    )


def test_a_webhook_decides_by_the_finished_object(cluster: EmulatedCluster, runner: Client) -> None:
    seen: list[Object] = []
    cluster.webhooks.append(Webhook("policy.example.com", seen.append))

    created = runner.create(job()).json

    assert [each["metadata"]["uid"] for each in seen] == [created["metadata"]["uid"]]


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (400, None)])
def test_a_webhook_denies_in_its_own_words(
    cluster: EmulatedCluster, runner: Client, code: int, reason: str | None
) -> None:
    cluster.webhooks.append(Webhook("policy.example.com", lambda _job: "no images from there", code=code))

    answer = runner.create(job())

    assert (answer.status, answer.json.get("reason")) == (code, reason)
    assert answer.json["message"] == ('admission webhook "policy.example.com" denied the request: no images from there')
    assert cluster.list("Job") == ()


def test_a_webhook_without_dry_run_support_breaks_a_dry_run_alone(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.webhooks.append(Webhook("policy.example.com", lambda _job: None, supports_dry_run=False))

    answer = runner.create(job(), dryRun="All")

    assert answer.status == 400
    assert answer.json["message"] == 'admission webhook "policy.example.com" does not support dry run'
    assert runner.create(job()).status == 201


def test_a_webhook_that_fails_is_an_internal_error(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.webhooks.append(Webhook("policy.example.com", lambda _job: WebhookFailure("Post: EOF")))

    answer = runner.create(job())

    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert answer.json["message"] == (
        'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post: EOF'
    )


def test_a_policy_denies_with_its_name_and_binding(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.policies.append(Policy("jobs-from-cronjobs", "runners", lambda _job: "not from a CronJob"))

    answer = runner.create(job())

    why = "ValidatingAdmissionPolicy 'jobs-from-cronjobs' with binding 'runners' denied request: not from a CronJob"
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    assert answer.json["message"] == f'jobs.batch "nightly-1" is forbidden: {why}'
    assert answer.json["details"]["causes"] == [{"message": why}]
