"""The images: ours, the base it is built on here, and a plain one of the same packages to measure it beside.

    python -m sandbox.tools.images

builds ours and the plain one, and prints their sizes.
"""

from __future__ import annotations

import gzip
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.tools.podman import CommandError, Engine, EngineUnavailableError, run

ROOT = Path(__file__).resolve().parents[2]
SUITE = "trixie"
"""Debian's name for the release that the Dockerfile's base is of; a test compares the two."""

OURS = "localhost/run-cronjob:here"
BASE = f"localhost/run-cronjob-base:{SUITE}"
PLAIN = "localhost/run-cronjob-plain:here"
_MEGABYTE = 1_000_000
# What the official slim image leaves out (debuerreotype, .slimify-excludes).
_SLIM = ("doc/*", "info/*", "linda/*", "lintian/overrides/*", "locale/*", "man/*", "groff/*")


@dataclass(frozen=True)
class Size:
    """Bytes: unpacked, and as gzip -6 leaves them for a registry."""

    on_disk: int
    compressed: int


def base(engine: Engine) -> str:
    """A stand-in for the Dockerfile's base, which is in a registry: made by mmdebstrap, once."""
    with engine.locked():
        if not _exists(engine, BASE):
            _tell("Making a Debian base image, once (half a minute to two) ...")
            archive = engine.folder / "base.tar"
            without = [f"--dpkgopt=path-exclude=/usr/share/{each}" for each in _SLIM]
            run("mmdebstrap", "--variant=minbase", "--quiet", *without, SUITE, archive)
            engine.import_root(archive, BASE)
            archive.unlink()
    return BASE


def ours(engine: Engine) -> str:
    """The action's image as our Dockerfile makes it, of the sources as they are now."""
    return _build(engine, OURS, ROOT / "Dockerfile")


def plain(engine: Engine) -> str:
    """The same action in the image that takes the fewest lines to write."""
    return _build(engine, PLAIN, ROOT / "sandbox/tools/plain.Dockerfile")


def measure(engine: Engine, name: str) -> Size:
    """How large an image is."""
    on_disk = int(engine.podman("image", "inspect", "--format={{.Size}}", name))
    archive, packed = engine.folder / "image.tar", engine.folder / "image.tar.gz"
    engine.podman("save", "--quiet", f"--output={archive}", name)
    with archive.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, _MEGABYTE)
    compressed = packed.stat().st_size
    archive.unlink()
    packed.unlink()
    return Size(on_disk, compressed)


def _build(engine: Engine, name: str, file: Path) -> str:
    on = base(engine)
    with engine.locked():
        _tell(f"Building {name.removeprefix('localhost/')} (seconds; a minute if much has changed) ...")
        engine.build(ROOT, name, f"--build-arg=BASE={on}", file=file)
        # What former builds left, unless it is of use to the next.
        engine.podman("image", "prune", "--force", "--filter=until=48h")
    return name


def _exists(engine: Engine, name: str) -> bool:
    return name in engine.podman("images", "--format={{.Repository}}:{{.Tag}}").split()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    """Build and measure, or say what is missing."""
    try:
        with Engine() as engine:
            sizes = {"run-cronjob": measure(engine, ours(engine)), "plain": measure(engine, plain(engine))}
    except (EngineUnavailableError, CommandError) as why:
        _tell(str(why))
        return 1
    sys.stdout.write(f"{'image':12} {'on disk':>10} {'gzip -6':>10}\n")
    for name, size in sizes.items():
        on_disk, compressed = size.on_disk / _MEGABYTE, size.compressed / _MEGABYTE
        sys.stdout.write(f"{name:12} {on_disk:>7.1f} MB {compressed:>7.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
