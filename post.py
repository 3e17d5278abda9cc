#!/usr/bin/python3 -I
"""Where the container starts once more after a cancelled run: what was not done in time is done now."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "src"), str(HERE / "lib")]  # `lib`: the image's packages

from run_cronjob import supervisor  # noqa: E402  found by the line above

if __name__ == "__main__":
    events = supervisor.listen()

    from run_cronjob.core.timeouts import Timeouts
    from run_cronjob.post import main

    status = main(os.environ, events, Timeouts())
    sys.stdout.flush()
    os._exit(status)
