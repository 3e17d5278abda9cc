"""Sets the behavior of the CronJob's pods, which kwok simulates."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sandbox import CRONJOB_MANIFEST

if TYPE_CHECKING:
    from sandbox import Sandbox


def set_pod_behavior(
    sandbox: Sandbox, *, job: dict[str, Any] | None = None, history_limit: int = 100, **annotations: str
) -> None:
    """Apply the CronJob with `annotations` for its pods and the fields `job` in its Jobs' spec.

    sandbox/control_plane/stages.yaml describes the annotations; here they have underscores and no prefix.
    """
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    # The controller also deletes Jobs that the action has created: keep them for the test.
    manifest["spec"] |= {"successfulJobsHistoryLimit": history_limit, "failedJobsHistoryLimit": history_limit}
    spec = manifest["spec"]["jobTemplate"]["spec"]
    spec["template"]["metadata"] = {
        "annotations": {f"sandbox/{name.replace('_', '-')}": value for name, value in annotations.items()}
    }
    spec |= {"backoffLimit": 0} | (job or {})
    sandbox.cluster.apply(manifest)
