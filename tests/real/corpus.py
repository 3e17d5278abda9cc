"""The files of a folder that hold CronJobs, as far as can be told without a cluster."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ENDINGS = (".yaml", ".yml", ".json")
_KIND = re.compile(r"""kind["']?\s*:\s*["']?CronJob\b""")


def files(folder: Path) -> list[Path]:
    """The files, in a fixed order."""
    return [path for path in _looked_at(folder) if _KIND.search(path.read_text("utf-8", "replace"))]


def checked(folder: str) -> str:
    """The folder, for an option of the command line; raises ArgumentTypeError if there is nothing in it."""
    if not files(Path(folder)):
        files_there = f"{len(_looked_at(Path(folder)))} files ({', '.join(ENDINGS)})"
        counted = files_there if Path(folder).is_dir() else "no such folder"
        raise argparse.ArgumentTypeError(f"{folder} holds no CronJob: {counted}")
    return folder


def _looked_at(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS)
