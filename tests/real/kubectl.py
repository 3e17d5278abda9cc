"""kubectl, as people have it on their machines."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NEWEST = Path(sys.prefix) / "bin/kubectl"
PREVIOUS = ROOT / "build/kubectl-previous/bin/kubectl"

_UNKNOWN_KIND = re.compile(r'no matches for kind "(\w+)"')
_NO_KIND = re.compile(r"Object 'Kind' is missing|no objects passed to create")


class KubectlError(Exception):
    """kubectl said no; the message is what it said."""


@dataclass(frozen=True)
class Kubectl:
    """One kubectl, for one cluster."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: object, stdin: str = "") -> str:
        done = self._run(*arguments, stdin=stdin)
        if done.returncode:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def _run(self, *arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(word) for word in (self.program, "--kubeconfig", self.kubeconfig, *arguments)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    @cached_property
    def minor(self) -> int:
        """Which 1.x it is."""
        told = json.loads(self("version", "--client", "--output=json"))
        return int(told["clientVersion"]["minor"])

    def read(self, *files: Path) -> tuple[list[dict[str, Any]], list[str]]:
        """The objects in files of YAML or JSON, and the kinds in them that the cluster doesn't know.

        Nothing is created. What people write is read by what they give it to: YAML libraries differ in what they take
        0644, 1e3 and yes for.
        """
        named = [f"--filename={file}" for file in files]
        done = self._run("create", "--dry-run=client", "--validate=false", "--output=json", *named)
        unknown = _UNKNOWN_KIND.findall(done.stderr)
        is_harmless = _NO_KIND.search(done.stderr) or (unknown and "CronJob" not in unknown)
        if done.returncode and not is_harmless:
            raise KubectlError(done.stderr.strip())
        objects: list[dict[str, Any]] = []
        for found in _documents(done.stdout):
            objects += found["items"] if found["kind"] == "List" else [found]
        return objects, unknown


def _documents(text: str) -> list[dict[str, Any]]:
    """JSON documents that stand one behind the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := at + len(text[at:]) - len(text[at:].lstrip())) < len(text):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found
