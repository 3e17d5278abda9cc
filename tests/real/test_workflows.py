"""Our workflows, and the one in the README, checked by actionlint."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.tools import go_build

ROOT = Path(__file__).resolve().parents[2]


def findings(project: Path) -> str:
    """actionlint's findings in a project's workflows."""
    # shellcheck and pyflakes are not on every machine.
    command = [str(go_build.find("actionlint")), "-no-color", "-shellcheck=", "-pyflakes="]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's files, in the root of a repository, which actionlint looks for."""
    (tmp_path / ".git").mkdir()
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    shutil.copy(ROOT / "action.yml", tmp_path)
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    return tmp_path


def test_our_workflows_are_valid(project: Path):
    assert findings(project) == ""


def test_the_workflow_to_paste_is_valid(tmp_path: Path):
    (workflow,) = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/run-cronjob.yml").write_text(workflow)

    assert findings(tmp_path) == ""


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        ("          cronjob: nightly-report", "          cronjobs: nightly-report", 'input "cronjobs" is not defined'),
        ("steps.run.outputs.job-uid", "steps.run.outputs.job-id", 'property "job-id" is not defined'),
        ("needs: [everything, oldest-python", "needs: [anything, oldest-python", "anything"),
        ("ubuntu-24.04-arm]", "ubuntu-24.04-risc]", 'label "ubuntu-24.04-risc" is unknown'),
    ],
)
def test_a_mistake_in_the_use_of_the_action_is_found(project: Path, good: str, bad: str, message: str):
    file = project / ".github/workflows/ci.yml"
    text = file.read_text()
    assert good in text
    file.write_text(text.replace(good, bad))

    assert message in findings(project)
