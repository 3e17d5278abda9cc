"""Secrets are replaced wherever they occur in text, also where an API has quoted them."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from run_cronjob.core.redactor import Redactor, redact

VISIBLE = st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="*\\u")
SECRET = st.text(alphabet=VISIBLE, min_size=4)
AROUND = st.text(alphabet="abc .:\"'\n", max_size=20)


@given(SECRET, AROUND, AROUND)
def test_a_secret_is_replaced_wherever_it_occurs(secret: str, before: str, after: str) -> None:
    assert secret not in redact(f"{before}{secret}{after}{secret}", [secret])


@given(st.text(alphabet="ab\"\\\n\t<>&'é", min_size=4, max_size=12))
@example("postgres://u:p@db/x?a=1&b=<2>")
def test_a_secret_is_replaced_also_as_json_escapes_it(secret: str) -> None:
    plain = json.dumps(secret, ensure_ascii=False)
    ascii_only = json.dumps(secret)
    # Go's encoding/json also escapes the characters of HTML
    go = plain.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")

    for quoted in (plain, ascii_only, go):
        message = f'denied: {{"value": {quoted}}} is not allowed'
        body = quoted[1:-1]
        shown = redact(message, [secret])
        assert not (len(body) >= 4 and body in shown)


def test_each_line_of_a_secret_is_replaced() -> None:
    key = "-----BEGIN KEY-----\n  c2VjcmV0\nbGluZXM=\n-----END KEY-----"

    shown = redact("bad key: c2VjcmV0 and bGluZXM=", [key])

    assert shown == "bad key: *** and ***"


def test_a_short_secret_is_replaced_as_a_word_of_its_own() -> None:
    assert redact("PIN=42, port 4242, 42", ["42"]) == "PIN=***, port 4242, ***"


def test_a_part_of_a_known_public_name_is_not_replaced() -> None:
    message = 'cronjobs.batch "nightly-report" not found'

    assert redact(message, ["nightly", "report"], known=["nightly-report"]) == message
    assert redact(message, ["nightly", "found"], known=["nightly-report"]).endswith("not ***")


def test_of_two_secrets_the_longer_one_is_replaced_first() -> None:
    assert redact("hunter2-and-more", ["hunter2", "hunter2-and-more"]) == "***"


@given(st.text(alphabet="abc \n"))
def test_without_secrets_nothing_is_replaced(untrusted: str) -> None:
    assert redact(untrusted, ["", "  "]) == untrusted


@given(SECRET, SECRET, AROUND, AROUND)
def test_a_redactor_replaces_all_secrets_that_were_added(one: str, other: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.add(one)
    redactor.add(other, "abc")

    shown = redactor.redact(f"{before}{one}{after}{other} abc")

    assert one not in shown
    assert other not in shown
    assert shown.endswith(" abc"), "too short to be a secret"
