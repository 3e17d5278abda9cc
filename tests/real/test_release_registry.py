"""The verification of a release's image, in a real registry."""

from __future__ import annotations

import random
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest

from release import image
from release.command import ReleaseError
from sandbox.tools.processes import ProcessManager, is_alive
from tests.unit.release.test_image import ENTRYPOINT, SLSA, Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "acme/run-cronjob"
START_SECONDS = 60


class Registry:
    """Docker's registry on a free port. Its content is in the process manager's folder."""

    def __init__(self, processes: ProcessManager) -> None:
        self._processes = processes
        self._folder = processes.folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        self._pid = 0

    def start(self, *, private: bool = False) -> None:
        """Start serving. Content that was pushed before a restart is kept."""
        (self._folder / "htpasswd").write_text("")
        auth = f"auth: {{htpasswd: {{realm: x, path: {self._folder}/htpasswd}}}}\n" if private else ""
        config = self._folder / f"{random.randbytes(4).hex()}.yml"
        config.write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {self._folder}/data}}}}\n"
            f"http: {{addr: '{self.host}'}}\n{auth}"
        )
        self._pid = self._processes.start("docker-registry", "serve", config, log=self._folder / "log")
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            assert is_alive(self._pid), (self._folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.host}/v2/").close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def push(self, content: Content) -> str:
        """Push content as clients do; return its reference."""
        for digest, body in content.blobs.items():
            location = self._send("POST", f"/v2/{NAME}/blobs/uploads/")
            query = urllib.parse.urlencode({"digest": digest})
            self._send("PUT", f"{location}&{query}", body, "application/octet-stream")
        # In the order of their creation: an index has to follow what it lists.
        for digest, (kind, body) in content.manifests.items():
            self._send("PUT", f"/v2/{NAME}/manifests/{digest}", body, kind)
        return f"{self.host}/{NAME}@{content.digest}"

    def _send(self, method: str, url: str, body: bytes = b"", kind: str = "") -> str:
        full = urllib.parse.urljoin(f"http://{self.host}", url)
        request = urllib.request.Request(full, data=body, method=method, headers={"Content-Type": kind})
        with urllib.request.urlopen(request) as answer:
            return str(answer.headers["Location"])


@pytest.fixture
def start() -> Iterator[Callable[..., Registry]]:
    managers: list[ProcessManager] = []

    def new() -> Registry:
        managers.append(ProcessManager())
        return Registry(managers[-1])

    yield new
    for manager in managers:
        manager.close()


def test_a_complete_image_in_a_public_registry_is_accepted(start):
    registry = start()
    registry.start()

    image.verify(registry.push(Content()), ENTRYPOINT)


def test_an_incomplete_image_is_refused(start):
    registry = start()
    registry.start()

    with pytest.raises(ReleaseError, match="The image for amd64 has no SBOM"):
        image.verify(registry.push(Content(statements=(SLSA,))), ENTRYPOINT)


def test_a_private_registry_is_distinguished_from_one_that_lacks_the_image(start):
    private, empty = start(), start()
    private.start(private=True)
    empty.start()
    content = Content()

    with pytest.raises(ReleaseError, match="Change visibility, Public"):
        image.verify(f"{private.host}/{NAME}@{content.digest}", ENTRYPOINT)
    with pytest.raises(ReleaseError, match="answered 404"):
        image.verify(f"{empty.host}/{NAME}@{content.digest}", ENTRYPOINT)
