"""Runs kubectl in the versions of requirements/real.in and requirements/kubectl-previous.in."""

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
_BROKEN = re.compile(r"error (parsing|converting)")


class KubectlError(Exception):
    """kubectl failed. The message is its stderr."""


@dataclass(frozen=True)
class Kubectl:
    """One version of kubectl, for one cluster."""

    program: Path
    kubeconfig: Path

    def __call__(self, *arguments: object) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def _run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(word) for word in (self.program, "--kubeconfig", self.kubeconfig, *arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    @cached_property
    def minor(self) -> int:
        """Its minor version."""
        versions = json.loads(self("version", "--client", "--output=json"))
        return int(versions["clientVersion"]["minor"])

    def read(self, *files: Path) -> tuple[list[dict[str, Any]], list[str]]:
        """Read the objects in YAML or JSON files, and the kinds in them that the cluster doesn't know.

        Nothing is created. kubectl reads the files, since YAML libraries differ in how they read 0644, 1e3 and yes.
        """
        named = [f"--filename={file}" for file in files]
        done = self._run("create", "--dry-run=client", "--validate=false", "--output=json", *named)
        unknown = _UNKNOWN_KIND.findall(done.stderr)
        is_expected = (unknown or _NO_KIND.search(done.stderr)) and not _BROKEN.search(done.stderr)
        if done.returncode and ("CronJob" in unknown or not is_expected):
            raise KubectlError(done.stderr.strip())
        objects: list[dict[str, Any]] = []
        for found in _documents(done.stdout):
            objects += found["items"] if found["kind"] == "List" else [found]
        return objects, unknown


def _documents(text: str) -> list[dict[str, Any]]:
    """Parse a sequence of JSON documents."""
    decoder, found, rest = json.JSONDecoder(), [], text.lstrip()
    while rest:
        document, end = decoder.raw_decode(rest)
        found.append(document)
        rest = rest[end:].lstrip()
    return found
