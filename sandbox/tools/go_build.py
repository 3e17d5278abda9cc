"""The programs of a real cluster: each is built once from its pinned Go module, and kept in the user's cache folder.

A program that is in the folder that KUBEBUILDER_ASSETS names is taken from there instead.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MODULES = Path(__file__).resolve().parents[2] / "tests/real/modules"
KUBERNETES = "kubernetes-"
TELL_SECONDS = 20
"""How often a build says how far it is."""


class UnavailableError(Exception):
    """A program that is needed isn't there; the message says how to get it."""


@dataclass(frozen=True)
class Module:
    """One of the folders in tests/real/modules: a go.mod that pins a program, or several."""

    name: str

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return MODULES / self.name

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that it builds, by the names that people know."""
        return tuple(_program(package) for package in self.packages)

    @property
    def version(self) -> str:
        """The version of the module that the programs are from."""
        text = (self.folder / "go.mod").read_text()
        required: dict[str, str] = dict(re.findall(r"^(?:require)?\s+(\S+) (v\S+)", text, re.MULTILINE))
        return next(v for module, v in required.items() if f"{self.packages[0]}/".startswith(f"{module}/"))

    @property
    def go(self) -> str:
        """The Go that it needs."""
        (version,) = self._find(r"^go (\S+)$")
        return version

    @property
    def packages(self) -> list[str]:
        """The main packages that it names as tools."""
        return self._find(r"^(?:tool)?\s+([\w.-]+\.\w+/\S+)$")

    def _find(self, pattern: str) -> list[str]:
        found: list[str] = re.findall(pattern, (self.folder / "go.mod").read_text(), re.MULTILINE)
        return found

    @property
    def linker_flags(self) -> str:
        """What makes Kubernetes' programs say their version; `go build` knows it for a main module only."""
        if not self.name.startswith(KUBERNETES):
            return ""
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        told = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in told.items())

    def built(self, environ: Mapping[str, str]) -> Path:
        """The folder in the cache for just these versions, whether built yet or not."""
        pins = b"".join((self.folder / name).read_bytes() for name in ("go.mod", "go.sum"))
        key = hashlib.sha256(pins + self.linker_flags.encode()).hexdigest()[:12]
        return cache_folder(environ) / f"{self.name}-{self.version}-{platform.machine()}-{key}"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where built programs are kept."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "run-cronjob"


def kubernetes(environ: Mapping[str, str]) -> Module:
    """The Kubernetes that KUBERNETES asks for, as `v1.33` or `1.33`; else the newest. Raises UnavailableError."""
    pinned = sorted(path.name.removeprefix(KUBERNETES) for path in MODULES.glob(f"{KUBERNETES}*"))
    newest = max(pinned, key=lambda minor: [int(number) for number in minor.split(".")])
    asked = environ.get("KUBERNETES") or newest
    minor = asked.removeprefix("v")
    if minor not in pinned:
        choice = ", ".join(f"v{each}" for each in pinned)
        raise UnavailableError(
            f"KUBERNETES={asked} is not one of those that are pinned here: {choice}.\n"
            f"To add one: copy tests/real/modules/{KUBERNETES}{newest}, name the folder after the minor version, put "
            "that\nversion in place of every v0.* and v1.* of k8s.io in its go.mod (the replacements are those of\n"
            "k8s.io/kubernetes' own go.mod), and run `go mod tidy` there."
        )
    return Module(f"{KUBERNETES}{minor}")


def modules(environ: Mapping[str, str]) -> tuple[Module, ...]:
    """Every module, of Kubernetes' the one that is asked for. Raises UnavailableError."""
    others = sorted(path.name for path in MODULES.iterdir() if not path.name.startswith(KUBERNETES))
    return (kubernetes(environ), *map(Module, others))


