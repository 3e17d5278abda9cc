"""All output arrives, and no untrusted line becomes a workflow command.

The sandbox's model of the runner's parser decides on both (sandbox/github/workflow_commands.py).
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.clients.workflow_commands import Actions
from sandbox.github.workflow_commands import Interpretation, interpret, key_value_pairs
from tests.builders import HOSTILE
from tests.unit.clients.runner import NASTY, SHARED_FIXTURES, TOKEN, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
Level = Literal["notice", "warning", "error"]
LEVELS: tuple[Level, ...] = ("notice", "warning", "error")
pytestmark = pytest.mark.usefixtures("runner_files")


# --- the log ------------------------------------------------------------------------------------------------


def test_a_line_is_a_line(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.line("✓ CronJob   `nightly-report` (0.05 s)")

    assert log().shown == ("✓ CronJob   `nightly-report` (0.05 s)",)


@SHARED_FIXTURES
@given(NASTY)
def test_no_untrusted_line_is_a_command(actions: Actions, log: Callable[[], Interpretation], untrusted: str) -> None:
    actions.line(untrusted)

    read = log()
    assert read.commands == ()
    assert len(read.shown) == 1


@pytest.mark.parametrize("untrusted", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_no_commands_anywhere(
    actions: Actions, log: Callable[[], Interpretation], untrusted: str
) -> None:
    actions.line(untrusted)
    actions.group(untrusted, untrusted)
    actions.annotate("notice", untrusted, untrusted)
    actions.annotate("warning", untrusted, untrusted)
    actions.annotate("error", untrusted, untrusted)

    assert names(log()) == ["group", "endgroup", "notice", "warning", "error"]


def test_a_line_is_not_longer_than_the_live_log_shows(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.line("x" * 5000)

    assert len(log().shown[0]) <= 1024


def test_a_group_folds_its_lines(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.group("The Job", "kind: Job\nmetadata:\n  name: x")

    assert log().shown == ("##[group]The Job", "kind: Job", "metadata:", "  name: x", "##[endgroup]")


# --- annotations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_an_annotation_has_a_title_and_keeps_its_lines(
    level: Level, actions: Actions, log: Callable[[], Interpretation]
) -> None:
    actions.annotate(level, "Run, of: 100%", "one: 100%\ntwo, three")

    (annotation,) = log().annotations
    assert (annotation.level, annotation.title) == (level, "Run, of: 100%")
    assert annotation.message == "one: 100%\ntwo, three"


@SHARED_FIXTURES
@given(NASTY, NASTY)
def test_an_annotation_is_one_command_whatever_its_text(
    actions: Actions, log: Callable[[], Interpretation], title: str, message: str
) -> None:
    actions.annotate("error", title, message)

    read = log()
    assert names(read) == ["error"]
    assert not any("##[" in line for line in read.annotations[0].message.splitlines())


def test_an_annotation_is_not_longer_than_github_accepts(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.annotate("error", "x", "y" * 10_000)

    assert len(log().annotations[0].message) <= 4096


# --- secrets ------------------------------------------------------------------------------------------------


def test_a_masked_secret_is_masked_by_the_runner_too(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.mask(TOKEN)

    assert log().masks == (TOKEN,)


def test_a_secret_that_was_added_first_can_still_be_masked(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.add_secrets(TOKEN)
    actions.mask(TOKEN)

    assert log().masks == (TOKEN,)


def test_an_added_secret_is_not_even_sent_to_the_runner(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.add_secrets(TOKEN)

    assert log().commands == ()


@pytest.mark.parametrize("keep", [Actions.mask, Actions.add_secrets])
def test_a_secret_is_in_no_output(
    keep: Callable[[Actions, str], None],
    actions: Actions,
    capfd: pytest.CaptureFixture[str],
    runner_files: Path,
) -> None:
    keep(actions, TOKEN)
    sys.stdout.flush()
    capfd.readouterr()

    actions.line(f"it said {TOKEN}")
    actions.group(TOKEN, f"a\n{TOKEN}")
    for level in LEVELS:
        actions.annotate(level, TOKEN, f"x{TOKEN}x")
    actions.outputs({"reason": TOKEN})
    actions.summary(f"# {TOKEN}")

    sys.stdout.flush()
    written = capfd.readouterr()
    everything = [written.out, written.err, *(file.read_text() for file in runner_files.iterdir())]
    assert not any(TOKEN in text for text in everything)
    assert "it said ***" in written.out


def test_of_a_secret_that_contains_another_nothing_remains(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.add_secrets("hunter2", "hunter2-and-more")

    actions.line("hunter2-and-more")

    assert log().shown == ("***",)


def test_a_secret_that_is_too_short_is_not_replaced(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.mask("a", "")
    actions.line("nightly-report was started")

    read = log()
    assert read.shown[-1] == "nightly-report was started"
    assert read.masks == ()


# --- a slow reader ------------------------------------------------------------------------------------------

BLOCKED = """
import os, select, sys, threading
sys.path.insert(0, "src")
from run_cronjob.clients.workflow_commands import Actions
writer = Actions()
def work():
    writer.container_lines(["first"])
    writer.container_lines(["x" * 10_000] * 100)
    writer.container_lines(["late"])
