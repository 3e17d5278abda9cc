"""Tests of the containers' logs over real connections with faults, as the runner shows them."""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.clients.kube_api import KubeApi
from run_cronjob.clients.kube_transport import KubeTransport
from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.core import status
from run_cronjob.core.clock import SystemClock
from run_cronjob.core.models import Access
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs import tail
from run_cronjob.jobs.tail import LogTailer
from sandbox.emulator.server import EmulatedCluster
from sandbox.github.workflow_commands import interpret
from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from run_cronjob.core.errors import ApiError
    from sandbox.emulator.pod_logs import ContainerLog

REAL_TIMEOUTS = Timeouts()
TIMEOUT_SECONDS = 60
RULES = """
apiVersion: v1
kind: Namespace
metadata: {name: batch}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: logs, namespace: batch}
rules: [{apiGroups: [""], resources: [pods/log], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: logs, namespace: batch}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: logs}
subjects: [{kind: User, name: ci, apiGroup: rbac.authorization.k8s.io}]
"""


class Stage:
    """An emulated cluster behind a faulty network, and what the action's log shows of it."""

    def __init__(
        self, emulator: EmulatedCluster, proxy: FaultProxy, capture: pytest.CaptureFixture[bytes], ca_pem: str
    ) -> None:
        self.emulator = emulator
        self.network = proxy
        self._capture = capture
        self._written = b""
        self._actions = Actions()
        self.refusals: list[ApiError] = []
        self._ca_pem = ca_pem
        self.tailer = self.tail(emulator.user("ci"))

    def tail(self, token: str, timeouts: Timeouts = REAL_TIMEOUTS) -> LogTailer:
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.network.url, "certificate-authority": self._ca_pem}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        source = KubeApi(KubeTransport(Access(kubeconfig, "c", "batch"), SystemClock(), timeouts))
        return LogTailer(source, self._actions, SystemClock(), timeouts, self.refusals.append)

    def pod(self, name: str = "nightly-1-abcde", *, init: tuple[str, ...] = (), policy: str = "Never") -> Pod:
        return Pod(self, name, init, policy)

    def finish(self) -> tuple[str, ...]:
        assert self.tailer.drain(TIMEOUT_SECONDS)
        return self.shown

    @property
    def shown(self) -> tuple[str, ...]:
        """The containers' lines and ours, as the runner shows them within the region where commands are stopped."""
        read = interpret(self._read())
        assert [command.name for command in read.commands] in ([], ["stop-commands"])
        return tuple(
            line for region in read.stopped_regions for line in region.lines if not line.startswith(("▶", "! "))
        )

    @property
    def told(self) -> tuple[str, ...]:
        return tuple(line for line in self._read().decode().splitlines() if line.startswith("! "))

    def _read(self) -> bytes:
        # pytest reads and then truncates: what a thread of the tailer writes in between would be lost.
        with self._actions._log_lock:
            sys.stdout.flush()
            self._written += self._capture.readouterr().out
        return self._written

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(TIMEOUT_SECONDS * 100):
            if condition():
                return
            threading.Event().wait(0.01)
        pytest.fail(f"never came: {self.shown} {self.told}")

    @property
    def requests(self) -> int:
        return sum(request.path.endswith("/log") for request in self.network.journal)


