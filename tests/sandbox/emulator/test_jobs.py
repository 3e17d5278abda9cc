"""Defaults, generated labels and validation of a Job that the emulator creates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.emulator.client import Client, job

if TYPE_CHECKING:
    from sandbox.emulator.errors import Object
    from sandbox.emulator.server import EmulatedCluster


def test_the_server_adds_what_only_it_knows(cluster: EmulatedCluster, runner: Client) -> None:
    answer = runner.create(job())

    assert answer.status == 201
    created = answer.json
    metadata, uid = created["metadata"], created["metadata"]["uid"]
    generated = {
        "job-name": "nightly-1",
        "batch.kubernetes.io/job-name": "nightly-1",
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
    }
    assert (metadata["namespace"], metadata["generation"]) == ("staging", 1)
    assert datetime.fromisoformat(metadata["creationTimestamp"]).tzinfo == UTC
    assert metadata["labels"] == generated
    assert created["spec"]["template"]["metadata"]["labels"] == generated
    assert created["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert {key: value for key, value in created["spec"].items() if key not in {"template", "selector"}} == {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "manualSelector": False,
    }
    assert created["status"] == {}
    assert cluster.get("Job", "staging", "nightly-1") == created


def test_what_was_sent_stays(runner: Client) -> None:
    sent = job(parallelism=2, suspend=True, fieldOfTomorrow=[1])
    sent["metadata"] |= {"labels": {"team": "a"}, "annotations": {"run-cronjob/actor": "Ünïcode ✓"}}

    created = runner.create(sent).json

    assert created["metadata"]["labels"] == {"team": "a"}
    assert created["metadata"]["annotations"] == {"run-cronjob/actor": "Ünïcode ✓"}
    assert created["spec"]["fieldOfTomorrow"] == [1]
    assert (created["spec"]["parallelism"], created["spec"]["suspend"]) == (2, True)
    assert "completions" not in created["spec"]


@pytest.mark.parametrize(
    ("sent", "fields", "message"),
    [
        (job(""), ["metadata.name"], "Required value: name or generateName is required"),
        (
            job("a.B"),
            ["metadata.name"],
            (
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
                " and must start and end with an alphanumeric character (e.g. 'example.com', regex used for"
                r" validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ),
        ),
        (
            job("n" * 64) | {"metadata": {"name": "n" * 64, "labels": {"a": "b"}}},
            ["spec.template.labels", "spec.template.labels"],
            f'Invalid value: "{"n" * 64}": must be no more than 63 bytes',
        ),
        (
            job("n" * 61, completionMode="Indexed", completions=11),
            ["metadata.name"],
            f'"{"n" * 61}": will not able to create pod with invalid DNS label: {"n" * 61}-10',
        ),
        (
            job("a.b", completionMode="Indexed", completions=1),
            ["metadata.name"],
            "will not able to create pod with invalid DNS label: a.b-0",
        ),
        (
            job(completionMode="Indexed", parallelism=1),
            ["spec.completions"],
            "Required value: when completion mode is Indexed",
        ),
        (
            job(template={"metadata": {"labels": {"job-name": "x"}}, "spec": {"restartPolicy": "Never"}}),
            ["spec.template.metadata.labels[job-name]"],
            "must be 'nightly-1'",
        ),
        (
            job(template={"spec": {}}),
            ["spec.template.spec.restartPolicy"],
            'Required value: valid values: "OnFailure", "Never"',
        ),
        (job(backoffLimit=-1), ["spec.backoffLimit"], "Invalid value: -1: must be greater than or equal to 0"),
        (
            job() | {"metadata": {"name": "a", "labels": {"run-cronjob/cronjob": "x" * 64}}},
            ["metadata.labels"],
            "must be no more than 63 bytes",
        ),
        (
            job() | {"metadata": {"name": "a", "annotations": {"a": "x" * 262144}}},
            ["metadata.annotations"],
            "Too long: may not be more than 262144 bytes",
        ),
        (
            job() | {"metadata": {"name": "a", "annotations": {"a b": ""}}},
            ["metadata.annotations"],
            'Invalid value: "a b": name part must consist of',
        ),
        (
            job() | {"metadata": {"name": "a", "ownerReferences": [{"kind": "CronJob", "name": "n", "uid": "u"}]}},
            ["metadata.ownerReferences[0].apiVersion"],
            "Required value: must not be empty",
        ),
    ],
)
def test_an_invalid_job_is_refused_with_its_causes(
    cluster: EmulatedCluster, runner: Client, sent: Object, fields: list[str], message: str
) -> None:
    answer = runner.create(sent)

    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    name = sent["metadata"].get("name", "")
    assert answer.json["message"].startswith(f'Job.batch "{name}" is invalid: {fields[0]}: ')
    assert message in answer.json["message"]
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == fields
    assert message in answer.json["details"]["causes"][0]["message"]
    assert cluster.list("Job") == ()


@pytest.mark.parametrize(
    "sent",
    [
        job("n" * 63),
        job("a.b"),
        job("n" * 60, completionMode="Indexed", completions=100),
        job("n" * 57, completionMode="Indexed", completions=100_000),
    ],
)
def test_the_longest_names_are_taken(runner: Client, sent: Object) -> None:
    assert runner.create(sent).status == 201


def test_several_errors_share_one_message(runner: Client) -> None:
    message = runner.create(job(backoffLimit=-1, completions=-1)).json["message"]

    assert message.startswith('Job.batch "nightly-1" is invalid: [spec.completions: ')
    assert message.endswith(", spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0]")
