"""A LogTailer with a fake kubelet, and pods in every state, for the tests of jobs/tail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from run_cronjob.core import status
from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs.tail import LogTailer
from tests import builders
from tests.fakes import FakeActions, FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run_cronjob.clients.kube_api import KubeApi
    from run_cronjob.clients.workflow_commands import Actions
    from tests.builders import Raw

    Answer = list[bytes] | Exception | Callable[[], Iterator[bytes]]

TIMEOUT_SECONDS = 60
"""A test fails after this; no step takes that long."""


class Kubelet:
    """Gives each container's requests the answers of a test in order; the last answer is repeated."""

    def __init__(self, **answers: list[Answer]) -> None:
        self._answers = answers
        self.requests: list[Raw] = []
        self._lock = threading.Lock()

    def pod_log(self, _: str, pod: str, container: str, **options: Any) -> Iterator[bytes]:
        with self._lock:
            self.requests.append({"pod": pod, "container": container, **options})
            name = container + ("_before" if options["previous"] else "")
            answers = self._answers[name]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return iter(answer() if callable(answer) else answer)


def at(second: int, text: str) -> bytes:
    return b"2026-11-23T04:05:%02d.000000000Z %s\n" % (second, text.encode())


def cut(*chunks: bytes, cause: Cause = Cause.BROKEN) -> Callable[[], Iterator[bytes]]:
    def stream() -> Iterator[bytes]:
        yield from chunks
        raise NoAnswer("the Kubernetes API", "host", cause)

    return stream


def running() -> Raw:
    return {"state": {"running": {"startedAt": builders.at(5)}}}


def terminated(code: int = 0) -> Raw:
    return {"state": {"terminated": {"exitCode": code, "containerID": "containerd://1"}}}


def waiting(*, after: int) -> Raw:
    return {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": terminated(after)["state"]}


def pod(name: str = "nightly-1-abcde", *, phase: str = "Running", index: int | None = None, restarts: int = 0,
        policy: str = "OnFailure", **states: Raw) -> Raw:  # fmt: skip
    annotations = {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)}
    statuses = [{"name": container, "restartCount": restarts, **state} for container, state in states.items()]
    metadata = {"uid": f"uid-{name}", "annotations": annotations}
    return builders.pod(name, phase, containers=statuses, metadata=metadata, spec={"restartPolicy": policy})


class Scene:
    """A LogTailer with a scripted kubelet and a fake writer."""

    def __init__(self, *, log_news: float = 0.01, **answers: list[Answer]) -> None:
        self.kubelet = Kubelet(**answers)
        self.writer = FakeActions()
        self.refusals: list[ApiError] = []
        self.tailer = LogTailer(
            cast("KubeApi", self.kubelet),
            cast("Actions", self.writer),
            FakeClock(),
            Timeouts(log_news=log_news),
            self.refusals.append,
        )

    @property
    def notes(self) -> list[str]:
        return [line.removeprefix("! ") for line in self.writer.lines if line.startswith("! ")]

    @property
    def titles(self) -> list[str]:
        return [line.removeprefix("▶ ") for line in self.writer.lines if line.startswith("▶ ")]

    def see(self, *pods: Raw) -> None:
        for each in pods:
            self.tailer.update(status.pod(each))

    def finish(self) -> None:
        assert self.tailer.drain(TIMEOUT_SECONDS)

    def until(self, condition: Callable[[], bool]) -> None:
        done = threading.Event()
        for _ in range(TIMEOUT_SECONDS * 1000):
            if condition():
                return
            done.wait(0.001)
        pytest.fail(f"never came: {self.writer.lines}")
