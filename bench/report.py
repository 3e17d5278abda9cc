"""The tables, for the terminal and docs/benchmarks.md: what was run, never where."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.contenders import TOOLS
from bench.following import LINES
from sandbox.names import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.course import Traffic
    from bench.following import Delay, Stream
    from bench.measure import Measure
    from bench.models import Comparison, Contender
    from sandbox.tools.images import Size

DOCUMENT = ROOT / "docs" / "benchmarks.md"
_MEGABYTE = 1_000_000

_INTRODUCTION = """\
# Benchmarks

Written by `make bench`, from one run; not by hand.

The contenders run in turn, {rounds} rounds of them, against a real control plane and the sandbox's GitHub and AWS on
the same machine. Times are medians: from the start of the process until a watch shows the Job, and processor time of
all processes involved. Memory is the most that a contender's processes hold together. Requests and bytes (on the wire,
TLS included) are those of one run of its own, through relays that count. On loopback an answer takes next to no time;
over a network each request to GitHub, AWS or the cluster adds its wait, to all contenders alike.

*aws eks, kubectl* is what most workflows do: fetch the OIDC token, `aws eks update-kubeconfig`, `kubectl create job
--from=cronjob/…`, for which kubectl calls `aws eks get-token`. *Given credentials* leaves the role out, *given a
kubeconfig* AWS altogether. cronjob-runner, which follows its Job, is stopped when that is there. run-cronjob also looks
for unfinished runs, says who pressed, and writes outputs and a summary. It runs with the files of its image, the Python
there included, but no container; awscli runs by this machine's Python. *The image run-cronjob* is the same from a
container's start, beside *the image plain*: a Debian image into which pip put the same packages. What goes on within a
container is not seen from without: no processor time, no memory.

*Waits for completion*: each contender creates a Job, and once the API server serves its watch, the Job's pod runs and
ends, and the Job completes. Times are from the moment at which a watch of the bench's own brings that event: until the
words that tell of it, `condition met` or run-cronjob's line of the verdict, are on stdout, and until the process has
exited. {rounds} rounds. kubectl wait looks at the Job alone; run-cronjob looks at its pods once more, and shows the
rest of their logs, before it says its verdict.

*Shows a log*: each contender creates a Job whose pod prints {lines:,} lines of some hundred characters, rendered
beforehand, served by the sandbox's kubelet through the API server, to a pipe that is read at full speed. Seconds are
those from the first line on stdout to the last one, processor time is that of the contender's whole run, with start and
creation, and memory the most that its process held. {log_rounds} rounds. Each line must have arrived, once, in its
order: compared by hash. run-cronjob is the whole action, which reads the log with timestamps to resume by, looks for
commands and secrets in each line, and asks once more for what may have come last. curl only passes bytes on: no
contender can be faster than its row, which is what the serving side can do.
"""
_NOT_MEASURED = """\
cronjob-runner (github.com/int128/cronjob-runner) was not measured: no binary of it was given
(`go install github.com/int128/cronjob-runner@latest` makes one, `make bench CRONJOB_RUNNER=path` brings it in).
"""


class Timed(Protocol):
    """What contenders are compared by."""

    @property
    def seconds(self) -> float:
        """Median."""


@dataclass(frozen=True)
class Row:
    """All that is known of one contender."""

    measures: Sequence[Measure]
    memory: int
    traffic: Traffic

    @property
    def seconds(self) -> float:
        """Median."""
        return statistics.median(measure.seconds for measure in self.measures)

    @property
    def cpu_seconds(self) -> float:
        """Median."""
        return statistics.median(measure.cpu_seconds for measure in self.measures)


@dataclass(frozen=True)
class Completions:
    """How soon a contender told of its Jobs' ends."""

    delays: Sequence[Delay]

    @property
    def seconds(self) -> float:
        """Median, until its words."""
        return statistics.median(delay.told for delay in self.delays)


@dataclass(frozen=True)
class Streams:
    """How fast a contender showed a long log."""

    streams: Sequence[Stream]

    @property
    def seconds(self) -> float:
        """Median."""
        return statistics.median(stream.seconds for stream in self.streams)


def contenders(rows: Mapping[Contender, Row]) -> str:
    """All contenders."""
    heads = (
        "contender",
        "does",
        "seconds",
        "CPU s",
        "memory",
        "GitHub",
        "STS",
        "EKS",
        "Kubernetes",
        "sent",
        "received",
    )
    return _markdown(heads, [_cells(contender, row) for contender, row in rows.items()], words=2)


