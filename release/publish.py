"""The tags of a release.

    python3 -m release.publish tag VERSION IMAGE@sha256:DIGEST
    python3 -m release.publish finish VERSION

`tag` makes the release commit of HEAD, whose action.yml names the image, and pushes it as vX.Y.Z: once, never again.
`finish` lets vX point to it, unless it is a pre-release or older than the newest X.Y.Z, and removes the tag that asked
for the release: its commit builds the Dockerfile, which nobody should use by mistake.
Both can be repeated: what is done already stays, and the rest is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

from release import CannotRelease
from release.check import image_of, release_commit
from release.pin import pin
from release.repository import Repository
from release.version import Version, parse, released


def tag(repository: Repository, version: Version, image: str) -> str:
    """Make vX.Y.Z, or see that it is there already; what to tell of it."""
    commit = repository.commit("HEAD")
    action = pin(repository.read(commit, "action.yml"), image)
    tagged = repository.tags().get(version.tag)
    if tagged is None:
        made = release_commit(repository, commit, action, image)
        repository.push_new_tag(version.tag, made)
        return f"{version.tag} is {made}: {commit} with {image}"
    repository.fetch(version.tag)
    if image_of(repository, tagged, commit) != image:
        raise CannotRelease(f"{version.tag} is out, with another commit or image, and never changes.")
    return f"{version.tag} is out already: {tagged}"


def finish(repository: Repository, version: Version) -> list[str]:
    """Move vX, remove the request; what to tell of it."""
    tags = repository.tags()
    if version.tag not in tags:
        raise CannotRelease(f"{version.tag} is not out yet.")
    told = [_move(repository, version, tags)]
    if version.request in tags:
        repository.remove_tag(version.request)
        told.append(f"{version.request} is removed: the release is out")
    return told


def _move(repository: Repository, version: Version, tags: dict[str, str]) -> str:
    moving = version.moving_tag
    if version.pre:
        return f"{moving} stays where it is: {version.tag} is a pre-release"
    newest = max(other for other in released(tags) if other.major == version.major)
    if newest != version:
        return f"{moving} stays where it is: {newest.tag} is newer than {version.tag}"
    before, commit = tags.get(moving, ""), tags[version.tag]
    if before != commit:
        repository.fetch(version.tag)
        repository.move_tag(moving, before=before, commit=commit)
    return f"{moving} is {version.tag}"


def main(arguments: list[str]) -> int:
    """Do it, or say why not."""
    repository = Repository(Path.cwd())
    try:
        match arguments:
            case ["tag", version, image]:
                print(tag(repository, parse(version), image))
            case ["finish", version]:
                print(*finish(repository, parse(version)), sep="\n")
            case _:
                print(__doc__, file=sys.stderr)
                return 1
    except CannotRelease as why:
        print(why, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
