"""The emulated API server: reading and creating objects, and the methods that tests call on it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sandbox.emulator.errors import StatusError
from tests.sandbox.emulator.client import CRONJOBS, JOBS, Client, job

if TYPE_CHECKING:
    from sandbox.emulator.server import EmulatedCluster


def test_every_request_is_written_down(cluster: EmulatedCluster, runner: Client) -> None:
    runner.create(job(), fieldValidation="Strict")

    [entry] = cluster.journal
    assert (entry.method, entry.path, entry.query) == ("POST", JOBS, {"fieldValidation": "Strict"})
    assert json.loads(entry.body)["metadata"] == {"name": "nightly-1"}


def test_fields_that_no_client_knows_are_kept(runner: Client) -> None:
    cronjob = runner.get(f"{CRONJOBS}/nightly").json

    assert (cronjob["kind"], cronjob["apiVersion"]) == ("CronJob", "batch/v1")
    assert cronjob["spec"]["jobTemplate"]["spec"]["fieldOfTomorrow"] == {"kept": True}
    assert cronjob["spec"]["concurrencyPolicy"] == "Allow"
    assert {"uid", "creationTimestamp", "resourceVersion"} <= cronjob["metadata"].keys()


def test_what_is_not_there_is_not_found(runner: Client) -> None:
    answer = runner.get(f"{CRONJOBS}/nigthly")

    assert (answer.status, answer.json["reason"]) == (404, "NotFound")
    assert answer.json["message"] == 'cronjobs.batch "nigthly" not found'
    assert answer.json["details"] == {"name": "nigthly", "group": "batch", "kind": "cronjobs"}


def test_a_kind_it_does_not_have_is_no_page(root: Client) -> None:
    answer = root.get("/apis/batch/v2/namespaces/staging/cronjobs")

    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_what_it_does_not_serve_it_does_not_pretend_to(root: Client) -> None:
    answer = root("PATCH", f"{CRONJOBS}/nightly", {})

    assert (answer.status, answer.json["reason"]) == (405, "MethodNotAllowed")


def test_namespaces_are_read_by_name_and_in_all(root: Client) -> None:
    assert root.get("/api/v1/namespaces/staging").json["status"] == {"phase": "Active"}
    names = [item["metadata"]["name"] for item in root.get("/api/v1/namespaces").json["items"]]
    assert names == ["default", "kube-system", "staging"]


def test_a_dry_run_answers_and_keeps_nothing(cluster: EmulatedCluster, runner: Client) -> None:
    answer = runner.create(job(), dryRun="All")

    assert answer.status == 201
    assert answer.json["metadata"]["uid"]
    assert "resourceVersion" not in answer.json["metadata"]
    assert cluster.list("Job") == ()


def test_a_dry_run_finds_what_a_real_one_would(runner: Client) -> None:
    runner.create(job())

    assert runner.create(job(), dryRun="All").status == 409
    assert runner.create(job("Bad_Name"), dryRun="All").status == 422


def test_a_name_is_generated_where_asked_for(runner: Client) -> None:
    sent = job("")
    sent["metadata"]["generateName"] = "nightly-" + "x" * 60

    names = {runner.create(sent).json["metadata"]["name"] for _ in range(2)}

    assert len(names) == 2
    assert {len(name) for name in names} == {63}


def test_a_name_is_taken_once(runner: Client) -> None:
    runner.create(job())

    answer = runner.create(job())

    assert (answer.status, answer.json["reason"]) == (409, "AlreadyExists")
    assert answer.json["message"] == 'jobs.batch "nightly-1" already exists'


def test_of_many_at_once_one_gets_the_name(cluster: EmulatedCluster, runner: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status for answer in pool.map(runner.create, [job()] * 8)]

    assert sorted(statuses) == [201] + [409] * 7
    assert len(cluster.list("Job")) == 1


def test_another_namespace_in_the_object_is_refused(runner: Client) -> None:
    answer = runner.create(job() | {"metadata": {"name": "a", "namespace": "default"}})

    assert answer.status == 400
    assert answer.json["message"] == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )


def test_warnings_come_with_the_answer(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.warnings.append('would violate PodSecurity "restricted:latest" ✓ Ü')

    answer = runner.create(job("a.b"))

    warning = answer.headers["Warning"].encode("latin-1").decode()
    assert "a DNS label is recommended: [must not contain dots]" in warning
    assert warning.endswith('299 - "would violate PodSecurity \\"restricted:latest\\" ✓ Ü"')


def test_applying_again_replaces_but_keeps_identity_and_status(cluster: EmulatedCluster) -> None:
    [before] = cluster.apply(job() | {"metadata": {"name": "a", "namespace": "staging"}})
    cluster.set_status("Job", "staging", "a", active=1)

    [after] = cluster.apply(job(backoffLimit=0) | {"metadata": {"name": "a", "namespace": "staging"}})

    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (after["status"], after["spec"]["backoffLimit"]) == ({"active": 1}, 0)
    assert int(after["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])


def test_a_job_may_be_applied_with_its_status(cluster: EmulatedCluster) -> None:
    cluster.apply(job() | {"metadata": {"name": "a", "namespace": "staging"}, "status": {"active": 1}})

    assert cluster.get("Job", "staging", "a")["status"] == {"active": 1}
    assert cluster.get("Job", "staging", "a")["metadata"]["labels"]["job-name"] == "a"


def test_a_time_in_a_manifest_stays_text(cluster: EmulatedCluster) -> None:
    cluster.apply("{kind: Pod, metadata: {name: a}, status: {startTime: 2026-11-23T04:05:06Z}}")

    assert cluster.get("Pod", "default", "a")["status"]["startTime"] == "2026-11-23T04:05:06Z"


def test_what_is_handed_out_is_a_copy(cluster: EmulatedCluster) -> None:
    cluster.get("CronJob", "staging", "nightly")["spec"].clear()

    assert cluster.get("CronJob", "staging", "nightly")["spec"]["schedule"] == "0 3 * * *"


def test_deleting_takes_along_what_is_owned(cluster: EmulatedCluster) -> None:
    uid = cluster.get("CronJob", "staging", "nightly")["metadata"]["uid"]
    metadata = {"name": "a", "namespace": "staging", "ownerReferences": [{"uid": uid}]}
    cluster.apply(job() | {"metadata": metadata})

    cluster.delete("CronJob", "staging", "nightly")

    assert cluster.list("Job") == ()


def test_a_missing_namespace_object_or_kind_raises(cluster: EmulatedCluster) -> None:
    with pytest.raises(StatusError, match='namespaces "nowhere" not found'):
        cluster.apply({"kind": "Pod", "metadata": {"name": "a", "namespace": "nowhere"}})
    with pytest.raises(StatusError, match=r'jobs\.batch "x" not found'):
        cluster.get("Job", "staging", "x")
    with pytest.raises(LookupError, match="this cluster has no kind 'Deployment'"):
        cluster.list("Deployment")
