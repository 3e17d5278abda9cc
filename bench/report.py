"""The tables and ratios, for the terminal, and docs/benchmarks.md. They name what ran, and no host or user."""

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
from bench.log_stream import LINES
from sandbox.names import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.completion import CompletionDelay
    from bench.creation import Creation
    from bench.environment import Traffic
    from bench.log_stream import LogStream
    from bench.models import Comparison, Contender
    from sandbox.tools.images import Size

DOCUMENT = ROOT / "docs" / "benchmarks.md"
_MEGABYTE = 1_000_000

_INTRODUCTION = """\
# Benchmarks

`make bench` writes this page from one run. Don't edit it by hand.

**Creating a Job.** The contenders run in turn, {rounds} rounds of them, against a real control plane and the sandbox's
GitHub and AWS on the same machine. Seconds are counted from the start of the process until a watch shows the Job; CPU
seconds are those of all processes involved. Both are medians. Memory is the most that a contender's processes hold
together. Requests and bytes (on the wire, including TLS) are counted by relays, in a separate run. On loopback an
answer takes next to no time. Over a network, each request to GitHub, AWS or the cluster adds a round trip for every
contender.

- *aws eks, kubectl* is what most workflows do: fetch the OIDC token, `aws eks update-kubeconfig`, `kubectl create job
  --from=cronjob/…`, for which kubectl calls `aws eks get-token`.
- *given credentials* doesn't assume the role. *given a kubeconfig* doesn't use AWS at all.
- *cronjob-runner* follows its Job. It is stopped once the Job is created.
- *run-cronjob* also looks for unfinished runs, records the actor, and writes outputs and a summary. It runs with the
  files of its image, including Python, but without a container. awscli runs with this machine's Python.
- *the image run-cronjob* is the same, including the start of a container. *the image plain* is a Debian image into
  which pip installed the same packages. Processor time and memory within a container are not measured.

**Waiting for completion.** Each contender creates a Job. Once the API server serves the contender's watch, the Job's
pod runs and ends, and the Job completes. Times start when the benchmark's own watch receives that event. They end when
the message that reports it (`condition met`, or `✓ End` in run-cronjob's log) is on stdout, and
when the process has exited. {rounds} rounds. kubectl wait reads the Job alone. run-cronjob reads its pods again and
shows the rest of their logs before it reports the result.

**Showing a log.** Each contender creates a Job whose pod prints {lines:,} lines of about one hundred characters. They
are rendered beforehand and served by the sandbox's kubelet through the API server. The contender's stdout is a pipe
that is read at full speed. Seconds are counted from the first line on stdout to the last. CPU seconds are those of the
contender's whole run, including its start and the creation. Memory is the most that its process held. {log_rounds}
rounds. Each line must arrive once and in order, which a hash checks. run-cronjob is the whole action: it reads the log
with timestamps in order to resume, looks for commands and secrets in each line, and asks once more for lines that came
last. curl only passes bytes on. Its row is the limit of the serving side, so no contender can be faster.
"""
_NOT_MEASURED = """\
cronjob-runner (github.com/int128/cronjob-runner) was not measured: no binary of it was given
(`go install github.com/int128/cronjob-runner@latest` makes one, `make bench CRONJOB_RUNNER=path` brings it in).
"""


class Timed(Protocol):
    """The measurements of one contender, which a ratio compares."""

    @property
    def seconds(self) -> float:
        """The median of the time that is compared."""


@dataclass(frozen=True)
class Creations:
    """One contender's runs until the Job is created, with the memory and traffic of a separate run."""

    runs: Sequence[Creation]
    memory: int
    traffic: Traffic

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)


@dataclass(frozen=True)
class Completions:
    """One contender's delays in reporting completion."""

    delays: Sequence[CompletionDelay]

    @property
    def seconds(self) -> float:
        """The median until the message."""
        return statistics.median(delay.message for delay in self.delays)


@dataclass(frozen=True)
class LogStreams:
    """One contender's runs that print a long log."""

    runs: Sequence[LogStream]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)


def creations_table(measured: Mapping[Contender, Creations]) -> str:
    """The times and costs of creating a Job."""
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
    return _markdown(heads, [_creation_cells(contender, each) for contender, each in measured.items()], text_columns=2)


def _creation_cells(contender: Contender, measured: Creations) -> tuple[str, ...]:
    traffic = measured.traffic
    cpu_seconds = statistics.median(run.cpu_seconds for run in measured.runs)
    costs = ("", "") if contender.in_container else (f"{cpu_seconds:.2f}", f"{measured.memory / _MEGABYTE:.0f} MB")
    return (
        contender.name,
        contender.description,
        f"{measured.seconds:.2f}",
        *costs,
        *(str(number) for number in traffic.requests.values()),
        f"{traffic.sent / 1000:.1f} kB",
        f"{traffic.received / 1000:.1f} kB",
    )


def images_table(sizes: Mapping[str, Size]) -> str:
    """The sizes of the images on disk, and compressed as by a registry."""
    cells = [
        (name, f"{size.on_disk / _MEGABYTE:.0f} MB", f"{size.compressed / _MEGABYTE:.0f} MB")
        for name, size in sizes.items()
    ]
    return _markdown(("image", "on disk", "gzip -6"), cells, text_columns=1)


def completions_table(measured: Mapping[Contender, Completions]) -> str:
    """The delays from the completion event to each contender's message, and to its exit."""
    cells = [
        (
            contender.name,
            _milliseconds(each.seconds),
            _milliseconds(max(delay.message for delay in each.delays)),
            _milliseconds(statistics.median(delay.exit for delay in each.delays)),
        )
        for contender, each in measured.items()
    ]
    return _markdown(("waits for completion", "until it says so", "at worst", "until its exit"), cells, text_columns=1)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def log_streams_table(measured: Mapping[Contender, LogStreams]) -> str:
    """The times and costs of printing a long log."""
    cells = [
        (
            contender.name,
            contender.description,
            f"{each.seconds:.2f}",
            f"{statistics.median(run.cpu_seconds for run in each.runs):.2f}",
            f"{max(run.memory for run in each.runs) / _MEGABYTE:.0f} MB",
        )
        for contender, each in measured.items()
    ]
    return _markdown(("shows a log", "how", "seconds", "CPU s", "memory"), cells, text_columns=2)


def ratio_lines(measured: Mapping[Contender, Timed], comparisons: Iterable[Comparison]) -> str:
    """One line for each comparison: `ratio NAME` and how many times longer the other contender takes than ours."""
    return "".join(
        f"ratio {each.name} {measured[each.other].seconds / measured[each.ours].seconds:.2f}\n" for each in comparisons
    )


def write_document(
    tables: Sequence[str], ratios: str, rounds: Mapping[str, int], kubernetes: str, cronjob_runner: Path | None
) -> None:
    """Write docs/benchmarks.md."""
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


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int) -> str:
    """A table. The first `text_columns` are aligned to the left, the others, which are numbers, to the right."""
    lines = [heads, ["---"] * text_columns + ["--:"] * (len(heads) - text_columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _machine() -> str:
    fields = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    processor = next(
        (value.strip() for name, value in fields.items() if name.strip() == "model name"), platform.machine()
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
    """The module and version that Go recorded in the binary."""
    _, module, version = next(
        line.split()[:3] for line in _lines("go", "version", "-m", program) if line.startswith("\tmod\t")
    )
    return f"{module} {version}"


def _first_line(*command: object) -> str:
    return _lines(*command)[0]


def _lines(*command: object) -> list[str]:
    answer = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()
