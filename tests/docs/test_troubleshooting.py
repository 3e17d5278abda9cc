"""Every failure has its heading in docs/troubleshooting.md, and links within the docs lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from run_cronjob.core.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/troubleshooting.md"
ASIDES = {"Warnings", "Questions people ask"}
PAGES = [PAGE, ROOT / "docs/setup.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def headings(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_reason_has_its_heading_and_every_heading_its_reason():
    found = headings(PAGE)[1:]

    assert set(found) - ASIDES == set(Reason)
    assert len(found) == len(set(found))


def test_every_reason_is_in_the_table_of_contents():
    contents = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]

    assert set(re.findall(r"\[(\w+)\]\(#\w+\)", contents)) - ASIDES == set(Reason)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target, _, fragment in re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", page.read_text(encoding="utf-8")):
        goal = (page.parent / target).resolve() if target else page
        assert goal.exists(), target
        if fragment:
            assert fragment in map(anchor, headings(goal)), f"{target}#{fragment}"
