"""The whole process, `entrypoint.py`, as a runner starts it, against the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox
