"""What `make bench` measures by, and when it fails; not how long anything takes."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bench import measure, report
from bench.course import Traffic
from bench.following import Following, LongLog, digest_of_lines
from bench.measure import Measure, RunFailedError
from bench.models import Comparison, Contender
from bench.relay import Relay
from bench.report import Row
from sandbox.emulator.pod_logs import LogOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def contender(name: str, *command: str) -> Contender:
    def start(_course: object, _folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return Contender(name, "Job", start)


def row(*seconds: float) -> Row:
    return Row([Measure(each, each) for each in seconds], 0, Traffic({}, 0, 0))


def test_a_ratio_says_how_many_times_longer_the_others_median_is():
    ours, other = contender("ours"), contender("other")
    rows = {ours: row(0.5, 9.0, 0.4), other: row(1.705, 0.1, 99.0)}

    assert report.ratios(rows, [Comparison("seed-flow", other, ours)]) == "ratio seed-flow 3.41\n"


def test_a_run_that_fails_is_no_measure(tmp_path: Path):
    course: Any = SimpleNamespace(world=SimpleNamespace(folder=tmp_path))

    with pytest.raises(RunFailedError, match="broken"):
        measure.run(contender("other", "/bin/sh", "-c", "echo broken >&2; exit 3"), course)


def test_memory_is_that_of_a_process_and_its_descendants():
    wait = "import sys; held = bytearray(50_000_000); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {wait!r}])"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        held = measure.held(process.pid)
        process.communicate(b"")

    assert 50_000_000 < held < 500_000_000


def test_a_relay_counts_its_clients_bytes():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(3)
                connection.sendall(b"answer")

        threading.Thread(target=answer, daemon=True).start()
        with Relay(server.getsockname()[1]) as relay, socket.create_connection(("127.0.0.1", relay.port)) as client:
            client.sendall(b"ask")
            assert client.makefile("rb").read() == b"answer"

            assert (relay.sent, relay.received) == (3, 6)


@pytest.fixture(scope="module")
def long_log() -> LongLog:
    return LongLog(2000)


def test_a_contenders_own_words_are_no_lines_of_the_log(long_log: LongLog):
    shown = [*long_log.read(LogOptions(timestamps=True))]
    shown.insert(1000, b"  03:00:00 The Job runs.\n::stop-commands::0f\n")

    assert digest_of_lines(b"".join(shown)) == long_log.digest


@pytest.mark.parametrize("spoil", [lambda lines: lines.pop(500), lambda lines: lines.insert(500, lines[499])])
def test_a_line_lost_or_shown_twice_is_noticed(long_log: LongLog, spoil: Callable[[list[bytes]], object]):
    lines = b"".join(long_log.read(LogOptions())).splitlines(keepends=True)
    assert len(lines) == 2000
    spoil(lines)

    assert digest_of_lines(b"".join(lines)) != long_log.digest


def test_the_log_is_sent_from_the_second_asked_for(long_log: LongLog):
    whole = b"".join(long_log.read(LogOptions(timestamps=True)))
    second = "2026-01-01T00:00:06"
    since = int(datetime.fromisoformat(f"{second}Z").timestamp())

    assert b"".join(long_log.read(LogOptions(timestamps=True, since=since))) == whole[whole.index(second.encode()) :]


def test_a_contenders_words_are_heard_while_it_runs(tmp_path: Path):
    course: Any = None
    halves = "import sys, time; print('condition', end=' ', flush=True); print('met', flush=True); time.sleep(600)"

    with Following(contender("other", sys.executable, "-c", halves), course, tmp_path, "condition met") as following:
        assert following.said("condition met")


def test_a_contender_that_fails_says_why(tmp_path: Path):
    course: Any = None
    broken = contender("other", "/bin/sh", "-c", "echo broken >&2; exit 3")

    with Following(broken, course, tmp_path) as following, pytest.raises(RunFailedError, match="broken"):
        following.end()
