"""A container is started with the runner's command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.container import container_path, docker_run_command
from sandbox.github.runner import RunnerFolders

if TYPE_CHECKING:
    from pathlib import Path


def test_the_command_is_that_of_the_runner():
    """DockerCommandManager.DockerRun: no --init, --user, --tty, --stop-timeout, --pull; no values of variables."""
    command = docker_run_command(
        "ghcr.example/acme/run-cronjob@sha256:0a",
        "/app/entrypoint.py",
        "5d3c1e",
        variables=("HOME", "CI"),
        mounts={"/a": "/b"},
    )

    name = command[3]
    assert command == (
        *("podman", "run", "--name", name, "--label", "5d3c1e", "--workdir", "/github/workspace", "--rm"),
        *("-e", "HOME", "-e", "CI", "-e", "GITHUB_ACTIONS=true", "--entrypoint", "/app/entrypoint.py"),
        *("-v", "/a:/b", "ghcr.example/acme/run-cronjob@sha256:0a"),
    )


def test_paths_in_the_runners_folders_are_translated(tmp_path: Path):
    folders = RunnerFolders(
        tmp_path / "w", tmp_path / "t/home", tmp_path / "t", tmp_path / "t/commands", tmp_path / "t/flow"
    )
    assert container_path(f"{tmp_path}/t/home", folders) == "/github/home"
    assert container_path(f"{tmp_path}/t/commands/set_output_1", folders) == "/github/file_commands/set_output_1"
    assert container_path(f"{tmp_path}/t/other", folders) == "/github/runner_temp/other"
    assert container_path(f"{tmp_path}/workspace", folders) == f"{tmp_path}/workspace"
