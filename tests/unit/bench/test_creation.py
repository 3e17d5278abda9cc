"""The measurement of one run until the Job is created."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bench.creation import measure_creation
from bench.models import RunFailedError
from tests.unit.bench.contenders import contender

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_that_fails_is_not_measured(tmp_path: Path):
    environment: Any = SimpleNamespace(sandbox=SimpleNamespace(folder=tmp_path))

    with pytest.raises(RunFailedError, match="broken"):
        measure_creation(contender("other", "/bin/sh", "-c", "echo broken >&2; exit 3"), environment)
