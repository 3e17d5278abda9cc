"""Tests of warnings: they do not stop a run, and are shown in the annotations and the summary."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB_MANIFEST

if TYPE_CHECKING:
    from sandbox import Sandbox, StepResult


def warnings(run: StepResult) -> list[str]:
    return [each.message for each in run.log.annotations if each.level == "warning"]


def apply(sandbox: Sandbox, job_spec: dict[str, Any] | None = None, **spec: Any) -> None:
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"].update(spec)
    manifest["spec"]["jobTemplate"]["spec"].update(job_spec or {})
    sandbox.cluster.apply(manifest)


def test_a_suspended_cronjob_runs_all_the_same_as_with_kubectl(sandbox: Sandbox):
    apply(sandbox, suspend=True)

    run = sandbox.run()

    assert run.outputs["result"] == "created"
    assert any("suspended" in each for each in warnings(run))
    assert "suspended" in run.summary


def test_a_suspended_template_makes_a_job_that_waits_and_how_to_resume_it_is_told(sandbox: Sandbox):
    apply(sandbox, {"suspend": True})

    run = sandbox.run()

    assert run.outputs["result"] == "created"
    assert f"kubectl --namespace batch patch job {run.outputs['job-name']}" in run.summary


def test_the_api_servers_warnings_are_shown(sandbox: Sandbox):
    sandbox.cluster.warnings += ['would violate PodSecurity "restricted:latest"', "spec.x: deprecated"]

    run = sandbox.run()

    assert run.outputs["result"] == "created"
    for text in sandbox.cluster.warnings:
        assert any(text in each for each in warnings(run))
        assert text in run.summary


def test_a_run_without_anything_to_warn_of_warns_of_nothing(sandbox: Sandbox):
    assert warnings(sandbox.run()) == []


def test_a_dry_run_shows_the_warnings_too(sandbox: Sandbox):
    sandbox.cluster.warnings.append("spec.x: deprecated")
    assert "spec.x: deprecated" in sandbox.run({"dry-run": "true"}).summary


@pytest.mark.parametrize("text", ["::error::x", "a`b <img src=x> ##[error]", "</details><script>"])
def test_what_the_api_warns_of_is_text(sandbox: Sandbox, text: str):
    sandbox.cluster.warnings.append(text)
    run = sandbox.run()
    assert [each.level for each in run.log.annotations] == ["warning", "notice"]
    (line,) = [each for each in run.summary.splitlines() if "The API server warns" in each]
    assert line.count("`") == 2
    assert line.endswith("`.")