class Pod:
    """One pod; the tailer gets each change at once."""

    def __init__(self, stage: Stage, name: str, init: tuple[str, ...], policy: str) -> None:
        self._stage = stage
        self.name = name
        self._last: dict[str, Any] = {}
        self._restarts = 0
        spec = {
            "restartPolicy": policy,
            "initContainers": [{"name": each, "image": "x"} for each in init],
            "containers": [{"name": "main", "image": "x"}],
        }
        metadata = {"name": name, "namespace": "batch", "uid": f"uid-{name}"}
        stage.emulator.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def log(self, container: str = "main") -> ContainerLog:
        return self._stage.emulator.log("batch", self.name, container)

    def run(self, container: str = "main", *, tell: bool = True) -> None:
        self._set("Running", container, {"running": {"startedAt": "2026-11-23T04:05:06Z"}}, tell=tell)

    def end(self, code: int = 0, container: str = "main", *, phase: str = "") -> None:
        self.log(container).end()
        ended = {"terminated": {"exitCode": code, "containerID": "containerd://1"}}
        self._set(phase or ("Failed" if code else "Succeeded"), container, ended)

    def restart(self, *, tell: bool = True) -> None:
        self._stage.emulator.log("batch", self.name, "main", restarted=True)
        self._restarts += 1
        self._last = {"terminated": {"exitCode": 1, "containerID": "containerd://0"}}
        self.run(tell=tell)

    def tell(self) -> None:
        self._stage.tailer.update(status.pod(self._stage.emulator.get("Pod", "batch", self.name)))

    def _set(self, phase: str, container: str, state: dict[str, Any], *, tell: bool = True) -> None:
        kind = "containerStatuses" if container == "main" else "initContainerStatuses"
        status = {"name": container, "restartCount": self._restarts, "state": state, "lastState": self._last}
        self._stage.emulator.set_status("Pod", "batch", self.name, phase=phase, **{kind: [status]})
        if tell:
            self.tell()