def find(program: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the program is. Raises UnavailableError."""
    found = _found(program, environ)
    if found is None:
        raise UnavailableError(f"{program} has not been built yet: `make test-real` builds it.")
    return found


def _found(program: str, environ: Mapping[str, str]) -> Path | None:
    (module,) = [each for each in modules(environ) if program in each.programs]
    given = environ.get("KUBEBUILDER_ASSETS")
    places = [Path(given)] if given else []
    return next((p / program for p in (*places, module.built(environ)) if (p / program).is_file()), None)


def kubernetes_version(environ: Mapping[str, str] = os.environ) -> str:
    """What the API server says it is, as `v1.37.2`: it may be the one of KUBEBUILDER_ASSETS.

    Raises UnavailableError, also if that is not the version that KUBERNETES asks for.
    """
    told = subprocess.run(
        [find("kube-apiserver", environ), "--version"], capture_output=True, text=True, check=True
    ).stdout
    version = told.removeprefix("Kubernetes ").strip()
    minor = kubernetes(environ).name.removeprefix(KUBERNETES)
    if environ.get("KUBERNETES") and not version.startswith(f"v{minor}."):
        raise UnavailableError(
            f"KUBERNETES={environ['KUBERNETES']} asks for another version than the {version} in KUBEBUILDER_ASSETS: "
            "leave one of the two out."
        )
    return version


def missing(environ: Mapping[str, str]) -> list[Module]:
    """The modules of which a program is still to be built. Raises UnavailableError."""
    return [each for each in modules(environ) if not all(_found(program, environ) for program in each.programs)]


def check_go(wanted: list[Module]) -> None:
    """Whether this machine's Go can build them. Raises UnavailableError."""
    newest = max((module.go for module in wanted), key=lambda go: [int(number) for number in go.split(".")])
    programs = ", ".join(program for module in wanted for program in module.programs)
    get = (
        f"Go {newest} or newer is needed, once, to build {programs}.\nGet it from https://go.dev/dl/, or name a folder "
        "that holds these programs in KUBEBUILDER_ASSETS."
    )
    if not shutil.which("go"):
        raise UnavailableError(f"Go is not installed. {get}")
    for module in wanted:
        asked = subprocess.run(["go", "env", "GOVERSION"], cwd=module.folder, capture_output=True, text=True)  # noqa: PLW1510, S607  judged below; the Go that is on the PATH
        if asked.returncode:
            raise UnavailableError(f"This Go is too old: {asked.stderr.strip()}\n{get}")


def build(wanted: list[Module], environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
    """Build the modules, two at a time. Raises UnavailableError.

    Kubernetes keeps all cores busy but for its long last steps, and the largest package of aws-iam-authenticator is
    one file to the compiler, on one core and with 3 GB of memory: side by side each fills the other's gaps, and the
    two that need most memory never end together.
    """
    order = [KUBERNETES, "aws-iam-authenticator", "kwok", "etcd"]
    longest_first = sorted(wanted, key=lambda it: [not it.name.startswith(name) for name in order])
    with ThreadPoolExecutor(2) as lanes:
        for done in [lanes.submit(_build, module, environ, tell) for module in longest_first]:
            done.result()


def _build(module: Module, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
    target = module.built(environ)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.with_name(f".{module.name}.lock"), lambda: tell(f"{module.name}: waiting for another build")):
        if target.is_dir():
            return
        # The lock is ours, so whatever is here was left by a build that was interrupted.
        unfinished = target.with_name(f".{module.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        _compile(module, unfinished, tell)
        for package, program in zip(module.packages, module.programs, strict=True):
            (unfinished / _executable(package)).rename(unfinished / program)
        # All or nothing: the name appears when the programs are whole.
        unfinished.rename(target)


def _compile(module: Module, folder: Path, tell: Callable[[str], None]) -> None:
    tell(f"{module.name}: building {', '.join(module.programs)} {module.version}, once")
    began = time.monotonic()
    listed = _go(module, "list", "-deps", "tool").stdout
    total = len(listed.splitlines())
    command = [
        "go",
        "build",
        "-v",
        "-trimpath",
        "-buildvcs=false",
        f"-ldflags={module.linker_flags}",
        "-o",
        f"{folder}/",
    ]
    with subprocess.Popen(
        [*command, "tool"], cwd=module.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        said: list[str] = []
        ended = threading.Event()

        def progress() -> None:
            while not ended.wait(TELL_SECONDS):
                compiled = len([line for line in said if not line.startswith("go: ")])
                tell(f"{module.name}: {compiled} of {total} packages, {_minutes(time.monotonic() - began)}")

        teller = threading.Thread(target=progress, daemon=True)
        teller.start()
        try:
            for line in _stream(process):
                said.append(line)  # noqa: PERF402  one by one: another thread counts them meanwhile
            process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            ended.set()
            teller.join()
    if process.returncode:
        raise UnavailableError(f"{module.name} could not be built:\n{''.join(said[-20:])}")
    tell(f"{module.name}: done after {_minutes(time.monotonic() - began)}")


def _go(module: Module, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["go", *arguments], cwd=module.folder, capture_output=True, text=True)  # noqa: PLW1510, S607  judged below; the Go that is on the PATH
    if done.returncode:
        raise UnavailableError(f"{module.name}: go {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done


def _stream(process: subprocess.Popen[str]) -> IO[str]:
    if process.stderr is None:
        raise RuntimeError("unreachable: asked for above")
    return process.stderr


@contextmanager
def _alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that goes with the process."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _executable(package: str) -> str:
    """What `go build` calls it: the last part of its path that is no major version."""
    *_, parent, last = package.split("/")
    return parent if re.fullmatch(r"v\d+", last) else last


def _program(package: str) -> str:
    name = _executable(package)
    # etcd is built from go.etcd.io/etcd/server/v3.
    return "etcd" if name == "server" else name


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
