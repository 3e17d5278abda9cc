"""`make bench`: everyone in turn, several times; the tables, the ratios, and docs/benchmarks.md.

A run that fails fails all of it; a time never does.
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bench import report
from bench.contenders import comparisons, completions, streams
from bench.course import Course
from bench.following import LongLog, complete, stream
from bench.measure import RunFailedError, run
from sandbox.github import container
from sandbox.tools import images
from sandbox.tools.podman import CommandError, Engine, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.course import Traffic
    from bench.following import Delay, Stream
    from bench.measure import Measure
    from bench.models import Contender

ROUNDS = 10
LOG_ROUNDS = 3


def main(environ: Mapping[str, str]) -> int:
    """Run, print and write."""
    given = environ.get("CRONJOB_RUNNER", "")
    if not shutil.which("curl"):
        print("curl, one of the contenders, is not installed: apt-get install curl", file=sys.stderr)
        return 2
    try:
        with Engine() as engine, Course() as course:
            _bench(engine, course, Path(given).resolve() if given else None)
    except (RunFailedError, CommandError, EngineUnavailableError) as failed:
        print(failed, file=sys.stderr)
        return 1
    return 0


def _bench(engine: Engine, course: Course, cronjob_runner: Path | None) -> None:
    # By digest: who builds others meanwhile gives those the same names.
    built = {"plain": engine.digest(images.plain(engine)), "run-cronjob": engine.digest(images.action(engine))}
    launches = {name: container.launcher(engine, image) for name, image in built.items()}
    process = container.process_launcher(engine.files(built["run-cronjob"]))
    compared = comparisons(process, launches, cronjob_runner)
    contenders = list(dict.fromkeys(chain.from_iterable((each.other, each.ours) for each in compared)))

    costs = {contender: _cost(contender, course) for contender in contenders}
    times = _times(contenders, course)
    rows = {contender: report.Row(times[contender], *costs[contender]) for contender in contenders}
    sizes = {name: images.measure(engine, image) for name, image in built.items()}

    verdicts, compared_completions = completions(process, cronjob_runner)
    delays = _delays(verdicts, course)
    showing, compared_streams = streams(process)
    shown = _streams(showing, course)

    tables = (report.contenders(rows), report.sizes(sizes), report.completions(delays), report.streams(shown))
    ratios = (
        report.ratios(rows, compared)
        + report.ratios(delays, compared_completions)
        + report.ratios(shown, compared_streams)
    )
    print(*tables, ratios, sep="\n")
    rounds = {"rounds": ROUNDS, "log_rounds": LOG_ROUNDS}
    report.write(tables, ratios, rounds, course.version(), cronjob_runner)


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


def _delays(verdicts: Mapping[Contender, str], course: Course) -> dict[Contender, report.Completions]:
    delays: dict[Contender, list[Delay]] = {contender: [] for contender in verdicts}
    idle = course.watches()
    for number in range(ROUNDS):
        _tell(f"Completion {number + 1} of {ROUNDS}")
        for contender, measured in delays.items():
            measured.append(complete(contender, course, verdicts[contender], idle))
    return {contender: report.Completions(measured) for contender, measured in delays.items()}


def _streams(contenders: Iterable[Contender], course: Course) -> dict[Contender, report.Streams]:
    shown: dict[Contender, list[Stream]] = {contender: [] for contender in contenders}
    log = LongLog()
    for number in range(LOG_ROUNDS):
        _tell(f"Log {number + 1} of {LOG_ROUNDS}")
        for contender, measured in shown.items():
            measured.append(stream(contender, course, log))
    return {contender: report.Streams(measured) for contender, measured in shown.items()}


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))
