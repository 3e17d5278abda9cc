"""Tests of jobs/tail: which logs are requested, when one is complete, and the notes where lines are missing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.jobs import tail
from tests.unit.jobs.log_scene import TIMEOUT_SECONDS, Scene, at, cut, pod, running, terminated, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = list[bytes] | Exception | Callable[[], Iterator[bytes]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(tail, "LONGEST_PAUSE_SECONDS", 0.01)


# --- to the end ---------------------------------------------------------------------------------------------


def test_a_short_job_is_shown_from_its_first_line_to_its_last() -> None:
    scene = Scene(main=[[at(1, "one"), at(1, "two")]])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.lines == [
        "▶ The log of container `main` in pod `nightly-1-abcde`:",
        "one",
        "two",
    ]
    assert scene.writer.output == ["one", "two"]


def test_no_log_is_requested_before_a_container_starts() -> None:
    scene = Scene(main=[[]])
    scene.see(pod(phase="Pending", main={"state": {"waiting": {"reason": "ContainerCreating"}}}))
    scene.see(pod(phase="Failed", main={"state": {"terminated": {"exitCode": 137, "startedAt": None}}}))
    scene.finish()

    assert not scene.kubelet.requests


def test_the_end_of_a_stream_is_not_the_end_of_a_log() -> None:
    """The API server ends a stream in good order, too, when its own connection to the kubelet breaks."""
    whole = [at(1, "one"), at(2, "two"), at(3, "three"), at(4, "four")]
    scene = Scene(main=[whole[:1], cut(*whole[:2]), whole[:3], [], whole])
    scene.see(pod(main=running()))
    scene.until(lambda: len(scene.kubelet.requests) > 3)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "two", "three", "four"]
    assert not scene.notes


def test_what_comes_between_the_last_answer_and_the_end_is_not_lost() -> None:
    scene = Scene(main=[cut(at(1, "one")), [at(1, "one"), at(1, "last")]])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "last"]
    assert scene.kubelet.requests[-1] == {
        "pod": "nightly-1-abcde", "container": "main", "since": "", "previous": False, "follow": False,
    }  # fmt: skip


def test_an_answer_that_brought_something_is_not_the_last_one_even_after_the_end() -> None:
    whole = [at(1, "one"), at(2, "two"), at(3, "three")]
    scene = Scene(main=[whole[:1], whole[:2], whole])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "two", "three"]


def test_a_last_line_without_an_end_is_shown() -> None:
    scene = Scene(main=[[at(1, "one"), b"2026-11-23T04:05:02.000000000Z last"]])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "last"]


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
def test_temporary_errors_leave_no_gap_and_no_note(error: Exception) -> None:
    scene = Scene(main=[error, error, cut(at(1, "one")), error, error, error, [at(1, "one"), at(2, "two")]])
    scene.see(pod(main=running()))
    scene.until(lambda: scene.writer.output == ["one", "two"])
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "two"]
    assert not scene.notes


def test_a_missing_right_is_reported_once_and_ends_all_requests() -> None:
    scene = Scene(a=[ApiError(403, "Forbidden", "no")], b=[ApiError(403, "Forbidden", "no")])
    scene.see(pod(a=running(), b=running()))
    scene.until(lambda: bool(scene.refusals))
    scene.see(pod("nightly-1-later", a=running(), b=running()))
    scene.finish()

    assert [refusal.status for refusal in scene.refusals] == [403]
    assert len(scene.kubelet.requests) <= 12
    assert not scene.writer.lines


@pytest.mark.parametrize(("before", "refusals"), [([], 5), ([cut(at(1, "one"))], 9)])
def test_an_api_server_that_starts_and_refuses_everybody_at_first_costs_no_line(
    before: list[Answer], refusals: int
) -> None:
    refusal = ApiError(403, "Forbidden", "no")
    scene = Scene(main=[*before, *[refusal] * refusals, [at(1, "one"), at(2, "two")]])
    scene.see(pod(main=running()))
    scene.until(lambda: "two" in scene.writer.output)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "two"]
    assert not scene.refusals
    assert not scene.notes


def test_a_right_that_was_taken_away_does_not_keep_the_log_open() -> None:
    scene = Scene(main=[cut(at(1, "one")), ApiError(403, "Forbidden", "no")])
    scene.see(pod(main=running()))
    scene.until(lambda: "one" in scene.writer.output)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert "lines may be missing: the cluster has no more of it; it says `no`" in scene.notes[0]


# --- notes about missing lines --------------------------------------------------------------------------------


def test_a_log_that_was_rotated_while_the_connection_was_cut_has_a_gap() -> None:
    scene = Scene(main=[cut(at(1, "one"), at(2, "two")), [at(8, "eight"), at(9, "nine")]])
    scene.see(pod(main=running()))
    scene.until(lambda: "nine" in scene.writer.output)
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert scene.writer.output == ["one", "two", "eight", "nine"]
    assert (
        scene.writer.lines.index("two")
        < scene.writer.lines.index(
            "! The log of container `main` in pod `nightly-1-abcde` goes on, but lines may be missing here: "
            "it was rotated while the connection was cut."
        )
        < scene.writer.lines.index("eight")
    )
    assert len(scene.notes) == 1


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

    assert scene.writer.output == ["one"]
    (note,) = scene.notes
    assert "ends here, but lines may be missing" in note
    assert "not found" in note or "unable to retrieve" in note


def test_what_could_not_be_read_in_time_is_noted() -> None:
    stuck = threading.Event()

    def stream() -> Iterator[bytes]:
        yield at(1, "one")
        stuck.wait(TIMEOUT_SECONDS)

    scene = Scene(main=[stream])
    scene.see(pod(main=running()))
    scene.until(lambda: scene.writer.output == ["one"])

    assert not scene.tailer.drain(0.01)
    assert "could not be read in" in scene.notes[0]
    stuck.set()


# --- restarts -----------------------------------------------------------------------------------------------


def test_each_start_of_a_container_is_shown_once() -> None:
    first, second = [at(1, "first")], [at(5, "second")]
    scene = Scene(log_news=TIMEOUT_SECONDS, main=[first, second], main_before=[first])
    scene.see(pod(main=running()))
    scene.until(lambda: scene.writer.output == ["first"])
    scene.see(pod(main=waiting(after=1)))
    scene.see(pod(main=running(), restarts=1))
    scene.see(pod(phase="Succeeded", main=terminated(), restarts=1))
    scene.finish()

    assert scene.writer.output == ["first", "second"]
    assert scene.titles == [
        "The log of container `main` in pod `nightly-1-abcde`:",
        "The log of container `main` in pod `nightly-1-abcde`, restart 1:",
    ]
    assert not scene.notes


def test_a_start_that_was_never_seen_running_is_shown_too() -> None:
    scene = Scene(log_news=TIMEOUT_SECONDS, main=[[at(5, "second")]], main_before=[[at(1, "first")]])
    state = {**terminated(), "lastState": terminated(1)["state"]}
    scene.see(pod(phase="Succeeded", main=state, restarts=1))
    scene.finish()

    assert scene.writer.output == ["first", "second"]


def test_starts_whose_logs_are_not_kept_are_noted() -> None:
    scene = Scene(log_news=TIMEOUT_SECONDS, main=[[at(5, "third")]], main_before=[[at(3, "second")]])
    state = {**terminated(), "lastState": terminated(1)["state"]}
    scene.see(pod(phase="Succeeded", main=state, restarts=2))
    scene.finish()

    assert scene.writer.output == ["second", "third"]
    assert scene.notes == [
        "The log of container `main` in pod `nightly-1-abcde`, restart 1 is the first one kept: it was started before."
    ]


@pytest.mark.parametrize("first", [[at(1, "first")], []], ids=["printed", "silent"])
def test_the_log_of_the_next_start_is_not_taken_for_the_first_ones(first: list[bytes]) -> None:
    """The kubelet has started the container again, and the pod's status does not say so yet."""
    second = [at(5, "second")]
    scene = Scene(log_news=TIMEOUT_SECONDS, main=[cut(*first), second], main_before=[first])
    scene.see(pod(main=running()))
    scene.until(lambda: len(scene.kubelet.requests) == 2)
    scene.see(pod(main=running() | {"lastState": terminated(1)["state"]}, restarts=1))
    scene.see(pod(phase="Succeeded", main=terminated() | {"lastState": terminated(1)["state"]}, restarts=1))
    scene.finish()

    assert scene.writer.output == [*(["first"] if first else []), "second"]
    assert not scene.notes


