"""Fixtures: the container engine, and the image that it builds once for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox.github import container
from sandbox.tools import images
from sandbox.tools.podman import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.github.runner import Launcher

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT: str = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["entrypoint"]


def exclude_builds_from_timeouts(items: list[pytest.Item]) -> None:
    """Exclude the fixtures from the timeout of tests that need an image, since the first of them builds it."""
    for item in items:
        if isinstance(item, pytest.Function) and not {"engine", "sandbox"}.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The action's image, by its digest, as a release names it."""
    return engine.digest(images.action(engine))


@pytest.fixture(scope="session")
def root(engine: Engine, image: str) -> Path:
    """The image's files."""
    return engine.files(image)


@pytest.fixture(scope="session")
def from_image(root: Path) -> Launcher:
    """Starts a step with the image's files and its Python, but without a container."""
    return container.process_launcher(root)


@pytest.fixture(scope="session")
def in_image(engine: Engine, image: str) -> Launcher:
    """Starts a step in the image, as the runner does."""
    return container.launcher(engine, image)
