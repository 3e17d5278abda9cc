"""Finds the files in a folder that hold CronJobs, without a cluster."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json")
_KIND = re.compile(r"""kind["']?\s*:\s*["']?CronJob\b""")


def files(folder: Path) -> list[Path]:
    """The files that mention a CronJob, sorted."""
    return [path for path in _manifests(folder) if _KIND.search(path.read_text("utf-8", "replace"))]


def folder_with_cronjobs(folder: str) -> str:
    """Validate the value of a command-line option. Raises argparse.ArgumentTypeError if there is no such file."""
    if not files(Path(folder)):
        files_there = f"{len(_manifests(Path(folder)))} files ({', '.join(SUFFIXES)})"
        counted = files_there if Path(folder).is_dir() else "no such folder"
        raise argparse.ArgumentTypeError(f"{folder} holds no CronJob: {counted}")
    return folder


def _manifests(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
