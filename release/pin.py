"""Pin action.yml to a published image, so that runners pull it and don't build it.

    python3 -m release.pin IMAGE@sha256:DIGEST [FILE]

The command edits FILE (by default action.yml in the current folder) in place. It replaces the one line
`image: Dockerfile` by `image: docker://IMAGE@sha256:DIGEST`. If there is no such line, or more than one, it leaves the
file as it is, prints the reason on stderr and exits with 1.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from release.command import ReleaseError, run

HOST = r"[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]{1,5})?"
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
REFERENCE = re.compile(rf"{HOST}(?:/{PART})+@sha256:[0-9a-f]{{64}}")
LINE = re.compile(rb"^(?P<indent>[ ]+)image: Dockerfile(?P<end>\r?)$", re.MULTILINE)
PINNED = re.compile(rb"^[ ]+image: docker://(?P<reference>\S+)\r?$", re.MULTILINE)


def pin(text: bytes, reference: str) -> bytes:
    """The text of action.yml, with `reference` as its image. Raises ReleaseError."""
    if not REFERENCE.fullmatch(reference):
        raise ReleaseError(
            f"{reference!r} is no image with a digest, which is ghcr.io/owner/name@sha256: and 64 hexadecimal digits, "
            "all in lower case, without a tag."
        )
    lines = len(LINE.findall(text))
    if lines != 1:
        raise ReleaseError(f"action.yml should hold the line `image: Dockerfile` once, and holds it {lines} times.")
    return LINE.sub(rb"\g<indent>image: docker://" + reference.encode() + rb"\g<end>", text)


def pinned_image(text: bytes) -> str | None:
    """The image in an action.yml that `pin` wrote; otherwise None."""
    found = PINNED.findall(text)
    reference = found[0].decode(errors="replace") if len(found) == 1 else ""
    return reference if REFERENCE.fullmatch(reference) else None


def main(reference: str, file: str = "action.yml") -> None:
    """Pin the file to the image."""
    path = Path(file)
    path.write_bytes(pin(path.read_bytes(), reference))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(run(main, sys.argv[1:]))
