"""Push the tags of a release.

    python3 -m release.publish tag VERSION IMAGE@sha256:DIGEST
    python3 -m release.publish finish VERSION

`tag` creates the release commit on top of HEAD, whose action.yml names the image, and pushes it as vX.Y.Z. An existing
tag never changes.
`finish` moves vX to it, unless it is a pre-release or older than the newest X.Y.Z. Then it removes the tag that
requested the release: an action used by that tag would build the Dockerfile.
Both commands can be repeated. They keep what is done and do the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from release.check import release_commit, released_image
from release.command import ReleaseError, run
from release.pin import pin
from release.repository import Repository
from release.version import Version, parse, released_versions


def tag(repository: Repository, version: Version, image: str) -> str:
    """Create vX.Y.Z, unless it exists; return a message. Raises ReleaseError if another vX.Y.Z exists."""
    commit = repository.commit("HEAD")
    action = pin(repository.read(commit, "action.yml"), image)
    tagged = repository.tags().get(version.tag)
    if tagged is None:
        created = release_commit(repository, commit, action, image)
        repository.push_new_tag(version.tag, created)
        return f"{version.tag} is {created}: {commit} with {image}"
    repository.fetch(version.tag)
    if released_image(repository, tagged, commit) != image:
        raise ReleaseError(f"{version.tag} is out, with another commit or image, and never changes.")
    return f"{version.tag} is out already: {tagged}"


def finish(repository: Repository, version: Version) -> list[str]:
    """Move vX and remove the requesting tag; return messages. Raises ReleaseError if vX.Y.Z doesn't exist."""
    tags = repository.tags()
    if version.tag not in tags:
        raise ReleaseError(f"{version.tag} is not out yet.")
    messages = [_move_major_tag(repository, version, tags)]
    if version.request_tag in tags:
        repository.remove_tag(version.request_tag)
        messages.append(f"{version.request_tag} is removed: the release is out")
    return messages


def _move_major_tag(repository: Repository, version: Version, tags: dict[str, str]) -> str:
    major = version.major_tag
    if version.pre:
        return f"{major} stays where it is: {version.tag} is a pre-release"
    newest = max(other for other in released_versions(tags) if other.major == version.major)
    if newest != version:
        return f"{major} stays where it is: {newest.tag} is newer than {version.tag}"
    before, commit = tags.get(major, ""), tags[version.tag]
    if before != commit:
        repository.fetch(version.tag)
        repository.move_tag(major, before=before, commit=commit)
    return f"{major} is {version.tag}"


def main(*arguments: str) -> None:
    """Run `tag` or `finish`, and print messages."""
    repository = Repository(Path.cwd())
    match arguments:
        case ["tag", version, image]:
            print(tag(repository, parse(version), image))
        case ["finish", version]:
            print(*finish(repository, parse(version)), sep="\n")
        case _:
            raise ReleaseError(__doc__)


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
