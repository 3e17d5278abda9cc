"""Go modules in tests/real/modules are built once, found again, and reported when they are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.tools import go_build
from sandbox.tools.go_build import Module, UnavailableError

ROOT = Path(__file__).resolve().parents[3]
ALL = [Module(path.name) for path in sorted(go_build.MODULES.iterdir())]

GO = """#!/bin/sh
# A fake Go: `go build -o FOLDER/ tool` writes a program and exits with $STATUS.
case $1 in
env) [ -z "$TOO_OLD" ] || { echo "go: go.mod requires go >= 1.26.3" >&2; exit 1; } ;;
list) echo one; echo two ;;
build)
  echo "one" >&2
  sleep "$SLEEP"
  while [ "$1" != -o ]; do shift; done
  echo "a program" >"$2/server"
  echo "what went wrong" >&2
  exit "$STATUS" ;;
esac
"""


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment for a separate cache; a fake Go is first on the PATH."""
    (tmp_path / "bin").mkdir()
    go = tmp_path / "bin/go"
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("STATUS", "0")
    monkeypatch.setenv("TOO_OLD", "")
    monkeypatch.setenv("SLEEP", "0")
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.mark.parametrize("module", ALL, ids=lambda module: module.name)
def test_every_module_has_programs_and_a_version(module: Module) -> None:
    assert module.programs
    assert module.version.startswith("v")
    assert f"\nmodule run-cronjob/tests/real/modules/{module.name}\n" in f"\n{(module.folder / 'go.mod').read_text()}"


def test_kubernetes_programs_are_linked_with_their_version() -> None:
    module = Module("kubernetes-1.33")

    assert f"gitVersion={module.version} " in module.linker_flags
    assert module.linker_flags.endswith("gitMinor=33")
    assert Module("etcd").linker_flags == ""


def test_the_newest_kubernetes_is_the_default() -> None:
    minors = [[int(part) for part in each.name.split("-")[1].split(".")] for each in ALL if "kubernetes" in each.name]

    assert go_build.kubernetes({}).name == "kubernetes-{}.{}".format(*max(minors))
    for asked in ("v1.33", "1.33"):
        assert go_build.kubernetes({"KUBERNETES": asked}).name == "kubernetes-1.33"


def test_an_unknown_kubernetes_version_is_refused_with_the_choice_and_how_to_add_one() -> None:
    with pytest.raises(UnavailableError) as raised:
        go_build.kubernetes({"KUBERNETES": "v1.9"})

    assert "v1.31, v1.33, v1.37" in str(raised.value)
    assert "go mod tidy" in str(raised.value)


def test_a_build_is_kept_and_found_again(environ: dict[str, str]) -> None:
    reports: list[str] = []
    with pytest.raises(UnavailableError, match="make test-real"):
        go_build.find("etcd", environ)

    for _ in range(2):
        go_build.build([Module("etcd")], environ, reports.append)

    assert go_build.find("etcd", environ).read_text() == "a program\n"
    assert [line.split(":")[1].split()[0] for line in reports] == ["building", "done"]


def test_a_long_build_reports_its_progress(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_build, "PROGRESS_SECONDS", 0.1)
    monkeypatch.setenv("SLEEP", "1")
    reports: list[str] = []

    go_build.build([Module("etcd")], environ, reports.append)

    assert "etcd: 1 of 2 packages, 0 min 00 s" in reports


def test_a_failed_build_is_not_taken_for_a_complete_one(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(UnavailableError, match="what went wrong"):
        go_build.build([Module("etcd")], environ, lambda _: None)

    assert Module("etcd") in go_build.missing(environ)
    monkeypatch.setenv("STATUS", "0")
    go_build.build([Module("etcd")], environ, lambda _: None)
    assert Module("etcd") not in go_build.missing(environ)


def test_a_go_that_is_too_old_is_reported_with_its_own_message(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = go_build.missing(environ)
    go_build.check_go(wanted)

    monkeypatch.setenv("TOO_OLD", "yes")
    with pytest.raises(
        UnavailableError, match=r"too old: go: go.mod requires go >= 1.26.3\nGo [\d.]+ or newer is needed"
    ):
        go_build.check_go(wanted)


def test_programs_in_kubebuilder_assets_are_not_built(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "kube-apiserver").touch()
    environ["KUBEBUILDER_ASSETS"] = str(tmp_path)

    assert go_build.find("kube-apiserver", environ) == tmp_path / "kube-apiserver"
    assert go_build.kubernetes(environ) in go_build.missing(environ)
    for program in go_build.kubernetes(environ).programs:
        (tmp_path / program).touch()
    assert go_build.kubernetes(environ) not in go_build.missing(environ)


def test_the_version_comes_from_the_program_and_must_match_the_requested_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    server = tmp_path / "kube-apiserver"
    server.write_text("#!/bin/sh\necho Kubernetes v1.33.99\n")
    server.chmod(0o755)
    environ["KUBEBUILDER_ASSETS"] = str(tmp_path)

    assert go_build.kubernetes_version(environ) == "v1.33.99"
    assert go_build.kubernetes_version({**environ, "KUBERNETES": "v1.33"}) == "v1.33.99"
    with pytest.raises(UnavailableError, match=r"KUBERNETES=1\.31 .* v1\.33\.99 in KUBEBUILDER_ASSETS: leave one"):
        go_build.kubernetes_version({**environ, "KUBERNETES": "1.31"})


def test_everything_that_a_machine_lacks_is_listed_at_once(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-m", "sandbox.tools.prepare"], env=nothing, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "apt-get install --no-install-recommends podman" in done.stdout
    assert "apt-get install --no-install-recommends docker-registry" in done.stdout
    assert "Go is not installed" in done.stdout
    assert "https://go.dev/dl/" in done.stdout
    assert "KUBEBUILDER_ASSETS" in done.stdout
