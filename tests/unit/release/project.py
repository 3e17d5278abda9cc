"""A project with a remote, on which tests make releases with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from release import publish
from release.repository import Repository
from release.version import parse

ROOT = Path(__file__).resolve().parents[3]
ACTION = (ROOT / "action.yml").read_bytes()
IMAGE = "ghcr.io/acme/run-cronjob@sha256:" + "a" * 64
OTHER_IMAGE = "ghcr.io/acme/run-cronjob@sha256:" + "b" * 64


class Project:
    """A project's repository on a server, a maintainer's clone of it, and clones of the workflow's runners."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = folder / "server.git"
        self.maintainer = folder / "maintainer"
        self.run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.server), cwd=folder)
        self.run("git", "clone", "--quiet", str(self.server), str(self.maintainer), cwd=folder)
        self.run("git", "checkout", "--quiet", "-B", "main")

    def run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(command, cwd=cwd or self.maintainer, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def merge(self, version: str, **files: str) -> str:
        """Push a commit to main whose files all have that version; return its hash."""
        texts = {
            "action.yml": ACTION.decode(),
            "pyproject.toml": f'[project]\nname = "run-cronjob"\nversion = "{version}"\n',
            "src/run_cronjob/__init__.py": f'"""x"""\n\n__version__ = "{version}"\n',
            "CHANGELOG.md": f"# Changelog\n\n## [Unreleased]\n\n## [{version}] - 2026-11-26\n\n- Version {version}.\n",
            ".github/workflows/ci.yml": "on: push\n",
        } | files
        for name, text in texts.items():
            path = self.maintainer / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=M", "-c", "user.email=m@example.org", "commit", "--quiet", "-m", version)
        self.run("git", "push", "--quiet", "origin", "HEAD:main")
        return self.run("git", "rev-parse", "HEAD")

    def request(self, version: str, commit: str = "HEAD") -> Repository:
        """Push the tag that requests a release; return the workflow's clone at that tag."""
        name = f"release/v{version}"
        self.run("git", "-c", "user.name=M", "-c", "user.email=m@example.org", "tag", "-f", "-m", name, name, commit)
        self.run("git", "push", "--quiet", "--force", "origin", f"refs/tags/{name}")
        return self.checkout(name)

    def checkout(self, name: str) -> Repository:
        clone = self.folder / f"runner-{len(list(self.folder.glob('runner-*')))}"
        self.run("git", "clone", "--quiet", str(self.server), str(clone), cwd=self.folder)
        self.run("git", "checkout", "--quiet", name, cwd=clone)
        return Repository(clone)

    def release(self, version: str, image: str = IMAGE) -> str:
        """Merge and release a version; return its release commit."""
        self.merge(version)
        runner = self.request(version)
        publish.tag(runner, parse(version), image)
        publish.finish(runner, parse(version))
        return self.tags()[f"v{version}"]

    def tags(self) -> dict[str, str]:
        lines = self.run(
            "git", "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags", cwd=self.server
        )
        return dict(line.split(" ") for line in lines.splitlines())

    def show(self, what: str, *options: str) -> str:
        return self.run("git", "show", *options, what, cwd=self.server)
