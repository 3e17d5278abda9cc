"""Logs of containers, as the emulator serves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from sandbox.emulator.server import EmulatedCluster
from tests.sandbox.emulator.client import LOG, PODS, SET_UP, Client

if TYPE_CHECKING:
    from sandbox.emulator.errors import Object
    from sandbox.emulator.pod_logs import ContainerLog
    from sandbox.net.certificates import Authority


@pytest.fixture
def log(cluster: EmulatedCluster) -> ContainerLog:
    log = cluster.log("staging", "nightly-1-abcde")
    for second, line in enumerate(("one", "two", "three")):
        log.write(line + "\n", at=datetime(2026, 11, 23, 4, 5, second, 600_000, UTC))
    return log


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, b"one\ntwo\nthree\n"),
        ({"container": "main"}, b"one\ntwo\nthree\n"),
        ({"tailLines": 2}, b"two\nthree\n"),
        ({"tailLines": 0}, b""),
        ({"limitBytes": 5}, b"one\nt"),
        ({"sinceTime": "2026-11-23T04:05:01Z"}, b"two\nthree\n"),
        ({"sinceTime": "2026-11-23T05:05:02+01:00"}, b"three\n"),
        (
            {"timestamps": "true", "tailLines": 1},
            b"2026-11-23T04:05:02.600000000Z three\n",
        ),
    ],
)
def test_the_query_chooses_the_lines(root: Client, query: Object, text: bytes) -> None:
    answer = root.get(LOG, **query)

    assert (answer.status, answer.body) == (200, text)
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_recent_seconds_are_counted_from_now(root: Client, log: ContainerLog) -> None:
    log.write("now\n")

    assert root.get(LOG, sinceSeconds=600).body == b"now\n"


def test_bytes_pass_as_they_were_printed(cluster: EmulatedCluster, root: Client) -> None:
    log = cluster.log("staging", "nightly-1-abcde")
    log.write(b"10%\r20%\r\xff\n\npart")
    log.write(b"ial")

    assert root.get(LOG).body == b"10%\r20%\r\xff\n\npartial"
    assert root.get(LOG, timestamps="true").body.count(b"Z ") == 3
    # The kubelet counts each write, whole line or not.
    assert root.get(LOG, tailLines=1).body == b"ial"


def test_following_goes_on_until_the_container_ends(root: Client, log: ContainerLog) -> None:
    with root.open("GET", LOG, follow="true", tailLines=1) as stream:
        log.write("four\n")
        log.end()
        assert stream.read() == b"three\nfour\n"


def test_closing_the_cluster_ends_a_followed_log(authority: Authority) -> None:
    with EmulatedCluster(authority) as cluster:
        cluster.apply(SET_UP)
        client = Client(cluster, cluster.user("root", ["system:masters"]))
        stream = client.open("GET", LOG, follow="true")
    with stream:
        assert stream.read() == b""


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("ContainerCreating", "ContainerCreating"),
        ("ImagePullBackOff", "trying and failing to pull image"),
    ],
)
def test_a_container_that_waits_has_no_log(
    cluster: EmulatedCluster, root: Client, reason: str | None, shown: str
) -> None:
    waiting = [{"name": "main", "state": {"waiting": {"reason": reason}}}]
    cluster.set_status("Pod", "staging", "nightly-1-abcde", containerStatuses=waiting)

    answer = root.get(LOG)

    assert answer.status == 400
    assert answer.json["message"] == (f'container "main" in pod "nightly-1-abcde" is waiting to start: {shown}')


def test_one_of_several_containers_must_be_named(cluster: EmulatedCluster, root: Client) -> None:
    spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}, {"name": "side"}]}
    cluster.patch("Pod", "staging", "nightly-1-abcde", lambda pod: pod.update(spec=spec))

    assert root.get(LOG).json["message"] == (
        "a container name must be specified for pod nightly-1-abcde, choose one of: [init main side]"
    )
    assert root.get(LOG, container="x").json["message"] == "container x is not valid for pod nightly-1-abcde"
    assert root.get(LOG, container="side").status == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"tailLines": -1}, 422),
        ({"limitBytes": 0}, 422),
        ({"sinceSeconds": 0}, 422),
        ({"sinceSeconds": 1, "sinceTime": "2026-11-23T04:05:01Z"}, 422),
        ({"tailLines": "many"}, 400),
        ({"sinceTime": "yesterday"}, 400),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(root: Client, query: Object, status: int) -> None:
    assert root.get(LOG, **query).status == status


def test_a_pod_that_is_gone_has_no_log(root: Client) -> None:
    answer = root.get(f"{PODS}/gone/log")

    assert (answer.status, answer.json["message"]) == (404, 'pods "gone" not found')
