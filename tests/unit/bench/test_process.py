"""The process of a contender that follows its Job."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from bench.models import RunFailedError
from bench.process import FollowingProcess
from tests.unit.bench.contenders import contender

if TYPE_CHECKING:
    from pathlib import Path

UNUSED: Any = None


def test_a_contenders_output_is_read_while_it_runs(tmp_path: Path):
    halves = "import sys, time; print('condition', end=' ', flush=True); print('met', flush=True); time.sleep(600)"

    with FollowingProcess(contender("other", sys.executable, "-c", halves), UNUSED, tmp_path, "condition met") as found:
        assert found.wait_for_text("condition met")


def test_the_output_of_a_contender_that_fails_is_in_the_error(tmp_path: Path):
    broken = contender("other", "/bin/sh", "-c", "echo broken >&2; exit 3")

    with FollowingProcess(broken, UNUSED, tmp_path) as process, pytest.raises(RunFailedError, match="broken"):
        process.wait()
