"""The Kubernetes API requests that this action makes, one method each; `KubeTransport` sends them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from run_cronjob.clients import http
from run_cronjob.clients.kube_transport import PAGE_SIZE, SERVICE, KubeTransport
from run_cronjob.core.errors import ApiError, Cause, NoAnswer
from run_cronjob.core.models import Json

FIELD_MANAGER = "run-cronjob"
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Selection:
    """A collection of objects, narrowed by a selector, to list and to watch."""

    path: str
    query: tuple[tuple[str, str], ...]


@dataclass
class KubeApi:
    """One API server, as one user. Every method raises ApiError or NoAnswer.

    Requests are retried after transient errors, unless a method says that it sends one once.
    """

    transport: KubeTransport

    def get_cronjob(self, namespace: str, name: str) -> Json:
        """GET the CronJob."""
        return self.transport.read(_batch_path(namespace, "cronjobs", name))

    def list_cronjob_names(self, namespace: str) -> list[str]:
        """LIST the CronJobs of the namespace; their names."""
        found = self.transport.read_all(_batch_path(namespace, "cronjobs"))
        return [str(each["metadata"]["name"]) for each in found]

    def has_namespace(self, name: str) -> bool:
        """GET the namespace; False if it does not exist."""
        try:
            self.transport.read(f"/api/v1/namespaces/{quote(name, safe='')}")
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def get_job(self, namespace: str, name: str) -> Json:
        """GET the Job."""
        return self.transport.read(_batch_path(namespace, "jobs", name))

    def list_jobs(self, namespace: str) -> list[Json]:
        """LIST all Jobs of the namespace."""
        return self.transport.read_all(_batch_path(namespace, "jobs"))

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        """POST the Job, once; the answer and the API server's warnings. The caller decides on another attempt."""
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        if dry_run:
            query.append(("dryRun", "All"))
        path = _batch_path(manifest["metadata"]["namespace"], "jobs")
        return self.transport.request_json("POST", path, query, manifest)

    def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """DELETE the Job with its pods, once, on condition that its UID is `uid`."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        body = options | {"preconditions": {"uid": uid}}
        self.transport.request("DELETE", _batch_path(namespace, "jobs", name), body=body).release_conn()

    def is_allowed(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether the user has a right, such as `list` on `jobs.batch` or `get` on `pods/log`.

        It POSTs a SelfSubjectAccessReview, as `kubectl auth can-i` does.
        """
        plural, _, group = resource.partition(".")
        plural, _, subresource = plural.partition("/")
        right = {"namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
        body = review | {"spec": {"resourceAttributes": right}}
        answer = self.transport.retry(lambda: self.transport.request_json("POST", _ACCESS_REVIEWS, body=body)[0])
        return (answer.get("status") or {}).get("allowed") is True

    def select_job(self, namespace: str, name: str) -> Selection:
        """The one Job of that name. No request is sent."""
        return Selection(_batch_path(namespace, "jobs"), (("fieldSelector", f"metadata.name={name}"),))

    def select_pods(self, namespace: str, labels: str) -> Selection:
        """The pods with the labels of the selector `labels`. No request is sent."""
        return Selection(_core_path(namespace, "pods"), (("labelSelector", labels),))

    def list_selected(self, selection: Selection) -> tuple[list[Json], str]:
        """LIST the objects, once, and the resourceVersion from which to watch them."""
        answer, _ = self.transport.request_json("GET", selection.path, selection.query)
        return list(answer.get("items") or []), str(answer["metadata"].get("resourceVersion") or "")

    def watch(self, selection: Selection, version: str) -> Iterator[Json]:
        """WATCH the objects, once: yields the events after the resourceVersion `version`, until the watch ends.

        Each event has `type` and `object`. Close the iterator to stop earlier.
        """
        query = [
            *selection.query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(self.transport.timeouts.watch)),
        ]
        unread = b""
        for chunk in self.transport.stream(selection.path, query, silence=self.transport.timeouts.watch_silence):
            *lines, unread = (unread + chunk).split(b"\n")
            for line in lines:
                yield self._parse_event(line)

    def _parse_event(self, line: bytes) -> Json:
        event = http.json_object(line)
        kind, subject = event.get("type"), event.get("object")
        if kind is None or not isinstance(subject, dict):
            raise NoAnswer(SERVICE, self.transport.host, Cause.BROKEN, "the stream holds what is no event")
        if kind == "ERROR":
            raise ApiError(int(subject.get("code") or 500), str(subject.get("reason")), str(subject.get("message")))
        return {"type": kind, "object": subject}

    def list_events(self, namespace: str, uid: str) -> list[Json]:
        """LIST events about the object with this UID, once, and no more than one page."""
        query = [("fieldSelector", f"involvedObject.uid={uid}"), ("limit", str(PAGE_SIZE))]
        return list(self.transport.request_json("GET", _core_path(namespace, "events"), query)[0].get("items") or [])

    def pod_log(  # noqa: PLR0913  the API's own options
        self, namespace: str, pod: str, container: str, *, since: str, previous: bool, follow: bool
    ) -> Iterator[bytes]:
        """GET the container's log with timestamps, once, and yield it as it arrives.

        `since` is an RFC 3339 time, empty for the whole log. A silent container and a dead connection look the same:
        after the timeout both raise NoAnswer with READ_TIMEOUT.
        """
        query = [("container", container), ("timestamps", "true")]
        query += [("sinceTime", since)] if since else []
        query += [(name, "true") for name, wanted in (("previous", previous), ("follow", follow)) if wanted]
        path = f"{_core_path(namespace, 'pods')}/{quote(pod, safe='')}/log"
        return self.transport.stream(path, query, silence=self.transport.timeouts.log_silence)


def _batch_path(namespace: str, resource: str, name: str = "") -> str:
    path = f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/{resource}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _core_path(namespace: str, resource: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/{resource}"
