"""Runs processes in the background, and ends them and deletes their folder however this process ends.

A manager process starts them. It reads from a socket that the kernel closes when this process ends, even by SIGKILL.
The manager has its own session: Ctrl-C and signals to this process group do not reach it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class ProcessManager:
    """Owns background processes and `folder`, a temporary folder for their files, until it is closed."""

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            fd = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-I", __file__, str(fd)],
                stdin=subprocess.DEVNULL,
                pass_fds=[fd],
                start_new_session=True,
            )
        self.folder = Path(self._connection.recv())

    def start(self, *command: object, log: Path, environ: Mapping[str, str] | None = None) -> int:
        """Start a process that writes its output to `log`, and return its ID.

        `environ` is added to this process's environment. Raises OSError.
        """
        answer = self._request(command, environ, log)
        if isinstance(answer, int):
            return answer
        raise OSError(f"{command[0]} could not be started: {answer}")

    def add_cleanup(self, *command: object, environ: Mapping[str, str] | None = None) -> None:
        """Run a command after the processes have ended and before the folder is deleted; its output is lost."""
        self._request(command, environ, None)

    def close(self) -> None:
        """Kill the processes, run the cleanup commands and delete the folder; returns when that is done."""
        self._connection.close()
        self._process.wait()

    def _request(self, command: tuple[object, ...], environ: Mapping[str, str] | None, log: Path | None) -> object:
        self._connection.send(([str(word) for word in command], {**os.environ, **(environ or {})}, log))
        return self._connection.recv()


def is_alive(pid: int) -> bool:
    """Whether a process that a manager started still runs."""
    # The manager waits for each of its processes: one that has ended is not left as a zombie.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def end_process(pid: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal to a process that a manager started; returns when the process has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    while is_alive(pid):
        time.sleep(0.01)


@cache
def process_manager() -> ProcessManager:
    """The one manager that most of this process shares; it is closed at exit."""
    manager = ProcessManager()
    atexit.register(manager.close)
    return manager


def _serve(connection: Connection[Any, Any]) -> None:
    """Answer requests until the other end is closed, then clean up."""
    folder = tempfile.mkdtemp(prefix="run-cronjob-")
    started: list[subprocess.Popen[bytes]] = []
    cleanup: list[dict[str, Any]] = []
    try:
        # OSError is a closed socket, too: one with answers that nobody has read is reset.
        with contextlib.suppress(EOFError, OSError):
            connection.send(folder)
            while True:
                command, environ, log = connection.recv()
                if log:
                    connection.send(_start(command, environ, log, started))
                else:
                    cleanup.append({"args": command, "env": environ})
                    connection.send(None)
    finally:
        for process in reversed(started):
            # The process group also holds the processes that this one started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in reversed(started):
            process.wait()
        for options in reversed(cleanup):
            with contextlib.suppress(OSError):
                subprocess.run(**options, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _start(
    command: list[str], environ: Mapping[str, str], path: Path, started: list[subprocess.Popen[bytes]]
) -> int | str:
    """The ID of the new process, or the error."""
    try:
        with path.open("ab") as log:
            process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
    except OSError as error:
        return str(error)
    started.append(process)
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
