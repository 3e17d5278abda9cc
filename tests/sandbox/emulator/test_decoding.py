"""Request bodies that the emulator decodes or refuses, with each value of fieldValidation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.emulator.client import Client, job

if TYPE_CHECKING:
    from sandbox.emulator.server import EmulatedCluster

UNKNOWN = "spec.template.spec.containers[0].fieldOfTomorrow"


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"metadata": 1}'])
def test_what_is_no_object_is_refused(runner: Client, body: bytes) -> None:
    answer = runner.create(body)

    assert answer.status == 400
    assert "the object provided is unrecognized (must be of type Job)" in answer.json["message"]


def test_another_version_of_the_kind_is_refused(runner: Client) -> None:
    answer = runner.create(job() | {"apiVersion": "batch/v1beta1"})

    assert answer.json["message"] == (
        "the API version in the data (batch/v1beta1) does not match the expected API version (batch/v1)"
    )


def job_with_bad_fields() -> bytes:
    """A Job with the field UNKNOWN, and with `spec.suspend` twice."""
    sent = job()
    sent["spec"]["template"]["spec"]["containers"][0]["fieldOfTomorrow"] = 1
    return (
        json.dumps(sent)
        .replace('"spec": {"template"', '"spec": {"suspend": true, "suspend": false, "template"')
        .encode()
    )


def test_strict_refuses_unknown_and_repeated_fields(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.unknown_fields.add(UNKNOWN)

    answer = runner.create(job_with_bad_fields(), fieldValidation="Strict")

    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
    assert answer.json["message"] == (
        'Job in version "v1" cannot be handled as a Job: strict decoding error:'
        f' duplicate field "spec.suspend", unknown field "{UNKNOWN}"'
    )


def test_warn_drops_them_and_says_so(cluster: EmulatedCluster, runner: Client) -> None:
    cluster.unknown_fields.add(UNKNOWN)

    answer = runner.create(job_with_bad_fields())

    assert answer.status == 201
    assert "fieldOfTomorrow" not in answer.json["spec"]["template"]["spec"]["containers"][0]
    assert answer.headers["Warning"] == (
        f'299 - "duplicate field \\"spec.suspend\\"", 299 - "unknown field \\"{UNKNOWN}\\""'
    )


def test_a_field_not_declared_unknown_is_known(runner: Client) -> None:
    answer = runner.create(job(fieldOfTomorrow=1), fieldValidation="Strict")

    assert answer.status == 201
