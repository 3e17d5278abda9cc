"""The action on runners in Kubernetes: the steps of their container hooks, in a container of the image.

Source: actions/runner-container-hooks v0.8, packages/k8s: run-container-step.ts, k8s/index.ts, k8s/utils.ts.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import uuid
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox import NAMESPACE
from sandbox.github import workflow_commands
from sandbox.github.container import container_path, path_in_image
from sandbox.tools.podman import run
from tests.real.images import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sandbox import Sandbox
    from sandbox.github.runner import RunnerFolders
    from sandbox.tools.podman import Engine

REPOSITORY = "batch/batch"
"""The last two folders of the path of the runner's workspace."""
LIST = (
    "cd {} && find . -type f -not -path '*/_runner_hook_responses*' -exec stat -c '%s %n' {{}} \\;"  # listDirAllCommand
)


class Pod:
    """A container as the hooks create it, with three volumes. It runs `tail`. The entrypoint is executed later."""

    def __init__(self, engine: Engine, image: str, folder: Path) -> None:
        self._engine = engine
        self.github = folder / "github"
        volumes = {folder / "externals": "/__e", folder / "work": "/__w", self.github: "/github"}
        for source in volumes:
            source.mkdir(parents=True)
        self._id = engine.podman(
            *("run", "--detach", "--label", engine.label, "--workdir", "/__w"),
            *(f"--volume={source}:{target}" for source, target in volumes.items()),
            *("--entrypoint", "tail", image, "-f", "/dev/null"),
        ).strip()

    def execute(self, *command: str, stdin: bytes = b"") -> str:
        return run("podman", "exec", "--interactive", self._id, *command, environ=self._engine.environ, stdin=stdin)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["podman", "exec", self._id, *command],
            env={**os.environ, **self._engine.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def copy(self, source: Path, target: str) -> None:
        """`execCpToPod`, with the comparison of source and copy, which the hooks repeat up to 15 times."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(source, arcname=".")
        output = self.execute(
            *("sh", "-c"),
            f"tar xf - --no-same-owner -C {target} 2>/dev/null; "
            f"find {target} -type f -exec chmod u+rw {{}} \\; 2>/dev/null; "
            f"find {target} -type d -exec chmod u+rwx {{}} \\; 2>/dev/null",
            stdin=packed.getvalue(),
        )
        assert output == ""
        original, copied = run("sh", "-c", LIST.format(source)), self.execute("sh", "-c", LIST.format(target))
        assert sorted(copied.splitlines()) == sorted(original.splitlines())
        assert original

    def launch(self, entrypoint: Path, variables: Mapping[str, str], folders: RunnerFolders) -> subprocess.Popen[bytes]:
        """Copy the runner's folders into the pod and start the step's script."""
        inside = {name: container_path(value, folders) for name, value in variables.items()}
        work = folders.temp.with_name("__w")
        temp, workspace = work / "_temp", work / REPOSITORY
        workspace.parent.mkdir(parents=True)
        folders.temp.rename(temp)
        folders.temp.symlink_to(temp)
        folders.workspace.rename(workspace)
        folders.workspace.symlink_to(workspace)
        name = f"{uuid.uuid4()}.sh"
        (temp / name).write_text(script(path_in_image(entrypoint), inside))
        self.copy(work, "/__w")
        return self.start("sh", "-e", f"/__w/_temp/{name}")


def script(entrypoint: str, variables: Mapping[str, str]) -> str:
    """The script that `writeContainerStepScript` writes."""
    escaped = {name: re.sub(r'(["\\$`])', r"\\\1", value) for name, value in variables.items()}
    environ = " ".join(f'"{name}={value}"' for name, value in escaped.items())
    return f"""#!/bin/sh -l
rm "$0" # remove script after running
mv /__w/_temp/_github_home /github/home && \
mv /__w/_temp/_github_workflow /github/workflow && \
mv /__w/_temp/_runner_file_commands /github/file_commands || true && \
mv /__w/{REPOSITORY}/ /github/workspace && \
cd /github/workspace && \
exec env {environ}  {entrypoint} 
"""  # noqa: W291  as in the source


@pytest.fixture
def pod(sandbox: Sandbox, engine: Engine, image: str, tmp_path: Path) -> Iterator[Pod]:
    pod = Pod(engine, image, tmp_path)
    sandbox.launch = pod.launch
    yield pod
    engine.remove(engine.containers(f"label={engine.label}", f"volume={tmp_path / 'work'}"))


def test_action_yml_has_what_the_hooks_use_of_a_released_action():
    runs = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]

    assert runs["entrypoint"].startswith("/")
    assert "args" not in runs
    assert "pre-entrypoint" not in runs


def test_a_run_creates_the_job_and_writes_outputs_and_summary(sandbox: Sandbox, pod: Pod):
    run = sandbox.run()

    assert run.exit_status == 0, (run.stdout, run.stderr)
    assert run.stderr == b""
    (job,) = sandbox.cluster.list("Job", NAMESPACE)
    outputs = dict(workflow_commands.key_value_pairs(written(pod, "set_output")))
    assert outputs["job-name"] == job["metadata"]["name"]
    assert b"was started in" in written(pod, "step_summary")


def test_a_failure_is_the_scripts_exit_status(sandbox: Sandbox, pod: Pod):
    run = sandbox.run({"cronjob": "nigthly-report"})

    assert run.exit_status == 1
    assert dict(workflow_commands.key_value_pairs(written(pod, "set_output")))["reason"] == "CronJobNotFound"


def test_values_that_a_shell_would_expand_are_passed_unchanged(sandbox: Sandbox, pod: Pod):
    run = sandbox.run({"cronjob": "a\"b$(touch /github/ran)`touch /github/ran`\\c'd"})

    assert dict(workflow_commands.key_value_pairs(written(pod, "set_output")))["reason"] == "InvalidInput"
    assert r"a\"b$(touch" in "\n".join(run.log.shown) or "$(touch" in "\n".join(run.log.shown)
    assert not (pod.github / "ran").exists()


def written(pod: Pod, prefix: str) -> bytes:
    """The content of the file that the step wrote for the runner in the pod."""
    (file,) = (pod.github / "file_commands").glob(f"{prefix}_*")
    return file.read_bytes()
