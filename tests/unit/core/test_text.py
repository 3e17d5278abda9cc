"""Other people's text can't act: not as a workflow command, not as markup, not by what can't be seen."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from run_cronjob.core import text
from tests.builders import HOSTILE

# Characters that mean something to the runner, to Markdown or to a terminal, more often than chance offers them.
NASTY = st.text(alphabet="ab `~|<>[]()*_#:\\&\n\r\t\x0b\x1b\x85\u2028\u200b\u202e\ufe0f%=,") | st.text()
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(NASTY)
def test_clean_text_is_one_line_in_which_everything_can_be_seen(foreign: str) -> None:
    cleaned = text.clean(foreign)

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
def test_what_cannot_be_seen_is_shown_as_such(hidden: str) -> None:
    assert text.clean(f"nightly{hidden}report") == "nightly\ufffdreport"


def test_readable_text_of_any_script_stays_as_it_is() -> None:
    for honest in ("nightly-report", "Müller, José", "レポート", "отчёт", "e\N{COMBINING ACUTE ACCENT}", "✓ ✗ 🧪"):
        assert text.clean(honest) == honest


@given(NASTY, st.integers(min_value=1, max_value=50))
def test_cut_text_keeps_to_its_length_and_says_that_something_is_missing(foreign: str, length: int) -> None:
    shown = text.cut(foreign, length)

    assert len(shown) <= length
    assert shown == foreign or shown.endswith("…")


@given(NASTY)
def test_a_quoted_name_is_one_code_span_that_nothing_inside_can_end(foreign: str) -> None:
    assert re.fullmatch(r"`[^`\n\r]+`", text.quoted(foreign))


def test_a_quoted_name_is_not_endless() -> None:
    assert len(text.quoted("x" * 5000)) == 302


@given(NASTY)
@example("```\n</details>")
@example("``````````")
def test_no_line_of_a_fenced_text_can_close_the_fence(foreign: str) -> None:
    first, *middle, last = text.fenced(foreign, "yaml").split("\n")

    assert first == f"{last}yaml"
    assert set(last) == {"`"}
    assert len(last) >= 3
    assert not any(re.match(rf" *{last}", line) for line in middle)


def test_a_fenced_text_keeps_its_layout() -> None:
    assert text.fenced("spec:\n  suspend: true\n\tx") == "```\nspec:\n  suspend: true\n x\n```"


@given(NASTY, st.sampled_from(["", " ", "\t", "\u3000", "\N{ZERO WIDTH SPACE}", "\x00"]))
@example("error::no", "::")
def test_an_inert_line_holds_no_workflow_command(foreign: str, before: str) -> None:
    for line in (before + "::error::" + foreign, foreign + before + "##[error]" + foreign, foreign):
        shown = text.inert(line)
        assert not shown.lstrip().startswith("::")
        assert "##[" not in shown
        assert len(shown.splitlines()) <= 1


@given(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20) | st.sampled_from(["plain", *HOSTILE])))
@example(["plain", "::error::no"])
@example(["see ##[error]no", "plain"])
@example(["a\x1b[1m"])
@example(["a\tb", ""])
def test_many_lines_are_made_inert_as_each_of_them_is(lines: list[str]) -> None:
    assert text.inert_text(lines) == "\n".join(map(text.inert, lines))


def test_an_inert_line_still_tells_what_it_said() -> None:
    assert text.inert("::error::no") == "| ::error::no"
    assert text.inert("see ##[error]no") == "see ## [error]no"
    assert text.inert("✓ CronJob   `nightly-report`") == "✓ CronJob   `nightly-report`"


@pytest.mark.parametrize("foreign", HOSTILE)
def test_hostile_text_comes_out_of_every_door_as_one_harmless_line(foreign: str) -> None:
    for shown in (text.clean(foreign), text.quoted(foreign), text.inert(foreign)):
        assert len(shown.splitlines()) <= 1
        shown.encode()


# --- secrets ------------------------------------------------------------------------------------------------

VISIBLE = st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="*\\u")
SECRET = st.text(alphabet=VISIBLE, min_size=4)
AROUND = st.text(alphabet="abc .:\"'\n", max_size=20)


@given(SECRET, AROUND, AROUND)
def test_a_secret_is_struck_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assert secret not in text.redact(f"{before}{secret}{after}{secret}", [secret])


@given(st.text(alphabet="ab\"\\\n\t<>&'é", min_size=4, max_size=12))
@example("postgres://u:p@db/x?a=1&b=<2>")
def test_a_secret_is_struck_also_as_json_quotes_it(secret: str) -> None:
    plain = json.dumps(secret, ensure_ascii=False)
    ascii_only = json.dumps(secret)
    # encoding/json of Go escapes what might be HTML
    go = plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")

    for quoted in (plain, ascii_only, go):
        told = f'denied: {{"value": {quoted}}} is not allowed'
        body = quoted[1:-1]
        shown = text.redact(told, [secret])
        assert not (len(body) >= 4 and body in shown)


def test_each_line_of_a_long_secret_is_struck() -> None:
    key = "-----BEGIN KEY-----\n  c2VjcmV0\nbGluZXM=\n-----END KEY-----"

    shown = text.redact("bad key: c2VjcmV0 and bGluZXM=", [key])

    assert shown == "bad key: *** and ***"


def test_a_short_secret_is_struck_where_it_stands_alone() -> None:
    assert text.redact("PIN=42, port 4242, 42", ["42"]) == "PIN=***, port 4242, ***"


def test_what_is_part_of_a_public_name_is_no_secret() -> None:
    said = 'cronjobs.batch "nightly-report" not found'

    assert text.redact(said, ["nightly", "report"], known=["nightly-report"]) == said
    assert text.redact(said, ["nightly", "found"], known=["nightly-report"]).endswith("not ***")


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    assert text.redact("hunter2-and-more", ["hunter2", "hunter2-and-more"]) == "***"


@given(st.text(alphabet="abc \n"))
def test_without_secrets_nothing_is_struck(foreign: str) -> None:
    assert text.redact(foreign, ["", "  "]) == foreign
