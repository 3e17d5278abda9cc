"""Starts a step in a container with the runner's command, but with podman instead of Docker.

After actions/runner v2.336: ContainerActionHandler.cs, DockerCommandManager.cs (DockerRun), ContainerInfo.cs.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING

from sandbox.github.runner import metadata, start_process

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from sandbox.github.runner import Launcher, RunnerFolders
    from sandbox.tools.podman import Engine


def launcher(engine: Engine, image: str, *options: str) -> Launcher:
    """Start steps in a container of `image`, with further options of `podman run`.

    The process is the podman client, which forwards signals to the container, as Docker's does.
    """

    def launch(entrypoint: Path, variables: Mapping[str, str], folders: RunnerFolders) -> subprocess.Popen[bytes]:
        inside = {name: container_path(value, folders) for name, value in variables.items()}
        socket = folders.temp.with_name("docker.sock")
        socket.touch()
        mounts = {str(socket): "/var/run/docker.sock", **_container_folders(folders)}
        podman, run, *rest = docker_run_command(
            image, path_in_image(entrypoint), engine.label, variables=inside, mounts=mounts
        )
        environ = {**inside, **engine.environ, "PATH": os.environ["PATH"]}
        return start_process([podman, run, *options, *rest], environ, folders)

    return launch


def process_launcher(root: Path) -> Launcher:
    """Start steps as processes with the files of an image, including its Python, which are in `root`."""
    (loader,) = [*root.glob("usr/lib64/ld-linux-*.so.*"), *root.glob("usr/lib/ld-linux-*.so.*")]
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    python = (root / "usr/bin/python3").resolve()
    command = [str(word) for word in (loader, "--argv0", python, "--library-path", libraries, python, "-I")]

    def launch(entrypoint: Path, variables: Mapping[str, str], folders: RunnerFolders) -> subprocess.Popen[bytes]:
        return start_process([*command, str(root / path_in_image(entrypoint).lstrip("/"))], variables, folders)

    return launch


def path_in_image(entrypoint: Path) -> str:
    """The path of an entrypoint inside the image, from the action.yml beside it."""
    runs = metadata(entrypoint)["runs"]
    (found,) = [path for path in (runs["entrypoint"], runs["post-entrypoint"]) if path.endswith(f"/{entrypoint.name}")]
    return str(found)


def docker_run_command(
    image: str, entrypoint: str, label: str, *, variables: Collection[str], mounts: Mapping[str, str]
) -> tuple[str, ...]:
    """The arguments of the runner's `docker run`, with `podman` as the program."""
    # The container gets the values from the client's environment, so that the process list does not show them.
    names = [word for name in variables for word in ("-e", name)]
    ci = [] if "CI" in variables else ["-e", "CI=true"]
    volumes = [word for source, target in mounts.items() for word in ("-v", f"{source}:{target}")]
    sanitized = re.sub(r"[^0-9A-Za-z]", "", image)
    return (
        *("podman", "run", "--name", f"{sanitized}_{secrets.token_hex(3)}", "--label", label),
        *("--workdir", "/github/workspace", "--rm"),
        *(*names, "-e", "GITHUB_ACTIONS=true", *ci),
        *("--entrypoint", entrypoint, *volumes, image),
    )


def container_path(value: str, folders: RunnerFolders) -> str:
    """A path of the host as a path in the container; any other value unchanged."""
    # Like the runner, try the last mount first: a folder within another one comes before that one.
    for source, target in reversed(_container_folders(folders).items()):
        if value == source or value.startswith(f"{source}/"):
            return target + value.removeprefix(source)
    return value


def _container_folders(folders: RunnerFolders) -> dict[str, str]:
    return {
        str(folders.temp): "/github/runner_temp",
        str(folders.home): "/github/home",
        str(folders.workflow): "/github/workflow",
        str(folders.file_commands): "/github/file_commands",
        str(folders.workspace): "/github/workspace",
    }
