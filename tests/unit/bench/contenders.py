"""A contender that runs a command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench.models import Contender

if TYPE_CHECKING:
    from pathlib import Path


def contender(name: str, *command: str) -> Contender:
    def start(_environment: object, _folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return Contender(name, "Job", start)
