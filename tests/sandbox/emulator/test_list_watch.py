"""LIST in pages and WATCH, as the emulator answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.emulator.server import EmulatedCluster
from tests.sandbox.emulator.client import CRONJOBS, JOBS, PODS, Client, events, job

if TYPE_CHECKING:
    from sandbox.net.certificates import Authority


def test_a_list_is_of_one_namespace_or_of_all(cluster: EmulatedCluster, root: Client) -> None:
    cluster.apply({"kind": "CronJob", "metadata": {"name": "weekly"}, "spec": {}})

    def names(path: str) -> list[str]:
        return [item["metadata"]["name"] for item in root.get(path).json["items"]]

    assert names(CRONJOBS) == ["nightly"]
    assert names("/apis/batch/v1/cronjobs") == ["weekly", "nightly"]


def test_a_list_comes_in_pages_as_it_was_at_the_first(cluster: EmulatedCluster, root: Client) -> None:
    for name in "abcde":
        cluster.apply(job(name) | {"metadata": {"name": name, "namespace": "staging"}})

    first = root.get(JOBS, limit=2).json
    cluster.delete("Job", "staging", "c")
    cluster.apply({"kind": "Job", "metadata": {"name": "bb", "namespace": "staging"}, "spec": {}})
    second = root.get(JOBS, limit=2, **{"continue": first["metadata"]["continue"]}).json
    third = root.get(JOBS, limit=2, **{"continue": second["metadata"]["continue"]}).json

    pages = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    assert first["kind"] == "JobList"
    assert first["metadata"]["remainingItemCount"] == 3
    assert "continue" not in third["metadata"]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
        first["metadata"]["resourceVersion"]
    }
    assert "kind" not in first["items"][0]


def test_a_page_too_late_is_expired_and_says_how_to_go_on(cluster: EmulatedCluster, root: Client) -> None:
    for name in "abc":
        cluster.apply(job(name) | {"metadata": {"name": name, "namespace": "staging"}})
    token = root.get(JOBS, limit=1).json["metadata"]["continue"]
    cluster.delete("Job", "staging", "b")
    cluster.compact()

    late = root.get(JOBS, limit=1, **{"continue": token})

    assert (late.status, late.json["reason"]) == (410, "Expired")
    rest = root.get(JOBS, **{"continue": late.json["metadata"]["continue"]}).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c"]


def test_an_invented_page_is_refused(root: Client) -> None:
    answer = root.get(JOBS, **{"continue": "?"})

    assert answer.status == 400
    assert answer.json["message"].startswith("continue key is not valid")


def test_a_watch_reports_what_happens_after_its_list(cluster: EmulatedCluster, root: Client) -> None:
    root.create(job("before"))
    version = root.get(JOBS).json["metadata"]["resourceVersion"]
    root.create(job())
    cluster.set_status("Job", "staging", "nightly-1", active=1)
    cluster.delete("Job", "staging", "nightly-1")

    with root.open("GET", JOBS, watch="true", resourceVersion=version) as stream:
        seen = events(stream, 3)

    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]
    assert {each["metadata"]["name"] for _, each in seen} == {"nightly-1"}
    assert seen[1][1]["status"] == seen[2][1]["status"] == {"active": 1}
    versions = [int(each["metadata"]["resourceVersion"]) for _, each in seen]
    assert versions == sorted(set(versions))


def test_a_watch_from_nowhere_begins_with_what_is_there(root: Client) -> None:
    root.create(job())

    with root.open("GET", JOBS, watch="true") as stream:
        [(kind, each)] = events(stream, 1)

    assert (kind, each["kind"], each["metadata"]["name"]) == ("ADDED", "Job", "nightly-1")


def test_a_watch_is_open_before_anything_happens(cluster: EmulatedCluster, root: Client) -> None:
    version = root.get(JOBS).json["metadata"]["resourceVersion"]

    with root.open("GET", JOBS, watch="true", resourceVersion=version) as stream:
        assert stream.status == 200
        cluster.apply(job() | {"metadata": {"name": "nightly-1", "namespace": "staging"}})
        [(kind, _)] = events(stream, 1)

    assert kind == "ADDED"


def test_a_watch_sees_its_own_namespace_and_selection(cluster: EmulatedCluster, root: Client) -> None:
    version = root.get(PODS).json["metadata"]["resourceVersion"]
    cluster.apply({"kind": "Pod", "metadata": {"name": "p", "labels": {"app": "nightly"}}})
    cluster.apply({"kind": "Pod", "metadata": {"name": "q", "namespace": "staging"}})
    cluster.apply({"kind": "Pod", "metadata": {"name": "r", "namespace": "staging", "labels": {"app": "nightly"}}})

    with root.open("GET", PODS, watch="true", resourceVersion=version, labelSelector="app=nightly") as stream:
        [(_, each)] = events(stream, 1)

    assert each["metadata"]["name"] == "r"


def test_an_object_comes_and_goes_with_its_labels(cluster: EmulatedCluster, root: Client) -> None:
    version = root.get(PODS).json["metadata"]["resourceVersion"]
    for label in ({"app": "weekly"}, {"app": "nightly"}):
        cluster.patch("Pod", "staging", "nightly-1-abcde", lambda pod: pod["metadata"].update(labels=label))  # noqa: B023  called at once

    with root.open("GET", PODS, watch="true", resourceVersion=version, labelSelector="app=nightly") as stream:
        assert [kind for kind, _ in events(stream, 2)] == ["DELETED", "ADDED"]


def test_a_watch_from_a_compacted_version_is_an_error_in_the_stream(cluster: EmulatedCluster, root: Client) -> None:
    version = root.get(JOBS).json["metadata"]["resourceVersion"]
    root.create(job())
    cluster.compact()

    answer = root.get(JOBS, watch="true", resourceVersion=version)

    assert answer.status == 200
    assert answer.json["type"] == "ERROR"
    assert (answer.json["object"]["code"], answer.json["object"]["reason"]) == (410, "Expired")
    assert answer.json["object"]["message"] == f"too old resource version: {version} ({int(version) + 1})"


def test_a_watch_that_asks_for_bookmarks_gets_them(cluster: EmulatedCluster, root: Client) -> None:
    version = root.get(JOBS).json["metadata"]["resourceVersion"]
    cluster.bookmark_interval = 0.01

    with root.open("GET", JOBS, watch="true", resourceVersion=version, allowWatchBookmarks="true") as stream:
        [(kind, mark)] = events(stream, 1)

    assert kind == "BOOKMARK"
    assert mark["kind"] == "Job"
    assert mark["metadata"]["resourceVersion"] == version


def test_a_watch_that_does_not_ask_gets_no_bookmarks(cluster: EmulatedCluster, root: Client) -> None:
    version = root.get(JOBS).json["metadata"]["resourceVersion"]
    cluster.bookmark_interval = 0.01

    assert root.get(JOBS, watch="true", resourceVersion=version, timeoutSeconds=1).body == b""


def test_closing_the_cluster_ends_a_watch(authority: Authority) -> None:
    with EmulatedCluster(authority) as cluster:
        client = Client(cluster, cluster.user("root", ["system:masters"]))
        stream = client.open("GET", "/apis/batch/v1/jobs", watch="true")
    with stream:
        assert stream.read() == b""


def test_a_broken_selector_is_an_answer_and_no_stream(root: Client) -> None:
    assert root.get(JOBS, watch="true", labelSelector="=").status == 400
