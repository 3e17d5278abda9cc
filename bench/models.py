"""A contender of the benchmark, and a comparison of two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from bench.course import Course

    Start = Callable[[Course, Path], subprocess.Popen[bytes]]


@dataclass(frozen=True)
class Contender:
    """One way to create a Job. `start` starts its process, which exits by itself unless `stays` is true.

    If `in_container` is true, the work is not done by descendants of that process, and its costs can't be measured.
    """

    name: str
    does: str
    start: Start
    stays: bool = False
    in_container: bool = False


@dataclass(frozen=True)
class Comparison:
    """Compares the times of two contenders. The ratio printed as `name` is the time of `other` over that of `ours`."""

    name: str
    other: Contender
    ours: Contender
