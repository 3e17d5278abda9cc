"""The project's git repository and its remote `origin`: the only user of git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from release import CannotRelease

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BOT = "github-actions[bot]"
BOTS_ADDRESS = "41898282+github-actions[bot]@users.noreply.github.com"


class Repository:
    """A clone, and what it knows of `origin`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def git(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """What git prints."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self._folder,
            input=stdin,
            env={**os.environ, **(environ or {})},
            capture_output=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise CannotRelease(f"git {arguments[0]} failed:\n{said}")
        return done.stdout

    def commit(self, name: str) -> str:
        """The full hash of the commit that a name stands for."""
        return self.git("rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()

    def tree(self, commit: str, folder: str) -> str:
        """The hash of a folder as it was in that commit, empty if it was not there."""
        return self.git("ls-tree", "--object-only", commit, "--", folder).decode().strip()

    def read(self, commit: str, file: str) -> bytes:
        """A file as it was in that commit."""
        return self.git("cat-file", "blob", f"{commit}:{file}")

    def contains(self, branch: str, commit: str) -> bool:
        """Whether the branch's history holds that commit."""
        return not self.git("rev-list", "--max-count=1", commit, f"^{branch}").strip()

    def tags(self) -> dict[str, str]:
        """The commit that each tag of `origin` points to, asked anew."""
        commits: dict[str, str] = {}
        for line in self.git("ls-remote", "--tags", "origin").decode().splitlines():
            commit, _, name = line.partition("\t")
            # An annotated tag is listed twice, the second time with the commit that it is about.
            commits[name.removeprefix("refs/tags/").removesuffix("^{}")] = commit
        return commits

    def fetch(self, tag: str) -> None:
        """Get the commit of a tag that others may have pushed meanwhile."""
        self.git("fetch", "--quiet", "--no-tags", "origin", f"refs/tags/{tag}")

    def commit_of(self, parent: str, file: str, text: bytes, message: str) -> str:
        """A commit that differs from its parent by that file alone, and is the same however often it is made."""
        blob = self.git("hash-object", "-w", "--stdin", stdin=text).decode().strip()
        entries = self.git("ls-tree", "-z", parent).split(b"\0")[:-1]
        kept = [entry for entry in entries if entry.partition(b"\t")[2] != file.encode()]
        if len(kept) != len(entries) - 1:
            raise CannotRelease(f"{file} is not in {parent}.")
        changed = f"100644 blob {blob}\t{file}".encode()
        tree = self.git("mktree", "-z", stdin=b"".join(entry + b"\0" for entry in [*kept, changed])).decode().strip()
        when = self.git("show", "--no-patch", "--format=%cI", parent).decode().strip()
        author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _bot(when).items()}
        return self.git("commit-tree", tree, "-p", parent, "-m", message, environ=author).decode().strip()

    def push_new_tag(self, tag: str, commit: str) -> None:
        """Make a tag that was not there."""
        self.move_tag(tag, before="", commit=commit)

    def move_tag(self, tag: str, *, before: str, commit: str) -> None:
        """Let a tag point elsewhere, unless somebody else has moved it since."""
        lease = f"--force-with-lease=refs/tags/{tag}:{before}"
        self.git("push", "--quiet", lease, "origin", f"{commit}:refs/tags/{tag}")

    def remove_tag(self, tag: str) -> None:
        """Take a tag away."""
        self.git("push", "--quiet", "origin", f":refs/tags/{tag}")


def _bot(when: str) -> dict[str, str]:
    return {"NAME": BOT, "EMAIL": BOTS_ADDRESS, "DATE": when}
