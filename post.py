#!/usr/bin/python3 -I
"""The container's `post-entrypoint`, after a cancelled run: deletes the Job if the run could not."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "src"), str(HERE / "lib")]  # `lib`: the image's packages

from run_cronjob.start import start  # noqa: E402  found by the line above

if __name__ == "__main__":
    start("run_cronjob.post")
