"""The benchmark's ratios."""

from __future__ import annotations

from typing import Any

from bench import report
from bench.creation import Creation
from bench.environment import Traffic
from bench.models import Comparison, Contender

NOT_STARTED: Any = None


def creations(*seconds: float) -> report.Creations:
    return report.Creations([Creation(each, each) for each in seconds], 0, Traffic({}, 0, 0))


def test_a_ratio_says_how_many_times_longer_the_others_median_is():
    ours, other = Contender("ours", "Job", NOT_STARTED), Contender("other", "Job", NOT_STARTED)
    measured = {ours: creations(0.5, 9.0, 0.4), other: creations(1.705, 0.1, 99.0)}

    assert report.ratio_lines(measured, [Comparison("kubectl", other, ours)]) == "ratio kubectl 3.41\n"
