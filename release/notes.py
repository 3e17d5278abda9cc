"""What CHANGELOG.md says of a version.

    python3 -m release.notes VERSION [BASE]

prints the text under the heading `## [VERSION] - DATE`, for the release on GitHub: links to the project's files lead to
BASE, since there they would lead nowhere.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from release import CannotRelease
from release.version import Version, parse


def notes(changelog: str, version: Version, base: str = "") -> str:
    """The text under that version's heading."""
    heading = re.compile(rf"^## \[{re.escape(str(version))}\] - \d{{4}}-\d\d-\d\d\n", re.MULTILINE)
    starts = list(heading.finditer(changelog))
    if len(starts) != 1:
        raise CannotRelease(
            f"CHANGELOG.md should hold the heading `## [{version}] - YYYY-MM-DD` once, holds it {len(starts)} times. "
            "Rename [Unreleased] to it, and begin a new [Unreleased] above."
        )
    text = re.split(r"^## |^\[[^\]]+\]: ", changelog[starts[0].end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not text:
        raise CannotRelease(f"CHANGELOG.md says nothing about {version}.")
    if base:
        text = re.sub(r"(?<=\]\()(?![a-z]+:|[#/])", f"{base}/", text)
    return text + "\n"


def main(version: str, base: str = "") -> int:
    """Print them, or say why not."""
    try:
        print(notes(Path("CHANGELOG.md").read_text(encoding="utf-8"), parse(version), base), end="")
    except CannotRelease as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
