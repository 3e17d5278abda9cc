"""The claims of a token are read whatever it holds, and any other text has none."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.clients import oidc
from tests.builders import CLAIMS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def token(payload: bytes) -> str:
    encoded = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{encoded}.c2lnbmF0dXJl"


def test_the_claims_of_a_token_are_read() -> None:
    assert oidc.unverified_claims(token(json.dumps(CLAIMS).encode())) == CLAIMS


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_claims_of_any_length_are_read_without_padding(payload: dict[str, object]) -> None:
    assert oidc.unverified_claims(token(json.dumps(payload).encode())) == payload


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        ".",
        "a.b",
        "a.b.c",
        "a.é.c",
        "\ud800.\ud800",
        token(b"[]"),
        token(b'"text"'),
        token(b"{"),
        token(b"\xff\xfe{"),
    ],
    ids=repr,
)
def test_text_that_is_no_token_has_no_claims(garbage: str) -> None:
    assert oidc.unverified_claims(garbage) == {}


@given(st.text() | st.binary().map(token))
def test_no_text_raises_an_error(anything: str) -> None:
    assert isinstance(oidc.unverified_claims(anything), dict)
