"""The release workflow's own steps, run in order: real git, real scripts, and a GitHub that can fail in between."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.release.test_tags import IMAGE, ROOT, Project

if TYPE_CHECKING:
    from pathlib import Path

JOBS = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
PACKAGE = {f"release/{path.name}": path.read_text() for path in (ROOT / "release").glob("*.py")}

GH = """#!{python}
import json, pathlib, sys
file = pathlib.Path({state!r})
github = json.loads(file.read_text())
command = sys.argv[1:]
github["asked"].append(command)
failing = " ".join(command[:2]) in github["failing"]
if failing:
    github["failing"].remove(" ".join(command[:2]))
elif command[0] == "api":
    print(github["passed"])
elif command[:2] == ["release", "view"]:
    failing = command[2] not in github["releases"]
elif command[:2] == ["release", "create"]:
    assert command[2] not in github["releases"]
    notes = pathlib.Path(command[command.index("--notes-file") + 1]).read_text()
    github["releases"][command[2]] = {{"draft": "--draft" in command, "notes": notes, "flags": command[3:]}}
elif command[:2] == ["release", "edit"]:
    github["releases"][command[2]]["draft"] = "--draft=false" not in command
    github["latest"] = command[2] if "--latest=true" in command else github["latest"]
file.write_text(json.dumps(github))
sys.exit(failing)
"""


class Rehearsal:
    """Runs of the workflow for one tag, as GitHub would give them."""

    def __init__(self, project: Project, tmp_path: Path) -> None:
        self.project, self.folder = project, tmp_path
        self.commit = self.image = self.said = ""
        self.state = tmp_path / "github.json"
        self.github = {"asked": [], "failing": [], "passed": 1, "releases": {}, "latest": ""}
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin/gh"
        program.write_text(GH.format(python=sys.executable, state=str(self.state)))
        program.chmod(0o755)

    @property
    def github(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.state.read_text())
        return told

    @github.setter
    def github(self, told: dict[str, Any]) -> None:
        self.state.write_text(json.dumps(told))

    def failing(self, *commands: str) -> None:
        self.github = self.github | {"failing": list(commands)}

    def run(self, version: str, built: str = IMAGE) -> bool:
        """One run: check and publish; `built` is what the job between them would have pushed. Whether it passed."""
        self.said = ""
        outputs: dict[str, str] = {}
        if not self._job("check", version, {"${{ github.token }}": "t"}, outputs):
            return False
        self.image = outputs["image"] or built
        known = {
            "${{ github.token }}": "t",
            "${{ needs.check.outputs.image || needs.image.outputs.image }}": self.image,
            **{f"${{{{ needs.check.outputs.{name} }}}}": value for name, value in outputs.items()},
        }
        return self._job("publish", version, known, {})

    def _job(self, job: str, version: str, known: dict[str, str], outputs: dict[str, str]) -> bool:
        clone = self.folder / f"job-{len(list(self.folder.glob('job-*')))}"
        self.project.run("git", "clone", "--quiet", str(self.project.server), str(clone), cwd=self.folder)
        self.project.run("git", "checkout", "--quiet", self.commit, cwd=clone)
        written = clone / "output"
        for step in JOBS[job]["steps"]:
            if "run" not in step:
                continue
            environ = {name: known[value] for name, value in (JOBS[job].get("env", {}) | step.get("env", {})).items()}
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=clone,
                env={
                    **os.environ,
                    "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
                    "GITHUB_OUTPUT": str(written),
                    "GITHUB_REF_NAME": f"release/v{version}",
                    "GITHUB_REPOSITORY": "acme/run-cronjob",
                    "GITHUB_SERVER_URL": "https://github.com",
                    "RUNNER_TEMP": str(self.folder),
                    **environ,
                },
                capture_output=True,
                text=True,
                check=False,
            )
            self.said += done.stdout + done.stderr
            if done.returncode:
                return False
        if written.exists():
            outputs.update(line.partition("=")[::2] for line in written.read_text().splitlines())
        return True

    def ask(self, version: str) -> None:
        self.commit = self.project.merge(version, **PACKAGE)
        self.project.ask(version)


@pytest.fixture
def rehearsal(tmp_path, monkeypatch) -> Rehearsal:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return Rehearsal(Project(tmp_path), tmp_path)


def test_a_release_from_the_tag_that_asks_to_the_one_that_moves(rehearsal):
    rehearsal.ask("1.2.3")

    assert rehearsal.run("1.2.3"), rehearsal.said
    tags = rehearsal.project.tags()
    assert sorted(tags) == ["v1", "v1.2.3"]
    assert tags["v1"] == tags["v1.2.3"]
    assert f"image: docker://{IMAGE}" in rehearsal.project.show("v1:action.yml")
    release = rehearsal.github["releases"]["v1.2.3"]
    assert not release["draft"]
    assert release["notes"] == f"- Version 1.2.3.\n\nImage: {IMAGE}\n"
    assert "--prerelease=false" in release["flags"]
    assert rehearsal.github["latest"] == "v1.2.3"


def test_a_pre_release_is_marked_as_one(rehearsal):
    rehearsal.ask("1.2.3-rc.1")

    assert rehearsal.run("1.2.3-rc.1"), rehearsal.said
    assert sorted(rehearsal.project.tags()) == ["v1.2.3-rc.1"]
    assert "--prerelease=true" in rehearsal.github["releases"]["v1.2.3-rc.1"]["flags"]
    assert rehearsal.github["latest"] == ""


def test_nothing_is_released_that_ci_has_not_passed(rehearsal):
    rehearsal.ask("1.2.3")
    rehearsal.github = rehearsal.github | {"passed": 0}

    assert not rehearsal.run("1.2.3")
    assert "::error::CI has not passed on main's commit" in rehearsal.said
    assert list(rehearsal.project.tags()) == ["release/v1.2.3"]
    (asked,) = [command for command in rehearsal.github["asked"] if command[0] == "api"]
    assert re.search(rf"/ci\.yml/runs\?head_sha={rehearsal.commit}&branch=main&event=push&status=success$", asked[1])


@pytest.mark.parametrize("failing", ["auth setup-git", "release create", "release edit"])
def test_a_run_that_failed_there_is_finished_by_running_it_again(rehearsal, failing):
    rehearsal.ask("1.2.3")
    rehearsal.failing(failing)

    assert not rehearsal.run("1.2.3")
    assert "v1" not in rehearsal.project.tags(), "vX moves last"
    out = rehearsal.project.tags().get("v1.2.3")
    # The whole run again: what was built for a tag that is out stands.
    assert rehearsal.run("1.2.3", built=IMAGE.replace("a" * 64, "c" * 64)), rehearsal.said
    tags = rehearsal.project.tags()
    assert tags["v1"] == tags["v1.2.3"]
    assert out in (None, tags["v1.2.3"])
    assert rehearsal.image in rehearsal.project.show("v1.2.3:action.yml")
    release = rehearsal.github["releases"]["v1.2.3"]
    assert (release["draft"], rehearsal.image in release["notes"]) == (False, True)


def test_a_run_when_all_is_done_changes_nothing(rehearsal):
    rehearsal.ask("1.2.3")
    rehearsal.run("1.2.3")
    before, releases = rehearsal.project.tags(), rehearsal.github["releases"]

    assert rehearsal.run("1.2.3"), rehearsal.said
    assert (rehearsal.project.tags(), rehearsal.github["releases"]) == (before, releases)


def test_an_older_version_takes_neither_the_tag_nor_the_place_of_the_newest(rehearsal):
    for version in ("1.3.0", "1.2.4"):
        rehearsal.ask(version)
        assert rehearsal.run(version), rehearsal.said

    assert rehearsal.project.tags()["v1"] == rehearsal.project.tags()["v1.3.0"]
    assert rehearsal.github["latest"] == "v1.3.0"
