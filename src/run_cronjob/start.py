"""Starts the process of both entrypoints: signal handlers first, then everything else."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import NoReturn

from run_cronjob.supervisor import WakeupPipe


def start(module: str) -> NoReturn:
    """Run `main` of the module with this name, such as `run_cronjob.main`, and exit with its status."""
    # Imports create 100,000 objects that stay: looking for garbage among them would take a twelfth of the start.
    gc.set_threshold(200_000)
    wakeups = WakeupPipe()
    wakeups.listen()
    main = import_module(module).main

    from run_cronjob.core.timeouts import Timeouts  # noqa: PLC0415  after the signal handlers

    status: int = main(os.environ, wakeups, Timeouts())
    sys.stdout.flush()
    # No teardown: the worker may still be waiting for an answer that is of no use any more.
    os._exit(status)
