"""Keeps processes and their folder for as long as this process lives, and clears both away however it ends.

The keeper is a process of its own, at the other end of a pipe: the kernel closes the pipe even where no handler and
no `finally` runs any more, as after SIGKILL. It starts the processes itself, so that none is ever unknown to it, and
it has a session of its own, so that neither Ctrl-C nor a kill of the process group ends it before its work.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping


class Keeper:
    """One keeper; `folder` and what was started go when it is closed, or when this process ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self.folder = Path(json.loads(self._hear()))

    def start(self, *command: object, log: Path, environ: Mapping[str, str] | None = None) -> int:
        """Start a process that writes into `log`; its id."""
        told = self._ask(command, environ, log=str(log))
        if isinstance(told, str):
            raise OSError(f"{command[0]} could not be started: {told}")
        return int(told)

    def at_end(self, *command: object, environ: Mapping[str, str] | None = None) -> None:
        """Run a command when all has ended, before the folder goes: for what neither of them takes along."""
        self._ask(command, environ, log=None)

    def close(self) -> None:
        """End the processes, remove the folder; returns when that is done."""
        self._stdin.close()
        self._process.wait()
        cast("IO[str]", self._process.stdout).close()

    def _ask(self, command: tuple[object, ...], environ: Mapping[str, str] | None, *, log: str | None) -> Any:  # noqa: ANN401  JSON
        order = {
            "command": [str(word) for word in command],
            "log": log,
            "environ": {**os.environ, **(environ or {})},
        }
        print(json.dumps(order), file=self._stdin, flush=True)
        return json.loads(self._hear())

    @property
    def _stdin(self) -> IO[str]:
        return cast("IO[str]", self._process.stdin)

    def _hear(self) -> str:
        return cast("IO[str]", self._process.stdout).readline()


def is_alive(pid: int) -> bool:
    """Whether a process that a keeper started still runs."""
    # The keeper reaps at once: what has ended is no zombie.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def end_process(pid: int, number: signal.Signals = signal.SIGTERM) -> None:
    """End a process that a keeper started; returns when it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    while is_alive(pid):
        time.sleep(0.01)


@cache
def keeper() -> Keeper:
    """This process's keeper."""
    opened = Keeper()
    atexit.register(opened.close)
    return opened


def _keep() -> None:
    folder = tempfile.mkdtemp(prefix="run-cronjob-")
    started: list[subprocess.Popen[bytes]] = []
    last: list[dict[str, Any]] = []

    def reap(*_: object) -> None:
        for process in started:
            process.poll()

    signal.signal(signal.SIGCHLD, reap)
    try:
        _say(folder)
        for line in sys.stdin:
            order = json.loads(line)
            if order["log"]:
                _say(_start(order, started))
            else:  # what is left for the end has nobody to read one
                last.append(order)
                _say(None)
    finally:
        for process in reversed(started):
            # With whatever it started itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in reversed(started):
            process.wait()
        for order in reversed(last):
            with contextlib.suppress(OSError):
                subprocess.run(order["command"], env=order["environ"], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _say(told: object) -> None:
    sys.stdout.write(f"{json.dumps(told)}\n")
    sys.stdout.flush()


def _start(order: dict[str, Any], started: list[subprocess.Popen[bytes]]) -> int | str:
    with Path(order["log"]).open("ab") as log:
        try:
            process = subprocess.Popen(
                order["command"],
                env=order["environ"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        except OSError as error:
            return str(error)
    started.append(process)
    process.poll()  # it may have ended before it was in the list
    return process.pid


if __name__ == "__main__":
    _keep()
