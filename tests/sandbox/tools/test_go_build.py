"""What is pinned in tests/real/modules, where its programs are found, and what is said where they are not."""

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
# Stands in for Go: `go build -o FOLDER/ tool` makes a program, and ends as $STATUS says.
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
    """A cache of its own, and a stand-in for Go."""
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
def test_every_module_says_what_it_builds_and_which_version(module: Module) -> None:
    assert module.programs
    assert module.version.startswith("v")
    assert f"\nmodule run-cronjob/tests/real/modules/{module.name}\n" in f"\n{(module.folder / 'go.mod').read_text()}"


def test_kubernetes_programs_are_told_their_version() -> None:
    module = Module("kubernetes-1.33")

    assert f"gitVersion={module.version} " in module.linker_flags
    assert module.linker_flags.endswith("gitMinor=33")
    assert Module("etcd").linker_flags == ""


def test_the_newest_kubernetes_is_taken_unless_another_is_asked_for() -> None:
    minors = [[int(part) for part in each.name.split("-")[1].split(".")] for each in ALL if "kubernetes" in each.name]

    assert go_build.kubernetes({}).name == "kubernetes-{}.{}".format(*max(minors))
    for asked in ("v1.33", "1.33"):
        assert go_build.kubernetes({"KUBERNETES": asked}).name == "kubernetes-1.33"


def test_a_kubernetes_that_is_not_pinned_brings_the_choice_and_how_to_add_it() -> None:
    with pytest.raises(UnavailableError) as raised:
        go_build.kubernetes({"KUBERNETES": "v1.9"})

    assert "v1.31, v1.33, v1.37" in str(raised.value)
    assert "go mod tidy" in str(raised.value)


def test_a_build_is_kept_and_found_again(environ: dict[str, str]) -> None:
    told: list[str] = []
    with pytest.raises(UnavailableError, match="make test-real"):
        go_build.find("etcd", environ)

    for _ in range(2):
        go_build.build([Module("etcd")], environ, told.append)

    assert go_build.find("etcd", environ).read_text() == "a program\n"
    assert [line.split(":")[1].split()[0] for line in told] == ["building", "done"]


def test_a_build_that_takes_long_says_how_far_it_is(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_build, "TELL_SECONDS", 0.1)
    monkeypatch.setenv("SLEEP", "1")
    told: list[str] = []

    go_build.build([Module("etcd")], environ, told.append)

    assert "etcd: 1 of 2 packages, 0 min 00 s" in told


def test_a_build_that_fails_leaves_nothing_that_could_be_taken_for_one(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(UnavailableError, match="what went wrong"):
        go_build.build([Module("etcd")], environ, lambda _: None)

    assert Module("etcd") in go_build.missing(environ)
    monkeypatch.setenv("STATUS", "0")
    go_build.build([Module("etcd")], environ, lambda _: None)
    assert Module("etcd") not in go_build.missing(environ)


def test_a_go_that_is_too_old_is_told_in_its_own_words(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = go_build.missing(environ)
    go_build.check_go(wanted)

    monkeypatch.setenv("TOO_OLD", "yes")
    with pytest.raises(
        UnavailableError, match=r"too old: go: go.mod requires go >= 1.26.3\nGo [\d.]+ or newer is needed"
    ):
        go_build.check_go(wanted)


def test_what_is_in_kubebuilder_assets_is_not_built(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "kube-apiserver").touch()
    environ["KUBEBUILDER_ASSETS"] = str(tmp_path)

    assert go_build.find("kube-apiserver", environ) == tmp_path / "kube-apiserver"
    assert go_build.kubernetes(environ) in go_build.missing(environ)
    for program in go_build.kubernetes(environ).programs:
        (tmp_path / program).touch()
    assert go_build.kubernetes(environ) not in go_build.missing(environ)


def test_the_version_is_asked_of_the_program_and_must_not_be_another_than_was_asked_for(
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


def test_all_that_a_machine_lacks_is_said_at_once(tmp_path: Path) -> None:
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
