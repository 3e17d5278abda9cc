"""Tests of jobs/manifest: the Job is kubectl's, with our label and annotations in addition."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from run_cronjob.core.models import RunningJob, Trigger
from run_cronjob.jobs import manifest
from tests.builders import HOSTILE, TRIGGER, cronjob

ORIGIN = {
    "run-cronjob/actor": "hubot",
    "run-cronjob/triggering-actor": "octocat",
    "run-cronjob/repository": "acme/batch",
    "run-cronjob/workflow": "Run CronJob",
    "run-cronjob/ref": "refs/heads/main",
    "run-cronjob/sha": "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
    "run-cronjob/run-id": "4711",
    "run-cronjob/run-attempt": "2",
    "run-cronjob/run-url": "https://github.com/acme/batch/actions/runs/4711",
    "run-cronjob/request-id": "r-1",
}


def templated(metadata: dict[str, Any] | None, **job_spec: Any) -> dict[str, Any]:
    found = cronjob(**job_spec)
    found["spec"]["jobTemplate"]["metadata"] = metadata
    return found


def run_of(owner: dict[str, Any], name: str, *conditions: tuple[str, str], **status: str) -> dict[str, Any]:
    found = manifest.build(owner, name, TRIGGER, "r-1")
    found["status"] = status | {"conditions": [{"type": kind, "status": value} for kind, value in conditions]}
    return found


# --- what is created ----------------------------------------------------------------------------------------


def test_the_whole_job() -> None:
    assert manifest.build(cronjob(), "nightly-report-1", TRIGGER, "r-1") == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "nightly-report-1",
            "namespace": "staging",
            "labels": {"run-cronjob/cronjob": "nightly-report"},
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"} | ORIGIN,
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": "nightly-report",
                    "uid": "0c5a8c9e-cron",
                    "controller": True,
                }
            ],
        },
        "spec": cronjob()["spec"]["jobTemplate"]["spec"],
    }


def test_the_templates_labels_and_annotations_come_along() -> None:
    made = manifest.build(templated({"labels": {"team": "a"}, "annotations": {"note": "b"}}), "x", TRIGGER, "r-1")

    assert made["metadata"]["labels"] == {"team": "a", "run-cronjob/cronjob": "nightly-report"}
    assert made["metadata"]["annotations"]["note"] == "b"


def test_a_template_without_labels_lends_the_job_those_of_its_pods() -> None:
    pods = {"metadata": {"labels": {"app": "pods", "run-cronjob/cronjob": "another"}}}

    lent = manifest.build(templated({"labels": {}}, template=pods), "x", TRIGGER, "r-1")
    not_needed = manifest.build(templated({"labels": {"team": "a"}}, template=pods), "x", TRIGGER, "r-1")

    assert lent["metadata"]["labels"] == {"app": "pods", "run-cronjob/cronjob": "nightly-report"}
    assert not_needed["metadata"]["labels"] == {"team": "a", "run-cronjob/cronjob": "nightly-report"}


def test_the_cronjobs_own_labels_and_annotations_do_not() -> None:
    owner = cronjob()
    owner["metadata"] |= {"labels": {"team": "a"}, "annotations": {"note": "b"}}

    made = manifest.build(owner, "x", TRIGGER, "r-1")

    assert "team" not in made["metadata"]["labels"]
    assert "note" not in made["metadata"]["annotations"]


def test_a_template_may_say_how_it_was_instantiated_as_with_kubectl() -> None:
    made = manifest.build(templated({"annotations": {"cronjob.kubernetes.io/instantiate": "x"}}), "x", TRIGGER, "r-1")

    assert made["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "x"


def test_labels_and_annotations_under_our_prefix_are_not_taken_from_the_template() -> None:
    forged = {
        "run-cronjob/cronjob": "x",
        "run-cronjob/actor": "x",
        "run-cronjob/request-id": "x",
        "run-cronjob/new": "x",
    }

    made = manifest.build(templated({"labels": forged, "annotations": forged}), "x", TRIGGER, "r-1")

    assert made["metadata"]["labels"] == {"run-cronjob/cronjob": "nightly-report"}
    assert made["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"} | ORIGIN


@pytest.mark.parametrize("metadata", [None, {}, {"labels": None, "annotations": None}, {"name": "x", "namespace": "y"}])
def test_a_template_need_not_have_metadata_and_its_name_counts_for_nothing(metadata: dict[str, Any] | None) -> None:
    made = manifest.build(templated(metadata), "nightly-report-1", TRIGGER, "r-1")

    assert made["metadata"]["name"] == "nightly-report-1"
    assert made["metadata"]["namespace"] == "staging"


def test_fields_that_no_client_knows_arrive_unchanged() -> None:
    future = {"spec": {"containers": [{"name": "c", "quantum": {"qubits": [1, 2.5, None, True]}}]}, "novel": []}

    made = manifest.build(cronjob(template=future, notYetInvented={"a": 1}), "x", TRIGGER, "r-1")

    assert made["spec"] == {"template": future, "notYetInvented": {"a": 1}}


def test_suspension_and_concurrency_are_the_schedules_business() -> None:
    assert manifest.build(cronjob(spec={"suspend": True}), "x", TRIGGER, "r-1") == manifest.build(
        cronjob(), "x", TRIGGER, "r-1"
    )


def test_the_cronjob_is_not_changed() -> None:
    owner = templated({"labels": {"a": "b"}})
    before = copy.deepcopy(owner)

    made = manifest.build(owner, "x", TRIGGER, "r-1")
    made["spec"]["template"]["spec"]["containers"].append({})
    made["metadata"]["labels"]["c"] = "d"

    assert owner == before


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_annotation_is_one_line_of_bounded_length(hostile: str) -> None:
    made = manifest.build(cronjob(), "x", Trigger(actor=hostile, workflow=hostile, ref=hostile), "r-1")

    for value in made["metadata"]["annotations"].values():
        assert len(value.splitlines()) <= 1
        assert len(value) <= 1000
        value.encode()


# --- whose Job it is ----------------------------------------------------------------------------------------


def test_a_job_is_ours_by_its_request_whatever_a_webhook_made_of_the_rest() -> None:
    ours = manifest.build(cronjob(), "x", TRIGGER, "r-1")
    ours["metadata"]["ownerReferences"] = []

    assert manifest.annotation(ours, "request-id") == "r-1"


def test_a_job_of_another_request_or_of_none_is_not_ours() -> None:
    assert manifest.annotation(manifest.build(cronjob(), "x", TRIGGER, "r-2"), "request-id") == "r-2"
    assert manifest.annotation({"metadata": {"name": "x"}}, "request-id") == ""


# --- unfinished runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "is_unfinished"),
    [
        ([], True),
        ([("Complete", "True")], False),
        ([("Failed", "True")], False),
        ([("Complete", "False"), ("Failed", "Unknown")], True),
        ([("SuccessCriteriaMet", "True")], True),
        ([("FailureTarget", "True")], True),
        ([("Suspended", "True")], True),
        ([("FailureTarget", "True"), ("Failed", "True")], False),
    ],
)
def test_only_complete_and_failed_end_a_job(conditions: list[tuple[str, str]], *, is_unfinished: bool) -> None:
    found = manifest.unfinished([run_of(cronjob(), "a", *conditions)], cronjob())

    assert [each.name for each in found] == (["a"] if is_unfinished else [])


def test_runs_of_any_origin_count_but_not_those_of_another_one_of_that_name() -> None:
    by_hand = run_of(cronjob(), "by-hand")
    by_hand["metadata"].pop("annotations")
    earlier = run_of(cronjob(), "earlier")
    earlier["metadata"]["ownerReferences"][0]["uid"] = "earlier-cronjob"
    bare = {"metadata": {"name": "bare"}}

    assert [each.name for each in manifest.unfinished([by_hand, earlier, bare], cronjob())] == ["by-hand"]


def test_unfinished_runs_tell_since_when_and_by_whom_oldest_first() -> None:
    later = run_of(cronjob(), "later", startTime="2026-11-23T04:00:00Z")
    earlier = run_of(cronjob(), "earlier")
    earlier["metadata"] |= {"creationTimestamp": "2026-11-23T03:00:00Z", "annotations": {}}

    assert manifest.unfinished([later, earlier], cronjob()) == (
        RunningJob("earlier", "2026-11-23T03:00:00Z", ""),
        RunningJob("later", "2026-11-23T04:00:00Z", "octocat"),
    )


def test_the_cronjobs_status_lists_what_its_schedule_started() -> None:
    assert manifest.active(cronjob()) == ()
    assert manifest.active(cronjob() | {"status": {}}) == ()
    assert manifest.active(cronjob() | {"status": {"active": [{"name": "a"}, {}]}}) == (RunningJob("a"), RunningJob(""))


# --- what a person sees of it -------------------------------------------------------------------------------


def test_the_facts_of_a_cronjob() -> None:
    containers = [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}, {"name": "c", "image": "one"}]
    template = {"spec": {"initContainers": [{"name": "i", "image": "first"}], "containers": containers}}

    seen = manifest.facts(cronjob(spec={"suspend": True, "timeZone": "Etc/UTC"}, template=template, suspend=True))

    assert (seen.schedule, seen.time_zone, seen.concurrency_policy) == ("5 4 * * *", "Etc/UTC", "Forbid")
    assert (seen.suspended, seen.template_suspended) == (True, True)
    assert seen.images == ("first", "one", "two")


def test_a_cronjob_that_says_nothing_more_is_allowed_to_overlap_and_not_suspended() -> None:
    seen = manifest.facts({"metadata": {}, "spec": {"schedule": "@daily", "jobTemplate": {}}})

    assert (seen.concurrency_policy, seen.suspended, seen.template_suspended, seen.images) == (
        "Allow",
        False,
        False,
        (),
    )


@pytest.mark.parametrize(
    ("spec", "job_spec", "expected"),
    [
        ({}, {}, False),
        ({"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}, {}, False),
        ({"successfulJobsHistoryLimit": 0}, {}, True),
        ({"failedJobsHistoryLimit": 0}, {}, True),
        ({}, {"ttlSecondsAfterFinished": 0}, True),
        ({}, {"ttlSecondsAfterFinished": 45}, True),
        ({}, {"ttlSecondsAfterFinished": 46}, False),
        ({}, {"ttlSecondsAfterFinished": None}, False),
    ],
)
def test_a_job_may_be_gone_soon_by_its_time_to_live_or_a_history_limit_of_none(
    spec: dict[str, int], job_spec: dict[str, Any], *, expected: bool
) -> None:
    assert manifest.may_be_pruned_within(cronjob(spec=spec, **job_spec), 45) is expected


# --- env values ---------------------------------------------------------------------------------------------

SECRETIVE: dict[str, Any] = {
    "spec": {
        "initContainers": [{"name": "i", "env": [{"name": "KEY", "value": "init-s3cret"}]}],
        "containers": [
            {
                "name": "c",
                "args": ["--password=main-s3cret"],
                "env": [
                    {"name": "PASSWORD", "value": "main-s3cret"},
                    {"name": "EMPTY", "value": ""},
                    {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                ],
            },
            {"name": "bare"},
        ],
    },
}


def test_env_values_are_those_that_stand_in_the_template() -> None:
    assert manifest.env_values(cronjob(template=SECRETIVE)) == {"init-s3cret", "main-s3cret"}
    assert manifest.env_values({"spec": {"jobTemplate": {}}}) == frozenset()


def test_the_job_is_shown_without_env_values_wherever_they_are_repeated() -> None:
    owner = cronjob(template=SECRETIVE)
    owner["spec"]["jobTemplate"]["metadata"] = {"annotations": {"copy": json.dumps({"p": "main-s3cret"})}}
    made = manifest.build(owner, "nightly-report-1", TRIGGER, "r-1")

    shown = manifest.without_env_values(made, manifest.env_values(owner), ("nightly-report", "staging"))

    assert "s3cret" not in json.dumps(shown)
    containers = shown["spec"]["template"]["spec"]["containers"]
    assert containers[0]["env"][0] == {"name": "PASSWORD", "value": "***"}
    assert containers[0]["env"][1] == {"name": "EMPTY", "value": "***"}
    assert containers[0]["env"][2] == SECRETIVE["spec"]["containers"][0]["env"][2]
    assert shown["metadata"]["name"] == "nightly-report-1"


def test_values_that_admission_added_are_hidden_too() -> None:
    made = manifest.build(cronjob(), "x", TRIGGER, "r-1")
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "INJECTED", "value": "injected-s3cret"}]

    assert "s3cret" not in json.dumps(manifest.without_env_values(made, frozenset(), ()))


def test_to_show_a_job_does_not_change_it() -> None:
    made = manifest.build(cronjob(template=SECRETIVE), "x", TRIGGER, "r-1")
    before = copy.deepcopy(made)

    manifest.without_env_values(made, frozenset({"main-s3cret"}), ())

    assert made == before
