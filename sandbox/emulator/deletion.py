"""DELETE of a Job: preconditions, propagation policy and the Job's pods.

Follows apiserver's pkg/registry/rest/delete.go and generic/registry/store.go. Garbage is collected at once.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from sandbox.emulator.errors import Object, conflict
from sandbox.emulator.resources import JOB, POD
from sandbox.emulator.store import Store, system_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

ORPHAN_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them"
    " or set propagationPolicy=Orphan to suppress this warning"
)


def delete_job(store: Store, job: Object, options: Mapping[str, object]) -> Object:
    """Delete `job` as the DeleteOptions say; return the response body: the Job's last state, or a Status."""
    metadata = job["metadata"]
    _check_preconditions(metadata, options.get("preconditions"))
    dry_run = options.get("dryRun") == ["All"]
    policy = options.get("propagationPolicy")
    if policy == "Background":
        if not dry_run:
            store.delete(JOB, job)
        details = {"name": metadata["name"], "group": "batch", "kind": "jobs", "uid": metadata["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    foreground = policy == "Foreground"
    marked = copy.deepcopy(job)
    marked["metadata"].update(
        deletionTimestamp=system_metadata()["creationTimestamp"],
        deletionGracePeriodSeconds=0,
        finalizers=[*metadata.get("finalizers", ()), "foregroundDeletion" if foreground else "orphan"],
    )
    if not dry_run:
        marked = store.put(JOB, marked)
        if foreground:
            store.delete_owned(metadata["uid"])
        else:
            _orphan_pods(store, marked)
        store.delete(JOB, marked)
    return marked


def _check_preconditions(metadata: Object, preconditions: object) -> None:
    expected = preconditions if isinstance(preconditions, dict) else {}
    for field, title, happened in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        wanted = expected.get(field)
        if wanted is not None and wanted != metadata[field]:
            why = (
                f"the {title} in the precondition ({wanted}) does not match the {title} in record"
                f" ({metadata[field]}). The object might have been {happened}"
            )
            raise conflict(JOB, metadata["name"], why)


def _orphan_pods(store: Store, job: Object) -> None:
    for pod in store.select(POD, job["metadata"]["namespace"]):
        owners = pod["metadata"].get("ownerReferences") or []
        kept = [owner for owner in owners if owner.get("uid") != job["metadata"]["uid"]]
        if kept != owners:
            store.put(POD, {**pod, "metadata": {**pod["metadata"], "ownerReferences": kept}})
