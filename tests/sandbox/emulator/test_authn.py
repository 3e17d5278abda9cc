"""Authentication in the emulator: by token, token webhook or client certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.emulator.server import EmulatedCluster
from tests.sandbox.emulator.client import CRONJOBS, SET_UP, Client

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.net.certificates import Authority


@pytest.mark.parametrize("token", [None, "made-up"])
def test_an_unknown_bearer_is_unauthorized(cluster: EmulatedCluster, token: str | None) -> None:
    answer = Client(cluster, token).get(f"{CRONJOBS}/nightly")

    assert answer.status == 401
    assert answer.json == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


def test_a_token_from_elsewhere_is_asked_about(authority: Authority) -> None:
    asked = []

    def authenticate(token: str) -> tuple[str, tuple[str, ...]] | None:
        asked.append(token)
        return ("octocat", ("runners",)) if token == "eks-token" else None

    with EmulatedCluster(authority, authenticate) as cluster:
        cluster.apply(SET_UP)

        assert Client(cluster, "eks-token").get(f"{CRONJOBS}/nightly").status == 200
        assert Client(cluster, "other").get(f"{CRONJOBS}/nightly").status == 401
    assert asked == ["eks-token", "other"]


def test_a_client_certificate_names_its_user_and_group(cluster: EmulatedCluster, tmp_path: Path) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    for path, pem in zip((certificate, key), cluster.client_certificate("ada", "runners"), strict=True):
        path.write_text(pem)
    client = Client(cluster, None, certificate=certificate, key=key)

    assert client.get(f"{CRONJOBS}/nightly").status == 200
    assert 'User "ada" cannot list' in client.get(CRONJOBS).json["message"]
