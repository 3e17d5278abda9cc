"""Versions and their tags."""

from __future__ import annotations

import pytest

from release.command import ReleaseError
from release.version import Version, parse, requested_version


@pytest.mark.parametrize("text", ["1.2.3", "0.1.0", "10.20.30", "1.0.0-rc.1", "1.0.0-beta"])
def test_a_version_is_written_as_it_was_read(text):
    assert str(parse(text)) == text
    assert requested_version(f"release/v{text}") == parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3+x", "1.2.3 ", "1.2.3\n", "1.2.3-$(id)", "1.2.३"],
)
def test_a_text_that_is_no_version_is_refused(text):
    with pytest.raises(ReleaseError, match="is no version"):
        parse(text)


@pytest.mark.parametrize("tag", ["v1.2.3", "release/1.2.3", "refs/tags/release/v1.2.3", "Release/v1.2.3", ""])
def test_other_tags_request_no_release(tag):
    with pytest.raises(ReleaseError, match="asks for no release"):
        requested_version(tag)


def test_versions_are_compared_by_number():
    assert Version(1, 10, 0) > Version(1, 9, 9)
