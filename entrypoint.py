#!/usr/bin/python3 -I
"""Where the container starts: signals first, then everything else."""

import gc
import os
import sys
from pathlib import Path

# Start-up makes 100,000 objects that are there to stay: to look through them for garbage would take a twelfth of it.
gc.set_threshold(200_000)

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "src"), str(HERE / "lib")]  # `lib`: the image's packages

from run_cronjob import supervisor  # noqa: E402  found by the line above

if __name__ == "__main__":
    events = supervisor.listen()

    from run_cronjob.core.timeouts import Timeouts
    from run_cronjob.main import main

    status = main(os.environ, events, Timeouts())
    sys.stdout.flush()
    # No teardown: a worker may be waiting for an answer that nobody needs any more.
    os._exit(status)
