"""Prepares `make test-real` and `make bench`: lists what this machine lacks, and builds the cluster's programs."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from sandbox.tools import go_build, podman

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(environ: Mapping[str, str]) -> int:
    """Check and build; the exit status, 0 if everything is ready."""
    lacks = list(podman.missing())
    if not shutil.which("docker-registry"):
        lacks.append("docker-registry: apt-get install --no-install-recommends docker-registry")
    try:
        wanted = go_build.missing(environ)
        if wanted:
            go_build.check_go(wanted)
    except go_build.UnavailableError as error:
        lacks.append(str(error))
    if lacks:
        _print("This can't run here yet.\n" + "\n".join(f"- {each}" for each in lacks))
        return 2
    try:
        if wanted:
            folder = go_build.cache_folder(environ)
            _print(f"Building into {folder}, once: a quarter of an hour or so from nothing on two cores.")
            go_build.build(wanted, environ, _print)
        _print(f"Kubernetes {go_build.kubernetes_version(environ)}")
    except go_build.UnavailableError as error:
        _print(str(error))
        return 1
    return 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
