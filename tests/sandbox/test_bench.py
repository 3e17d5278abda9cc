"""What `make bench` measures by, and when it fails; not how long anything takes."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bench import measure, report
from bench.contenders import Comparison, Contender
from bench.course import Traffic
from bench.measure import Measure, RunFailedError
from bench.relay import Relay
from bench.report import Row

if TYPE_CHECKING:
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
