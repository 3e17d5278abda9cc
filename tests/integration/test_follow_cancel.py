"""Cancelling while the Job is followed; with `on-cancel: delete` no Job is left, whenever the signal comes."""

from __future__ import annotations

import fcntl
import signal
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import NAMESPACE
from sandbox.job_script import JobScript
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from sandbox import Sandbox, StepResult
    from sandbox.github.runner import Step

FOLLOW = {"wait-for": "completed"}
DELETE = {"wait-for": "completed", "on-cancel": "delete"}
MAY_DELETE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: may-delete}
rules:
- {apiGroups: ["batch"], resources: [jobs], verbs: [delete]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: may-delete, namespace: batch}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: may-delete}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: run-cronjob}]
"""

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def jobs(sandbox: Sandbox) -> list[Any]:
    """The Jobs that are not being deleted."""
    return [each for each in sandbox.cluster.list("Job", NAMESPACE) if "deletionTimestamp" not in each["metadata"]]


def deletions(sandbox: Sandbox) -> list[Any]:
    return [each for each in sandbox.cluster.journal if each.method == "DELETE"]


def following(sandbox: Sandbox, inputs: dict[str, str]) -> tuple[Step, JobScript]:
    """A step that follows its Job, whose pod runs."""
    step = sandbox.start(inputs)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    script.pod().run()
    for line in step.process.stdout or []:
        if b" runs" in line:
            break
    return step, script


@SIGNALS
def test_a_cancelled_step_leaves_the_job_and_says_how_to_stop_it(sandbox: Sandbox, number: signal.Signals):
    step, script = following(sandbox, FOLLOW)
    step.process.send_signal(number)

    run = step.finish()

    assert run.exit_status == 1
    assert (run.outputs["result"], run.outputs["job-name"]) == ("cancelled", script.name)
    assert run.outputs["duration"].isdigit()
    assert "goes on running" in run.summary
    assert f"kubectl --namespace {NAMESPACE} delete job {script.name}" in run.summary
    assert jobs(sandbox)
    assert not deletions(sandbox)


@SIGNALS
def test_with_on_cancel_delete_the_job_is_deleted_with_its_pods_and_only_this_one(
    sandbox: Sandbox, number: signal.Signals
):
    sandbox.cluster.apply(MAY_DELETE)
    step, script = following(sandbox, DELETE)
    uid = script.job["metadata"]["uid"]
    step.process.send_signal(number)

    run = step.finish()

    assert run.outputs["result"] == "cancelled"
    assert "is being deleted, with its pods" in run.summary.splitlines()[0]
    assert run.summary.count("###") == 1
    assert not jobs(sandbox)
    (deletion,) = deletions(sandbox)
    assert f'"uid": "{uid}"' in deletion.body.decode()
    assert '"propagationPolicy": "Foreground"' in deletion.body.decode()


def test_what_was_done_is_not_done_again_afterwards(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    step, _ = following(sandbox, DELETE)
    step.process.send_signal(signal.SIGINT)
    run = step.finish()

    after = sandbox.run_post(run, DELETE)

    assert after.exit_status == 0
    assert len(deletions(sandbox)) == 1
    assert after.summary == ""


def test_what_was_not_done_in_time_is_done_afterwards(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    proxy = sandbox.before_cluster()
    proxy.on(method="DELETE").hang()
    step, script = following(sandbox, DELETE)
    step.process.send_signal(signal.SIGINT)

    run = step.finish()

    assert "the cluster's answer is not in yet" in run.summary.splitlines()[0]
    assert jobs(sandbox)
    after = sandbox.run_post(run, DELETE)
    assert after.exit_status == 0
    assert f"the Job `{script.name}` is being deleted" in after.summary
    assert not jobs(sandbox)


def test_without_the_right_to_delete_the_job_goes_on_and_the_rule_is_shown_before_and_after(sandbox: Sandbox):
    step, script = following(sandbox, DELETE)
    step.process.send_signal(signal.SIGINT)

    run = step.finish()

    rule = '- {apiGroups: ["batch"], resources: [jobs], verbs: [delete]}'
    assert "could not be stopped" in run.summary.splitlines()[0]
    assert rule in run.summary
    assert jobs(sandbox)
    after = sandbox.run_post(run, DELETE)
    assert after.exit_status == 1
    assert rule in after.summary
    assert f"delete job {script.name}" in after.summary


def test_a_job_that_ended_before_the_workflow_was_cancelled_stays(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    step = sandbox.start(DELETE)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    script.complete()
    run = step.finish()

    after = sandbox.run_post(run, DELETE)

    assert run.outputs["result"] == "succeeded"
    assert after.exit_status == 0
    assert jobs(sandbox)
    assert "had ended already" in after.summary


def test_a_job_that_is_not_followed_is_deleted_when_a_later_step_is_cancelled(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    inputs = {"on-cancel": "delete"}
    run = sandbox.run(inputs)

    after = sandbox.run_post(run, inputs)

    assert run.outputs["result"] == "created"
    assert after.exit_status == 0
    assert not jobs(sandbox)


def test_with_leave_nothing_is_done_afterwards(sandbox: Sandbox):
    run = sandbox.run()
    before = len(sandbox.cluster.journal)

    after = sandbox.run_post(run)

    assert after.exit_status == 0
    assert len(sandbox.cluster.journal) == before
    assert jobs(sandbox)


def test_without_on_cancel_delete_no_state_that_another_step_made_up_deletes_a_job(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    run = sandbox.run()
    (job,) = jobs(sandbox)
    made_up = {
        "STATE_namespace": NAMESPACE,
        "STATE_job": run.outputs["job-name"],
        "STATE_request-id": job["metadata"]["annotations"]["run-cronjob/request-id"],
    }

    after = sandbox.run_post(run, environ=made_up)

    assert after.exit_status == 0
    assert jobs(sandbox)


def test_inputs_that_a_later_step_has_broken_are_reported_afterwards(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    run = sandbox.run({"on-cancel": "delete"})

    after = sandbox.run_post(run, {"on-cancel": "delete", "aws-region": ""}, environ={"AWS_REGION": "::error::x"})

    assert after.exit_status == 1
    assert f"the Job `{run.outputs['job-name']}` could not be deleted" in after.summary
    assert "Traceback" not in after.stdout.decode()
    assert [each.level for each in after.log.annotations] == ["error"]


def test_another_job_of_the_same_name_is_not_deleted(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    inputs = {"on-cancel": "delete"}
    run = sandbox.run(inputs)
    job = sandbox.cluster.get("Job", NAMESPACE, run.outputs["job-name"])
    sandbox.cluster.delete("Job", NAMESPACE, job["metadata"]["name"])
    job["metadata"]["annotations"]["run-cronjob/request-id"] = "somebody-else"
    for field in ("uid", "resourceVersion", "creationTimestamp", "labels", "managedFields"):
        job["metadata"].pop(field, None)
    for field in ("selector", "manualSelector"):
        job["spec"].pop(field, None)
    job["spec"]["template"]["metadata"].pop("labels", None)
    job.pop("status")
    sandbox.cluster.apply(job)

    after = sandbox.run_post(run, inputs)

    assert after.exit_status == 0
    assert jobs(sandbox)


# --- before, during and right after the creating POST -------------------------------------------------------


def cancel(sandbox: Sandbox, *, when: str, number: signal.Signals = signal.SIGTERM) -> StepResult:
    """Start the action, and cancel it when the POST arrives or was answered."""
    steps: list[Step] = []

    def send(asked: Any, *_: object) -> None:
        if asked.method == "POST" and asked.path.endswith("/jobs"):
            steps[0].process.send_signal(number)

    proxy = sandbox.before_cluster()
    match when:
        case "as the POST arrives":
            proxy.on_request = send
            proxy.on(method="POST", path_contains="/jobs").delay_answer(0.3)
        case "as it is answered":
            proxy.on_answer = send
        case "while its answer is held back":
            proxy.on_answer = send
            proxy.on(method="POST", path_contains="/jobs").delay_answer(60)
    steps.append(sandbox.start(DELETE))
    return steps[0].finish()


@pytest.mark.parametrize("when", ["as the POST arrives", "as it is answered", "while its answer is held back"])
def test_whenever_the_signal_comes_around_the_post_no_job_is_left(sandbox: Sandbox, when: str):
    sandbox.cluster.apply(MAY_DELETE)

    run = cancel(sandbox, when=when)
    after = sandbox.run_post(run, DELETE)

    assert run.outputs["result"] == "cancelled", run.summary
    assert after.exit_status == 0
    assert not jobs(sandbox)


def test_a_signal_before_the_post_leaves_nothing_to_do(sandbox: Sandbox):
    sandbox.cluster.apply(MAY_DELETE)
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains="/jobs", times=None).hang()
    steps: list[Step] = []
    proxy.on_request = lambda asked: steps[0].process.send_signal(signal.SIGINT) if asked.method == "GET" else None
    steps.append(sandbox.start(DELETE))

    run = steps[0].finish()

    assert run.outputs["result"] == "cancelled"
    assert "Nothing was started" in run.summary
    assert not jobs(sandbox)
    assert run.files["state"] == b""


def test_a_cancelled_step_whose_log_is_not_read_still_writes_outputs_and_summary(sandbox: Sandbox):
    if not hasattr(sandbox.cluster, "log"):
        pytest.skip("logs come from a kubelet")
    step = sandbox.start(FOLLOW)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    pod = script.pod()
    pod.run()
    # More than a pipe holds, so that writing the log blocks.
    for number in range(200):
        pod.log(b"%d %s\n" % (number, b"x" * 2000))
    until(lambda: unread(step) > 60_000)
    step.process.send_signal(signal.SIGINT)
    step.process.wait(60)

    run = step.finish()

    assert run.outputs["result"] == "cancelled"
    assert run.outputs["job-name"] == script.name
    assert "goes on running" in run.summary


def unread(step: Step) -> int:
    """Bytes in the pipe that were not read yet."""
    assert step.process.stdout
    return int.from_bytes(fcntl.ioctl(step.process.stdout, termios.FIONREAD, b"\0" * 4), sys.byteorder)
