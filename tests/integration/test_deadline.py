"""Creating a Job never hangs: the run ends at the deadline, which comes early here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from run_cronjob import supervisor
from run_cronjob.core.timeouts import Timeouts
from sandbox import NAMESPACE
from tests.integration.inprocess import InProcessRun

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

SHORT = Timeouts(read=1, kube_read=1)
"""The first test's worker waits for an answer that never comes: not longer than the second test lasts."""


@pytest.mark.no_cluster
def test_when_time_is_up_the_outputs_and_the_summary_are_written(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).hang()
    wakeups = supervisor.WakeupPipe()
    proxy.on_request = lambda _: wakeups.put(supervisor.Wakeup.DEADLINE)

    run = InProcessRun(sandbox, monkeypatch, tmp_path, timeouts=SHORT, wakeups=wakeups)

    assert run.exit_status() == 1
    assert run.outputs()["reason"] == "TookTooLong"
    assert "stopped while reading the CronJob" in run.summary()
    assert "::error" in capsys.readouterr().out
    assert not sandbox.cluster.list("Job", NAMESPACE)


def test_after_the_report_the_worker_writes_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).delay_answer(1)
    wakeups = supervisor.WakeupPipe()
    proxy.on_request = lambda _: wakeups.put(supervisor.Wakeup.DEADLINE)

    run = InProcessRun(sandbox, monkeypatch, tmp_path, {"cronjob": "nobody"}, wakeups=wakeups)
    run.exit_status()
    for worker in [each for each in threading.enumerate() if each.name == supervisor.WORKER]:
        worker.join(30)  # until it has written what it would write

    assert capsys.readouterr().out.splitlines()[-1].startswith("::error")


def test_the_deadline_leaves_time_to_report_within_two_minutes():
    assert Timeouts().until_created + Timeouts().post_answer < 120
