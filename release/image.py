"""Verify that an image is public and complete.

    python3 -m release.image IMAGE@sha256:DIGEST

The command reads the registry without credentials, as a runner does, and uses TLS unless that is on 127.0.0.1. The
digest must be that of an OCI index for linux/amd64 and linux/arm64, with provenance and SBOM for each. The images must
have the entrypoint of action.yml and run as root. If something is missing, the command lists that on stderr and exits
with 1.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from release.command import ReleaseError, run
from release.pin import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHITECTURES = ("amd64", "arm64")
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STATEMENTS = {"provenance": "https://slsa.dev/provenance/", "SBOM": "https://spdx.dev/Document"}
TIMEOUT_SECONDS = 30
LIMIT_BYTES = 8 * 2**20


class Registry:
    """Reads one image from its registry, without credentials."""

    def __init__(self, name: str) -> None:
        self._name = name
        host, _, self._path = name.partition("/")
        self._base = f"{'http' if host.startswith('127.0.0.1:') else 'https'}://{host}/v2/{self._path}"
        self._token = ""

    def manifest(self, digest: str) -> dict[str, Any]:
        """Get an index or a manifest."""
        return self._get("manifests", digest)

    def blob(self, digest: str) -> dict[str, Any]:
        """Get a blob that is JSON."""
        return self._get("blobs", digest)

    def _get(self, kind: str, digest: str) -> dict[str, Any]:
        url = f"{self._base}/{kind}/{digest}"
        try:
            body = self._authorized(url)
        except urllib.error.HTTPError as answer:
            if answer.code in (401, 403):
                raise self._not_public() from None
            raise ReleaseError(f"{url} answered {answer.code} {answer.reason}.") from None
        except OSError as error:
            raise ReleaseError(f"{url} could not be reached: {error}. Run this again.") from None
        if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
            raise ReleaseError(f"{url} answered something else than what has that digest.")
        content: dict[str, Any] = json.loads(body)
        return content

    def _authorized(self, url: str) -> bytes:
        try:
            return _read(url, self._token)
        except urllib.error.HTTPError as answer:
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.code != 401 or self._token or not challenge.lower().startswith("bearer "):
                raise
        # For a public image, a registry gives a token without credentials.
        asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = urllib.parse.urlencode({"service": asked.get("service", ""), "scope": f"repository:{self._path}:pull"})
        reply = json.loads(_read(f"{asked.get('realm', '')}?{query}"))
        self._token = reply.get("token") or reply.get("access_token") or "none"
        return _read(url, self._token)

    def _not_public(self) -> ReleaseError:
        return ReleaseError(
            f"{self._name} can't be pulled without credentials, and a runner has none when it pulls an action's image. "
            "A package is private after its first push. On GitHub: the package, Package settings, Change visibility, "
            "Public; then run this job again (CONTRIBUTING.md, To release)."
        )


def _read(url: str, token: str = "") -> bytes:
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise ReleaseError(f"The registry sends us to {url!r}, which is not encrypted.")
    request = urllib.request.Request(url, headers={"Accept": f"{INDEX}, {MANIFEST}"})  # noqa: S310  checked above
    if token:
        # Unredirected: storage services refuse a request for a signed URL that has this header, too.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  checked above
        read: bytes = answer.read(LIMIT_BYTES)
    return read


def problems(index: dict[str, Any], entrypoint: str, registry: Registry) -> Iterator[str]:
    """Everything that the image lacks."""
    entries = index.get("manifests", [])
    if index.get("mediaType") != INDEX:
        yield f"It is no OCI index but {index.get('mediaType')}."
        return
    images = [entry for entry in entries if entry.get("platform", {}).get("os") == "linux"]
    architectures = sorted(entry["platform"].get("architecture", "?") for entry in images)
    if architectures != sorted(ARCHITECTURES):
        yield f"It is for {', '.join(architectures) or 'nothing'}, and should be for {', '.join(ARCHITECTURES)}."
    for entry in images:
        which = f"The image for {entry['platform'].get('architecture')}"
        image = registry.blob(registry.manifest(entry["digest"])["config"]["digest"])
        if image.get("architecture") != entry["platform"].get("architecture"):
            yield f"{which} was made for {image.get('architecture')}."
        config = image.get("config", {})
        if config.get("Entrypoint") != [entrypoint]:
            yield f"{which} starts {config.get('Entrypoint')}, and action.yml {entrypoint}."
        if config.get("User", "") not in ("", "0", "root"):
            yield f"{which} runs as {config['User']!r}; GitHub's actions have to run as root."
        statements = {
            layer.get("annotations", {}).get("in-toto.io/predicate-type", "")
            for about in entries
            if about.get("annotations", {}).get("vnd.docker.reference.digest") == entry["digest"]
            for layer in registry.manifest(about["digest"])["layers"]
        }
        for name, kind in STATEMENTS.items():
            if not any(each.startswith(kind) for each in statements):
                yield f"{which} has no {name}."


def verify(reference: str, entrypoint: str) -> None:
    """Raise ReleaseError, unless the image is public and complete."""
    if not REFERENCE.fullmatch(reference):
        raise ReleaseError(f"{reference!r} is no image with a digest.")
    name, _, digest = reference.partition("@")
    registry = Registry(name)
    if found := list(problems(registry.manifest(digest), entrypoint, registry)):
        raise ReleaseError("\n".join([f"{reference} is not what a release promises:", *found]))


def main(reference: str) -> None:
    """Verify the image with the entrypoint of the current folder's action.yml."""
    entrypoint = re.search(r"^  entrypoint: (\S+)$", Path("action.yml").read_text(encoding="utf-8"), re.MULTILINE)
    verify(reference, entrypoint[1] if entrypoint else "")
    print(f"{reference}: public, linux/amd64 and linux/arm64, each with provenance and SBOM")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(run(main, sys.argv[1:]))
