"""The image's build takes packages from the Debian snapshot that its base names, so that a build can be repeated."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Response

from sandbox.net.server import Server
from sandbox.tools import images
from sandbox.tools.podman import CommandError
from tests.real.images import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from werkzeug.wrappers import Request

    from sandbox.tools.podman import Engine

NOWHERE = "http://127.0.0.1:9/debian"
STAMP = "20261005T000000Z"


class Archive:
    """A snapshot archive on loopback. It redirects to the mirrors of the base."""

    def __init__(self, mirrors: list[str]) -> None:
        self._mirrors = mirrors
        self.server = Server(self._answer)

    def url(self, mirror: int) -> str:
        return f"{self.server.url}/archive/{mirror}/{STAMP}"

    def _answer(self, request: Request) -> Response:
        match = re.fullmatch(rf"/archive/(\d)/{STAMP}/(.+)", request.path)
        if not match:
            return Response(status=404)
        return Response(status=302, headers={"Location": f"{self._mirrors[int(match[1])]}/{match[2]}"})


@pytest.fixture
def plain_sources(engine: Engine) -> list[tuple[str, str]]:
    """The mirrors and suites of the base that replaces the official one here."""
    text = engine.podman("run", "--rm", "--label", engine.label, images.base(engine), "cat", "/etc/apt/sources.list")
    return re.findall(r"^deb (\S+?)/? (\S+) main$", text, re.MULTILINE)


@pytest.fixture
def archive(plain_sources: list[tuple[str, str]]) -> Iterator[Archive]:
    opened = Archive([mirror for mirror, _ in plain_sources])
    with opened.server:
        yield opened


@pytest.fixture
def official(engine: Engine, archive: Archive, plain_sources: list[tuple[str, str]], tmp_path: Path) -> Iterator[str]:
    """A base with sources in the format of the official image. Nothing answers at the URIs that they use."""
    stanzas = [
        f"Types: deb\n# {archive.url(number)}\nURIs: {NOWHERE}\nSuites: {suite}\nComponents: main\n"
        for number, (_, suite) in enumerate(plain_sources)
    ]
    yield from derived(engine, tmp_path, "official", "\n".join(stanzas))


def derived(engine: Engine, folder: Path, name: str, sources: str) -> Iterator[str]:
    (folder / "debian.sources").write_text(sources)
    (folder / "Dockerfile").write_text(
        f"FROM {images.base(engine)}\n"
        "RUN rm /etc/apt/sources.list\n"
        "COPY debian.sources /etc/apt/sources.list.d/debian.sources\n"
    )
    tag = f"localhost/run-cronjob-test-{name}:{engine.label}"
    engine.build(folder, tag)
    yield tag
    engine.podman("rmi", "--force", tag)


@pytest.fixture
def sources(engine: Engine) -> Iterator[str]:
    """The tag of the Dockerfile's first stage, which writes apt's sources."""
    tag = f"localhost/run-cronjob-test-sources:{engine.label}"
    yield tag
    # Not removed: it is also the first stage of our image, which the next build reuses.
    with suppress(CommandError):
        engine.podman("untag", tag)


def build_sources(engine: Engine, base: str, tag: str) -> str:
    return engine.build(ROOT, tag, f"--build-arg=BASE={base}", "--target=sources")


def test_packages_come_from_the_snapshot_that_the_base_names_and_from_nowhere_else(
    engine: Engine, archive: Archive, official: str, sources: str
):
    build_sources(engine, engine.digest(official), sources)

    # Limit the age of a Release file to one second: those of a snapshot are as old as the snapshot.
    apt = "apt-get -o Acquire::Max-ValidTime=1 -qq update && cd /tmp && apt-get download base-files"
    engine.podman("run", "--rm", "--label", engine.label, sources, "sh", "-c", apt)

    paths = [request.path for request in archive.server.journal]
    assert [path for path in paths if re.fullmatch(rf"/archive/0/{STAMP}/pool/main/b/base-files/\S+\.deb", path)]
    assert {path.split("/")[2] for path in paths if path.endswith("InRelease")} == {"0", "1", "2"}


def test_a_base_by_digest_that_names_no_snapshot_is_refused(engine: Engine, sources: str):
    with pytest.raises(CommandError, match="its digest would not decide the packages' versions"):
        build_sources(engine, engine.digest(images.base(engine)), sources)


def test_one_source_without_a_snapshot_is_enough_to_refuse(
    engine: Engine, archive: Archive, tmp_path: Path, sources: str
):
    text = f"Types: deb\n# {archive.url(0)}\nURIs: {NOWHERE}\nSuites: a\n\nTypes: deb\nURIs: {NOWHERE}/b\nSuites: b\n"
    for base in derived(engine, tmp_path, "half", text):
        with pytest.raises(CommandError, match=f"{NOWHERE}/b"):
            build_sources(engine, engine.digest(base), sources)


def test_a_base_by_name_keeps_its_own_sources(engine: Engine, plain_sources: list[tuple[str, str]], sources: str):
    build_sources(engine, images.base(engine), sources)

    text = engine.podman("run", "--rm", "--label", engine.label, sources, "cat", "/etc/apt/sources.list")
    assert re.findall(r"^deb (\S+?)/? (\S+) main$", text, re.MULTILINE) == plain_sources
