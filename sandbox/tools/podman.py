"""Runs containers with podman and runc, with settings and storage of their own.

The user's own podman is not touched. Images stay in the user's cache folder, so that only changes are built again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sandbox.tools.go_build import cache_folder
from sandbox.tools.processes import end_process, is_alive, process_manager
from sandbox.tools.wait import file_lock, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

# Few kernel features are used, so that this works inside containers and virtual machines, too. Containers use the
# host's network, where the sandbox listens. By default, the process that waits on an `exec` stays five minutes longer.
_SETTINGS = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
exit_command_delay = 1
tmp_dir = "{run}/libpod"
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{storage}"
runroot = "{run}/storage"
"""
_RUN = Path("/run/run-cronjob")
"""State that must not survive a reboot; podman requires one path for all processes that share a storage."""
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_REMOVE = ("podman", "rm", "--force", "--time=0", "--volumes")


class EngineUnavailableError(Exception):
    """This machine can't run containers; the message says what is missing and how to get it."""


class CommandError(Exception):
    """A command failed; the message holds its output."""


def missing() -> tuple[str, ...]:
    """The programs and rights that this machine lacks for containers, each with the way to get it."""
    programs = ("podman", "runc", "mmdebstrap")
    absent = [name for name in programs if not shutil.which(name)]
    if not list(Path("/usr/share/keyrings").glob("debian-archive-keyring.*")):
        absent.append("debian-archive-keyring")
    lacks = []
    if absent:
        lacks.append(f"{', '.join(absent)}: apt-get install --no-install-recommends {' '.join(absent)}")
    if os.geteuid():
        lacks.append("root's rights, to make file systems and containers: run it as root, e.g. by sudo --preserve-env")
    return tuple(lacks)


class Engine:
    """Runs podman, and removes this process's containers when it is closed.

    Raises EngineUnavailableError if this machine can't run containers.
    """

    def __init__(self) -> None:
        if lacks := missing():
            raise EngineUnavailableError("To run containers, this machine lacks:\n" + "\n".join(lacks))
        self._processes = process_manager()
        self.folder = Path(tempfile.mkdtemp(prefix="engine-", dir=self._processes.folder))
        self.cache = cache_folder(os.environ) / "containers"
        self.cache.mkdir(parents=True, exist_ok=True)
        settings, storage = self.folder / "containers.conf", self.folder / "storage.conf"
        settings.write_text(_SETTINGS.format(run=_RUN))
        storage.write_text(_STORAGE.format(storage=self.cache / "storage", run=_RUN))
        self.environ = {"CONTAINERS_CONF": str(settings), "CONTAINERS_STORAGE_CONF": str(storage)}
        """Environment variables that podman needs."""
        self.label = f"{os.getpid():06x}"
        """The label of this process's containers: six hexadecimal digits, as the runner's."""
        self._remove_all = (*_REMOVE, f"--filter=label={self.label}")
        self._processes.add_cleanup(*self._remove_all, environ=self.environ)

    def podman(self, *arguments: str | Path) -> str:
        """Run a podman command and return its standard output. Raises CommandError."""
        return run("podman", *arguments, environ=self.environ)

    def build(self, context: Path, name: str, *options: str, file: Path | None = None) -> str:
        """Build and tag an image, and return podman's output. Raises CommandError.

        pip trusts this machine's certificates, since the package index may be behind a proxy that ends TLS.
        """
        pip = self.folder / "pip.conf"
        pip.write_text("[global]\ncert = /run/certificates.crt\n")
        trusted = (f"--volume={pip}:/etc/pip.conf:ro", f"--volume={_CERTIFICATES}:/run/certificates.crt:ro")
        files = (f"--file={file or context / 'Dockerfile'}", *(trusted if _CERTIFICATES.exists() else ()))
        return self.podman("build", *files, f"--tag={name}", *options, context)

    def digest(self, name: str) -> str:
        """The image's name with its digest, in the format of action.yml."""
        digest = self.podman("image", "inspect", "--format={{.Digest}}", name).strip()
        return f"{name.partition(':')[0]}@{digest}"

    def files(self, name: str) -> Path:
        """A folder with a copy of the image's files: a mount would remain after SIGKILL."""
        copy = Path(tempfile.mkdtemp(prefix="image-", dir=self.folder))
        mount = self.podman("image", "mount", name).strip()
        try:
            run("cp", "--archive", f"{mount}/.", copy)
        finally:
            self.podman("image", "unmount", name)
        return copy

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from changing the shared images meanwhile."""
        return file_lock(self.cache / "lock")

    @contextlib.contextmanager
    def service(self) -> Iterator[str]:
        """Serve podman's API, which is compatible with Docker's; yields the value for DOCKER_HOST."""
        socket = self.folder / "podman.sock"
        url = f"unix://{socket}"
        log = self.folder / "service.log"
        command = ("podman", "system", "service", "--time=0", url)
        process = self._processes.start(*command, log=log, environ=self.environ)
        try:
            until(lambda: socket.exists() or not is_alive(process))
            if not socket.exists():
                raise CommandError(f"podman system service did not start: {log.read_text(errors='replace')}")
            yield url
        finally:
            end_process(process)

    def containers(self, *filters: str) -> tuple[str, ...]:
        """The IDs of running and stopped containers that match podman's filters."""
        wanted = [f"--filter={each}" for each in filters]
        return tuple(self.podman("ps", "--all", "--quiet", "--no-trunc", *wanted).split())

    def remove(self, containers: tuple[str, ...]) -> None:
        """Remove running and stopped containers with their volumes."""
        if containers:
            run(*_REMOVE, *containers, environ=self.environ)

    def close(self) -> None:
        """Remove this process's containers."""
        run(*self._remove_all, environ=self.environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(*command: str | Path, environ: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
    """Run a command and return its standard output. Raises CommandError, with all its output."""
    done = subprocess.run(  # noqa: PLW1510  checked below
        [str(each) for each in command],
        env={**os.environ, **(environ or {})},
        input=stdin,
        capture_output=True,
    )
    if done.returncode:
        output = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise CommandError(f"{' '.join(map(str, command))} failed:\n{output}")
    return done.stdout.decode(errors="replace")
