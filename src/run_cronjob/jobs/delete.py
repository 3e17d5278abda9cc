"""Deletes the Job of a cancelled run: at once, or by the step's `post-entrypoint` what was not done in time.

The two share the runner's state file. It is written before the Job is asked for, so that a Job is found whose creation
was never answered; the request's id on it, or its UID, keeps a namesake safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from run_cronjob.core.errors import ApiError, NoAnswer
from run_cronjob.core.models import Deletion
from run_cronjob.jobs import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from run_cronjob.core.models import JobRef, Json

NOTHING_LEFT: Mapping[str, str] = {"job": ""}


class JobDeleter(Protocol):
    """What is needed of a cluster."""

    def get_job(self, namespace: str, name: str) -> Json:
        """The Job of that name."""

    def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Ask for the deletion of the Job with this UID, and its pods."""


def to_state(job: JobRef) -> Mapping[str, str]:
    """For the runner's state file."""
    return {"namespace": job.namespace, "job": job.name, "request-id": job.request_id}


def stop(api: JobDeleter, job: JobRef) -> tuple[Deletion, str]:
    """Have the Job deleted, unless it has ended; what came of it, and the Job's UID, if there is one."""
    uid = job.uid
    try:
        if not uid:
            found = api.get_job(job.namespace, job.name)
            if not manifest.is_ours(found, job.request_id) or job.run_id not in {"", manifest.run_of(found)}:
                return Deletion.GONE, ""
            uid = str(found["metadata"]["uid"])
            from run_cronjob.core import status  # noqa: PLC0415  most runs delete nothing and start sooner without it

            if status.job(found).terminal_condition:
                return Deletion.ENDED, uid
        api.delete_job(job.namespace, job.name, uid)
    except ApiError as error:
        # 409: the precondition on the UID; what has the name now is another Job.
        return (Deletion.GONE if error.status in {404, 409} else Deletion.FAILED), uid
    except NoAnswer:
        return Deletion.FAILED, uid
    return Deletion.DONE, uid
