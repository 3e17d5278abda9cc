"""Tests of jobs/tail: which logs are requested, when one is complete, and the notes where lines are missing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from run_cronjob.core import status
from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs import tail
from run_cronjob.jobs.tail import LogTailer
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from run_cronjob.clients.kube_api import KubeApi
    from run_cronjob.clients.workflow_commands import Actions

    Answer = list[bytes] | Exception | Callable[[], Iterator[bytes]]

TIMEOUT_SECONDS = 60
"""A test fails after this; no step takes that long."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(tail, "LONGEST_PAUSE_SECONDS", 0.01)


class Writer:
    """A fake of Actions."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def public(self, text: str) -> str:
        return text

    def line(self, text: str) -> None:
        self.written.append(f"> {text}")

    def others(self, lines: Sequence[str], prefix: str = "") -> None:
        self.written += [prefix + line for line in lines]

    @property
    def shown(self) -> list[str]:
        return [line for line in self.written if not line.startswith("> ")]

    @property
    def told(self) -> list[str]:
        return [line.removeprefix("> ! ") for line in self.written if line.startswith("> ! ")]

    @property
    def announced(self) -> list[str]:
        return [line.removeprefix("> ▶ ") for line in self.written if line.startswith("> ▶ ")]


class Kubelet:
    """Gives each container's requests the answers of a test in order; the last answer is repeated."""

    def __init__(self, **answers: list[Answer]) -> None:
        self._answers = answers
        self.asked: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def pod_log(self, _: str, pod: str, container: str, **options: Any) -> Iterator[bytes]:
        with self._lock:
            self.asked.append({"pod": pod, "container": container, **options})
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


def running() -> dict[str, Any]:
    return {"state": {"running": {"startedAt": "2026-11-23T04:05:06Z"}}}


def terminated(code: int = 0) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "containerID": "containerd://1"}}}


def waiting(*, after: int | None = None) -> dict[str, Any]:
    last = (
        {"lastState": {"terminated": {"exitCode": after, "containerID": "containerd://1"}}} if after is not None else {}
    )
    return {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, **last}


def pod(name: str = "nightly-1-abcde", *, phase: str = "Running", index: int | None = None, restarts: int = 0,
        policy: str = "OnFailure", **states: dict[str, Any]) -> dict[str, Any]:  # fmt: skip
    return {
        "metadata": {
            "name": name,
            "namespace": "staging",
            "uid": f"uid-{name}",
            "annotations": {"batch.kubernetes.io/job-completion-index": str(index)} if index is not None else {},
        },
        "spec": {"restartPolicy": policy, "containers": [{"name": container} for container in states]},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": container, "restartCount": restarts, **state} for container, state in states.items()
            ],
        },
    }


class Scene:
    """A LogTailer between a kubelet that a test plays and a writer that remembers."""

    def __init__(self, *, log_news: float = 0.01, **answers: list[Answer]) -> None:
        self.kubelet = Kubelet(**answers)
        self.writer = Writer()
        self.refusals: list[ApiError] = []
        self.tailer = LogTailer(
            cast("KubeApi", self.kubelet),
            cast("Actions", self.writer),
            FakeClock(),
            Timeouts(log_news=log_news),
            self.refusals.append,
        )

    def see(self, *pods: dict[str, Any]) -> None:
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
        pytest.fail(f"never came: {self.writer.written}")


# --- to the end ---------------------------------------------------------------------------------------------


def test_a_short_job_is_shown_from_its_first_line_to_its_last() -> None:
    scene = Scene(main=[[at(1, "one"), at(1, "two")]])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.written == [
        "> ▶ The log of container `main` in pod `nightly-1-abcde`:",
        "one",
        "two",
    ]


def test_nothing_is_asked_for_before_a_container_starts() -> None:
    scene = Scene(main=[[]])
    scene.see(pod(phase="Pending", main={"state": {"waiting": {"reason": "ContainerCreating"}}}))
    scene.see(pod(phase="Failed", main={"state": {"terminated": {"exitCode": 137, "startedAt": None}}}))
    scene.finish()

    assert not scene.kubelet.asked


