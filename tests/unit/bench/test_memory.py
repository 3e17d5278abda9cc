"""The memory of a process and its descendants."""

from __future__ import annotations

import subprocess
import sys

from bench.memory import resident_bytes


def test_memory_is_that_of_a_process_and_its_descendants():
    wait = "import sys; held = bytearray(50_000_000); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {wait!r}])"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        held = resident_bytes(process.pid)
        process.communicate(b"")

    assert 50_000_000 < held < 500_000_000
