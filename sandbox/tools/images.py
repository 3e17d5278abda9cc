"""Builds the action's image, its base image, and a plain image of the same packages to compare it with.

    python -m sandbox.tools.images

builds the action's image and the plain one, and prints their sizes.
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
"""The Debian release of the Dockerfile's base; a test compares the two."""

ACTION = "localhost/run-cronjob:here"
BASE = f"localhost/run-cronjob-base:{SUITE}"
PLAIN = "localhost/run-cronjob-plain:here"
_MEGABYTE = 1_000_000
# Paths that the official slim image leaves out (debuerreotype, .slimify-excludes).
_SLIM = ("doc/*", "info/*", "linda/*", "lintian/overrides/*", "locale/*", "man/*", "groff/*")


@dataclass(frozen=True)
class Size:
    """An image's size in bytes: unpacked, and compressed by gzip -6, as registries hold it."""

    on_disk: int
    compressed: int


def base(engine: Engine) -> str:
    """Build a replacement for the Dockerfile's base, which is in a registry, once, with mmdebstrap; its name."""
    with engine.locked():
        if not _exists(engine, BASE):
            _print("Making a Debian base image, once (half a minute to two) ...")
            archive = engine.folder / "base.tar"
            without = [f"--dpkgopt=path-exclude=/usr/share/{each}" for each in _SLIM]
            run("mmdebstrap", "--variant=minbase", "--quiet", *without, SUITE, archive)
            engine.podman("import", "--quiet", archive, BASE)
            archive.unlink()
    return BASE


def action(engine: Engine) -> str:
    """Build the action's image from the Dockerfile and the current sources; its name."""
    return _build(engine, ACTION, ROOT / "Dockerfile")


def plain(engine: Engine) -> str:
    """Build an image of the action with the shortest Dockerfile; its name."""
    return _build(engine, PLAIN, ROOT / "sandbox/tools/plain.Dockerfile")


def measure(engine: Engine, name: str) -> Size:
    """Measure an image."""
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
    base_name = base(engine)
    with engine.locked():
        _print(f"Building {name.removeprefix('localhost/')} (seconds; a minute if much has changed) ...")
        engine.build(ROOT, name, f"--build-arg=BASE={base_name}", file=file)
        # Former builds leave images behind; the recent ones are a cache.
        engine.podman("image", "prune", "--force", "--filter=until=48h")
    return name


def _exists(engine: Engine, name: str) -> bool:
    return name in engine.podman("images", "--format={{.Repository}}:{{.Tag}}").split()


def _print(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> int:
    """Build and measure the images; the exit status."""
    try:
        with Engine() as engine:
            sizes = {"run-cronjob": measure(engine, action(engine)), "plain": measure(engine, plain(engine))}
    except (EngineUnavailableError, CommandError) as error:
        _print(str(error))
        return 1
    sys.stdout.write(f"{'image':12} {'on disk':>10} {'gzip -6':>10}\n")
    for name, size in sizes.items():
        on_disk, compressed = size.on_disk / _MEGABYTE, size.compressed / _MEGABYTE
        sys.stdout.write(f"{name:12} {on_disk:>7.1f} MB {compressed:>7.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
