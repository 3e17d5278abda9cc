"""A process manager ends its processes and deletes its folder however its owner ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.tools.processes import ProcessManager, end_process, is_alive
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import json, time
from sandbox.tools.processes import ProcessManager
manager = ProcessManager()
pid = manager.start("sleep", "600", log=manager.folder / "log")
print(json.dumps([str(manager.folder), pid]), flush=True)
time.sleep(600)
"""


def test_closing_ends_the_processes_and_removes_the_folder() -> None:
    with closing(ProcessManager()) as manager:
        log = manager.folder / "log"
        pid = manager.start("sh", "-c", "sleep 600 & echo $WORD $!; wait", log=log, environ={"WORD": "here"})
        until(lambda: log.read_text().endswith("\n"))
        word, child = log.read_text().split()
        assert word == "here"
        assert is_alive(pid)
        assert is_alive(int(child))

    assert not is_alive(pid)
    until(lambda: not is_alive(int(child)))
    assert not manager.folder.exists()


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["the process", "its whole group"])
def test_a_sigkill_of_the_owner_leaves_nothing_behind(kill: Callable[[int, int], None]) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert owner.stdout
    with owner.stdout:
        folder, pid = json.loads(owner.stdout.readline())
    assert is_alive(pid)

    kill(owner.pid, signal.SIGKILL)
    owner.wait()

    until(lambda: not is_alive(pid) and not Path(folder).exists())


def test_a_cleanup_command_runs_after_the_processes_have_ended_and_before_the_folder_is_deleted(tmp_path: Path) -> None:
    with closing(ProcessManager()) as manager:
        pid = manager.start("sleep", "600", log=manager.folder / "log")
        manager.add_cleanup("no-such-program")
        manager.add_cleanup(
            "sh",
            "-c",
            f"ls $FOLDER >{tmp_path}/output; kill -0 {pid} || echo gone >>{tmp_path}/output",
            environ={"FOLDER": str(manager.folder)},
        )
        assert not list(tmp_path.iterdir())

    assert (tmp_path / "output").read_text() == "log\ngone\n"


def test_a_process_that_has_ended_is_not_alive() -> None:
    with closing(ProcessManager()) as manager:
        pid = manager.start("true", log=manager.folder / "log")
        until(lambda: not is_alive(pid))


def test_ending_one_process_leaves_the_others() -> None:
    with closing(ProcessManager()) as manager:
        pid, other = (manager.start("sleep", "600", log=manager.folder / "log") for _ in range(2))

        end_process(pid)

        assert not is_alive(pid)
        assert is_alive(other)
        end_process(pid)  # it may have ended by itself


def test_a_missing_program_is_named() -> None:
    with closing(ProcessManager()) as manager, pytest.raises(OSError, match=r"/no/such/program could not be .*No such"):
        manager.start("/no/such/program", log=manager.folder / "log")
