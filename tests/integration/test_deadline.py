"""Creating a Job never hangs: in-process, with the deadline cut short, since the real one is two minutes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from run_cronjob import main, supervisor
from sandbox import NAMESPACE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from sandbox import Sandbox


def test_when_time_is_up_the_outputs_and_the_summary_are_written(
    world: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    proxy = world.before_cluster()
    proxy.on(method="GET", times=None).hang()
    events = supervisor.Events()
    proxy.on_request = lambda _: events.put(supervisor.Event.DEADLINE)
    output, summary = tmp_path / "output", tmp_path / "summary"
    for path in (output, summary):
        path.touch()
    environ = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": world.github.request_url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": world.github.request_token,
        "AWS_ENDPOINT_URL_STS": world.sts_url,
        "AWS_ENDPOINT_URL_EKS": world.eks_url,
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
        **{f"INPUT_{name.upper()}": value for name, value in world.form.items()},
    }
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    status = main.main(environ, events)

    assert status == 1
    assert "TookTooLong" in output.read_text()
    assert "stopped while reading the CronJob" in summary.read_text()
    assert "::error" in capsys.readouterr().out
    assert not world.cluster.list("Job", NAMESPACE)


def test_the_deadline_leaves_time_to_tell_within_two_minutes():
    assert supervisor.LIMIT_SECONDS + supervisor.GRACE_SECONDS < 120
