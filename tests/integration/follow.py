"""Helpers of the tests that follow a Job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import NAMESPACE
from sandbox.job_script import JobScript
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from sandbox import Sandbox, StepResult
    from sandbox.github.runner import Step

COMPLETED = {"wait-for": "completed"}
STARTED = {"wait-for": "started"}
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def log_text(run: StepResult) -> str:
    return "\n".join(run.log.shown)


def follow(sandbox: Sandbox, inputs: dict[str, str] | None = None) -> tuple[Step, JobScript]:
    """Start the action, and return the step and the Job once the action watches it."""
    step = sandbox.start(COMPLETED | (inputs or {}))
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    until(lambda: any(each.path == JOBS and each.query.get("watch") for each in sandbox.cluster.journal))
    return step, script
