"""Measures how soon a contender reports that its Job is complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.process import following
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from bench.environment import Environment
    from bench.models import Contender


@dataclass(frozen=True)
class CompletionDelay:
    """Seconds from the watch event of the Job's completion to the contender's message, and to its exit."""

    message: float
    exit: float


def measure_completion(contender: Contender, environment: Environment, message: str, idle: int) -> CompletionDelay:
    """Run the contender on a Job that succeeds. Raises RunFailedError.

    `message` is the text that reports completion; `idle` is the number of watches of Jobs without a contender.
    """
    until(lambda: environment.watch_count() == idle)
    with following(contender, environment, message) as process:
        script = process.wait_for_job(environment)
        until(lambda: environment.watch_count() > idle)
        pod = script.pod()
        pod.run()
        pod.end(0)
        script.complete()
        completed = environment.wait_for_completion()
        reported = process.wait_for_text(message)
        exited, _ = process.wait()
    return CompletionDelay(reported - completed, exited - completed)
