"""`make bench`: everyone in turn, several times; the table, the ratios, and docs/benchmarks.md.

A run that fails fails all of it; a time never does.
"""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

from bench import report
from bench.contenders import COMPARISONS
from bench.course import Course
from bench.measure import RunFailedError, run

if TYPE_CHECKING:
    from bench.contenders import Contender
    from bench.course import Traffic
    from bench.measure import Measure

ROUNDS = 10


def main() -> int:
    """Run, print and write."""
    contenders = list(dict.fromkeys(chain.from_iterable((each.other, each.ours) for each in COMPARISONS)))
    with Course() as course:
        try:
            costs = {contender: _cost(contender, course) for contender in contenders}
            times = _times(contenders, course)
        except RunFailedError as failed:
            print(failed, file=sys.stderr)
            return 1
        kubernetes = course.version()
    rows = {contender: report.Row(times[contender], *costs[contender]) for contender in contenders}
    print(report.table(rows))
    print(report.ratios(rows))
    report.write(rows, kubernetes)
    return 0


def _cost(contender: Contender, course: Course) -> tuple[int, Traffic]:
    """Memory and traffic, which take time to count. It also warms the disk's cache up."""
    _tell(f"Counting: {contender.name}")
    course.take(course.counted)
    course.traffic()
    memory = run(contender, course, with_memory=True).memory
    return memory, course.traffic()


def _times(contenders: list[Contender], course: Course) -> dict[Contender, list[Measure]]:
    course.take(course.direct)
    measures: dict[Contender, list[Measure]] = {contender: [] for contender in contenders}
    for number in range(ROUNDS):
        _tell(f"Round {number + 1} of {ROUNDS}")
        for contender in contenders:
            measures[contender].append(run(contender, course))
    return measures


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
