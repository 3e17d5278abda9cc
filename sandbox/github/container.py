"""A container action's container, started as actions/runner starts it, but by podman.

After actions/runner v2.336: ContainerActionHandler.cs, DockerCommandManager.cs (DockerRun), ContainerInfo.cs.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from typing import TYPE_CHECKING

from sandbox.github.runner import metadata

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from sandbox.github.runner import Launch, Places
    from sandbox.tools.podman import Engine


def launcher(engine: Engine, image: str, *more: str) -> Launch:
    """Start steps in a container of `image`; `more` are podman's options that the runner has not.

    The process is the engine's client, which passes signals on, as docker's does.
    """

    def launch(entrypoint: Path, variables: Mapping[str, str], places: Places) -> subprocess.Popen[bytes]:
        inside = {name: translated(value, places) for name, value in variables.items()}
        socket = places.temp.with_name("docker.sock")
        socket.touch()
        command = [
            *run_command(
                image, path_in_image(entrypoint), engine.label, variables=inside, mounts=_mounts(places, socket)
            )
        ]
        command[2:2] = more
        return subprocess.Popen(
            command,
            cwd=places.workspace,
            env={**inside, **engine.environ, "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return launch


def as_process(root: Path) -> Launch:
    """Start steps with the files of an image that lie in `root`, its Python included, but without a container."""
    (loader,) = [*root.glob("usr/lib64/ld-linux-*.so.*"), *root.glob("usr/lib/ld-linux-*.so.*")]
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    python = (root / "usr/bin/python3").resolve()
    command = [str(word) for word in (loader, "--argv0", python, "--library-path", libraries, python, "-I")]

    def launch(entrypoint: Path, variables: Mapping[str, str], places: Places) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, str(root / path_in_image(entrypoint).lstrip("/"))],
            cwd=places.workspace,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return launch


def path_in_image(entrypoint: Path) -> str:
    """Where the image has an entrypoint of the action, as the action.yml beside it says."""
    runs = metadata(entrypoint)["runs"]
    (found,) = [path for path in (runs["entrypoint"], runs["post-entrypoint"]) if path.endswith(f"/{entrypoint.name}")]
    return str(found)


def run_command(
    image: str, entrypoint: str, label: str, *, variables: Collection[str], mounts: Mapping[str, str]
) -> tuple[str, ...]:
    """The runner's `docker run`, word by word."""
    # The values come by docker's own environment, so that none stands in the list of processes.
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


def translated(value: str, places: Places) -> str:
    """A path of the host as the container knows it; any other value as it is."""
    # The runner looks at what it mounted last first: the folders within another one come before it.
    for source, target in reversed(_folders(places).items()):
        if value == source or value.startswith(f"{source}/"):
            return target + value.removeprefix(source)
    return value


def _mounts(places: Places, socket: Path) -> dict[str, str]:
    return {str(socket): "/var/run/docker.sock", **_folders(places)}


def _folders(places: Places) -> dict[str, str]:
    return {
        str(places.temp): "/github/runner_temp",
        str(places.home): "/github/home",
        str(places.workflow): "/github/workflow",
        str(places.file_commands): "/github/file_commands",
        str(places.workspace): "/github/workspace",
    }
