"""Creating a Job never hangs: in-process, with the deadline cut short, since the real one is two minutes away."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from run_cronjob import main, supervisor
from run_cronjob.core.timeouts import Timeouts
from sandbox import NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox


@pytest.fixture
def environ(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What a runner would give the process; libraries read it from this one's own environment."""
    files = {"GITHUB_OUTPUT": tmp_path / "output", "GITHUB_STEP_SUMMARY": tmp_path / "summary"}
    for path in files.values():
        path.touch()
    variables = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": sandbox.github.request_url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": sandbox.github.request_token,
        "AWS_ENDPOINT_URL_STS": sandbox.sts_url,
        "AWS_ENDPOINT_URL_EKS": sandbox.eks_url,
        **{name: str(path) for name, path in files.items()},
        **{f"INPUT_{name.upper()}": value for name, value in sandbox.form.items()},
    }
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(supervisor, "exit_within", lambda *_: None)  # it would end the tests' own process
    return variables


@pytest.mark.no_cluster
def test_when_time_is_up_the_outputs_and_the_summary_are_written(
    sandbox: Sandbox, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).hang()
    events = supervisor.WakeupPipe()
    proxy.on_request = lambda _: events.put(supervisor.Wakeup.DEADLINE)

    status = main.main(environ, events, Timeouts())

    assert status == 1
    assert "TookTooLong" in (tmp_path / "output").read_text()
    assert "stopped while reading the CronJob" in (tmp_path / "summary").read_text()
    assert "::error" in capsys.readouterr().out
    assert not sandbox.cluster.list("Job", NAMESPACE)


def test_after_the_last_word_the_worker_is_not_heard(
    sandbox: Sandbox, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", times=None).delay_answer(1)
    events = supervisor.WakeupPipe()
    proxy.on_request = lambda _: events.put(supervisor.Wakeup.DEADLINE)

    main.main(environ | {"INPUT_CRONJOB": "nobody"}, events, Timeouts())
    for worker in [each for each in threading.enumerate() if each.name == supervisor.WORKER]:
        worker.join(30)  # until it has said what it has to say

    assert capsys.readouterr().out.splitlines()[-1].startswith("::error")


def test_the_deadline_leaves_time_to_tell_within_two_minutes():
    assert Timeouts().until_created + Timeouts().post_answer < 120