def test_the_end_of_a_stream_is_not_the_end_of_a_log() -> None:
    """The API server ends a stream in good order, too, when its own connection to the kubelet breaks."""
    whole = [at(1, "one"), at(2, "two"), at(3, "three"), at(4, "four")]
    scene = Scene(main=[whole[:1], cut(*whole[:2]), whole[:3], [], whole])
    scene.see(pod(main=running()))
    scene.until(lambda: len(scene.kubelet.asked) > 3)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "two", "three", "four"]
    assert not scene.writer.told


def test_what_comes_between_the_last_answer_and_the_end_is_not_lost() -> None:
    scene = Scene(main=[cut(at(1, "one")), [at(1, "one"), at(1, "last")]])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "last"]
    assert scene.kubelet.asked[-1] == {
        "pod": "nightly-1-abcde", "container": "main", "since": "", "previous": False, "follow": False,
    }  # fmt: skip


def test_an_answer_that_brought_something_is_not_the_last_one_even_after_the_end() -> None:
    whole = [at(1, "one"), at(2, "two"), at(3, "three")]
    scene = Scene(main=[whole[:1], whole[:2], whole])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "two", "three"]


def test_a_last_line_without_an_end_is_shown() -> None:
    scene = Scene(main=[[at(1, "one"), b"2026-11-23T04:05:02.000000000Z last"]])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "last"]


@pytest.mark.parametrize(
    "error",
    [
        NoAnswer("the Kubernetes API", "host", Cause.REFUSED),
        NoAnswer("the Kubernetes API", "host", Cause.READ_TIMEOUT),
        ApiError(500, "InternalError", 'Get "https://node:10250/containerLogs": dial tcp: i/o timeout'),
        ApiError(429, "TooManyRequests", "later", retry_after=0.001),
        ApiError(401, "Unauthorized", "Unauthorized"),
        ApiError(503, "", "", is_status=False),
        ApiError(400, "BadRequest", 'container "main" in pod "nightly-1-abcde" is waiting to start: PodInitializing'),
        ApiError(404, "NotFound", "the server could not find the requested resource"),
    ],
    ids=["refused", "stalled", "500", "429", "401", "503", "400", "404"],
)
def test_what_passes_is_survived_in_silence(error: Exception) -> None:
    scene = Scene(main=[error, error, cut(at(1, "one")), error, error, error, [at(1, "one"), at(2, "two")]])
    scene.see(pod(main=running()))
    scene.until(lambda: scene.writer.shown == ["one", "two"])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "two"]
    assert not scene.writer.told


def test_without_the_right_that_is_told_once_and_nothing_is_asked_any_more() -> None:
    scene = Scene(a=[ApiError(403, "Forbidden", "no")], b=[ApiError(403, "Forbidden", "no")])
    scene.see(pod(a=running(), b=running()))
    scene.until(lambda: bool(scene.refusals))
    scene.see(pod("nightly-1-later", a=running(), b=running()))
    scene.finish()

    assert [refusal.status for refusal in scene.refusals] == [403]
    assert len(scene.kubelet.asked) <= 12
    assert not scene.writer.written


@pytest.mark.parametrize(("before", "refusals"), [([], 5), ([cut(at(1, "one"))], 9)])
def test_an_api_server_that_starts_and_refuses_everybody_at_first_costs_no_line(
    before: list[Answer], refusals: int
) -> None:
    refusal = ApiError(403, "Forbidden", "no")
    scene = Scene(main=[*before, *[refusal] * refusals, [at(1, "one"), at(2, "two")]])
    scene.see(pod(main=running()))
    scene.until(lambda: "two" in scene.writer.shown)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "two"]
    assert not scene.refusals
    assert not scene.writer.told


def test_a_right_that_was_taken_away_does_not_keep_the_log_open() -> None:
    scene = Scene(main=[cut(at(1, "one")), ApiError(403, "Forbidden", "no")])
    scene.see(pod(main=running()))
    scene.until(lambda: "one" in scene.writer.shown)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert "lines may be missing: the cluster has no more of it; it says `no`" in scene.writer.told[0]


# --- what is missing is told --------------------------------------------------------------------------------


