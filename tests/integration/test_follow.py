"""Tests of following the Job: the result, the output, and the rights that are needed."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB_MANIFEST, NAMESPACE
from sandbox.job_script import JobScript
from tests.integration.follow import COMPLETED, JOBS, STARTED, follow, log_text

if TYPE_CHECKING:
    from sandbox import Sandbox

# --- the result --------------------------------------------------------------------------------------------


def test_a_job_that_succeeds_is_reported_as_succeeded(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    pod.end(0)
    script.complete()

    run = step.finish()

    assert run.exit_status == 0
    assert (run.outputs["result"], run.outputs["reason"], run.outputs["exit-code"]) == ("succeeded", "", "0")
    assert run.outputs["duration"].isdigit()
    assert run.summary.splitlines()[0].startswith("### ✅ `nightly-report` succeeded in `batch` on `staging` after ")
    assert [each.level for each in run.log.annotations] == ["notice"]


def test_a_job_that_fails_is_reported_with_its_reason_exit_code_and_fix(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    pod.end(3)
    script.fail()

    run = step.finish()

    assert run.exit_status == 1
    assert (run.outputs["result"], run.outputs["reason"], run.outputs["exit-code"]) == (
        "failed",
        "ContainerFailed",
        "3",
    )
    assert run.summary.splitlines()[0].startswith("### ❌ `nightly-report` failed in `batch` on `staging`")
    assert "BackoffLimitExceeded" in run.summary
    assert [each.level for each in run.log.annotations][-1] == "error"


@pytest.mark.parametrize("reason", ["DeadlineExceeded", "PodFailurePolicy", "MaxFailedIndexesExceeded", "FromTomorrow"])
def test_the_controllers_reason_and_message_are_reported(sandbox: Sandbox, reason: str):
    step, script = follow(sandbox)
    script.fail(reason, "its very own words")

    run = step.finish()

    assert run.outputs["result"] == "failed"
    assert "its very own words" in run.summary


@pytest.mark.parametrize("status", [{"succeeded": 7}, {"failed": 7}, {"active": 1, "ready": 1}], ids=str)
def test_a_counter_decides_nothing(sandbox: Sandbox, status: dict[str, int]):
    step, script = follow(sandbox, {"timeout": "6s"})
    script.start()
    sandbox.cluster.set_status("Job", NAMESPACE, script.name, **status)

    run = step.finish()

    assert run.outputs["result"] == "timed-out"


@pytest.mark.parametrize("condition", ["SuccessCriteriaMet", "FailureTarget"])
def test_an_interim_condition_decides_nothing(sandbox: Sandbox, condition: str):
    step, script = follow(sandbox, {"timeout": "6s"})
    script.start()
    sandbox.cluster.set_status(
        "Job", NAMESPACE, script.name, conditions=[{"type": condition, "status": "True", "reason": "X", "message": "y"}]
    )

    run = step.finish()

    assert run.outputs["result"] == "timed-out"


def test_a_job_that_is_deleted_before_its_end_was_seen_is_no_success(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    pod.end(0)
    script.delete()

    run = step.finish()

    assert run.exit_status == 1
    assert (run.outputs["result"], run.outputs["reason"]) == ("deleted", "JobDeleted")
    assert "don't run the workflow again before you know" in run.summary.lower()


def test_an_end_that_was_seen_stands_though_the_job_is_pruned_at_once(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    pod.end(0)
    script.complete()
    script.delete()

    run = step.finish()

    assert run.outputs["result"] == "succeeded"


def test_another_job_of_the_same_name_does_not_count(sandbox: Sandbox):
    step, script = follow(sandbox)
    manifest = copy.deepcopy(script.job)
    script.delete()
    manifest["metadata"] = {"name": script.name, "namespace": NAMESPACE}
    manifest["spec"] = {"template": CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"]["template"]}
    sandbox.cluster.apply(manifest | {"status": {}})
    script.complete()

    run = step.finish()

    assert run.outputs["result"] == "deleted"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, "as soon as another one fails"),
        ({"failedJobsHistoryLimit": 0}, "at once (the CronJob's `failedJobsHistoryLimit` is 0)"),
        ({"ttl": 100, "failedJobsHistoryLimit": 5}, "100 seconds after its end"),
        ({"failedJobsHistoryLimit": 5}, ""),
    ],
)
def test_a_failed_job_that_will_be_pruned_soon_is_announced_as_such(
    sandbox: Sandbox, limits: dict[str, int], expected: str
):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    spec = dict(limits)
    if ttl := spec.pop("ttl", None):
        manifest["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] = ttl
    manifest["spec"] |= spec
    sandbox.cluster.apply(manifest)
    step, script = follow(sandbox)
    script.fail()

    run = step.finish()

    assert ("The cluster removes the failed Job" in run.summary) == bool(expected)
    assert expected in run.summary


def test_a_job_that_ended_before_it_was_first_read_is_reported(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains=f"{JOBS}?fieldSelector").delay(1)
    step = sandbox.start(COMPLETED)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    pod = script.pod()
    pod.run()
    pod.end(4)
    script.fail()

    run = step.finish()

    assert (run.outputs["result"], run.outputs["exit-code"]) == ("failed", "4")


# --- started ------------------------------------------------------------------------------------------------


def test_started_is_reached_when_a_container_runs(sandbox: Sandbox):
    step, script = follow(sandbox, STARTED)
    script.pod().run()

    run = step.finish()

    assert run.exit_status == 0
    assert run.outputs["result"] == "started"
    assert "How it ends is not known here" in run.summary


def test_started_is_reached_by_a_job_that_has_succeeded_already(sandbox: Sandbox):
    step, script = follow(sandbox, STARTED)
    script.complete()

    assert step.finish().outputs["result"] == "started"


def test_a_job_that_failed_already_has_not_just_started(sandbox: Sandbox):
    step, script = follow(sandbox, STARTED)
    script.fail()

    run = step.finish()

    assert run.exit_status == 1
    assert run.outputs["result"] == "failed"


def test_a_pod_that_waits_has_not_started(sandbox: Sandbox):
    step, script = follow(sandbox, STARTED | {"timeout": "6s"})
    script.pod().wait("ContainerCreating")

    assert step.finish().outputs["result"] == "timed-out"


# --- the time-out --------------------------------------------------------------------------------


def test_timed_out_says_that_the_job_goes_on_and_how_to_watch_it(sandbox: Sandbox):
    step, script = follow(sandbox, {"timeout": "6s"})
    script.pod().run()

    run = step.finish()

    assert run.exit_status == 1
    assert (run.outputs["result"], run.outputs["reason"]) == ("timed-out", "TimedOut")
    first = run.summary.splitlines()[0]
    assert "STILL RUNNING" in first
    assert "don't start it again" in first
    assert f"kubectl --namespace {NAMESPACE} logs --all-containers --follow job/{script.name}" in run.summary
    assert script.job["metadata"]["name"] == run.outputs["job-name"]
    assert "deletionTimestamp" not in script.job["metadata"]


# --- reports while the Job runs ---------------------------------------------------------------------------------


def test_each_change_of_state_is_reported_once(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.unschedulable("0/3 nodes are available: 3 Insufficient memory.")
    pod.wait("ContainerCreating")
    pod.run()
    pod.run()
    pod.end(0)
    script.complete()

    run = step.finish()

    states = [line for line in run.log.shown if line[:2] == "  " and line[2:4].isdigit()]
    assert len(states) == len({line[11:] for line in states})


def test_a_problem_that_does_not_pass_is_an_error_annotation_at_once(sandbox: Sandbox):
    step, script = follow(sandbox)
    script.pod().wait("InvalidImageName", 'Failed to apply default image tag "Nightly": invalid reference format')
    shown: list[bytes] = []
    for line in step.process.stdout or []:
        shown.append(line)
        if line.startswith(b"::error"):
            break
    script.fail()

    run = step.finish()

    assert b"does not run" in shown[-1]
    assert b"What you can do" in shown[-1]
    assert b"troubleshooting.md#imagenameinvalid" in shown[-1]
    assert run.outputs["result"] == "failed"


# --- the containers' output ---------------------------------------------------------------------------------


def test_the_output_is_shown_and_its_last_lines_are_in_the_summary_of_a_failure(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    for number in range(50):
        pod.log(b"line %d\n" % number)
    pod.log(b"Traceback: no such table `reports`")
    pod.end(1)
    script.fail()

    run = step.finish()

    assert [line for line in run.log.shown if line.startswith("line ")] == [f"line {n}" for n in range(50)]
    assert "Traceback: no such table `reports`" in log_text(run)
    assert "Traceback: no such table `reports`" in run.summary
    assert "line 49" in run.summary
    assert "line 3\n" not in run.summary


def test_the_last_line_of_a_job_that_ended_at_once_is_not_missing(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.log(b"the only line")
    pod.run()
    pod.end(0)
    script.complete()

    assert "the only line" in log_text(step.finish())


HOSTILE = b"""::error::no
::add-mask::nightly
::stop-commands::x
::set-output name=result::succeeded
see ##[error]no
```
</details><script>alert(1)</script>
progress 1%\r::error::no
"""


def test_no_line_of_the_output_is_a_command_or_breaks_out_of_its_block(sandbox: Sandbox):
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    pod.log(HOSTILE)
    pod.end(1)
    script.fail()

    run = step.finish()

    assert {each.name for each in run.log.commands} <= {"add-mask", "stop-commands", "notice", "error"}
    assert [each.level for each in run.log.annotations if each.message == "no"] == []
    assert all(region.resumed for region in run.log.stopped_regions)
    assert run.outputs["result"] == "failed"
    assert "````text" in run.summary


def with_the_logs_end_as_message(cronjob: dict[str, Any]) -> None:
    for container in cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]:
        container["terminationMessagePolicy"] = "FallbackToLogsOnError"


@pytest.mark.parametrize(
    ("visibility", "logs", "shown"),
    [
        ("private", "auto", True),
        ("internal", "auto", True),
        ("public", "auto", False),
        ("public", "true", True),
        ("private", "false", False),
    ],
)
def test_a_public_repositorys_page_is_kept_free_of_the_output(
    sandbox: Sandbox, visibility: str, logs: str, shown: bool
):
    sandbox.github.event = replace(sandbox.github.event, visibility=visibility)
    sandbox.cluster.patch("CronJob", NAMESPACE, "nightly-report", with_the_logs_end_as_message)
    step, script = follow(sandbox, {"logs": logs})
    pod = script.pod()
    pod.run()
    pod.log(b"customer 4711 owes 3 EUR\n")
    pod.end(1, message="customer 4711 owes 3 EUR\n")  # the log's end, with this policy
    script.fail()

    run = step.finish()

    assert ("customer 4711" in log_text(run)) == shown
    assert ("customer 4711" in run.summary) == shown
    assert ("is not shown here" in run.summary) == (not shown)
    assert not [each for each in sandbox.cluster.journal if each.path.endswith("/log")] or shown
