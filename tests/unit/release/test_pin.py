"""action.yml pinned to an image: no other line changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from release.command import ReleaseError
from release.pin import pin, pinned_image

ROOT = Path(__file__).resolve().parents[3]
ACTION = (ROOT / "action.yml").read_bytes()
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"ghcr.io/acme/run-cronjob@{DIGEST}"


def test_the_image_is_the_published_one_and_every_other_line_stays_byte_for_byte():
    before, after = ACTION.splitlines(keepends=True), pin(ACTION, IMAGE).splitlines(keepends=True)

    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [(b"  image: Dockerfile\n", f"  image: docker://{IMAGE}\n".encode())]


def test_the_rest_of_the_action_means_what_it_meant():
    before, after = yaml.safe_load(ACTION), yaml.safe_load(pin(ACTION, IMAGE))

    assert after["runs"].pop("image") == f"docker://{IMAGE}"
    before["runs"].pop("image")
    assert after == before


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "ghcr.io/acme/run-cronjob",
        "ghcr.io/acme/run-cronjob:1.2.3",
        f"ghcr.io/acme/run-cronjob:1.2.3@{DIGEST}",
        f"ghcr.io/Acme/run-cronjob@{DIGEST}",
        f"docker://{IMAGE}",
        f"run-cronjob@{DIGEST}",
        IMAGE[:-1],
        IMAGE + "0",
        IMAGE.upper(),
        IMAGE[:-1] + "g",
        IMAGE.replace("sha256", "sha512"),
        f" {IMAGE}",
        f"{IMAGE}\n",
        f"{IMAGE}\n  pre-entrypoint: /bin/sh",
        f"ghcr.io/acme/../x@{DIGEST}",
        f"ghcr.io/acme/$(id)@{DIGEST}",
    ],
)
def test_a_reference_without_a_digest_is_refused(reference: str):
    with pytest.raises(ReleaseError, match="is no image with a digest"):
        pin(ACTION, reference)


@given(st.text())
def test_a_text_that_is_no_image_does_not_get_into_action_yml(text: str):
    with pytest.raises(ReleaseError):
        pin(ACTION, f"ghcr.io/acme/{text}")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        ACTION.replace(b"image: Dockerfile", b"image: docker://debian:trixie"),
        ACTION.replace(b"  image: Dockerfile", b"  # image: Dockerfile"),
        ACTION.replace(b"image: Dockerfile", b"image: Dockerfile.dev"),
        ACTION + b"  image: Dockerfile\n",
        pin(ACTION, IMAGE),
    ],
    ids=["empty", "another image", "a comment", "another file", "twice", "pinned already"],
)
def test_an_action_that_does_not_build_its_dockerfile_is_refused(text: bytes):
    with pytest.raises(ReleaseError, match="should hold the line `image: Dockerfile` once"):
        pin(text, IMAGE)


def test_what_was_pinned_can_be_read_back():
    assert pinned_image(pin(ACTION, IMAGE)) == IMAGE
    assert pinned_image(ACTION) is None
    assert pinned_image(ACTION.replace(b"Dockerfile", b"docker://debian:trixie")) is None


def test_windows_line_ends_stay():
    assert pin(b"runs:\r\n  image: Dockerfile\r\n", IMAGE) == f"runs:\r\n  image: docker://{IMAGE}\r\n".encode()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "release.pin", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_rewrites_the_file(tmp_path: Path):
    file = tmp_path / "action.yml"
    file.write_bytes(ACTION)

    assert command(IMAGE, str(file)).returncode == 0
    assert file.read_bytes() == pin(ACTION, IMAGE)


def test_the_command_that_fails_leaves_the_file_as_it_is_and_prints_the_reason(tmp_path: Path):
    file = tmp_path / "action.yml"
    file.write_bytes(ACTION)

    refused = command("ghcr.io/acme/run-cronjob:latest", str(file))
    assert refused.returncode == 1
    assert "is no image with a digest" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert file.read_bytes() == ACTION


def test_the_command_without_arguments_prints_its_usage():
    asked = command()

    assert asked.returncode == 1
    assert "python3 -m release.pin IMAGE@sha256:DIGEST [FILE]" in asked.stderr


def test_the_projects_action_can_be_released():
    assert pin(ACTION, IMAGE) != ACTION
