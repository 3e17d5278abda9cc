"""No line of a container is a command or resumes commands, and every line arrives.

The sandbox's model of the runner's parser decides on both (sandbox/github/workflow_commands.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.github.workflow_commands import Interpretation, interpret
from tests.unit.clients.runner import NASTY, SHARED_FIXTURES, TOKEN, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.clients.workflow_commands import Actions

pytestmark = pytest.mark.usefixtures("runner_files")


def test_lines_of_containers_are_written_while_commands_are_stopped(
    actions: Actions, log: Callable[[], Interpretation]
) -> None:
    actions.container_lines(["one", "", "two"])
    actions.container_lines(["three"])

    (region,) = log().stopped_regions
    assert region.lines == ("one", "", "two", "three")


@SHARED_FIXTURES
@given(st.lists(NASTY, max_size=5), st.sampled_from(["", "#3/main | "]))
def test_no_line_of_a_container_is_a_command_or_resumes_commands(
    actions: Actions, log: Callable[[], Interpretation], untrusted: list[str], prefix: str
) -> None:
    actions.container_lines(untrusted, prefix)

    read = log()
    assert names(read) in ([], ["stop-commands"])
    assert all(not region.resumed for region in read.stopped_regions)
    if untrusted:
        # Even if commands were not stopped, each line is inert by itself.
        shown = [line for region in read.stopped_regions for line in region.lines] or list(read.shown)
        assert len(shown) == len(untrusted)
        assert interpret("\n".join(shown).encode()).commands == ()
        assert all(line.startswith(prefix) for line in shown)
    actions.annotate("notice", "x", "x")
    assert names(log()) == ["notice"] or not untrusted


def test_the_token_that_resumes_commands_can_be_neither_guessed_nor_echoed(
    actions: Actions, log: Callable[[], Interpretation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("run_cronjob.clients.workflow_commands.token_hex", lambda _: "0123456789abcdef")
    guesses = ["::0123456789abcdef::", "  ::0123456789abcdef::", "x ##[0123456789abcdef]", "\u200b::0123456789abcdef::"]

    actions.container_lines([*guesses, "::error::no"])
    actions.container_lines([*guesses, "##[add-mask]no"], "main | ")

    read = log()
    assert names(read) == ["stop-commands"]
    assert not read.stopped_regions[0].resumed


def test_each_stop_has_a_token_of_its_own(actions: Actions, log: Callable[[], Interpretation]) -> None:
    for _ in range(3):
        actions.container_lines(["x"])
        actions.annotate("notice", "x", "x")

    tokens = [region.token for region in log().stopped_regions]
    assert len(set(tokens)) == 3
    assert all(len(token) >= 32 for token in tokens)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (lambda actions: actions.annotate("notice", "x", "x"), ["notice"]),
        (lambda actions: actions.annotate("warning", "x", "x"), ["warning"]),
        (lambda actions: actions.annotate("error", "x", "x"), ["error"]),
        (lambda actions: actions.group("x", "x"), ["group", "endgroup"]),
        (lambda actions: actions.mask(TOKEN), ["add-mask"]),
    ],
    ids=["notice", "warning", "error", "group", "mask"],
)
def test_commands_between_lines_of_containers_are_processed(
    actions: Actions, log: Callable[[], Interpretation], command: Callable[[Actions], None], expected: list[str]
) -> None:
    actions.container_lines(["before"])
    command(actions)
    actions.container_lines(["after"])

    read = log()
    assert names(read) == ["stop-commands", *expected, "stop-commands"]
    assert [region.lines for region in read.stopped_regions] == [("before",), ("after",)]
    assert not any(TOKEN in line for line in read.shown)


def test_a_secret_that_is_masked_already_resumes_no_commands(
    actions: Actions, log: Callable[[], Interpretation]
) -> None:
    actions.mask(TOKEN)
    actions.container_lines(["one"])
    actions.mask(TOKEN)
    actions.container_lines(["two"])

    assert names(log()) == ["add-mask", "stop-commands"]


def test_lines_of_the_action_resume_no_commands(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.container_lines(["before"])
    actions.line("✓ ours")
    actions.container_lines(["after"])

    (region,) = log().stopped_regions
    assert region.lines == ("before", "✓ ours", "after")


def test_secrets_are_replaced_in_lines_of_containers(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.add_secrets(TOKEN)
    actions.container_lines([f"it is {TOKEN}", "x"], f"{TOKEN} | ")

    assert log().shown[1:] == ("*** | it is ***", "*** | x")


def test_every_line_has_the_prefix(actions: Actions, log: Callable[[], Interpretation]) -> None:
    actions.container_lines(["one", "", "größer"], "#3/main | ")

    assert log().shown[1:] == ("#3/main | one", "#3/main | ", "#3/main | größer")


@pytest.mark.parametrize("prefix", ["##[group]x | ", "::error::x | "])
def test_no_prefix_is_a_command_although_it_holds_a_pods_annotation(
    actions: Actions, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    # Even while commands are stopped, GitHub's page collapses the lines after a group command.
    actions.container_lines(["line"], prefix)

    (shown,) = capsys.readouterr().out.splitlines()[1:]
    assert not shown.startswith("::")
    assert "##[" not in shown
    assert shown.endswith("x | line")
