"""The parser recognizes every command that the runner recognizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.github import workflow_commands
from sandbox.github.workflow_commands import (
    Annotation,
    Command,
    FileCommandError,
    StoppedRegion,
    interpret,
    key_value_pairs,
    mask,
)

ERROR = Command("error", {}, "boom")

INVISIBLE = [
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u202e",
    "\ufe0f",
    "\U000e0041",
    "\x00",
    "\x1b",
]


def commands(line: str) -> list[Command]:
    return list(interpret(line.encode()).commands)


@pytest.mark.parametrize(
    "line",
    [
        "::error::boom",
        "   ::error::boom",
        "\t\u00a0\u3000::error::boom",
        "::ERROR::boom",
        "::error ::boom",
        "##[error]boom",
        "2026-11-24 03:00:00 INFO ##[error]boom",
        "##[ErRoR]boom",
        "::nothing::##[error]boom",
    ],
)
def test_a_line_of_either_syntax_is_a_command(line: str):
    assert commands(line) == [ERROR]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "error: boom",
        "> ::error::boom",
        ":: error::boom",
        "::error",
        "::nothing::boom",
        "##[error",
        "## [error]boom",
        "##[nothing]boom",
        "##[nothing ##[error]boom",
        "::internal-set-repo-path repoFullName=a/b,workspaceRepo=true::/etc",
    ],
)
def test_any_other_line_is_shown_as_it_is(line: str):
    result = interpret(f"{line}\n".encode())

    assert result.commands == ()
    assert result.shown == (line,)


@pytest.mark.parametrize("hidden", INVISIBLE)
@pytest.mark.parametrize("template", ["{}::error::boom", ":{}:error::boom", "::error{}::boom", "::error:{}:boom"])
def test_invisible_characters_do_not_hide_a_command(template: str, hidden: str):
    assert commands(template.format(hidden)) == [ERROR]


@pytest.mark.parametrize("hidden", INVISIBLE)
@pytest.mark.parametrize("template", ["{}##[error]boom", "#{}#[error]boom", "x ##{}[error]boom", "##[error{}]boom"])
def test_invisible_characters_do_not_hide_a_command_of_the_legacy_syntax(template: str, hidden: str):
    assert commands(template.format(hidden)) == [ERROR]


@pytest.mark.parametrize("name", ["e\u200brror", "add-mas\u212a", "add-ma\u017fk", "not\u0131ce"])
def test_letters_that_some_comparison_considers_equal_do_not_hide_a_command(name: str):
    assert len(commands(f"::{name}::boom")) == 1


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_of_the_runner_begins_a_new_line(ending: str):
    result = interpret(f"progress{ending}::error::boom{ending}done".encode())

    assert result.shown == ("progress", "##[error]boom", "done")


@pytest.mark.parametrize("no_ending", ["\x0b", "\x0c", "\x85", "\u2028"])
def test_other_line_separators_do_not_begin_a_new_line(no_ending: str):
    assert commands(f"progress{no_ending}::error::boom") == []


def test_empty_lines_are_shown_and_the_last_line_needs_no_ending():
    assert interpret(b"one\n\ntwo").shown == ("one", "", "two")
    assert interpret(b"").shown == ()


def test_invalid_utf8_is_shown_as_replacement_characters():
    assert interpret(b"\xff::error::boom\n").shown == ("\ufffd::error::boom",)


def test_properties_are_read_and_unescaped_in_the_current_syntax():
    line = "::error  file=a.py, TITLE=50%25%3A a%2Cb,=,empty=,==line==1=2 ::one%0Atwo%253A %3A"

    (command,) = commands(line)

    assert command.properties == {"file": "a.py", " title": "50%: a,b", "line": "1=2"}
    assert command.data == "one\ntwo%3A %3A"


def test_properties_are_read_and_unescaped_in_the_legacy_syntax():
    (command,) = commands("##[warning title=a%5Db;file=c%3Bd]one%0Dtwo%25")

    assert command.properties == {"title": "a]b", "file": "c;d"}
    assert command.data == "one\rtwo%"


@pytest.mark.parametrize("level", ["notice", "warning", "error"])
def test_annotations_have_level_title_and_message(level: str):
    result = interpret(f"::{level} title=Careful::one%0Atwo\n".encode())

    assert result.annotations == (Annotation(level, "Careful", "one\ntwo"),)
    assert result.shown == (f"##[{level}]one", "two")


def test_annotations_over_githubs_limits_are_kept_complete():
    result = interpret(b"".join(b"::notice::%s\n" % (b"x" * 5000) for _ in range(12)))

    assert [len(each.message) for each in result.annotations] == [5000] * 12


def test_groups_are_shown_as_such():
    assert interpret(b"::group::Details\ninside\n::endgroup::\n").shown == (
        "##[group]Details",
        "inside",
        "##[endgroup]",
    )


def test_debug_messages_are_commands_and_are_not_shown():
    result = interpret(b"::debug::secret thoughts\n")

    assert result.shown == ()
    assert result.commands == (Command("debug", {}, "secret thoughts"),)


def test_a_mask_hides_a_value_in_every_later_line_and_not_before():
    result = interpret(b"hunter2\n::add-mask::hunter2\nit is hunter2!\n::notice title=hunter2::say hunter2\n")

    assert result.masks == ("hunter2",)
    assert result.shown == ("hunter2", "it is ***!", "##[notice]say ***")
    assert result.annotations == (Annotation("notice", "hunter2", "say ***"),)


def test_each_line_of_a_masked_value_is_masked_too():
    result = interpret(b"::add-mask::one%0A two %0D%0A%0A\nsay two\n")

    assert result.masks == ("one\n two \r\n\n", "one", "two")
    assert result.shown == ("say ***",)


def test_an_empty_value_is_not_masked():
    result = interpret(b"::add-mask:: \n")

    assert result.masks == ()
    assert [each.level for each in result.annotations] == ["warning"]


@pytest.mark.parametrize(
    ("text", "secrets", "shown"),
    [
        ("abcdef", ["cd"], "ab***ef"),
        ("abcdef", ["abc", "cde"], "***f"),
        ("abcdef", ["ab", "cd"], "***ef"),
        ("ababa", ["aba"], "***"),
        ("a.c abc", ["a.c"], "*** abc"),
        ("abc", [], "abc"),
    ],
)
def test_secrets_that_overlap_or_touch_become_one(text: str, secrets: list[str], shown: str):
    assert mask(text, secrets) == shown


@given(st.text("ab*", max_size=12), st.lists(st.text("ab", min_size=1, max_size=3), max_size=3))
def test_no_secret_is_left_in_what_is_masked(text: str, secrets: list[str]):
    assert not any(secret in part for part in mask(text, secrets).split("***") for secret in secrets)


def test_commands_are_inert_between_a_stop_token_and_its_return():
    log = b"::stop-commands::t0k3n-t0k3n\n::error::boom\n##[add-mask]x\n::t0k3n-t0k3n::\n::notice::after\n"

    result = interpret(log)

    assert result.stopped_regions == (StoppedRegion("t0k3n-t0k3n", ("::error::boom", "##[add-mask]x"), resumed=True),)
    assert [command.name for command in result.commands] == ["stop-commands", "notice"]
    assert result.shown == ("::stop-commands::***", "::error::boom", "##[add-mask]x", "::***::", "##[notice]after")


@pytest.mark.parametrize(
    "line", ["::T0K3N::", "##[t0k3n]", "noise ##[t0k3n]", "::nothing::##[t0k3n]", "::t0\u200bk3n::"]
)
def test_a_stop_token_ends_its_region_in_every_form_of_a_command(line: str):
    (region,) = interpret(f"::stop-commands::t0k3n\n{line}\n".encode()).stopped_regions

    assert region == StoppedRegion("t0k3n", (), resumed=True)


@pytest.mark.parametrize("line", ["t0k3n", "::other::", "::error::##[t0k3n]", "::stop-commands::other", "x ::t0k3n::"])
def test_nothing_else_ends_a_stopped_region(line: str):
    result = interpret(f"::stop-commands::t0k3n\n{line}".encode())

    assert result.stopped_regions == (StoppedRegion("t0k3n", (line,), resumed=False),)


def test_a_stop_token_is_not_a_command_after_it_was_used():
    result = interpret(b"::stop-commands::t0k3n\n::t0k3n::\n::t0k3n::\n")

    assert len(result.stopped_regions) == 1
    assert result.shown[-1] == "::t0k3n::"


@pytest.mark.parametrize("token", ["", "error", "Stop-Commands", "pause-logging"])
def test_a_stop_token_that_is_empty_or_a_command_fails_the_step_and_stops_nothing(token: str):
    result = interpret(f"::stop-commands::{token}\n::notice::still\n".encode())

    assert result.failed
    assert result.stopped_regions == ()
    assert result.annotations[-1] == Annotation("notice", "", "still")


@pytest.mark.parametrize(
    "line", ["::set-env name=PATH::/evil", "::add-path::/evil", "::set-output::x", "::echo::maybe"]
)
def test_a_command_that_the_runner_cannot_execute_fails_the_step(line: str):
    result = interpret(line.encode())

    assert result.failed
    assert f"Unable to process command '{line}' successfully." in [each.message for each in result.annotations]


def test_deprecated_commands_work_with_a_warning():
    result = interpret(b"::set-output name=result::created\n")

    assert not result.failed
    assert result.commands == (Command("set-output", {"name": "result"}, "created"),)
    assert [each.level for each in result.annotations] == ["warning"]


def test_echo_shows_commands_but_for_those_that_show_themselves():
    result = interpret(
        b"::echo::on\n::save-state name=a::b\n::notice::hi\n::add-mask::hush\n::echo::off\n::add-matcher::x\n"
    )

    assert "::save-state name=a::b" in result.shown
    assert "::add-mask::***" in result.shown
    assert "::notice::hi" not in result.shown
    assert "::add-matcher::x" not in result.shown


def test_both_streams_share_one_state():
    result = interpret(b"::add-mask::hush", b"hush now\n")

    assert result.shown == ("*** now",)


@given(st.binary(max_size=200))
def test_any_log_can_be_interpreted(log: bytes):
    result = interpret(log)

    if not result.commands:
        assert list(result.shown) == workflow_commands.lines(log)


@pytest.mark.parametrize(
    ("content", "pairs"),
    [
        ("a=1\nb=x=y<<z\n", {"a": "1", "b": "x=y<<z"}),
        ("a=\n\n\nb=2", {"a": "", "b": "2"}),
        ("a<<EOF\none\n\ntwo=3\nEOF\nb=2\n", {"a": "one\n\ntwo=3", "b": "2"}),
        ("a<<EOF\nEOF", {"a": ""}),
        ("a<<=\nx\n=\n", {"a": "x"}),
        ("a<<EOF\n EOF\nEOF \nEOF\n", {"a": " EOF\nEOF "}),
        ("a=1\r\n", {"a": "1\r"}),
        ("\ufeffa=1\na=2\n", {"a": "2"}),
    ],
)
def test_file_commands_set_names_to_values(content: str, pairs: dict[str, str]):
    assert dict(key_value_pairs(content.encode())) == pairs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n", "Invalid format 'a'"),
        ("=1\n", "cannot be null"),
        ("<<EOF\nEOF\n", "must not be empty"),
        ("a<<\n", "must not be empty"),
        ("a<<EOF\none\n", "Matching delimiter not found 'EOF'"),
        ("a<<EOF\none", "EOF marker missing new line"),
        ("a<<EOF\none\nEOF \n", "Matching delimiter not found 'EOF'"),
        ("a<<EOF\r\none\nEOF\n", "Matching delimiter not found 'EOF\r'"),
    ],
)
def test_an_invalid_file_command_is_an_error(content: str, message: str):
    with pytest.raises(FileCommandError, match=message):
        list(key_value_pairs(content.encode()))


def test_pairs_before_an_error_in_a_file_command_are_kept():
    pairs = key_value_pairs(b"a=1\nnonsense\n")

    assert next(pairs) == ("a", "1")
    with pytest.raises(FileCommandError):
        next(pairs)
