"""Extract a version's release notes from CHANGELOG.md.

    python3 -m release.notes VERSION [BASE]

The command prints the text under the heading `## [VERSION] - DATE`, for the release on GitHub. If BASE is given, it is
put in front of relative links, which would be broken on the release's page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from release.command import ReleaseError, run
from release.version import Version, parse


def extract(changelog: str, version: Version, base: str = "") -> str:
    """The text under the version's heading. Raises ReleaseError if there is none."""
    heading = re.compile(rf"^## \[{re.escape(str(version))}\] - \d{{4}}-\d\d-\d\d\n", re.MULTILINE)
    headings = list(heading.finditer(changelog))
    if len(headings) != 1:
        raise ReleaseError(
            f"CHANGELOG.md should hold the heading `## [{version}] - YYYY-MM-DD` once, holds it {len(headings)} times. "
            "Rename [Unreleased] to it, and begin a new [Unreleased] above."
        )
    text = re.split(r"^## |^\[[^\]]+\]: ", changelog[headings[0].end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not text:
        raise ReleaseError(f"CHANGELOG.md says nothing about {version}.")
    if base:
        text = re.sub(r"(?<=\]\()(?![a-z]+:|[#/])", f"{base}/", text)
    return text + "\n"


def main(version: str, base: str = "") -> None:
    """Print the notes."""
    print(extract(Path("CHANGELOG.md").read_text(encoding="utf-8"), parse(version), base), end="")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(run(main, sys.argv[1:]))