def _cells(contender: Contender, row: Row) -> tuple[str, ...]:
    traffic = row.traffic
    return (
        contender.name,
        contender.does,
        f"{row.seconds:.2f}",
        *(("", "") if contender.in_container else (f"{row.cpu_seconds:.2f}", f"{row.memory / _MEGABYTE:.0f} MB")),
        *(str(number) for number in traffic.requests.values()),
        f"{traffic.sent / 1000:.1f} kB",
        f"{traffic.received / 1000:.1f} kB",
    )


def sizes(images: Mapping[str, Size]) -> str:
    """The images on disk, and as a registry sends them."""
    cells = [
        (name, f"{size.on_disk / _MEGABYTE:.0f} MB", f"{size.compressed / _MEGABYTE:.0f} MB")
        for name, size in images.items()
    ]
    return _markdown(("image", "on disk", "gzip -6"), cells, words=1)


def completions(rows: Mapping[Contender, Completions]) -> str:
    """From the API server's event to the contenders' words, and to their exit."""
    cells = [
        (
            contender.name,
            _milliseconds(row.seconds),
            _milliseconds(max(delay.told for delay in row.delays)),
            _milliseconds(statistics.median(delay.exited for delay in row.delays)),
        )
        for contender, row in rows.items()
    ]
    return _markdown(("waits for completion", "until it says so", "at worst", "until its exit"), cells, words=1)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def streams(rows: Mapping[Contender, Streams]) -> str:
    """A long log."""
    cells = [
        (
            contender.name,
            contender.does,
            f"{row.seconds:.2f}",
            f"{statistics.median(stream.cpu_seconds for stream in row.streams):.2f}",
            f"{max(stream.memory for stream in row.streams) / _MEGABYTE:.0f} MB",
        )
        for contender, row in rows.items()
    ]
    return _markdown(("shows a log", "how", "seconds", "CPU s", "memory"), cells, words=2)


def ratios(rows: Mapping[Contender, Timed], comparisons: Iterable[Comparison]) -> str:
    """How many times longer the others take, a line each."""
    return "".join(
        f"ratio {each.name} {rows[each.other].seconds / rows[each.ours].seconds:.2f}\n" for each in comparisons
    )


def write(
    tables: Sequence[str], ratios: str, rounds: Mapping[str, int], kubernetes: str, cronjob_runner: Path | None
) -> None:
    """docs/benchmarks.md."""
    versions = [*_versions(kubernetes), *([_version_of(cronjob_runner)] if cronjob_runner else [])]
    parts = [
        _INTRODUCTION.format(**rounds, lines=LINES),
        *tables,
        *([] if cronjob_runner else [_NOT_MEASURED]),
        "How many times longer the others take than run-cronjob does for the same:\n",
        f"```\n{ratios}```\n",
        f"Run on {_machine()}, with {', '.join(versions)}.\n",
    ]
    DOCUMENT.write_text("\n".join(parts))


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> str:
    """A table whose first columns are `words`; the others are numbers."""
    lines = [heads, ["---"] * words + ["--:"] * (len(heads) - words), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _machine() -> str:
    told = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    processor = next(
        (value.strip() for name, value in told.items() if name.strip() == "model name"), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores of {processor}, {memory:.0f} GB, Linux {platform.release().partition('-')[0]}"


def _versions(kubernetes: str) -> list[str]:
    aws = _first_line(TOOLS / "aws", "--version").split()[0].replace("aws-cli/", "awscli ")
    kubectl = _first_line(TOOLS / "kubectl", "version", "--client").replace("Client Version: ", "kubectl ")
    ours = [f"{package} {metadata.version(package)}" for package in ("boto3", "kubernetes")]
    curl = " ".join(_first_line("curl", "--version").split()[:2])
    podman = _first_line("podman", "--version").replace("podman version", "podman")
    python = f"Python {platform.python_version()} for awscli"
    return [f"Kubernetes {kubernetes}", aws, kubectl, curl, podman, python, *ours]


def _version_of(program: Path) -> str:
    """What Go wrote into it."""
    _, module, version = next(
        line.split()[:3] for line in _lines("go", "version", "-m", program) if line.startswith("\tmod\t")
    )
    return f"{module} {version}"


def _first_line(*command: object) -> str:
    return _lines(*command)[0]


def _lines(*command: object) -> list[str]:
    answer = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()
