"""`make picture` names the packages that it needs, as Debian calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import screenshot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("programs", "missing"),
    [
        ({}, ["chromium", "fontconfig"]),
        ({"chromium": "", "fc-list": "echo DejaVu Sans"}, ["fonts-noto-color-emoji"]),
        ({"chromium": "", "fc-list": "echo DejaVu Sans; echo Noto Color Emoji"}, []),
        ({"fc-list": "echo Noto Color Emoji"}, ["chromium"]),
    ],
)
def test_each_missing_package_is_named(
    programs: dict[str, str], missing: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert screenshot.missing_packages() == missing


def test_without_the_emoji_font_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshot, "missing_packages", lambda: ["fonts-noto-color-emoji"])

    message = screenshot.main([])

    assert message is not None
    assert message.endswith("Run: sudo apt-get install fonts-noto-color-emoji")
