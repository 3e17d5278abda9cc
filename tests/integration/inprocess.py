"""The action within the test's own process, where its times can be made shorter than hours."""

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

PATIENCE_SECONDS = 90
REAL_TIMEOUTS = Timeouts()


class Press:
    """One press of the button, in a thread."""

    def __init__(
        self,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        inputs: Mapping[str, str],
        timeouts: Timeouts = REAL_TIMEOUTS,
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
            **{f"INPUT_{name.upper()}": value for name, value in (sandbox.form | dict(inputs)).items()},
        }
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        self._thread = threading.Thread(
            target=main.main, args=(environ, supervisor.WakeupPipe(), timeouts), daemon=True
        )
        self._thread.start()

    def outputs(self) -> dict[str, str]:
        """Wait for the end; the outputs."""
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        return dict(workflow_commands.key_value_pairs(self._output.read_bytes()))
