"""Builds the programs of a real cluster from pinned Go modules, once, and keeps them in the user's cache folder.

A program in the folder that KUBEBUILDER_ASSETS names takes precedence.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.tools.wait import file_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODULES = Path(__file__).resolve().parents[2] / "tests/real/modules"
KUBERNETES = "kubernetes-"
PROGRESS_SECONDS = 20
"""How often a build reports its progress."""


class UnavailableError(Exception):
    """A program is missing; the message says how to get it."""


@dataclass(frozen=True)
class Module:
    """A folder in tests/real/modules, whose go.mod pins one or more programs."""

    name: str

    @property
    def folder(self) -> Path:
        """The folder that holds go.mod."""
        return MODULES / self.name

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the programs that it builds."""
        return tuple(_program(package) for package in self.packages)

    @property
    def version(self) -> str:
        """The version of the Go module that contains the programs, such as `v1.33.1`."""
        text = (self.folder / "go.mod").read_text()
        required: dict[str, str] = dict(re.findall(r"^(?:require)?\s+(\S+) (v\S+)", text, re.MULTILINE))
        return next(v for module, v in required.items() if f"{self.packages[0]}/".startswith(f"{module}/"))

    @property
    def go(self) -> str:
        """The minimum version of Go."""
        (version,) = self._find(r"^go (\S+)$")
        return version

    @property
    def packages(self) -> list[str]:
        """The main packages that go.mod lists as tools."""
        return self._find(r"^(?:tool)?\s+([\w.-]+\.\w+/\S+)$")

    def _find(self, pattern: str) -> list[str]:
        found: list[str] = re.findall(pattern, (self.folder / "go.mod").read_text(), re.MULTILINE)
        return found

    @property
    def linker_flags(self) -> str:
        """Flags that set the version of Kubernetes' programs: `go build` sets it for a main module only."""
        if not self.name.startswith(KUBERNETES):
            return ""
        major, minor, _ = self.version.removeprefix("v").split(".", 2)
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())

    def built(self, environ: Mapping[str, str]) -> Path:
        """The folder in the cache for these exact versions; it exists once they are built."""
        pins = b"".join((self.folder / name).read_bytes() for name in ("go.mod", "go.sum"))
        key = hashlib.sha256(pins + self.linker_flags.encode()).hexdigest()[:12]
        return cache_folder(environ) / f"{self.name}-{self.version}-{platform.machine()}-{key}"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The folder that holds built programs, under XDG_CACHE_HOME or ~/.cache."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "run-cronjob"


def kubernetes(environ: Mapping[str, str]) -> Module:
    """The version in KUBERNETES, such as `v1.33` or `1.33`; by default the newest. Raises UnavailableError."""
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
    """All modules, but only one version of Kubernetes. Raises UnavailableError."""
    others = sorted(path.name for path in MODULES.iterdir() if not path.name.startswith(KUBERNETES))
    return (kubernetes(environ), *map(Module, others))


