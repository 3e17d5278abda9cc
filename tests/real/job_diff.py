"""Compares two Jobs as the API server stored them, apart from what every Job has of its own. Does no I/O."""

from __future__ import annotations

import copy
import difflib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "run-cronjob/"
_OWN_FIELDS = ("name", "uid", "resourceVersion", "creationTimestamp", "managedFields")
_NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """A unified diff from kubectl's Job to ours; empty if there is no difference."""
    return "\n".join(difflib.unified_diff(_lines(theirs), _lines(ours), "kubectl's", "ours", lineterm=""))


def _lines(job: dict[str, Any]) -> list[str]:
    # splitlines would also split at U+2028 and the like, which texts in a manifest may contain.
    return json.dumps(comparable(job), indent=1, sort_keys=True, ensure_ascii=False).split("\n")


def comparable(job: dict[str, Any]) -> dict[str, Any]:
    """The Job without its own name, UID and creation, what Kubernetes derives from them, and our annotations."""
    job = copy.deepcopy(job)
    metadata, spec = job["metadata"], job["spec"]
    generated = dict.fromkeys(_NAME_LABELS, metadata["name"]) | dict.fromkeys(_UID_LABELS, metadata["uid"])
    if spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}:
        del spec["selector"]
    for each in (metadata, spec["template"]["metadata"]):
        _keep(each, "labels", lambda key, value: generated.get(key) != value)
    for field in ("labels", "annotations"):
        _keep(metadata, field, lambda key, _: not key.startswith(PREFIX))
    for field in _OWN_FIELDS:
        metadata.pop(field, None)
    return job


def _keep(metadata: dict[str, Any], field: str, condition: Callable[[str, str], bool]) -> None:
    kept = {key: value for key, value in metadata.pop(field, {}).items() if condition(key, value)}
    if kept:
        metadata[field] = kept