@pytest.fixture
def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Stage]:
    monkeypatch.setattr(tail, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(tail, "LONGEST_PAUSE_SECONDS", 0.1)
    authority = Authority()
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    with (
        EmulatedCluster(authority) as emulator,
        FaultProxy(emulator.url, authority=authority, upstream_ca=emulator.ca_pem) as proxy,
    ):
        emulator.apply(RULES)
        yield Stage(emulator, proxy, capfdbinary, str(ca))


def test_a_running_container_is_shown_live(stage: Stage) -> None:
    pod = stage.pod()
    pod.run()
    for line in ("one", "two", "three"):
        pod.log().write(line + "\n")
        stage.until(lambda: stage.shown[-1:] == (line,))  # noqa: B023  called at once
    pod.end()

    assert stage.finish() == ("one", "two", "three")


def test_a_pod_that_was_over_before_it_was_seen_is_shown_whole(stage: Stage) -> None:
    pod = stage.pod(init=("prepare",))
    pod.log("prepare").write("first\n")
    pod.log().write(b"one\n\n\xff bytes\r\n10%\r100%\nlast")
    pod._set("Running", "prepare", {"terminated": {"exitCode": 0, "containerID": "c"}}, tell=False)
    pod.end()

    shown = stage.finish()
    assert sorted(shown) == sorted(
        ["prepare | first", *(f"main | {x}" for x in ("one", "", "\ufffd bytes", "100%", "last"))]
    )


@pytest.mark.parametrize("fault", ["reset", "close", "status"])
def test_requests_that_fail_are_repeated(stage: Stage, fault: str) -> None:
    rule = stage.network.on(path_contains="/log", times=3)
    rule.status(503) if fault == "status" else getattr(rule, fault)()
    pod = stage.pod()
    pod.log().write("one\n")
    pod.run()
    stage.until(lambda: stage.shown)
    pod.end()

    assert stage.finish() == ("one",)
    assert not stage.told


def test_a_silent_connection_is_given_up_and_a_silent_container_is_not(stage: Stage) -> None:
    stage.tailer = stage.tail(stage.emulator.user("ci"), Timeouts(log_silence=0.2))
    pod = stage.pod()
    pod.run()
    stage.until(lambda: stage.requests > 2)
    stage.network.on(path_contains="/log").hang()
    stage.until(lambda: any(request.fault for request in stage.network.journal))
    pod.log().write("at last\n")
    stage.until(lambda: stage.shown)
    pod.end()

    assert stage.finish() == ("at last",)
    assert not stage.told


@pytest.mark.parametrize("step", [700, 4001])
def test_ten_thousand_lines_through_many_cuts_come_once_each_and_in_order(stage: Stage, step: int) -> None:
    """Cut anywhere, also in the middle of a line, or ended in good order."""
    for cut in range(30):
        stage.network.on(path_contains="/log").cut_stream(after_bytes=step * (cut + 1))
    pod = stage.pod()
    pod.run()
    expected = hashlib.sha256()
    for number in range(10_000):
        line = f"line {number} {'x' * (number % 90)}\n"
        expected.update(line.encode())
        pod.log().write(line)
        if number % 1000 == 999:
            pod.log().cut()
    stage.until(lambda: stage.requests > 30)
    pod.end()

    shown = stage.finish()
    assert hashlib.sha256("".join(f"{line}\n" for line in shown).encode()).digest() == expected.digest()
    assert not stage.told


def test_a_rotation_during_a_cut_is_told(stage: Stage) -> None:
    pod = stage.pod()
    pod.run()
    pod.log().write("one\n")
    stage.until(lambda: stage.shown)
    stage.network.on(path_contains="/log", times=None).status(503)
    pod.log().cut()
    stage.until(lambda: any(request.fault for request in stage.network.journal))
    pod.log().write("lost\n")
    pod.log().rotate()
    pod.log().write("three\n")
    stage.network._faults.clear()
    stage.until(lambda: "three" in stage.shown)
    pod.end()

    assert stage.finish() == ("one", "three")
    (told,) = stage.told
    assert "lines may be missing" in told


def test_files_that_are_gone_are_told_in_the_kubelets_words(stage: Stage) -> None:
    pod = stage.pod()
    pod.log().write("one\n")
    pod.run()
    stage.until(lambda: stage.shown)
    pod.log().remove("unable to retrieve container logs for containerd://0123")
    pod.end()

    assert stage.finish() == ("one",)
    assert "unable to retrieve container logs" in stage.told[0]


def test_each_start_of_a_container_is_shown_once_also_where_its_status_lags_behind(stage: Stage) -> None:
    pod = stage.pod(policy="OnFailure")
    pod.run()
    pod.log().write("first\n")
    stage.until(lambda: stage.shown)
    pod.restart(tell=False)
    pod.log().write("second\n")
    asked = stage.requests
    stage.until(lambda: stage.requests > asked)
    pod.tell()
    pod.end()

    assert stage.finish() == ("first", "second")
    assert not stage.told


def test_a_hundred_pods_at_once(stage: Stage) -> None:
    pods = [stage.pod(f"nightly-1-{number:05}") for number in range(100)]
    for number, pod in enumerate(pods):
        pod.log().write(f"begin {number}\n")
        pod.run()
    for number, pod in enumerate(pods):
        pod.log().write(f"end {number}\n")
        pod.end()

    shown = stage.finish()
    assert sorted(line.rpartition("| ")[2] for line in shown) == sorted(
        f"{word} {number}" for number in range(100) for word in ("begin", "end")
    )
    assert not stage.told


def test_hostile_lines_do_nothing(stage: Stage) -> None:
    pod = stage.pod()
    pod.log().write(
        "::error::no\n  ::add-mask::a\nx ##[set-output name=result]created\n\r::stop-commands::x\n"
        "\u200b::error::no\n:\x1b[0m:warning::no\n::group::no\n"
    )
    pod.end()

    assert len(stage.finish()) == 7  # and no command but the region's own, as `shown` asserts


def test_without_the_right_there_is_one_refusal(stage: Stage) -> None:
    stage.tailer = stage.tail(stage.emulator.user("nobody"))
    for name in ("nightly-1-aaaaa", "nightly-1-bbbbb"):
        stage.pod(name).end()
    stage.finish()

    assert [refusal.status for refusal in stage.refusals] == [403]
    assert "pods/log" in stage.refusals[0].message
