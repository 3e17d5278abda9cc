"""Runs the action in a thread of the test's own process, where a test can reach into it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from run_cronjob import main, supervisor
from run_cronjob.core.timeouts import Timeouts
from sandbox.github import workflow_commands

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from sandbox import Sandbox

TIMEOUT_SECONDS = 90


class InProcessRun:
    """One run, started by construction; `folder` gets the runner's files. `wakeups` stands in for signals."""

    def __init__(  # noqa: PLR0917  like sandbox.start
        self,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        inputs: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        wakeups: supervisor.WakeupPipe | None = None,
    ) -> None:
        self._output, self._summary = folder / "output", folder / "summary"
        for path in (self._output, self._summary):
            path.touch()
        environ = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": sandbox.github.request_url,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": sandbox.github.request_token,
            "AWS_ENDPOINT_URL_STS": sandbox.sts_url,
            "AWS_ENDPOINT_URL_EKS": sandbox.eks_url,
            "GITHUB_OUTPUT": str(self._output),
            "GITHUB_STEP_SUMMARY": str(self._summary),
            **{f"INPUT_{name.upper()}": value for name, value in (sandbox.form | dict(inputs or {})).items()},
        }
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)  # boto3 reads them from the process's own environment
        monkeypatch.setattr(supervisor, "exit_within", lambda *_: None)  # it would end the tests' own process
        self._status: list[int] = []
        self._arguments = (environ, wakeups or supervisor.WakeupPipe(), timeouts or Timeouts())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._status.append(main.main(*self._arguments))

    def exit_status(self) -> int:
        """Wait for the end of the run; the status that the process would exit with."""
        self._thread.join(TIMEOUT_SECONDS)
        assert not self._thread.is_alive()
        return self._status[0]

    def outputs(self) -> dict[str, str]:
        """Wait for the end of the run; its outputs."""
        self.exit_status()
        return dict(workflow_commands.key_value_pairs(self._output.read_bytes()))

    def summary(self) -> str:
        """Wait for the end of the run; its summary."""
        self.exit_status()
        return self._summary.read_text()
