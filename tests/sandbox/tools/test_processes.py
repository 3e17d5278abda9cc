"""What a process started goes with it, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.tools.processes import Keeper, end_process, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20
OWNER = """
import json, time
from sandbox.tools.processes import Keeper
keeper = Keeper()
pid = keeper.start("sleep", "600", log=keeper.folder / "log")
print(json.dumps([str(keeper.folder), pid]), flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_closing_ends_the_processes_and_removes_the_folder() -> None:
    with closing(Keeper()) as keeper:
        log = keeper.folder / "log"
        pid = keeper.start("sh", "-c", "sleep 600 & echo $WORD $!; wait", log=log, environ={"WORD": "here"})
        until(lambda: log.read_text().endswith("\n"))
        word, child = log.read_text().split()
        assert word == "here"
        assert is_alive(pid)
        assert is_alive(int(child))

    assert not is_alive(pid)
    until(lambda: not is_alive(int(child)))
    assert not keeper.folder.exists()


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["the process", "its whole group"])
def test_a_kill_that_nothing_can_catch_leaves_nothing_behind(kill: Callable[[int, int], None]) -> None:
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


def test_what_is_to_be_run_at_the_end_finds_the_processes_gone_and_the_folder_still_there(tmp_path: Path) -> None:
    with closing(Keeper()) as keeper:
        pid = keeper.start("sleep", "600", log=keeper.folder / "log")
        keeper.at_end("no-such-program")
        keeper.at_end(
            "sh",
            "-c",
            f"ls $FOLDER >{tmp_path}/told; kill -0 {pid} || echo gone >>{tmp_path}/told",
            environ={"FOLDER": str(keeper.folder)},
        )
        assert not list(tmp_path.iterdir())

    assert (tmp_path / "told").read_text() == "log\ngone\n"


def test_a_process_that_has_ended_is_known_to_have() -> None:
    with closing(Keeper()) as keeper:
        pid = keeper.start("true", log=keeper.folder / "log")
        until(lambda: not is_alive(pid))


def test_a_process_is_ended_alone_and_has_ended_then() -> None:
    with closing(Keeper()) as keeper:
        pid, other = (keeper.start("sleep", "600", log=keeper.folder / "log") for _ in range(2))

        end_process(pid)

        assert not is_alive(pid)
        assert is_alive(other)
        end_process(pid)  # it may have ended by itself


def test_a_program_that_is_not_there_is_named() -> None:
    with closing(Keeper()) as keeper, pytest.raises(OSError, match=r"/no/such/program could not be .*No such"):
        keeper.start("/no/such/program", log=keeper.folder / "log")