def test_a_log_that_was_rotated_while_the_connection_was_cut_has_a_gap() -> None:
    scene = Scene(main=[cut(at(1, "one"), at(2, "two")), [at(8, "eight"), at(9, "nine")]])
    scene.see(pod(main=running()))
    scene.until(lambda: "nine" in scene.writer.shown)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one", "two", "eight", "nine"]
    assert (
        scene.writer.written.index("two")
        < scene.writer.written.index(
            "> ! The log of container `main` in pod `nightly-1-abcde` goes on, but lines may be missing here: "
            "it was rotated while the connection was cut."
        )
        < scene.writer.written.index("eight")
    )
    assert len(scene.writer.told) == 1


@pytest.mark.parametrize(
    "answer",
    [
        ApiError(404, "NotFound", 'pods "nightly-1-abcde" not found'),
        [b"unable to retrieve container logs for containerd://0123"],
    ],
    ids=["pod", "files"],
)
def test_a_log_that_is_gone_before_its_end_was_seen_has_a_gap(answer: Answer) -> None:
    scene = Scene(main=[cut(at(1, "one")), answer])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.shown == ["one"]
    (told,) = scene.writer.told
    assert "ends here, but lines may be missing" in told
    assert "not found" in told or "unable to retrieve" in told


def test_what_could_not_be_read_in_time_is_told() -> None:
    stuck = threading.Event()

    def stream() -> Iterator[bytes]:
        yield at(1, "one")
        stuck.wait(TIMEOUT_SECONDS)

    scene = Scene(main=[stream])
    scene.see(pod(main=running()))
    scene.until(lambda: scene.writer.shown == ["one"])

    assert not scene.tailer.drain(0.01)
    assert "could not be read in" in scene.writer.told[0]
    stuck.set()


# --- restarts -----------------------------------------------------------------------------------------------


def test_each_start_of_a_container_is_shown_once() -> None:
    first, second = [at(1, "first")], [at(5, "second")]
    scene = Scene(main=[first, second], main_before=[first])
    scene.see(pod(main=running()))
    scene.until(lambda: scene.writer.shown == ["first"])
    scene.see(pod(main=waiting(after=1)))
    scene.see(pod(main=running(), restarts=1))
    scene.see(pod(phase="Succeeded", main=terminated(), restarts=1))
    scene.finish()

    assert scene.writer.shown == ["first", "second"]
    assert scene.writer.announced == [
        "The log of container `main` in pod `nightly-1-abcde`:",
        "The log of container `main` in pod `nightly-1-abcde`, restart 1:",
    ]
    assert not scene.writer.told


def test_a_start_that_was_never_seen_running_is_shown_too() -> None:
    scene = Scene(main=[[at(5, "second")]], main_before=[[at(1, "first")]])
    state = {**terminated(), "lastState": terminated(1)["state"]}
    scene.see(pod(phase="Succeeded", main=state, restarts=1))
    scene.finish()

    assert scene.writer.shown == ["first", "second"]


def test_starts_whose_logs_are_not_kept_are_told() -> None:
    scene = Scene(main=[[at(5, "third")]], main_before=[[at(3, "second")]])
    state = {**terminated(), "lastState": terminated(1)["state"]}
    scene.see(pod(phase="Succeeded", main=state, restarts=2))
    scene.finish()

    assert scene.writer.shown == ["second", "third"]
    assert scene.writer.told == [
        "The log of container `main` in pod `nightly-1-abcde`, restart 1 is the first one kept: it was started before."
    ]


@pytest.mark.parametrize("first", [[at(1, "first")], []], ids=["printed", "silent"])
def test_the_log_of_the_next_start_is_not_taken_for_the_first_ones(first: list[bytes]) -> None:
    """The kubelet has started the container again, and the pod's status does not say so yet."""
    second = [at(5, "second")]
    scene = Scene(log_news=TIMEOUT_SECONDS, main=[cut(*first), second], main_before=[first])
    scene.see(pod(main=running()))
    scene.until(lambda: len(scene.kubelet.asked) == 2)
    scene.see(pod(main=running() | {"lastState": terminated(1)["state"]}, restarts=1))
    scene.see(pod(phase="Succeeded", main=terminated() | {"lastState": terminated(1)["state"]}, restarts=1))
    scene.finish()

    assert scene.writer.shown == [*(["first"] if first else []), "second"]
    assert not scene.writer.told


