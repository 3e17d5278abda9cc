"""Requests without a usable answer are explained by cause and service."""

from __future__ import annotations

import pytest

from tests.unit.diagnosis.examples import HONEST


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("github: no answer", "OidcUnavailable"),
        ("github: proxy", "ProxyRefused"),
        ("github: tls", "CertificateRejected"),
        ("github: 500", "OidcUnavailable"),
        ("aws: no name", "RegionUnknown"),
        ("aws: no answer", "AwsUnreachable"),
        ("api: no answer", "ClusterUnreachable"),
        ("api: an answer cut off", "ClusterUnreachable"),
        ("api: no Kubernetes", "NotKubernetes"),
    ],
)
def test_each_error_has_its_own_message(name: str, reason: str) -> None:
    assert HONEST[name].reason == reason
