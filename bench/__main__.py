"""`make bench` runs all contenders in turn, several times; prints tables and ratios; writes docs/benchmarks.md.

It fails if a run fails. It never fails because of a time.
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bench import report
from bench.completion import measure_completion
from bench.contenders import comparisons, completions, log_streams
from bench.creation import measure_creation
from bench.environment import Environment
from bench.log_stream import LongLog, measure_log_stream
from bench.models import RunFailedError
from sandbox.github import container
from sandbox.tools import images
from sandbox.tools.podman import CommandError, Engine, EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.completion import CompletionDelay
    from bench.creation import Creation
    from bench.environment import Traffic
    from bench.log_stream import LogStream
    from bench.models import Contender

ROUNDS = 10
LOG_ROUNDS = 3


def main(environ: Mapping[str, str]) -> int:
    """Run the benchmark; return the exit status. `CRONJOB_RUNNER` may name a program to measure, too."""
    program = environ.get("CRONJOB_RUNNER", "")
    if not shutil.which("curl"):
        print("curl, one of the contenders, is not installed: apt-get install curl", file=sys.stderr)
        return 2
    try:
        with Engine() as engine, Environment() as environment:
            _bench(engine, environment, Path(program).resolve() if program else None)
    except (RunFailedError, CommandError, EngineUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _bench(engine: Engine, environment: Environment, cronjob_runner: Path | None) -> None:
    # By digest: another build on this machine may take over the names in the meantime.
    built = {"plain": engine.digest(images.plain(engine)), "run-cronjob": engine.digest(images.action(engine))}
    launches = {name: container.launcher(engine, image) for name, image in built.items()}
    process = container.process_launcher(engine.files(built["run-cronjob"]))
    compared = comparisons(process, launches, cronjob_runner)
    contenders = list(dict.fromkeys(chain.from_iterable((each.other, each.ours) for each in compared)))

    costs = {contender: _cost(contender, environment) for contender in contenders}
    runs = _creations(contenders, environment)
    creations = {contender: report.Creations(runs[contender], *costs[contender]) for contender in contenders}
    sizes = {name: images.measure(engine, image) for name, image in built.items()}

    messages, compared_completions = completions(process, cronjob_runner)
    delays = _delays(messages, environment)
    printing, compared_streams = log_streams(process)
    streams = _streams(printing, environment)

    tables = (
        report.creations_table(creations),
        report.images_table(sizes),
        report.completions_table(delays),
        report.log_streams_table(streams),
    )
    ratios = (
        report.ratio_lines(creations, compared)
        + report.ratio_lines(delays, compared_completions)
        + report.ratio_lines(streams, compared_streams)
    )
    print(*tables, ratios, sep="\n")
    rounds = {"rounds": ROUNDS, "log_rounds": LOG_ROUNDS}
    report.write_document(tables, ratios, rounds, environment.kubernetes_version(), cronjob_runner)


def _cost(contender: Contender, environment: Environment) -> tuple[int, Traffic]:
    """Measure memory and traffic in a run that isn't timed. The run also warms the disk cache."""
    _progress(f"Counting: {contender.name}")
    environment.use(environment.counted)
    environment.take_traffic()
    memory = measure_creation(contender, environment, with_memory=True).memory
    return memory, environment.take_traffic()


def _creations(contenders: Iterable[Contender], environment: Environment) -> dict[Contender, list[Creation]]:
    environment.use(environment.direct)
    measured: dict[Contender, list[Creation]] = {contender: [] for contender in contenders}
    for number in range(ROUNDS):
        _progress(f"Round {number + 1} of {ROUNDS}")
        for contender, runs in measured.items():
            runs.append(measure_creation(contender, environment))
    return measured


def _delays(messages: Mapping[Contender, str], environment: Environment) -> dict[Contender, report.Completions]:
    measured: dict[Contender, list[CompletionDelay]] = {contender: [] for contender in messages}
    idle = environment.watch_count()
    for number in range(ROUNDS):
        _progress(f"Completion {number + 1} of {ROUNDS}")
        for contender, runs in measured.items():
            runs.append(measure_completion(contender, environment, messages[contender], idle))
    return {contender: report.Completions(runs) for contender, runs in measured.items()}


def _streams(contenders: Iterable[Contender], environment: Environment) -> dict[Contender, report.LogStreams]:
    measured: dict[Contender, list[LogStream]] = {contender: [] for contender in contenders}
    log = LongLog()
    for number in range(LOG_ROUNDS):
        _progress(f"Log {number + 1} of {LOG_ROUNDS}")
        for contender, runs in measured.items():
            runs.append(measure_log_stream(contender, environment, log))
    return {contender: report.LogStreams(runs) for contender, runs in measured.items()}


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(os.environ))
