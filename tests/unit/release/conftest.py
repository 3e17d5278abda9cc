"""Fixtures for tests that run git."""

from __future__ import annotations

import pytest

from tests.unit.release.project import Project


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project with nothing in it. Git has no user name and no address, as on a fresh runner."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for variable in ("GIT_DIR", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "EMAIL", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return Project(tmp_path)