threading.Thread(target=work, daemon=True).start()
while select.select([], [sys.stdout], [], 0)[1]:
    pass  # until the pipe is full
writer.silence_other_threads(LOG_TIMEOUT)
writer.outputs({"result": "cancelled"})
writer.summary("### Cancelled")
"""


@contextlib.contextmanager
def process(script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose output only the test reads."""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) as running:
        try:
            yield running
        finally:
            running.kill()


def test_a_slow_reader_loses_nothing() -> None:
    script = """
import sys
sys.path.insert(0, "src")
from run_cronjob.clients.workflow_commands import Actions
actions = Actions()
for number in range(5000):
    actions.container_lines([f"line {number} " + "x" * 50])
"""
    with process(script) as running:
        assert running.stdout
        written = b"".join(iter(lambda: running.stdout.read(3000), b""))  # type: ignore[union-attr]

    (region,) = interpret(written).stopped_regions
    assert [line.split()[1] for line in region.lines] == [str(number) for number in range(5000)]


def test_the_last_lines_are_complete_if_a_slow_reader_blocks_another_thread(runner_files: Path) -> None:
    with process(BLOCKED.replace("LOG_TIMEOUT", "60") + "writer.annotate('error', 'x', 'the last word')") as running:
        while not (runner_files / "GITHUB_STEP_SUMMARY").stat().st_size:
            assert running.poll() is None
        assert dict(key_value_pairs((runner_files / "GITHUB_OUTPUT").read_bytes())) == {"result": "cancelled"}
        written, _ = running.communicate()

    read = interpret(written)
    assert names(read) == ["stop-commands", "error"]
    assert read.stopped_regions[0].lines == ("first", *["x" * 10_000] * 100)


def test_if_nobody_reads_the_log_the_end_is_not_delayed(runner_files: Path) -> None:
    ending = "for _ in range(100): writer.line('nobody reads')\nos._exit(7)"
    with process(BLOCKED.replace("LOG_TIMEOUT", "0.05") + ending) as running:
        assert running.wait() == 7

    assert (runner_files / "GITHUB_STEP_SUMMARY").read_text().startswith("### Cancelled")


# --- outputs and summary ------------------------------------------------------------------------------------


@SHARED_FIXTURES
@given(
    st.dictionaries(st.sampled_from(["job-name", "result", "reason"]), NASTY.map(lambda text: text.replace("\r", "")))
)
def test_outputs_arrive_unchanged(actions: Actions, runner_files: Path, values: dict[str, str]) -> None:
    (runner_files / "GITHUB_OUTPUT").write_bytes(b"")

    encodable = {name: value.encode("utf-8", "replace").decode() for name, value in values.items()}
    actions.outputs(encodable)

    assert dict(key_value_pairs((runner_files / "GITHUB_OUTPUT").read_bytes())) == encodable


def test_no_other_file_of_the_runner_is_written(actions: Actions, runner_files: Path) -> None:
    actions.outputs({"result": "created"})
    actions.summary("### Done")
    actions.line("x")

    assert {file.name for file in runner_files.iterdir() if file.stat().st_size} == {
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
    }


def test_the_summary_is_written_as_markdown(actions: Actions, runner_files: Path) -> None:
    actions.summary("### ▶️ `nightly-report` was started\n\ud800")

    assert (runner_files / "GITHUB_STEP_SUMMARY").read_text().startswith("### ▶️ `nightly-report` was started\n")


def test_a_summary_stays_below_the_size_at_which_the_runner_drops_it(actions: Actions, runner_files: Path) -> None:
    actions.summary("ü" * 1_000_000)

    assert 900_000 < (runner_files / "GITHUB_STEP_SUMMARY").stat().st_size < 1024 * 1024


def test_a_missing_summary_file_is_no_error(
    actions: Actions, runner_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runner_files / "GITHUB_STEP_SUMMARY").unlink()
    actions.summary("### Done")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    actions.summary("### Done")


# --- other threads and libraries ----------------------------------------------------------------------------


def test_after_other_threads_are_silenced_they_write_nothing(
    actions: Actions, log: Callable[[], Interpretation], runner_files: Path
) -> None:
    def work() -> None:
        actions.line("late")
        actions.group("late", "late")
        actions.annotate("error", "late", "late")
        actions.mask(TOKEN)
        actions.outputs({"result": "late"})
        actions.summary("late")

    actions.silence_other_threads(1)
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    actions.line(f"the last word {TOKEN}")

    read = log()
    assert read.shown == ("the last word ***",)
    assert read.commands == ()
    assert not any(file.stat().st_size for file in runner_files.iterdir())


def test_log_records_of_libraries_are_not_written(
    log: Callable[[], Interpretation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    Actions()

    for name in ("urllib3.connectionpool", "botocore.credentials", "kubernetes.client"):
        logging.getLogger(name).warning("::error::from a library")

    assert log().shown == ()
