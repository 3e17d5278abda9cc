"""The manifests in cronjobs/, and what each requires of an API server according to its comments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("cronjobs")


@dataclass(frozen=True)
class Manifest:
    """One of the files, which holds one CronJob."""

    path: Path

    def __str__(self) -> str:
        return self.path.stem

    @property
    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def since(self) -> int:
        """The first minor version of Kubernetes that knows all of its fields."""
        found = re.search(r"^# since 1\.(\d+)$", self._text, re.MULTILINE)
        return int(found[1]) if found else 0

    @property
    def gates(self) -> set[str]:
        """The feature gates that must be enabled."""
        return {gate for line in re.findall("^# gates (.+)$", self._text, re.MULTILINE) for gate in line.split()}


MANIFESTS = [Manifest(path) for path in sorted(FOLDER.glob("*.yaml"))]
