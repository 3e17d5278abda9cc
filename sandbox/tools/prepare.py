"""Before `make test-real` and `make bench`: tells what this machine lacks and how to get it, builds the rest."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from sandbox.tools import go_build, podman

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(environ: Mapping[str, str]) -> int:
    """0 if all is there now."""
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
        _tell("This can't run here yet.\n" + "\n".join(f"- {each}" for each in lacks))
        return 2
    try:
        if wanted:
            where = go_build.cache_folder(environ)
            _tell(f"Building into {where}, once: a quarter of an hour or so from nothing on two cores.")
            go_build.build(wanted, environ, _tell)
        _tell(f"Kubernetes {go_build.kubernetes_version(environ)}")
    except go_build.UnavailableError as error:
        _tell(str(error))
        return 1
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