# --- several ------------------------------------------------------------------------------------------------


def test_lines_have_a_containers_name_only_if_there_are_several() -> None:
    scene = Scene(copy=[[at(1, "x")]], report=[[at(2, "y")]])
    scene.see(pod(phase="Succeeded", copy=terminated(), report=terminated()))
    scene.finish()

    assert sorted(scene.writer.output) == ["copy | x", "report | y"]


def test_pods_side_by_side_bear_theirs_and_indexed_ones_their_index() -> None:
    scene = Scene(main=[[at(1, "x")]])
    scene.see(pod("nightly-1-aaaaa", phase="Pending"), pod("nightly-1-bbbbb", phase="Pending"))
    scene.see(pod("nightly-1-aaaaa", phase="Succeeded", main=terminated()))
    scene.see(pod("nightly-1-0-ccccc", phase="Succeeded", index=0, main=terminated()))
    scene.finish()

    assert sorted(scene.writer.output) == ["#0 | x", "aaaaa | x"]


def test_pods_one_after_another_are_kept_apart_without() -> None:
    scene = Scene(main=[[at(1, "x")]])
    for name in ("nightly-1-aaaaa", "nightly-1-bbbbb", "nightly-1-ccccc"):
        scene.see(pod(name, main=running()))
        scene.see(pod(name, phase="Failed", main=terminated(1)))
    scene.finish()

    assert scene.writer.lines == [
        line
        for name in ("nightly-1-aaaaa", "nightly-1-bbbbb", "nightly-1-ccccc")
        for line in (f"▶ The log of container `main` in pod `{name}`:", "x")
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
    scene.tailer.refuse(ApiError(403, "Forbidden", "no"))
    scene.see(pod(phase="Succeeded", main=terminated()))
    scene.finish()

    assert not scene.writer.lines


def test_an_unexpected_error_is_noted_and_ends_one_log_only() -> None:
    scene = Scene(bad=[RuntimeError("::error::x")], good=[[at(1, "x")]])
    scene.see(pod(phase="Succeeded", bad=terminated(), good=terminated()))
    scene.finish()

    assert scene.writer.output == ["good | x"]
    assert scene.notes == [
        "The log of container `bad` in pod `nightly-1-abcde` can't be followed any further (RuntimeError)."
    ]


def test_a_container_that_outlives_its_job_does_not_delay_the_end() -> None:
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
    scene.until(lambda: bool(scene.writer.output))

    assert scene.tailer.drain(TIMEOUT_SECONDS)
    assert len(answers) < 50  # each brought something that is new
    assert "the container goes on, though the Job is over" in scene.notes[0]


def test_no_secret_is_cut_to_what_is_not_known_as_one() -> None:
    secret = "s3cr3t-t0k3n"
    scene = Scene(main=[[at(1, "x" * 995 + secret)]])
    scene.writer.redact = lambda text: text.replace(secret, "***")  # type: ignore[method-assign]
    scene.see(pod(phase="Failed", main=terminated(1)))
    scene.finish()

    assert scene.tailer.last_lines("nightly-1-abcde", "main") == ("x" * 995 + "***",)
