"""Cancelling by SIGINT or SIGTERM, at any moment: the summary says whether a Job exists."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import NAMESPACE

if TYPE_CHECKING:
    from sandbox import Sandbox, StepResult
    from sandbox.github.runner import Step
    from sandbox.net.fault_proxy import FaultProxy


def jobs(sandbox: Sandbox) -> tuple[Any, ...]:
    return sandbox.cluster.list("Job", NAMESPACE)


def cancel_on(
    sandbox: Sandbox, proxy: FaultProxy, method: str, number: signal.Signals, *, answered: bool = False
) -> StepResult:
    """Start the action, and send the signal when that request arrives or, if `answered`, when it was answered."""
    steps: list[Step] = []

    def send(asked: Any, *_: object) -> None:
        if asked.method == method:
            steps[0].process.send_signal(number)

    if answered:
        proxy.on_answer = send
    else:
        proxy.on_request = send
    steps.append(sandbox.start())
    return steps[0].finish()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("before", ["sts", "eks", "cluster"])
def test_a_signal_before_the_post_leaves_nothing_behind(sandbox: Sandbox, number: signal.Signals, before: str):
    proxy = {"sts": sandbox.before_sts, "eks": sandbox.before_eks, "cluster": sandbox.before_cluster}[before]()
    method = {"sts": "POST", "eks": "GET", "cluster": "GET"}[before]
    proxy.on(method=method, times=None).hang()

    run = cancel_on(sandbox, proxy, method, number)

    assert run.outputs["result"] == "cancelled"
    assert run.outputs["job-name"] == ""
    assert run.exit_status == 1
    assert "Nothing was started" in run.summary
    assert not jobs(sandbox)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_post_waits_a_moment_for_its_answer(sandbox: Sandbox, number: signal.Signals):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").delay_answer(0.3)

    run = cancel_on(sandbox, proxy, "POST", number)

    (job,) = jobs(sandbox)
    assert run.outputs["result"] == "cancelled"
    assert run.outputs["job-name"] == job["metadata"]["name"]
    assert "goes on running" in run.summary
    assert f"delete job {job['metadata']['name']}" in run.summary


def test_a_signal_while_the_posts_answer_is_held_back_says_that_a_job_may_exist(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").delay_answer(60)

    run = cancel_on(sandbox, proxy, "POST", signal.SIGTERM, answered=True)

    assert run.outputs["result"] == "cancelled"
    assert run.outputs["reason"] == "CreationUncertain"
    assert run.outputs["job-name"] == ""
    assert "it is not certain whether" in run.summary
    assert jobs(sandbox)[0]["metadata"]["name"] in run.summary


def test_no_job_appears_after_a_cancelled_step_said_that_there_is_none(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains="/jobs").delay_answer(0.5)

    run = cancel_on(sandbox, proxy, "GET", signal.SIGTERM)

    assert "Nothing was started" in run.summary
    assert not [each for each in proxy.journal if each.method == "POST"]


def test_a_second_signal_changes_nothing(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).hang()
    steps: list[Step] = []

    def cancel(_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            steps[0].process.send_signal(number)

    proxy.on_request = cancel
    steps.append(sandbox.start())

    run = steps[0].finish()

    assert run.outputs["result"] == "cancelled", run.summary
    assert run.summary.count("###") == 1
