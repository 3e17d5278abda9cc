"""Git commands on a clone of the project and its remote `origin`. No other module calls git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from release.command import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BOT = "github-actions[bot]"
BOT_EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"


class Repository:
    """A clone of the project."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def git(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """Run git and return its stdout. Raises ReleaseError with its stderr."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self._folder,
            input=stdin,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            message = done.stderr.decode(errors="replace").strip()
            raise ReleaseError(f"git {arguments[0]} failed:\n{message}")
        return done.stdout

    def commit(self, name: str) -> str:
        """The full hash of the commit that a revision names."""
        return self.git("rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()

    def tree(self, commit: str, folder: str) -> str:
        """The hash of a folder's tree in a commit; empty if the commit has no such folder."""
        return self.git("ls-tree", "--object-only", commit, "--", folder).decode().strip()

    def read(self, commit: str, file: str) -> bytes:
        """The content of a file in a commit."""
        return self.git("cat-file", "blob", f"{commit}:{file}")

    def contains(self, branch: str, commit: str) -> bool:
        """Whether the branch's history includes the commit."""
        return not self.git("rev-list", "--max-count=1", commit, f"^{branch}").strip()

    def tags(self) -> dict[str, str]:
        """The commit of each tag, read from `origin`."""
        commits: dict[str, str] = {}
        for line in self.git("ls-remote", "--tags", "origin").decode().splitlines():
            commit, _, name = line.partition("\t")
            # An annotated tag is listed twice, the second time with the commit that it points to.
            commits[name.removeprefix("refs/tags/").removesuffix("^{}")] = commit
        return commits

    def fetch(self, tag: str) -> None:
        """Fetch the commit of a tag of `origin`."""
        self.git("fetch", "--quiet", "--no-tags", "origin", f"refs/tags/{tag}")

    def create_commit(self, parent: str, file: str, text: bytes, message: str) -> str:
        """Create a commit that differs from its parent by one file, and return its hash.

        The hash depends on the arguments alone: the author is fixed, and the date is that of the parent.
        """
        blob = self.git("hash-object", "-w", "--stdin", stdin=text).decode().strip()
        entries = self.git("ls-tree", "-z", parent).split(b"\0")[:-1]
        kept = [entry for entry in entries if entry.partition(b"\t")[2] != file.encode()]
        if len(kept) != len(entries) - 1:
            raise ReleaseError(f"{file} is not in {parent}.")
        changed = f"100644 blob {blob}\t{file}".encode()
        tree = self.git("mktree", "-z", stdin=b"".join(entry + b"\0" for entry in [*kept, changed])).decode().strip()
        when = self.git("show", "--no-patch", "--format=%cI", parent).decode().strip()
        author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _bot(when).items()}
        return self.git("commit-tree", tree, "-p", parent, "-m", message, environ=author).decode().strip()

    def push_new_tag(self, tag: str, commit: str) -> None:
        """Push a tag. Raises ReleaseError if it exists."""
        self.move_tag(tag, before="", commit=commit)

    def move_tag(self, tag: str, *, before: str, commit: str) -> None:
        """Move a tag from the commit `before`. Raises ReleaseError if it points to another one in the meantime."""
        lease = f"--force-with-lease=refs/tags/{tag}:{before}"
        self.git("push", "--quiet", lease, "origin", f"{commit}:refs/tags/{tag}")

    def remove_tag(self, tag: str) -> None:
        """Delete a tag of `origin`."""
        self.git("push", "--quiet", "origin", f":refs/tags/{tag}")


def _bot(when: str) -> dict[str, str]:
    return {"NAME": BOT, "EMAIL": BOT_EMAIL, "DATE": when}
