"""Tests of jobs/delete: a cancelled run's Job is deleted, but no other one of its name, and none that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.models import Deletion, JobRef
from run_cronjob.jobs import delete
from tests import builders
from tests.builders import Raw, condition

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi

JOB = JobRef("staging", "nightly-1", request_id="r-1")
GONE = ApiError(404, "NotFound", "no such Job")
CONFLICT = ApiError(409, "Conflict", "the UID in the precondition does not match")
FORBIDDEN = ApiError(403, "Forbidden", "no")
LOST = NoAnswer("the Kubernetes API", "k8s.example", Cause.READ_TIMEOUT)


class FakeApi:
    """Answers for one Job."""

    def __init__(self, found: Raw | Exception, deleting: Exception | None = None) -> None:
        self._found = found
        self._deleting = deleting
        self.deleted: list[str] = []

    def get_job(self, *_: str) -> Raw:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found

    def delete_job(self, _namespace: str, _name: str, uid: str) -> None:
        if self._deleting:
            raise self._deleting
        self.deleted.append(uid)


def job(request_id: str = "r-1", *conditions: str) -> Raw:
    metadata = {"uid": "uid-1", "annotations": {"run-cronjob/request-id": request_id}}
    return builders.job(*map(condition, conditions), metadata=metadata)


@pytest.mark.parametrize(
    ("found", "deleting", "came_to", "deleted"),
    [
        (job(), None, Deletion.DONE, ["uid-1"]),
        (job("somebody-else"), None, Deletion.GONE, []),
        (job("r-1", "Complete"), None, Deletion.ENDED, []),
        (job("r-1", "Failed"), None, Deletion.ENDED, []),
        (job("r-1", "FailureTarget"), None, Deletion.DONE, ["uid-1"]),
        (GONE, None, Deletion.GONE, []),
        (FORBIDDEN, None, Deletion.FAILED, []),
        (LOST, None, Deletion.FAILED, []),
        (job(), GONE, Deletion.GONE, []),
        (job(), CONFLICT, Deletion.GONE, []),
        (job(), FORBIDDEN, Deletion.FAILED, []),
        (job(), LOST, Deletion.FAILED, []),
    ],
)
def test_what_becomes_of_the_job(
    found: Raw | Exception, deleting: Exception | None, came_to: Deletion, deleted: list[str]
) -> None:
    api = FakeApi(found, deleting)

    assert delete.stop(cast("KubeApi", api), JOB)[0] is came_to
    assert api.deleted == deleted


def test_a_job_of_another_workflow_run_is_left_alone_whatever_the_state_says() -> None:
    """Any step of a job can set STATE_ variables; the run's id comes from the runner."""
    found = job()
    found["metadata"]["annotations"]["run-cronjob/run-id"] = "7"
    api = FakeApi(found)

    assert (
        delete.stop(cast("KubeApi", api), JobRef("staging", "nightly-1", request_id="r-1", run_id="8"))[0]
        is Deletion.GONE
    )
    assert not api.deleted
    assert (
        delete.stop(cast("KubeApi", api), JobRef("staging", "nightly-1", request_id="r-1", run_id="7"))[0]
        is Deletion.DONE
    )


def test_with_its_uid_known_nothing_needs_to_be_read_first() -> None:
    api = FakeApi(FORBIDDEN)

    assert delete.stop(cast("KubeApi", api), JobRef("staging", "nightly-1", "uid-7", "r-1")) == (Deletion.DONE, "uid-7")
    assert api.deleted == ["uid-7"]
