"""Calls a function in a thread, so that it can wait for the network while the caller does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Calls `function` at once in a thread; the first call returns that result, later calls call it again."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._results: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except Exception as error:  # noqa: BLE001  raised again by __call__
            self._error = error

    def __call__(self) -> T:
        """Wait for the result. Raises the errors of `function`."""
        self._thread.join()
        error, self._error = self._error, None
        if error:
            raise error
        return self._results.pop() if self._results else self._function()
