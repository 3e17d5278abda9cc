"""The same promises where the borders are real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import Sandbox
from tests.real.images import engine, image, in_image, leave_time_to_build, root

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["engine", "image", "in_image", "root"]  # fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    leave_time_to_build(items)


@pytest.fixture
def world() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox
