"""Let action.yml name a published image by its digest, so that nobody who uses it builds.

    python3 -m release.pin IMAGE@sha256:DIGEST [FILE]

rewrites FILE (action.yml of the current folder) in place: the one line `image: Dockerfile` becomes
`image: docker://IMAGE@sha256:DIGEST`, and every other byte stays. Whatever else it finds, it changes nothing, says why
on stderr and exits with 1.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from release import CannotRelease

HOST = r"[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]{1,5})?"
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
REFERENCE = re.compile(rf"{HOST}(?:/{PART})+@sha256:[0-9a-f]{{64}}")
LINE = re.compile(rb"^(?P<indent>[ ]+)image: Dockerfile(?P<end>\r?)$", re.MULTILINE)
PINNED = re.compile(rb"^[ ]+image: docker://(?P<reference>\S+)\r?$", re.MULTILINE)


def pin(text: bytes, reference: str) -> bytes:
    """The text of action.yml with the image named by `reference`."""
    if not REFERENCE.fullmatch(reference):
        raise CannotRelease(
            f"{reference!r} is no image with a digest, which is ghcr.io/owner/name@sha256: and 64 hexadecimal digits, "
            "all in lower case, without a tag."
        )
    lines = len(LINE.findall(text))
    if lines != 1:
        raise CannotRelease(f"action.yml should hold the line `image: Dockerfile` once, and holds it {lines} times.")
    return LINE.sub(rb"\g<indent>image: docker://" + reference.encode() + rb"\g<end>", text)


def pinned(text: bytes) -> str | None:
    """The image that an action.yml names, if `pin` wrote it."""
    found = PINNED.findall(text)
    reference = found[0].decode(errors="replace") if len(found) == 1 else ""
    return reference if REFERENCE.fullmatch(reference) else None


def main(reference: str, file: str = "action.yml") -> int:
    """Rewrite the file, or say why not."""
    path = Path(file)
    try:
        path.write_bytes(pin(path.read_bytes(), reference))
    except (CannotRelease, OSError) as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
