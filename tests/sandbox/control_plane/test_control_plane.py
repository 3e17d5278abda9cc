"""The ports that a control plane reserves."""

from __future__ import annotations

import subprocess
import sys
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.control_plane.control_plane import free_port

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[3]
OWNER = "from sandbox.control_plane.control_plane import free_port; print(free_port(), flush=True); input()"


def test_no_port_is_reserved_twice_though_no_server_listens_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        others, own, another = int(other.stdout.readline()), free_port(), free_port()
        drawn = chain([others, own, another], count(another + 1))
        monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn) - 10_000)

        assert free_port() not in {others, own, another}
        other.communicate("")
