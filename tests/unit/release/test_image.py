"""The verification of an image in a registry, over HTTP: public, complete, for both architectures."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from release import image
from release.command import ReleaseError

ROOT = Path(__file__).resolve().parents[3]
ENTRYPOINT = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["entrypoint"]
IN_TOTO = "application/vnd.in-toto+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SLSA, SPDX = "https://slsa.dev/provenance/v1", "https://spdx.dev/Document"

Change = Callable[[dict[str, Any]], object]


class Content:
    """The content that buildx pushes for two platforms with provenance and SBOM. Functions may change parts of it."""

    def __init__(
        self,
        architectures: tuple[str, ...] = ("amd64", "arm64"),
        statements: tuple[str, ...] = (SLSA, SPDX),
        config: Change = id,
        index: Change = id,
    ) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        layer = self.blob(b"\0" * 1024) | {"mediaType": LAYER}
        entries = []
        for architecture in architectures:
            made = {
                "architecture": architecture,
                "os": "linux",
                "config": {"Entrypoint": [ENTRYPOINT]},
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
            }
            config(made)
            described = self.blob(made) | {"mediaType": CONFIG}
            entry = self.manifest(image.MANIFEST, {"config": described, "layers": [layer]})
            entries.append(entry | {"platform": {"architecture": architecture, "os": "linux"}})
        for entry in list(entries):
            layers = [
                self.blob({"predicateType": kind})
                | {"mediaType": IN_TOTO, "annotations": {"in-toto.io/predicate-type": kind}}
                for kind in statements
            ]
            described = self.blob({"architecture": "unknown", "os": "unknown"}) | {"mediaType": CONFIG}
            about = self.manifest(image.MANIFEST, {"config": described, "layers": layers})
            annotations = {
                "vnd.docker.reference.digest": entry["digest"],
                "vnd.docker.reference.type": "attestation-manifest",
            }
            unknown = {"architecture": "unknown", "os": "unknown"}
            entries.append(about | {"annotations": annotations, "platform": unknown})
        whole = {"manifests": entries}
        index(whole)
        self.digest = self.manifest(image.INDEX, whole)["digest"]

    def blob(self, content: object) -> dict[str, Any]:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.blobs[digest] = body
        return {"digest": digest, "size": len(body)}

    def manifest(self, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        described = self.blob({"schemaVersion": 2, "mediaType": kind} | content)
        self.manifests[described["digest"]] = (kind, self.blobs.pop(described["digest"]))
        return {"mediaType": kind} | described


class Server(ThreadingHTTPServer):
    """A registry. With `tokens` it asks for a bearer token, which it gives to every client if it is `public`."""

    def __init__(self, content: Content, *, tokens: bool = False, public: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tokens, self.public = content, tokens, public
        self.asked: list[str] = []
        self.replies: dict[str, bytes] = {}

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def reference(self) -> str:
        return f"{self.host}/acme/run-cronjob@{self.content.digest}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path, _, query = self.path.partition("?")
        kind, digest = path.split("/")[-2:]
        authorized = self.headers.get("Authorization") == "Bearer a-token"
        if path == "/token":
            given = {"token": "a-token"} if query.endswith("scope=repository%3Aacme%2Frun-cronjob%3Apull") else {}
            self.answer(200 if self.server.public else 401, json.dumps(given).encode())
        elif path.startswith("/storage/"):
            # Azure and S3 refuse a signed URL with an Authorization header.
            self.answer(400 if "Authorization" in self.headers else 200, self.server.content.blobs[digest])
        elif self.server.tokens and not authorized:
            realm = f'Bearer realm="http://{self.server.host}/token",service="registry",scope="x"'
            self.answer(401, b"{}", ("WWW-Authenticate", realm))
        elif not self.server.public:
            self.answer(401, b"{}", ("WWW-Authenticate", 'Basic realm="x"'))
        elif digest in self.server.replies:
            self.answer(200, self.server.replies[digest])
        elif kind == "manifests" and digest in self.server.content.manifests:
            self.answer(200, self.server.content.manifests[digest][1])
        elif kind == "blobs" and digest in self.server.content.blobs:
            self.answer(307, b"", ("Location", f"http://{self.server.host}/storage/{digest}"))
        else:
            self.answer(404, b"{}")

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[tuple[Server, threading.Thread]] = []

    def start(content: Content | None = None, **options: bool) -> Server:
        server = Server(content or Content(), **options)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("tokens", [False, True])
def test_a_public_image_as_buildx_pushes_it_is_released(serve, tokens):
    server = serve(tokens=tokens)

    image.verify(server.reference, ENTRYPOINT)
    assert sum(path.startswith("/token") for path in server.asked) == tokens  # one token for all requests


@pytest.mark.parametrize("tokens", [False, True])
def test_a_private_package_is_not_released_and_says_how_to_make_it_public(serve, tokens):
    server = serve(tokens=tokens, public=False)

    with pytest.raises(ReleaseError, match="Change visibility, Public; then run this job again"):
        image.verify(server.reference, ENTRYPOINT)


def remove(key: str) -> Change:
    return lambda thing: thing.pop(key)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Content(architectures=("amd64",)), "It is for amd64, and should be for amd64, arm64."),
        (Content(architectures=("amd64", "amd64")), "It is for amd64, amd64, and should be"),
        (Content(architectures=("amd64", "arm64", "s390x")), "It is for amd64, arm64, s390x, and should be"),
        (Content(architectures=()), "It is for nothing"),
        (Content(statements=(SLSA,)), "The image for amd64 has no SBOM."),
        (Content(statements=(SPDX,)), "The image for arm64 has no provenance."),
        (Content(statements=()), "The image for arm64 has no SBOM."),
        (Content(config=lambda made: made.update(architecture="amd64")), "for arm64 was made for amd64."),
        (Content(config=lambda made: made["config"].update(Entrypoint=["/bin/sh"])), "starts ['/bin/sh'], and action"),
        (Content(config=lambda made: made["config"].update(User="1000")), "runs as '1000'"),
        (Content(config=remove("config")), "starts None"),
    ],
)
def test_an_image_that_is_incomplete_is_not_released(serve, content, message):
    with pytest.raises(ReleaseError) as caught:
        image.verify(serve(content).reference, ENTRYPOINT)
    assert message in str(caught.value)


def test_a_statement_about_another_image_counts_for_nothing(serve):
    def swap(index: dict[str, Any]) -> None:
        for entry in index["manifests"][2:]:
            entry["annotations"]["vnd.docker.reference.digest"] = index["manifests"][0]["digest"]

    with pytest.raises(ReleaseError) as caught:
        image.verify(serve(Content(index=swap)).reference, ENTRYPOINT)
    assert "for arm64 has no provenance" in str(caught.value)
    assert "for amd64" not in str(caught.value)


def test_the_digest_of_one_architecture_is_no_release(serve):
    server = serve()
    single = json.loads(server.content.manifests[server.content.digest][1])["manifests"][0]["digest"]

    with pytest.raises(ReleaseError, match="no OCI index"):
        image.verify(server.reference.replace(server.content.digest, single), ENTRYPOINT)


def test_content_with_another_digest_is_refused(serve):
    server = serve()
    server.replies[server.content.digest] = server.content.manifests[server.content.digest][1] + b" "

    with pytest.raises(ReleaseError, match="something else than what has that digest"):
        image.verify(server.reference, ENTRYPOINT)


def test_an_image_that_does_not_exist_is_reported(serve):
    server = serve()

    with pytest.raises(ReleaseError, match="answered 404"):
        image.verify(f"{server.host}/acme/run-cronjob@sha256:{'0' * 64}", ENTRYPOINT)


def test_a_registry_that_can_not_be_reached_is_reported(serve):
    server = serve()
    server.shutdown()
    server.server_close()

    with pytest.raises(ReleaseError, match="could not be reached"):
        image.verify(server.reference, ENTRYPOINT)


def test_a_token_is_not_requested_without_tls_from_another_host(serve, monkeypatch):
    server = serve(tokens=True)
    monkeypatch.setattr(Server, "host", "registry.example.com")

    with pytest.raises(ReleaseError, match="not encrypted"):
        image.verify(f"127.0.0.1:{server.server_port}/acme/run-cronjob@{server.content.digest}", ENTRYPOINT)


@pytest.mark.parametrize("reference", ["", "@", "ghcr.io/acme/run-cronjob:1.2.3", "ghcr.io/acme/run-cronjob@"])
def test_a_reference_without_a_digest_is_refused(reference):
    with pytest.raises(ReleaseError, match="is no image with a digest"):
        image.verify(reference, ENTRYPOINT)


def command(reference: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "release.image", reference], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_prints_the_result(serve):
    found, lacking = command(serve().reference), command(serve(Content(statements=())).reference)

    assert (found.returncode, found.stderr) == (0, "")
    assert "linux/amd64 and linux/arm64, each with provenance and SBOM" in found.stdout
    assert (lacking.returncode, lacking.stdout) == (1, "")
    assert "The image for amd64 has no SBOM." in lacking.stderr
