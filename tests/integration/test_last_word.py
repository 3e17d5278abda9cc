"""After the last word was told, nobody else is heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from run_cronjob import main, supervisor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from sandbox import Sandbox


def test_after_the_last_word_the_worker_is_not_heard(
    world: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    proxy = world.before_cluster()
    proxy.on(method="GET").delay_answer(3)
    monkeypatch.setattr(supervisor, "LIMIT_SECONDS", 3)
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
        **{f"INPUT_{name.upper()}": value for name, value in (world.form | {"cronjob": "nobody"}).items()},
    }
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    main.main(environ, supervisor.Events())
    time.sleep(4)

    assert capsys.readouterr().out.splitlines()[-1].startswith("::error")
