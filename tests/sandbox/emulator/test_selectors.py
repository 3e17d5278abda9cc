"""labelSelector and fieldSelector of the emulator: which objects match, and which selectors are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.emulator.client import CRONJOBS, JOBS, PODS, Client

if TYPE_CHECKING:
    from sandbox.emulator.server import EmulatedCluster


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app=nightly", ["a", "b"]),
        ("app==nightly,tier!=back", ["a"]),
        ("app in (nightly, weekly)", ["a", "b", "c"]),
        ("app notin (nightly)", ["c", "d"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c", "d"]),
        ("example.com/run,app=weekly", ["c"]),
        ("app=", []),
    ],
)
def test_labels_select(cluster: EmulatedCluster, root: Client, selector: str, names: list[str]) -> None:
    for name, labels in {
        "a": {"app": "nightly", "tier": "front"},
        "b": {"app": "nightly", "tier": "back"},
        "c": {"app": "weekly", "example.com/run": "1"},
        "d": {},
    }.items():
        cluster.apply({"kind": "ConfigMap", "metadata": {"name": name, "labels": labels}})

    items = root.get("/api/v1/namespaces/default/configmaps", labelSelector=selector).json["items"]

    assert [item["metadata"]["name"] for item in items] == names


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("app=a b", "unable to parse requirement: found"),
        ("app=-", 'unable to parse requirement: values[0][app]: Invalid value: "-": a valid label must be'),
        ("a/b/c", 'unable to parse requirement: key: Invalid value: "a/b/c": a valid label key must'),
    ],
)
def test_a_broken_label_selector_is_refused(root: Client, selector: str, message: str) -> None:
    answer = root.get(JOBS, labelSelector=selector)

    assert answer.status == 400
    assert answer.json["message"].startswith(message)


def test_events_are_selected_by_what_they_are_about(cluster: EmulatedCluster, root: Client) -> None:
    for name, about in (("e1", "nightly-1"), ("e2", "nightly-2")):
        involved = {"kind": "Job", "name": about, "namespace": "staging"}
        cluster.apply({"kind": "Event", "metadata": {"name": name, "namespace": "staging"}, "involvedObject": involved})

    found = root.get(
        "/api/v1/namespaces/staging/events",
        fieldSelector="involvedObject.kind=Job,involvedObject.name=nightly-2",
    ).json["items"]

    assert [item["metadata"]["name"] for item in found] == ["e2"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (PODS, "field label not supported: spec.x"),
        (JOBS, 'field label "spec.x" not supported for Job'),
        (CRONJOBS, '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    ],
)
def test_a_field_that_is_no_selector_is_refused(root: Client, path: str, message: str) -> None:
    answer = root.get(path, fieldSelector="spec.x=1")

    assert (answer.status, answer.json["message"]) == (400, message)
