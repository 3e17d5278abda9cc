"""The release notes, extracted from a changelog."""

from __future__ import annotations

import pytest

from release.command import ReleaseError
from release.notes import extract
from release.version import parse

CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.3] - 2026-11-26

### Added

- A thing, see [docs](docs).

### Fixed

- Another.

## [1.2.2] - 2026-11-25

- Old.

[Unreleased]: https://example.com/compare
"""


def test_the_notes_are_that_versions_part_of_the_changelog():
    assert (
        extract(CHANGELOG, parse("1.2.3")) == "### Added\n\n- A thing, see [docs](docs).\n\n### Fixed\n\n- Another.\n"
    )


def test_the_notes_of_the_oldest_version_end_before_the_links():
    assert extract(CHANGELOG, parse("1.2.2")) == "- Old.\n"


def test_links_to_files_lead_to_that_versions_files():
    text = "## [1.2.3] - 2026-11-26\n\n[a](docs/a.md#b) [c](https://example.com) [d](#e) (f)\n"
    found = extract(text, parse("1.2.3"), "https://github.com/acme/x/blob/v1.2.3")

    assert found == "[a](https://github.com/acme/x/blob/v1.2.3/docs/a.md#b) [c](https://example.com) [d](#e) (f)\n"


def test_a_version_is_not_mistaken_for_another_that_looks_alike():
    with pytest.raises(ReleaseError, match="holds it 0 times"):
        extract("## [1a2b3] - 2026-11-26\n\n- x\n", parse("1.2.3"))
