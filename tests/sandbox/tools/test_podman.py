"""The engine lists what is missing before it changes anything."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from sandbox.tools import images
from sandbox.tools.podman import Engine, EngineUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any of the programs, and a user who is not root; its cache folder."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_each_missing_program_is_named_with_the_command_that_installs_it(bare_machine: Path):
    with pytest.raises(EngineUnavailableError) as caught:
        Engine()

    assert "apt-get install --no-install-recommends podman runc mmdebstrap" in str(caught.value)
    assert "run it as root" in str(caught.value)
    assert not list(bare_machine.iterdir())


@pytest.mark.usefixtures("bare_machine")
def test_make_image_lists_the_missing_programs_and_fails(capsys: pytest.CaptureFixture[str]):
    assert images.main() == 1
    assert "podman, runc, mmdebstrap" in capsys.readouterr().err