def find(program: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The path of a program. Raises UnavailableError."""
    found = _found(program, environ)
    if found is None:
        raise UnavailableError(f"{program} has not been built yet: `make test-real` builds it.")
    return found


def _found(program: str, environ: Mapping[str, str]) -> Path | None:
    (module,) = [each for each in modules(environ) if program in each.programs]
    assets = environ.get("KUBEBUILDER_ASSETS")
    folders = [*([Path(assets)] if assets else []), module.built(environ)]
    return next((folder / program for folder in folders if (folder / program).is_file()), None)


def kubernetes_version(environ: Mapping[str, str] = os.environ) -> str:
    """The version that kube-apiserver reports, such as `v1.37.2`: KUBEBUILDER_ASSETS may hold any.

    Raises UnavailableError, also if KUBERNETES asks for another version.
    """
    program = find("kube-apiserver", environ)
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    version = done.stdout.removeprefix("Kubernetes ").strip()
    minor = kubernetes(environ).name.removeprefix(KUBERNETES)
    if environ.get("KUBERNETES") and not version.startswith(f"v{minor}."):
        raise UnavailableError(
            f"KUBERNETES={environ['KUBERNETES']} asks for another version than the {version} in KUBEBUILDER_ASSETS: "
            "leave one of the two out."
        )
    return version


def missing(environ: Mapping[str, str]) -> list[Module]:
    """The modules with programs that are not built yet. Raises UnavailableError."""
    return [each for each in modules(environ) if not all(_found(program, environ) for program in each.programs)]


def check_go(wanted: list[Module]) -> None:
    """Check that Go is installed and new enough to build the modules. Raises UnavailableError."""
    newest = max((module.go for module in wanted), key=lambda go: [int(number) for number in go.split(".")])
    programs = ", ".join(program for module in wanted for program in module.programs)
    get = (
        f"Go {newest} or newer is needed, once, to build {programs}.\nGet it from https://go.dev/dl/, or name a folder "
        "that holds these programs in KUBEBUILDER_ASSETS."
    )
    if not shutil.which("go"):
        raise UnavailableError(f"Go is not installed. {get}")
    for module in wanted:
        done = subprocess.run(["go", "env", "GOVERSION"], cwd=module.folder, capture_output=True, text=True)  # noqa: PLW1510, S607  checked below; the Go on the PATH
        if done.returncode:
            raise UnavailableError(f"This Go is too old: {done.stderr.strip()}\n{get}")


def build(wanted: list[Module], environ: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Build the modules, two at a time. Raises UnavailableError.

    Kubernetes uses all cores except in its long last steps. The largest package of aws-iam-authenticator is one file,
    which the compiler builds on one core with 3 GB of memory. Side by side they keep all cores busy, and the two that
    need most memory do not end together.
    """
    order = [KUBERNETES, "aws-iam-authenticator", "kwok", "etcd"]
    longest_first = sorted(wanted, key=lambda it: [not it.name.startswith(name) for name in order])
    with ThreadPoolExecutor(2) as lanes:
        for done in [lanes.submit(_build, module, environ, report) for module in longest_first]:
            done.result()


def _build(module: Module, environ: Mapping[str, str], report: Callable[[str], None]) -> None:
    target = module.built(environ)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{module.name}.lock")
    with file_lock(lock, lambda: report(f"{module.name}: waiting for another build")):
        if target.is_dir():
            return
        # This process holds the lock, so an interrupted build left this folder.
        unfinished = target.with_name(f".{module.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        _compile(module, unfinished, report)
        for package, program in zip(module.packages, module.programs, strict=True):
            (unfinished / _executable(package)).rename(unfinished / program)
        # The rename is atomic: the target never holds an incomplete build.
        unfinished.rename(target)


def _compile(module: Module, folder: Path, report: Callable[[str], None]) -> None:
    report(f"{module.name}: building {', '.join(module.programs)} {module.version}, once")
    began = time.monotonic()
    total = len(_go(module, "list", "-deps", "tool").splitlines())
    options = ("-v", "-trimpath", "-buildvcs=false", f"-ldflags={module.linker_flags}", "-o", f"{folder}/")
    command = ["go", "build", *options, "tool"]
    with (
        tempfile.NamedTemporaryFile() as log,
        subprocess.Popen(command, cwd=module.folder, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PROGRESS_SECONDS)
                break
            lines = Path(log.name).read_text().splitlines()
            compiled = sum(not line.startswith("go: ") for line in lines)
            report(f"{module.name}: {compiled} of {total} packages, {_minutes(time.monotonic() - began)}")
        lines = Path(log.name).read_text().splitlines()
    if process.returncode:
        raise UnavailableError("\n".join([f"{module.name} could not be built:", *lines[-20:]]))
    report(f"{module.name}: done after {_minutes(time.monotonic() - began)}")


def _go(module: Module, *arguments: str) -> str:
    done = subprocess.run(["go", *arguments], cwd=module.folder, capture_output=True, text=True)  # noqa: PLW1510, S607  checked below; the Go on the PATH
    if done.returncode:
        raise UnavailableError(f"{module.name}: go {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout


def _executable(package: str) -> str:
    """The name that `go build` gives a program: the last part of its path that is not a major version."""
    *_, parent, last = package.split("/")
    return parent if re.fullmatch(r"v\d+", last) else last


def _program(package: str) -> str:
    name = _executable(package)
    # The main package of etcd is go.etcd.io/etcd/server/v3.
    return "etcd" if name == "server" else name


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"
