"""DELETE of a Job in the emulator: preconditions, propagation policies and the pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.emulator.client import JOBS, Client, job

if TYPE_CHECKING:
    from sandbox.emulator.server import EmulatedCluster


@pytest.fixture
def uid(cluster: EmulatedCluster) -> str:
    [created] = cluster.apply(job() | {"metadata": {"name": "nightly-1", "namespace": "staging"}})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-1", "uid": created["metadata"]["uid"]}
    cluster.patch("Pod", "staging", "nightly-1-abcde", lambda pod: pod["metadata"].update(ownerReferences=[owner]))
    return str(owner["uid"])


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_the_pods_of_a_job_go_with_it(cluster: EmulatedCluster, root: Client, uid: str, policy: str) -> None:
    options = {"propagationPolicy": policy, "preconditions": {"uid": uid}}

    answer = root("DELETE", f"{JOBS}/nightly-1", options)

    assert answer.status == 200
    assert "Warning" not in answer.headers
    assert cluster.list("Job") == cluster.list("Pod") == ()


def test_background_answers_success(root: Client, uid: str) -> None:
    answer = root("DELETE", f"{JOBS}/nightly-1", propagationPolicy="Background").json

    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {"name": "nightly-1", "group": "batch", "kind": "jobs", "uid": uid}


@pytest.mark.usefixtures("uid")
def test_foreground_answers_the_marked_job(root: Client) -> None:
    metadata = root("DELETE", f"{JOBS}/nightly-1", {"propagationPolicy": "Foreground"}).json["metadata"]

    assert metadata["finalizers"] == ["foregroundDeletion"]
    assert metadata["deletionTimestamp"]


@pytest.mark.usefixtures("uid")
def test_without_a_policy_its_pods_stay_and_a_warning_says_so(cluster: EmulatedCluster, root: Client) -> None:
    answer = root("DELETE", f"{JOBS}/nightly-1")

    assert "child pods are preserved by default" in answer.headers["Warning"]
    assert cluster.list("Job") == ()
    [pod] = cluster.list("Pod")
    assert pod["metadata"]["ownerReferences"] == []


def test_another_job_of_that_name_is_left_alone(cluster: EmulatedCluster, root: Client, uid: str) -> None:
    options = {"propagationPolicy": "Background", "preconditions": {"uid": "another"}}

    answer = root("DELETE", f"{JOBS}/nightly-1", options)

    assert (answer.status, answer.json["reason"]) == (409, "Conflict")
    assert answer.json["message"] == (
        'Operation cannot be fulfilled on Job.batch "nightly-1": the UID in the precondition (another) does not'
        f" match the UID in record ({uid}). The object might have been deleted and then recreated"
    )
    assert len(cluster.list("Job")) == 1


@pytest.mark.usefixtures("uid")
def test_a_dry_run_deletes_nothing(cluster: EmulatedCluster, root: Client) -> None:
    options = {"propagationPolicy": "Foreground", "dryRun": ["All"]}

    assert root("DELETE", f"{JOBS}/nightly-1", options).status == 200
    assert len(cluster.list("Job")) == 1


def test_a_job_that_is_gone_is_not_found(root: Client) -> None:
    assert root("DELETE", f"{JOBS}/nightly-1").status == 404
