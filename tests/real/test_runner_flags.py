"""The image, started by the runner's docker command and stopped as the runner stops it."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB, NAMESPACE
from sandbox.github import container

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox, StepResult
    from sandbox.github.runner import Launcher, Step
    from sandbox.net.fault_proxy import FaultProxy
    from sandbox.tools.podman import Engine

UNTIL_SIGTERM = 7.5
UNTIL_KILL = 2.5
"""actions/runner, ProcessInvoker.cs: seconds after SIGINT, and then after SIGTERM."""


@pytest.fixture(autouse=True)
def in_a_container(sandbox: Sandbox, in_image: Launcher) -> None:
    sandbox.launch = in_image


def cancel(step: Step) -> StepResult:
    """Stop the step as the runner does after a cancel, and return the finished run."""
    for number, seconds in ((signal.SIGINT, UNTIL_SIGTERM), (signal.SIGTERM, UNTIL_KILL)):
        step.process.send_signal(number)
        try:
            step.process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return step.finish()
    step.process.kill()
    pytest.fail(f"the step outlived its cancelling:\n{step.finish().log.shown}")


def cancelled_on(sandbox: Sandbox, proxy: FaultProxy, method: str, *, answered: bool = False) -> StepResult:
    """Run, and cancel once the proxy receives a request with this method, or the answer to it."""
    seen = RequestSeen(method)
    if answered:
        proxy.on_answer = seen
    else:
        proxy.on_request = seen
    step = sandbox.start()
    seen.wait()
    return cancel(step)


class RequestSeen:
    """Waits for a request with a method."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._seen = threading.Event()

    def __call__(self, asked: Any, *_: object) -> None:
        if asked.method == self._method:
            self._seen.set()

    def wait(self) -> None:
        assert self._seen.wait(60)


def jobs(sandbox: Sandbox) -> tuple[Any, ...]:
    return sandbox.cluster.list("Job", NAMESPACE)


def test_a_run_creates_the_job_and_reports_it(sandbox: Sandbox):
    run = sandbox.run()

    (job,) = jobs(sandbox)
    assert run.exit_status == 0
    assert run.outputs["job-name"] == job["metadata"]["name"]
    assert run.outputs["result"] == "created"
    assert f"`{CRONJOB}` was started in `{NAMESPACE}` on `staging`" in run.summary
    assert run.stderr == b""


def test_nothing_is_left_in_home_or_the_workspace(sandbox: Sandbox):
    run = sandbox.run()

    assert list(run.home.iterdir()) == []
    assert list(run.workspace.iterdir()) == []


def test_a_failure_fails_the_step_and_says_why(sandbox: Sandbox):
    run = sandbox.run({"cronjob": "nigthly-report"})

    assert run.exit_status == 1
    assert run.outputs["reason"] == "CronJobNotFound"
    assert CRONJOB in run.summary


def test_cancelling_before_the_post_leaves_nothing_behind(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).hang()

    run = cancelled_on(sandbox, proxy, "GET")

    assert run.exit_status == 1
    assert run.outputs["result"] == "cancelled"
    assert run.outputs["job-name"] == ""
    assert "Nothing was started" in run.summary
    assert not jobs(sandbox)


def test_cancelling_while_the_posts_answer_is_held_back_says_that_a_job_may_exist(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").delay_answer(60)

    run = cancelled_on(sandbox, proxy, "POST", answered=True)

    assert run.outputs["result"] == "cancelled"
    assert run.outputs["reason"] == "CreationUncertain"
    assert jobs(sandbox)[0]["metadata"]["name"] in run.summary


def test_sigterm_alone_cancels_a_run_whose_process_is_the_containers_first(sandbox: Sandbox):
    """A runner's host sends SIGTERM as it shuts down. By default Python as PID 1 ignores it."""
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).hang()
    seen = RequestSeen("GET")
    proxy.on_request = seen
    step = sandbox.start()
    seen.wait()

    step.process.send_signal(signal.SIGTERM)
    run = step.finish()

    assert run.outputs["result"] == "cancelled"
    assert "Nothing was started" in run.summary


def test_no_container_is_left(sandbox: Sandbox, engine: Engine):
    sandbox.run()

    assert engine.containers(f"label={engine.label}") == ()


def test_modules_and_profiles_of_other_steps_are_not_used(sandbox: Sandbox, tmp_path: Path):
    workspace, home = tmp_path / "workspace", tmp_path / "home"
    for folder in (workspace, home / ".local/lib/python3.13/site-packages", home / ".aws"):
        folder.mkdir(parents=True)
    for name in ("boto3.py", "yaml.py", "sitecustomize.py"):
        for folder in (workspace, home / ".local/lib/python3.13/site-packages"):
            (folder / name).write_text("raise SystemExit('imported from the job')")
    (home / ".aws/config").write_text("[default]\ncredential_process = /bin/sh -c 'touch /github/home/ran'\n")
    paths = {
        "PYTHONPATH": "/github/workspace",
        "PYTHONHOME": "/github/home",
        "PYTHONSTARTUP": "/github/workspace/boto3.py",
    }

    run = sandbox.run(workspace=workspace, home=home, environ=paths)

    assert run.exit_status == 0, run.log.shown
    assert not (home / "ran").exists()


def test_it_runs_if_only_the_runners_own_files_can_be_written(
    sandbox: Sandbox, engine: Engine, image: str, tmp_path: Path
):
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    sandbox.launch = container.launcher(engine, image, "--read-only", "--read-only-tmpfs", "--cap-drop=all")

    run = sandbox.run(home=home)

    assert run.exit_status == 0, run.log.shown
    assert len(jobs(sandbox)) == 1
