"""Deletes the Job of a cancelled run: at once, or later by the step's `post-entrypoint`.

The runner's state file connects the two. It is written before the Job is created, so that a Job is found even if the
answer to its POST was lost. The Job's UID or its request id makes sure that no other Job of that name is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from run_cronjob.core.errors import ApiError, NoAnswer
from run_cronjob.core.models import Deletion, JobRef
from run_cronjob.jobs import manifest

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi

NOTHING_LEFT: Mapping[str, str] = {"job": ""}


def to_state(job: JobRef) -> Mapping[str, str]:
    """The entries for the runner's state file."""
    return {"namespace": job.namespace, "job": job.name, "request-id": job.request_id}


def stop(api: KubeApi, job: JobRef) -> tuple[Deletion, str]:
    """Delete the Job and its pods, unless it has ended; the result, and the Job's UID if it is known."""
    uid = job.uid
    try:
        if not uid:
            found = api.get_job(job.namespace, job.name)
            is_ours = manifest.annotation(found, "request-id") == job.request_id
            if not is_ours or job.run_id not in {"", manifest.annotation(found, "run-id")}:
                return Deletion.GONE, ""
            uid = str(found["metadata"]["uid"])
            from run_cronjob.core import status  # noqa: PLC0415  most runs delete nothing and start sooner without it

            if status.job(found).terminal_condition:
                return Deletion.ENDED, uid
        api.delete_job(job.namespace, job.name, uid)
    except ApiError as error:
        # 409: the precondition on the UID fails, since another Job has the name now.
        return (Deletion.GONE if error.status in {404, 409} else Deletion.FAILED), uid
    except NoAnswer:
        return Deletion.FAILED, uid
    return Deletion.DONE, uid
