"""The files of a folder that hold CronJobs, as far as can be told without a cluster."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ENDINGS = (".yaml", ".yml", ".json")
_KIND = re.compile(r"""kind["']?\s*:\s*["']?CronJob\b""")


def files(folder: str) -> list[Path]:
    """For an option of the command line: the error is its reader's."""
    looked_at = sorted(path for path in Path(folder).rglob("*") if path.suffix in ENDINGS)
    found = [path for path in looked_at if _KIND.search(path.read_text("utf-8", "replace"))]
    if not found:
        counted = f"{len(looked_at)} files ({', '.join(ENDINGS)})" if Path(folder).is_dir() else "no such folder"
        raise argparse.ArgumentTypeError(f"{folder} holds no CronJob: {counted}")
    return found
