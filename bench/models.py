"""A contender of the benchmark, the comparison of two contenders, and the error of a failed run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from bench.environment import Environment

    Start = Callable[[Environment, Path], subprocess.Popen[bytes]]
    """Starts a contender's process in an environment, with a folder of its own."""


class RunFailedError(Exception):
    """A contender's run failed. The message includes the contender's output."""


@dataclass(frozen=True)
class Contender:
    """A program or script that creates a Job.

    `start` starts its process. The process exits by itself, unless `kill_once_created` is true.
    If `in_container` is true, the work is not done by descendants of that process, and its costs can't be measured.
    """

    name: str
    description: str
    start: Start
    kill_once_created: bool = False
    in_container: bool = False


@dataclass(frozen=True)
class Comparison:
    """Compares the times of two contenders. The ratio printed as `name` is the time of `other` over that of `ours`."""

    name: str
    other: Contender
    ours: Contender
