from __future__ import annotations

import threading
from typing import NoReturn

import pytest

from run_cronjob.core.prefetch import Prefetch


def test_asks_before_the_answer_is_wanted():
    asked = threading.Event()

    def ask() -> str:
        asked.set()
        return "answer"

    ahead = Prefetch(ask)

    assert asked.wait(60)
    assert ahead() == "answer"


def test_gives_an_answer_once_and_then_asks_anew():
    answers = iter(["first", "second", "third"])

    ahead = Prefetch(lambda: next(answers))

    assert [ahead(), ahead(), ahead()] == ["first", "second", "third"]


def test_raises_the_error_where_the_answer_is_wanted_and_then_asks_anew():
    answers = iter([LookupError("at first"), LookupError("again")])

    def ask() -> NoReturn:
        raise next(answers)

    ahead = Prefetch(ask)

    with pytest.raises(LookupError, match="at first"):
        ahead()
    with pytest.raises(LookupError, match="again"):
        ahead()
