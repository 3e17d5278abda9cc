"""Fixtures of the tests of clients: certificates, an environment without proxies, and the runner's files and log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import trustme

from run_cronjob.clients.workflow_commands import Actions
from sandbox.github.workflow_commands import Interpretation, interpret
from tests.unit.clients.listener import CA_VARIABLES, PROXY_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_VARIABLES, *map(str.upper, PROXY_VARIABLES), *CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return str(path)


@pytest.fixture
def runner_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runner's files, empty."""
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


@pytest.fixture
def actions() -> Actions:
    return Actions()


@pytest.fixture
def log(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[[], Interpretation]:
    """The runner's interpretation of all output since the last call."""

    def read() -> Interpretation:
        sys.stdout.flush()
        sys.stderr.flush()
        written = capfdbinary.readouterr()
        assert written.err == b"", "everything goes to one stream"
        return interpret(written.out)

    return read
