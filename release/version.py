"""Semantic versions and their tags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from release.command import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBER = r"(?:0|[1-9][0-9]{0,5})"
VERSION = re.compile(rf"({NUMBER})\.({NUMBER})\.({NUMBER})(?:-([0-9a-z]+(?:\.[0-9a-z]+)*))?")


class Version(NamedTuple):
    """A semantic version."""

    major: int
    minor: int
    patch: int
    pre: str = ""

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")

    @property
    def tag(self) -> str:
        """The tag of this version, which never moves."""
        return f"v{self}"

    @property
    def major_tag(self) -> str:
        """The tag that points to the newest release of this major version."""
        return f"v{self.major}"

    @property
    def request_tag(self) -> str:
        """The tag that requests this release."""
        return f"release/{self.tag}"


def parse(text: str) -> Version:
    """Parse a version such as `1.2.3` or `1.2.3-rc.1`. Raises ReleaseError."""
    found = VERSION.fullmatch(text)
    if not found:
        raise ReleaseError(f"{text!r} is no version such as 1.2.3 or 1.2.3-rc.1.")
    major, minor, patch, pre = found.groups()
    return Version(int(major), int(minor), int(patch), pre or "")


def requested_version(tag: str) -> Version:
    """The version that a tag such as `release/v1.2.3` requests. Raises ReleaseError."""
    if not tag.startswith("release/v"):
        raise ReleaseError(f"{tag!r} asks for no release. The tag to push is release/v and a version: release/v1.2.3.")
    return parse(tag.removeprefix("release/v"))


def released_versions(tags: Iterable[str]) -> list[Version]:
    """The versions among the tags, without pre-releases."""
    found = [VERSION.fullmatch(tag.removeprefix("v")) for tag in tags if tag.startswith("v")]
    return [parse(each.group()) for each in found if each and not each[4]]
