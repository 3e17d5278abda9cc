"""The steps of release.yml, run in order with real git, real scripts and a fake `gh` whose commands can fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.unit.release.project import IMAGE, ROOT, Project

if TYPE_CHECKING:
    from pathlib import Path

JOBS = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
PACKAGE = {f"release/{path.name}": path.read_text() for path in (ROOT / "release").glob("*.py")}

# In the place of `gh`: its state is a file, and the commands listed there as failing fail once.
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


class Workflow:
    """Runs the workflow's jobs for one tag, as GitHub does."""

    def __init__(self, project: Project, tmp_path: Path) -> None:
        self.project, self.folder = project, tmp_path
        self.commit = self.image = self.output = ""
        self.state = tmp_path / "github.json"
        self.github = {"asked": [], "failing": [], "passed": 1, "releases": {}, "latest": ""}
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin/gh"
        program.write_text(GH.format(python=sys.executable, state=str(self.state)))
        program.chmod(0o755)

    @property
    def github(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.state.read_text())
        return content

    @github.setter
    def github(self, content: dict[str, Any]) -> None:
        self.state.write_text(json.dumps(content))

    def failing(self, *commands: str) -> None:
        self.github = self.github | {"failing": list(commands)}

    def run(self, version: str, built: str = IMAGE) -> bool:
        """Run the jobs check and publish; return whether they passed. `built` is the image that was built between."""
        self.output = ""
        outputs: dict[str, str] = {}
        if not self._job("check", version, {"${{ github.token }}": "t"}, outputs):
            return False
        self.image = outputs["image"] or built
        expressions = {
            "${{ github.token }}": "t",
            "${{ needs.check.outputs.image || needs.image.outputs.image }}": self.image,
            **{f"${{{{ needs.check.outputs.{name} }}}}": value for name, value in outputs.items()},
        }
        return self._job("publish", version, expressions, {})

    def _job(self, job: str, version: str, expressions: dict[str, str], outputs: dict[str, str]) -> bool:
        clone = self.folder / f"job-{len(list(self.folder.glob('job-*')))}"
        self.project.run("git", "clone", "--quiet", str(self.project.server), str(clone), cwd=self.folder)
        self.project.run("git", "checkout", "--quiet", self.commit, cwd=clone)
        written = clone / "output"
        for step in JOBS[job]["steps"]:
            if "run" not in step:
                continue
            environ = {
                name: expressions[value] for name, value in (JOBS[job].get("env", {}) | step.get("env", {})).items()
            }
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
            self.output += done.stdout + done.stderr
            if done.returncode:
                return False
        if written.exists():
            outputs.update(line.partition("=")[::2] for line in written.read_text().splitlines())
        return True

    def request(self, version: str) -> None:
        self.commit = self.project.merge(version, **PACKAGE)
        self.project.request(version)


@pytest.fixture
def workflow(project, tmp_path) -> Workflow:
    return Workflow(project, tmp_path)


def test_a_release_from_the_requesting_tag_to_the_major_tag(workflow):
    workflow.request("1.2.3")

    assert workflow.run("1.2.3"), workflow.output
    tags = workflow.project.tags()
    assert sorted(tags) == ["v1", "v1.2.3"]
    assert tags["v1"] == tags["v1.2.3"]
    assert f"image: docker://{IMAGE}" in workflow.project.show("v1:action.yml")
    release = workflow.github["releases"]["v1.2.3"]
    assert not release["draft"]
    assert release["notes"] == f"- Version 1.2.3.\n\nImage: {IMAGE}\n"
    assert "--prerelease=false" in release["flags"]
    assert workflow.github["latest"] == "v1.2.3"


def test_a_pre_release_is_marked_as_one(workflow):
    workflow.request("1.2.3-rc.1")

    assert workflow.run("1.2.3-rc.1"), workflow.output
    assert sorted(workflow.project.tags()) == ["v1.2.3-rc.1"]
    assert "--prerelease=true" in workflow.github["releases"]["v1.2.3-rc.1"]["flags"]
    assert workflow.github["latest"] == ""


def test_a_commit_that_ci_has_not_passed_is_not_released(workflow):
    workflow.request("1.2.3")
    workflow.github = workflow.github | {"passed": 0}

    assert not workflow.run("1.2.3")
    assert "::error::CI has not passed on main's commit" in workflow.output
    assert list(workflow.project.tags()) == ["release/v1.2.3"]
    (asked,) = [command for command in workflow.github["asked"] if command[0] == "api"]
    assert re.search(rf"/ci\.yml/runs\?head_sha={workflow.commit}&branch=main&event=push&status=success$", asked[1])


@pytest.mark.parametrize("failing", ["auth setup-git", "release create", "release edit"])
def test_a_run_that_failed_there_is_finished_by_the_next_run(workflow, failing):
    workflow.request("1.2.3")
    workflow.failing(failing)

    assert not workflow.run("1.2.3")
    assert "v1" not in workflow.project.tags(), "vX moves last"
    out = workflow.project.tags().get("v1.2.3")
    # A run from the start: if the tag is out, its image stays, and the newly built one is not used.
    assert workflow.run("1.2.3", built=IMAGE.replace("a" * 64, "c" * 64)), workflow.output
    tags = workflow.project.tags()
    assert tags["v1"] == tags["v1.2.3"]
    assert out in (None, tags["v1.2.3"])
    assert workflow.image in workflow.project.show("v1.2.3:action.yml")
    release = workflow.github["releases"]["v1.2.3"]
    assert (release["draft"], workflow.image in release["notes"]) == (False, True)


def test_a_run_when_all_is_done_changes_nothing(workflow):
    workflow.request("1.2.3")
    workflow.run("1.2.3")
    before, releases = workflow.project.tags(), workflow.github["releases"]

    assert workflow.run("1.2.3"), workflow.output
    assert (workflow.project.tags(), workflow.github["releases"]) == (before, releases)


def test_an_older_version_takes_neither_the_major_tag_nor_the_place_of_the_latest(workflow):
    for version in ("1.3.0", "1.2.4"):
        workflow.request(version)
        assert workflow.run(version), workflow.output

    assert workflow.project.tags()["v1"] == workflow.project.tags()["v1.3.0"]
    assert workflow.github["latest"] == "v1.3.0"