# --- several ------------------------------------------------------------------------------------------------


def test_only_where_there_are_several_containers_lines_bear_a_name() -> None:
    scene = Scene(copy=[[at(1, "x")]], report=[[at(2, "y")]])
    scene.see(pod(phase="Succeeded", copy=terminated(), report=terminated()))
    scene.finish()

    assert sorted(scene.writer.shown) == ["copy | x", "report | y"]


def test_pods_side_by_side_bear_theirs_and_indexed_ones_their_index() -> None:
    scene = Scene(main=[[at(1, "x")]])
    scene.see(pod("nightly-1-aaaaa", phase="Pending"), pod("nightly-1-bbbbb", phase="Pending"))
    scene.see(pod("nightly-1-aaaaa", phase="Succeeded", main=terminated()))
    scene.see(pod("nightly-1-0-ccccc", phase="Succeeded", index=0, main=terminated()))
    scene.finish()

    assert sorted(scene.writer.shown) == ["#0 | x", "aaaaa | x"]


def test_pods_one_after_another_are_kept_apart_without() -> None:
    scene = Scene(main=[[at(1, "x")]])
    for name in ("nightly-1-aaaaa", "nightly-1-bbbbb", "nightly-1-ccccc"):
        scene.see(pod(name, main=running()))
        scene.see(pod(name, phase="Failed", main=terminated(1)))
    scene.finish()

    assert scene.writer.written == [
        line
        for name in ("nightly-1-aaaaa", "nightly-1-bbbbb", "nightly-1-ccccc")
        for line in (f"> ▶ The log of container `main` in pod `{name}`:", "x")
    ]


def test_the_last_lines_are_remembered_for_each_container() -> None:
    scene = Scene(main=[[at(1, f"line {number}") for number in range(500)] + [at(2, "y" * 5000)]], other=[[]])
    scene.see(pod(phase="Failed", main=terminated(1), other=terminated()))
    scene.finish()

    last = scene.tailer.last_lines("nightly-1-abcde", "main")
    assert last[-2] == "line 499"
    assert len(last) == 50
    assert len(last[-1]) == 1000
    assert scene.tailer.last_lines("nightly-1-abcde", "other") == ()


def test_once_stopped_nothing_more_is_shown() -> None:
    scene = Scene(main=[[at(1, "x")]])
    scene.tailer.stop()
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert not scene.writer.written


def test_what_nobody_foresaw_is_told_and_spares_the_others() -> None:
    scene = Scene(bad=[RuntimeError("::error::x")], good=[[at(1, "x")]])
    scene.see(pod(phase="Succeeded", bad=terminated(), good=terminated()))
    scene.finish()

    assert scene.writer.shown == ["good | x"]
    assert scene.writer.told == [
        "The log of container `bad` in pod `nightly-1-abcde` can't be followed any further (RuntimeError)."
    ]


def test_a_container_that_outlives_its_job_does_not_keep_us() -> None:
    answers: list[int] = []

    def printing() -> Iterator[bytes]:
        answers.append(min(len(answers) + 1, 50))
        yield at(1, "one")
        with scene.tailer.changed:
            scene.tailer.changed.wait_for(lambda: scene.tailer.is_draining, TIMEOUT_SECONDS)
        for _ in range(answers[-1]):
            yield at(1, "more")

    scene = Scene(main=[printing])
    scene.see(pod(main=running()))
    scene.until(lambda: bool(scene.writer.shown))

    assert scene.tailer.drain(TIMEOUT_SECONDS)
    assert len(answers) < 50  # each brought something that is new
    assert "the container goes on, though the Job is over" in scene.writer.told[0]


def test_no_secret_is_cut_to_what_is_not_known_as_one() -> None:
    secret = "s3cr3t-t0k3n"
    scene = Scene(main=[[at(1, "x" * 995 + secret)]])
    scene.writer.public = lambda text: text.replace(secret, "***")  # type: ignore[method-assign]
    scene.see(pod(phase="Failed", main=terminated(1)))
    scene.finish()

    assert scene.tailer.last_lines("nightly-1-abcde", "main") == ("x" * 995 + "***",)
