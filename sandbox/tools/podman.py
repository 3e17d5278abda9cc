"""A container engine without a daemon: podman and runc, with settings and storage of their own.

Nobody's own podman is touched. Images stay in the user's cache folder, so that only what changed is built again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sandbox.tools.go_build import cache_folder
from sandbox.tools.processes import end_process, is_alive, keeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# As few of the kernel's features as the programs need: it runs within containers and virtual machines, too. The
# network is the host's, where the sandbox listens. What waits on an `exec` would else stay five minutes longer.
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
"""What must not outlive a boot; podman insists on the same place for all that share a storage."""
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_START_SECONDS = 30
_REMOVE = ("podman", "rm", "--force", "--time=0", "--volumes")


class EngineUnavailableError(Exception):
    """Containers can't be run here; the message says what is missing and how to get it."""


class CommandError(Exception):
    """A command failed; the message is what it said."""


def missing() -> tuple[str, ...]:
    """What this machine lacks for containers, each with the way to get it."""
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
    """podman, until closed; then none of the containers that it was asked for is left.

    Raises EngineUnavailableError where it can't work.
    """

    def __init__(self) -> None:
        if lacks := missing():
            raise EngineUnavailableError("To run containers, this machine lacks:\n" + "\n".join(lacks))
        self._keeper = keeper()
        self.folder = Path(tempfile.mkdtemp(prefix="engine-", dir=self._keeper.folder))
        self.cache = cache_folder(os.environ) / "containers"
        self.cache.mkdir(parents=True, exist_ok=True)
        settings, storage = self.folder / "containers.conf", self.folder / "storage.conf"
        settings.write_text(_SETTINGS.format(run=_RUN))
        storage.write_text(_STORAGE.format(storage=self.cache / "storage", run=_RUN))
        self.environ = {"CONTAINERS_CONF": str(settings), "CONTAINERS_STORAGE_CONF": str(storage)}
        """What podman needs to find in its environment."""
        self.label = f"{os.getpid():06x}"
        """On every container of this process, as the runner labels its own: six hexadecimal digits."""
        self._clear = (*_REMOVE, f"--filter=label={self.label}")
        self._keeper.at_end(*self._clear, environ=self.environ)

    def podman(self, *arguments: str | Path) -> str:
        """What podman answers. Raises CommandError."""
        return run("podman", *arguments, environ=self.environ)

    def import_root(self, archive: Path, name: str) -> None:
        """Make an image of a root file system's archive."""
        self.podman("import", "--quiet", archive, name)

    def build(self, context: Path, name: str, *options: str, file: Path | None = None) -> str:
        """Build a Dockerfile, and name the result; what the build said. Raises CommandError.

        pip uses what this machine trusts: there may be a proxy of its own before the packages' index.
        """
        pip = self.folder / "pip.conf"
        pip.write_text("[global]\ncert = /run/certificates.crt\n")
        trusted = (f"--volume={pip}:/etc/pip.conf:ro", f"--volume={_CERTIFICATES}:/run/certificates.crt:ro")
        given = file or context / "Dockerfile"
        return self.podman(
            "build", *(trusted if _CERTIFICATES.exists() else ()), f"--file={given}", f"--tag={name}", *options, context
        )

    def digest(self, name: str) -> str:
        """An image's name by its digest, as action.yml has it."""
        digest = self.podman("image", "inspect", "--format={{.Digest}}", name).strip()
        return f"{name.partition(':')[0]}@{digest}"

    def files(self, name: str) -> Path:
        """A copy of an image's files: a mount of them would stay after a kill."""
        copy = Path(tempfile.mkdtemp(prefix="image-", dir=self.folder))
        mount = self.podman("image", "mount", name).strip()
        try:
            run("cp", "--archive", f"{mount}/.", copy)
        finally:
            self.podman("image", "unmount", name)
        return copy

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone at what is made once for all."""
        with (self.cache / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def service(self) -> Iterator[str]:
        """Podman's API, which speaks Docker's too; its DOCKER_HOST."""
        socket = self.folder / "podman.sock"
        url = f"unix://{socket}"
        log = self.folder / "service.log"
        command = ("podman", "system", "service", "--time=0", url)
        process = self._keeper.start(*command, log=log, environ=self.environ)
        try:
            end = time.monotonic() + _START_SECONDS
            while not socket.exists():
                if not is_alive(process) or time.monotonic() > end:
                    raise CommandError(f"podman system service did not start: {log.read_text(errors='replace')}")
                time.sleep(0.05)
            yield url
        finally:
            end_process(process)

    def containers(self, *filters: str) -> tuple[str, ...]:
        """The IDs of the containers there are, running or not."""
        wanted = [f"--filter={each}" for each in filters]
        return tuple(self.podman("ps", "--all", "--quiet", "--no-trunc", *wanted).split())

    def remove(self, containers: tuple[str, ...]) -> None:
        """Remove containers, running or not, with their volumes."""
        if containers:
            run(*_REMOVE, *containers, environ=self.environ)

    def close(self) -> None:
        """Remove this process's containers."""
        run(*self._clear, environ=self.environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(*command: str | Path, environ: Mapping[str, str] | None = None, stdin: bytes = b"") -> str:
    """What a command answers. Raises CommandError, with what it said."""
    done = subprocess.run(  # noqa: PLW1510  judged below
        [str(each) for each in command],
        env={**os.environ, **(environ or {})},
        input=stdin,
        capture_output=True,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise CommandError(f"{' '.join(map(str, command))} failed:\n{said}")
    return done.stdout.decode(errors="replace")
