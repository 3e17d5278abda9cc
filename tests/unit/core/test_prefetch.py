"""A prefetch runs in its own thread; its result or error arrives where it is needed."""

from __future__ import annotations

import threading
from typing import NoReturn

import pytest

from run_cronjob.core.prefetch import Prefetch


def test_calls_the_function_before_the_result_is_needed():
    called = threading.Event()

    def function() -> str:
        called.set()
        return "answer"

    prefetch = Prefetch(function)

    assert called.wait(60)
    assert prefetch() == "answer"


def test_returns_the_result_once_and_then_calls_again():
    answers = iter(["first", "second", "third"])

    prefetch = Prefetch(lambda: next(answers))

    assert [prefetch(), prefetch(), prefetch()] == ["first", "second", "third"]


def test_raises_the_error_to_the_caller_and_then_calls_again():
    answers = iter([LookupError("at first"), LookupError("again")])

    def function() -> NoReturn:
        raise next(answers)

    prefetch = Prefetch(function)

    with pytest.raises(LookupError, match="at first"):
        prefetch()
    with pytest.raises(LookupError, match="again"):
        prefetch()
