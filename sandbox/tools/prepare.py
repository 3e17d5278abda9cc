"""Before `make test-real` and `make bench`: tells what this machine lacks and how to get it, builds the rest."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from sandbox import binaries, engine

if TYPE_CHECKING:
    from collections.abc import Mapping


def main(environ: Mapping[str, str]) -> int:
    """0 if all is there now."""
    lacks = list(engine.missing())
    if not shutil.which("docker-registry"):
        lacks.append("docker-registry: apt-get install --no-install-recommends docker-registry")
    try:
        wanted = binaries.missing(environ)
        if wanted:
            binaries.check_go(wanted)
    except binaries.UnavailableError as error:
        lacks.append(str(error))
    if lacks:
        _tell("This can't run here yet.\n" + "\n".join(f"- {each}" for each in lacks))
        return 2
    try:
        if wanted:
            where = binaries.cache_folder(environ)
            _tell(f"Building into {where}, once: a quarter of an hour or so from nothing on two cores.")
            binaries.build(wanted, environ, _tell)
        _tell(f"Kubernetes {binaries.kubernetes_version(environ)}")
    except binaries.UnavailableError as error:
        _tell(str(error))
        return 1
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
