"""`make bench`: everyone in turn, several times; the tables, the ratios, and docs/benchmarks.md.

A run that fails fails all of it; a time never does.
"""

from __future__ import annotations

import os
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from bench import report
from bench.contenders import comparisons
from bench.course import Course
from bench.measure import RunFailedError, run
from sandbox import container, images
from sandbox.engine import CommandError, Engine, EngineUnavailableError
from sandbox.world import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.contenders import Contender
    from bench.course import Traffic
    from bench.measure import Measure

ROUNDS = 10


def main(environ: Mapping[str, str]) -> int:
    """Run, print and write."""
    given = environ.get("CRONJOB_RUNNER", "")
    try:
        with Engine() as engine, Course() as course:
            _bench(engine, course, Path(given).resolve() if given else None)
    except (RunFailedError, CommandError, EngineUnavailableError) as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


def _bench(engine: Engine, course: Course, cronjob_runner: Path | None) -> None:
    # By digest: who builds others meanwhile gives those the same names.
    built = {"plain": engine.digest(images.plain(engine)), "run-cronjob": engine.digest(images.ours(engine))}
    entrypoint = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["entrypoint"]
    launches = {name: container.launcher(engine, image, entrypoint) for name, image in built.items()}
    compared = comparisons(launches, cronjob_runner)
    contenders = list(dict.fromkeys(chain.from_iterable((each.other, each.ours) for each in compared)))

    costs = {contender: _cost(contender, course) for contender in contenders}
    times = _times(contenders, course)
    rows = {contender: report.Row(times[contender], *costs[contender]) for contender in contenders}
    sizes = {name: images.measure(engine, image) for name, image in built.items()}

    tables, ratios = (report.contenders(rows), report.sizes(sizes)), report.ratios(rows, compared)
    print(*tables, ratios, sep="\n")
    report.write(tables, ratios, ROUNDS, course.version(), with_peer=bool(cronjob_runner))


def _cost(contender: Contender, course: Course) -> tuple[int, Traffic]:
    """Memory and traffic, which take time to count. It also warms the disk's cache up."""
    _tell(f"Counting: {contender.name}")
    course.take(course.counted)
    course.traffic()
    memory = run(contender, course, with_memory=True).memory
    return memory, course.traffic()


def _times(contenders: Iterable[Contender], course: Course) -> dict[Contender, list[Measure]]:
    course.take(course.direct)
    measures: dict[Contender, list[Measure]] = {contender: [] for contender in contenders}
    for number in range(ROUNDS):
        _tell(f"Round {number + 1} of {ROUNDS}")
        for contender, measured in measures.items():
            measured.append(run(contender, course))
    return measures


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))
