"""Waiting for the network while something else is done."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Prefetch(Generic[T]):
    """`ask`, asked at once by a thread: the first call waits for that answer, later ones ask anew."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._answers: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answers.append(self._ask())
        except Exception as error:  # noqa: BLE001  raised where the answer is wanted
            self._error = error

    def __call__(self) -> T:
        """The answer. Raises what `ask` raises."""
        self._thread.join()
        error, self._error = self._error, None
        if error:
            raise error
        return self._answers.pop() if self._answers else self._ask()
