"""Whether the checked out commit can become the version that a tag asks for.

    python3 -m release.check TAG

TAG is release/v1.2.3, HEAD the commit that it points to, `origin` the project. Prints lines for GITHUB_OUTPUT:

    version=1.2.3
    prerelease=false
    latest=true     no newer version is out
    image=          if v1.2.3 has been made of this commit already (an earlier run got that far): the image it names

or, on stderr, everything that is in the way, and exits with 1.
"""

from __future__ import annotations

import re
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from release import CannotRelease
from release.notes import notes
from release.pin import pin, pinned
from release.repository import Repository
from release.version import Version, released, requested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = "origin/main"


def written(read: Callable[[str], bytes]) -> dict[str, str]:
    """The version as each file that names it has it."""
    code = read("src/run_cronjob/__init__.py").decode()
    found = re.search(r'^__version__ = "([^"]*)"$', code, re.MULTILINE)
    return {
        "pyproject.toml": tomllib.loads(read("pyproject.toml").decode())["project"]["version"],
        "src/run_cronjob/__init__.py": found[1] if found else "",
    }


def image_of(repository: Repository, tagged: str, commit: str) -> str | None:
    """The image that a release commit names, if it is `commit` released: the same but for action.yml's image."""
    image = pinned(repository.read(tagged, "action.yml"))
    if not image:
        return None
    text = pin(repository.read(commit, "action.yml"), image)
    return image if tagged == release_commit(repository, commit, text, image) else None


def release_commit(repository: Repository, commit: str, action: bytes, image: str) -> str:
    """The commit to tag. It is not on main: there action.yml builds the Dockerfile."""
    return repository.commit_of(commit, "action.yml", action, f"Use the published image\n\n{image}")


def obstacles(repository: Repository, version: Version, commit: str) -> Iterator[str]:
    """What has to be mended first."""
    for file, value in written(partial(repository.read, commit)).items():
        if value != str(version):
            yield f"{file} has version {value!r}, the tag asks for {str(version)!r}."
    try:
        notes(repository.read(commit, "CHANGELOG.md").decode(), version)
    except CannotRelease as why:
        yield str(why)
    if not repository.contains(MAIN, commit):
        yield f"{commit} is not on main. Merge it first, then tag main's commit."
    elif repository.tree(commit, ".github/workflows") != repository.tree(MAIN, ".github/workflows"):
        yield (
            f"main's workflow files have changed since {commit}. GitHub lets no workflow's token tag a commit whose "
            "workflow files are those of no branch's head. Tag main's head instead. If "
            f"{version.tag} is out already and only the rest is missing: CONTRIBUTING.md, To release, by hand."
        )


def check(repository: Repository, tag: str) -> dict[str, str]:
    """What the workflow goes on with."""
    version, commit = requested(tag), repository.commit("HEAD")
    if found := list(obstacles(repository, version, commit)):
        raise CannotRelease("\n".join(found))
    tags = repository.tags()
    image = ""
    if version.tag in tags:
        repository.fetch(version.tag)
        image = image_of(repository, tags[version.tag], commit) or ""
        if not image:
            raise CannotRelease(
                f"{version.tag} is out, made of another commit, and never changes. Take the next version."
            )
    newest = not version.pre and all(version >= other for other in released(tags))
    return {
        "version": str(version),
        "prerelease": str(bool(version.pre)).lower(),
        "latest": str(newest).lower(),
        "image": image,
    }


def main(tag: str) -> int:
    """Print the plan, or what is in the way."""
    try:
        plan = check(Repository(Path.cwd()), tag)
    except CannotRelease as why:
        print(why, file=sys.stderr)
        return 1
    for name, value in plan.items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
