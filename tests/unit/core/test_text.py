"""Untrusted text is no workflow command, no markup, and has no invisible characters."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from run_cronjob.core import text
from tests.builders import HOSTILE

# Characters with a meaning to the runner, to Markdown or to a terminal, more often than in random text.
NASTY = st.text(alphabet="ab `~|<>[]()*_#:\\&\n\r\t\x0b\x1b\x85\u2028\u200b\u202e\ufe0f%=,") | st.text()
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(NASTY)
def test_clean_text_is_one_line_of_visible_characters(untrusted: str) -> None:
    cleaned = text.clean(untrusted)

    assert len(cleaned.splitlines()) <= 1
    assert not {char for char in cleaned if unicodedata.category(char) in INVISIBLE}


@pytest.mark.parametrize(
    "hidden",
    [
        "\N{ZERO WIDTH SPACE}",
        "\N{WORD JOINER}",
        "\N{SOFT HYPHEN}",
        "\N{RIGHT-TO-LEFT OVERRIDE}",
        "\N{ZERO WIDTH NO-BREAK SPACE}",
        "\N{COMBINING GRAPHEME JOINER}",
        "\N{HANGUL FILLER}",
        "\N{VARIATION SELECTOR-16}",
        "\N{TAG LATIN SMALL LETTER A}",
        "\x00",
        "\x1b",
        "\x7f",
    ],
    ids=lambda char: f"U+{ord(char):04X}",
)
def test_invisible_characters_become_replacement_characters(hidden: str) -> None:
    assert text.clean(f"nightly{hidden}report") == "nightly\ufffdreport"


def test_readable_text_of_any_script_stays_unchanged() -> None:
    for readable in ("nightly-report", "Müller, José", "レポート", "отчёт", "e\N{COMBINING ACUTE ACCENT}", "✓ ✗ 🧪"):
        assert text.clean(readable) == readable


@given(NASTY, st.integers(min_value=1, max_value=50))
def test_cut_text_has_at_most_its_length_and_marks_the_cut(untrusted: str, length: int) -> None:
    shown = text.cut(untrusted, length)

    assert len(shown) <= length
    assert shown == untrusted or shown.endswith("…")


@given(NASTY)
def test_a_quoted_name_is_one_code_span_that_no_character_of_it_ends(untrusted: str) -> None:
    assert re.fullmatch(r"`[^`\n\r]+`", text.quoted(untrusted))


def test_a_long_quoted_name_is_cut() -> None:
    assert len(text.quoted("x" * 5000)) == 302


@given(NASTY)
@example("```\n</details>")
@example("``````````")
def test_no_line_of_a_fenced_text_can_close_the_fence(untrusted: str) -> None:
    first, *middle, last = text.fenced(untrusted, "yaml").split("\n")

    assert first == f"{last}yaml"
    assert set(last) == {"`"}
    assert len(last) >= 3
    assert not any(re.match(rf" *{last}", line) for line in middle)


def test_a_fenced_text_keeps_its_layout() -> None:
    assert text.fenced("spec:\n  suspend: true\n\tx") == "```\nspec:\n  suspend: true\n x\n```"


@given(NASTY, st.sampled_from(["", " ", "\t", "\u3000", "\N{ZERO WIDTH SPACE}", "\x00"]))
@example("error::no", "::")
def test_an_inert_line_holds_no_workflow_command(untrusted: str, before: str) -> None:
    for line in (before + "::error::" + untrusted, untrusted + before + "##[error]" + untrusted, untrusted):
        shown = text.inert(line)
        assert not shown.lstrip().startswith("::")
        assert "##[" not in shown
        assert len(shown.splitlines()) <= 1


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20) | st.sampled_from(["plain", *HOSTILE])))
@example(["plain", "::error::no"])
@example(["see ##[error]no", "plain"])
@example(["a\x1b[1m"])
@example(["a\tb", ""])
def test_inert_text_gives_the_same_as_inert_for_each_line(lines: list[str]) -> None:
    assert text.inert_text(lines) == "\n".join(map(text.inert, lines))


def test_an_inert_line_stays_readable() -> None:
    assert text.inert("::error::no") == "| ::error::no"
    assert text.inert("see ##[error]no") == "see ## [error]no"
    assert text.inert("✓ CronJob   `nightly-report`") == "✓ CronJob   `nightly-report`"


@pytest.mark.parametrize("untrusted", HOSTILE)
def test_hostile_text_becomes_one_line_that_can_be_encoded(untrusted: str) -> None:
    for shown in (text.clean(untrusted), text.quoted(untrusted), text.inert(untrusted)):
        assert len(shown.splitlines()) <= 1
        shown.encode()
