"""Tests of the Job's name, as the API server accepts it for any CronJob."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB_MANIFEST, NAMESPACE

if TYPE_CHECKING:
    from sandbox import Sandbox

NAMES = {
    "1": "a",
    "41": "a" * 41,
    "42": "a" * 42,
    "52": "a" * 52,
    "dots": "reports.nightly.eu",
    "52 with dots": "reports.nightly." + "e" * 36,
}


def apply(sandbox: Sandbox, name: str, **spec: Any) -> None:
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["metadata"]["name"] = name
    manifest["spec"]["jobTemplate"]["spec"].update(spec)
    sandbox.cluster.apply(manifest)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_every_length_are_accepted(sandbox: Sandbox, name: str):
    apply(sandbox, name)

    run = sandbox.run({"cronjob": name})

    assert run.outputs["result"] == "created", run.summary
    assert re.search(r"-by-gha-\d{14}$", run.outputs["job-name"])
    assert run.outputs["job-name"][:30].startswith(name[:30])


@pytest.mark.parametrize("completions", [1, 10, 100_000])
@pytest.mark.parametrize("name", [NAMES["52"], NAMES["52 with dots"]], ids=["52", "52 with dots"])
def test_names_of_indexed_jobs_leave_space_for_the_index(sandbox: Sandbox, name: str, completions: int):
    apply(sandbox, name, completionMode="Indexed", completions=completions, parallelism=1)

    run = sandbox.run({"cronjob": name})

    assert run.outputs["result"] == "created", run.summary
    assert len(f"{run.outputs['job-name']}-{completions - 1}") <= 63
    assert "." not in run.outputs["job-name"]


def test_a_name_of_the_users_own_is_filled_in(sandbox: Sandbox):
    run = sandbox.run({"job-name": "rerun.{cronjob}.{run-id}-{run-attempt}"})

    event = sandbox.github.event
    assert run.outputs["job-name"] == f"rerun.nightly-report.{event.run_id}-{event.run_attempt}"


def test_a_name_that_is_too_long_is_cut_not_refused(sandbox: Sandbox):
    run = sandbox.run({"job-name": "a-very-long-name-that-someone-thought-of-" * 3 + "{timestamp}"})

    assert run.outputs["result"] == "created"
    assert len(run.outputs["job-name"]) <= 63


def test_the_namespace_may_come_with_the_cronjobs_name(sandbox: Sandbox):
    assert sandbox.run({"cronjob": "batch/nightly-report", "namespace": ""}).outputs["namespace"] == NAMESPACE


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_the_names_time_is_utc_wherever_the_runner_is(sandbox: Sandbox, zone: str):
    run = sandbox.run(environ={"TZ": zone})
    named = datetime.strptime(run.outputs["job-name"][-14:], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - named) < timedelta(minutes=5)
