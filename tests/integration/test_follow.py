"""Following the Job to its end: green only if it succeeded, and whatever happens to the streams on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import NAMESPACE
from sandbox.life import Life

if TYPE_CHECKING:
    from sandbox import Run, Sandbox

COMPLETED = {"wait-for": "completed"}
STARTED = {"wait-for": "started"}


def said(run: Run) -> str:
    return "\n".join(run.log.shown)


# --- the verdict --------------------------------------------------------------------------------------------


def test_a_job_that_succeeds_is_told_as_succeeded(world: Sandbox):
    step = world.start(COMPLETED)
    life = Life(world.cluster, NAMESPACE)
    pod = life.pod()
    pod.run()
    pod.end(0)
    life.complete()

    run = step.finish()

    assert run.exit_status == 0
    assert (run.outputs["result"], run.outputs["reason"], run.outputs["exit-code"]) == ("succeeded", "", "0")
    assert run.outputs["duration"].isdigit()
    assert run.summary.splitlines()[0].startswith("### ✅ `nightly-report` succeeded in `batch` on `staging` after ")
    assert [each.level for each in run.log.annotations] == ["notice"]


def test_a_job_that_fails_is_told_with_its_reason_exit_code_and_fix(world: Sandbox):
    step = world.start(COMPLETED)
    life = Life(world.cluster, NAMESPACE)
    pod = life.pod()
    pod.run()
    pod.end(3)
    life.fail()

    run = step.finish()

    assert run.exit_status == 1
    assert (run.outputs["result"], run.outputs["exit-code"]) == ("failed", "3")
    assert run.outputs["reason"]
    assert run.summary.splitlines()[0].startswith("### ❌ `nightly-report` failed in `batch` on `staging`")
    assert [each.level for each in run.log.annotations][-1] == "error"
    assert "failedJobsHistoryLimit" in run.summary


@pytest.mark.parametrize("counter", ["succeeded", "failed"])
def test_a_counter_decides_nothing(world: Sandbox, counter: str):
    step = world.start(COMPLETED | {"timeout": "6s"})
    life = Life(world.cluster, NAMESPACE)
    life.start()
    world.cluster.set_status("Job", NAMESPACE, life.name, **{counter: 7})

    run = step.finish()

    assert run.outputs["result"] == "timed-out"


@pytest.mark.parametrize("condition", ["SuccessCriteriaMet", "FailureTarget"])
def test_an_interim_condition_decides_nothing(world: Sandbox, condition: str):
    step = world.start(COMPLETED | {"timeout": "6s"})
    life = Life(world.cluster, NAMESPACE)
    life.start()
    world.cluster.set_status(
        "Job", NAMESPACE, life.name, conditions=[{"type": condition, "status": "True", "reason": "X", "message": "y"}]
    )

    run = step.finish()

    assert run.outputs["result"] == "timed-out"
