"""Check whether HEAD can be released as the version that a tag requests.

    python3 -m release.check TAG

TAG is a tag such as release/v1.2.3 that points to HEAD. The remote `origin` is the project. The command prints lines
for GITHUB_OUTPUT:

    version=1.2.3
    prerelease=false
    latest=true     no newer version is released
    image=          if an earlier run has already made v1.2.3 of this commit: the image that it names

If HEAD can't be released, the command lists every problem on stderr and exits with 1.
"""

from __future__ import annotations

import re
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from release.command import ReleaseError, run
from release.notes import extract
from release.pin import pin, pinned_image
from release.repository import Repository
from release.version import Version, released_versions, requested_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = "origin/main"


def versions(read: Callable[[str], bytes]) -> dict[str, str]:
    """The version in each file that holds it. `read` returns a file's content."""
    code = read("src/run_cronjob/__init__.py").decode()
    found = re.search(r'^__version__ = "([^"]*)"$', code, re.MULTILINE)
    return {
        "pyproject.toml": tomllib.loads(read("pyproject.toml").decode())["project"]["version"],
        "src/run_cronjob/__init__.py": found[1] if found else "",
    }


def released_image(repository: Repository, tagged: str, commit: str) -> str | None:
    """The image that `tagged` names, if it is the release commit of `commit`; otherwise None.

    A release commit differs from its parent by the image in action.yml alone.
    """
    image = pinned_image(repository.read(tagged, "action.yml"))
    if not image:
        return None
    text = pin(repository.read(commit, "action.yml"), image)
    return image if tagged == release_commit(repository, commit, text, image) else None


def release_commit(repository: Repository, commit: str, action: bytes, image: str) -> str:
    """Create the commit to tag. It is not on main, where action.yml builds the Dockerfile."""
    return repository.create_commit(commit, "action.yml", action, f"Use the published image\n\n{image}")


def problems(repository: Repository, version: Version, commit: str) -> Iterator[str]:
    """Everything that prevents the release of `commit` as `version`."""
    for file, value in versions(partial(repository.read, commit)).items():
        if value != str(version):
            yield f"{file} has version {value!r}, the tag asks for {str(version)!r}."
    try:
        extract(repository.read(commit, "CHANGELOG.md").decode(), version)
    except ReleaseError as error:
        yield str(error)
    if not repository.contains(MAIN, commit):
        yield f"{commit} is not on main. Merge it first, then tag main's commit."
    elif repository.tree(commit, ".github/workflows") != repository.tree(MAIN, ".github/workflows"):
        yield (
            f"main's workflow files have changed since {commit}. GitHub lets no workflow's token tag a commit whose "
            "workflow files are those of no branch's head. Tag main's head instead. If "
            f"{version.tag} is out already and only the rest is missing: CONTRIBUTING.md, To release, by hand."
        )


def plan(repository: Repository, tag: str) -> dict[str, str]:
    """The values that the workflow continues with. Raises ReleaseError with every problem."""
    version, commit = requested_version(tag), repository.commit("HEAD")
    if found := list(problems(repository, version, commit)):
        raise ReleaseError("\n".join(found))
    tags = repository.tags()
    image = ""
    if version.tag in tags:
        repository.fetch(version.tag)
        image = released_image(repository, tags[version.tag], commit) or ""
        if not image:
            raise ReleaseError(
                f"{version.tag} is out, made of another commit, and never changes. Take the next version."
            )
    newest = not version.pre and all(version >= other for other in released_versions(tags))
    return {
        "version": str(version),
        "prerelease": str(bool(version.pre)).lower(),
        "latest": str(newest).lower(),
        "image": image,
    }


def main(tag: str) -> None:
    """Print the plan."""
    for name, value in plan(Repository(Path.cwd()), tag).items():
        print(f"{name}={value}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(run(main, sys.argv[1:]))
