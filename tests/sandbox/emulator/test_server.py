"""The cluster emulator answers as a real API server would: what it takes, what it refuses, in which words."""

from __future__ import annotations

import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import urllib3

from sandbox.emulator.admission import Failing, Policy, Webhook
from sandbox.emulator.errors import StatusError
from sandbox.emulator.server import EmulatedCluster
from sandbox.net.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sandbox.emulator.errors import Object
    from sandbox.emulator.pod_logs import ContainerLog

JOBS = "/apis/batch/v1/namespaces/staging/jobs"
CRONJOBS = "/apis/batch/v1/namespaces/staging/cronjobs"
PODS = "/api/v1/namespaces/staging/pods"
LOG = f"{PODS}/nightly-1-abcde/log"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

SET_UP = """
kind: Namespace
metadata: {name: staging}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: staging}
spec:
  schedule: 0 3 * * *
  jobTemplate:
    spec:
      fieldOfTomorrow: {kept: true}
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: example/nightly}]
---
kind: Role
metadata: {name: runner, namespace: staging}
rules:
  - {apiGroups: [batch], resources: [cronjobs], verbs: [get]}
  - {apiGroups: [batch], resources: [jobs], verbs: [create]}
---
kind: RoleBinding
metadata: {name: runner, namespace: staging}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: runner}
subjects: [{kind: Group, name: runners}]
---
kind: Pod
metadata: {name: nightly-1-abcde, namespace: staging, labels: {job-name: nightly-1, app: nightly}}
spec: {nodeName: node-1, containers: [{name: main}]}
status: {phase: Running}
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Speaks to the cluster as one user."""

    def __init__(self, cluster: EmulatedCluster, token: str | None, **context: Path) -> None:
        self._url = cluster.url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        tls = ssl.create_default_context(cadata=cluster.ca_pem)
        if context:
            tls.load_cert_chain(context["certificate"], context["key"])
        self._pool = urllib3.PoolManager(ssl_context=tls, timeout=30, retries=False)

    def open(self, method: str, path: str, body: object = None, **query: object) -> Any:
        url = f"{self._url}{path}?{urlencode(query)}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        return self._pool.request(method, url, body=content, headers=self._headers, preload_content=False)

    def __call__(self, method: str, path: str, body: object = None, **query: object) -> Answer:
        response = self.open(method, path, body, **query)
        with response:
            return Answer(response.status, response.headers, response.read())

    def get(self, path: str, **query: object) -> Answer:
        return self("GET", path, **query)

    def create(self, job: object, **query: object) -> Answer:
        return self("POST", JOBS, job, **query)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def cluster(authority: Authority) -> Iterator[EmulatedCluster]:
    with EmulatedCluster(authority) as cluster:
        cluster.apply(SET_UP)
        yield cluster


@pytest.fixture
def root(cluster: EmulatedCluster) -> Client:
    return Client(cluster, cluster.user("root", ["system:masters"]))


@pytest.fixture
def runner(cluster: EmulatedCluster) -> Client:
    return Client(cluster, cluster.user("octocat", ["runners"]))


def job(name: str = "nightly-1", **spec: object) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example/nightly"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name} if name else {},
        "spec": {"template": template, **spec},
    }


def events(response: Any, count: int) -> list[tuple[str, Object]]:
    lines = (json.loads(line) for line in _lines(response))
    return [(event["type"], event["object"]) for _, event in zip(range(count), lines, strict=False)]


def _lines(response: Any) -> Iterator[bytes]:
    pending = b""
    for chunk in response.stream():
        *whole, pending = (pending + chunk).split(b"\n")
        yield from whole


class TestWhoAsks:
    @pytest.mark.parametrize("token", [None, "made-up"])
    def test_a_stranger_is_unauthorized(self, cluster: EmulatedCluster, token: str | None) -> None:
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

    def test_a_token_from_elsewhere_is_asked_about(self, authority: Authority) -> None:
        asked = []

        def authenticate(token: str) -> tuple[str, tuple[str, ...]] | None:
            asked.append(token)
            return ("octocat", ("runners",)) if token == "eks-token" else None

        with EmulatedCluster(authority, authenticate) as cluster:
            cluster.apply(SET_UP)

            assert Client(cluster, "eks-token").get(f"{CRONJOBS}/nightly").status == 200
            assert Client(cluster, "other").get(f"{CRONJOBS}/nightly").status == 401
        assert asked == ["eks-token", "other"]

    def test_a_client_certificate_names_its_user_and_group(self, cluster: EmulatedCluster, tmp_path: Path) -> None:
        certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
        for path, pem in zip((certificate, key), cluster.client_certificate("ada", "runners"), strict=True):
            path.write_text(pem)
        client = Client(cluster, None, certificate=certificate, key=key)

        assert client.get(f"{CRONJOBS}/nightly").status == 200
        assert 'User "ada" cannot list' in client.get(CRONJOBS).json["message"]

    def test_every_request_is_written_down(self, cluster: EmulatedCluster, runner: Client) -> None:
        runner.create(job(), fieldValidation="Strict")

        [entry] = cluster.journal
        assert (entry.method, entry.path, entry.query) == ("POST", JOBS, {"fieldValidation": "Strict"})
        assert json.loads(entry.body)["metadata"] == {"name": "nightly-1"}


class TestWhatIsAllowed:
    def test_a_role_opens_what_it_names(self, runner: Client) -> None:
        assert runner.get(f"{CRONJOBS}/nightly").status == 200
        assert runner.create(job()).status == 201

    @pytest.mark.parametrize(
        ("method", "path", "message"),
        [
            ("GET", JOBS, 'jobs.batch is forbidden: User "octocat" cannot list resource "jobs"'),
            ("GET", LOG, 'pods "nightly-1-abcde" is forbidden: User "octocat" cannot get resource "pods/log"'),
            ("DELETE", f"{JOBS}/x", 'jobs.batch "x" is forbidden: User "octocat" cannot delete resource "jobs"'),
        ],
    )
    def test_everything_else_is_forbidden(self, runner: Client, method: str, path: str, message: str) -> None:
        answer = runner(method, path)

        assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
        assert answer.json["message"].startswith(message)

    def test_a_refusal_tells_its_details(self, runner: Client) -> None:
        answer = runner.get("/apis/batch/v1/namespaces/default/cronjobs/nightly")

        assert answer.json["details"] == {"name": "nightly", "group": "batch", "kind": "cronjobs"}

    def test_access_is_decided_before_existence(self, runner: Client) -> None:
        assert runner.get("/apis/batch/v1/namespaces/nowhere/cronjobs/nightly").status == 403

    @pytest.mark.parametrize(("verb", "allowed"), [("create", True), ("delete", False)])
    def test_anyone_may_ask_what_he_may_do(self, runner: Client, verb: str, *, allowed: bool) -> None:
        asked = {"namespace": "staging", "verb": verb, "group": "batch", "resource": "jobs"}

        answer = runner("POST", REVIEWS, {"spec": {"resourceAttributes": asked}})

        assert answer.status == 201
        assert answer.json["status"]["allowed"] is allowed


class TestReading:
    def test_fields_that_no_client_knows_are_kept(self, runner: Client) -> None:
        cronjob = runner.get(f"{CRONJOBS}/nightly").json

        assert (cronjob["kind"], cronjob["apiVersion"]) == ("CronJob", "batch/v1")
        assert cronjob["spec"]["jobTemplate"]["spec"]["fieldOfTomorrow"] == {"kept": True}
        assert cronjob["spec"]["concurrencyPolicy"] == "Allow"
        assert {"uid", "creationTimestamp", "resourceVersion"} <= cronjob["metadata"].keys()

    def test_what_is_not_there_is_not_found(self, runner: Client) -> None:
        answer = runner.get(f"{CRONJOBS}/nigthly")

        assert (answer.status, answer.json["reason"]) == (404, "NotFound")
        assert answer.json["message"] == 'cronjobs.batch "nigthly" not found'
        assert answer.json["details"] == {"name": "nigthly", "group": "batch", "kind": "cronjobs"}

    def test_a_kind_it_does_not_have_is_no_page(self, root: Client) -> None:
        answer = root.get("/apis/batch/v2/namespaces/staging/cronjobs")

        assert (answer.status, answer.body) == (404, b"404 page not found\n")

    def test_what_it_does_not_serve_it_does_not_pretend_to(self, root: Client) -> None:
        answer = root("PATCH", f"{CRONJOBS}/nightly", {})

        assert (answer.status, answer.json["reason"]) == (405, "MethodNotAllowed")

    def test_namespaces_are_read_by_name_and_in_all(self, root: Client) -> None:
        assert root.get("/api/v1/namespaces/staging").json["status"] == {"phase": "Active"}
        names = [item["metadata"]["name"] for item in root.get("/api/v1/namespaces").json["items"]]
        assert names == ["default", "kube-system", "staging"]

    def test_a_list_is_of_one_namespace_or_of_all(self, cluster: EmulatedCluster, root: Client) -> None:
        cluster.apply({"kind": "CronJob", "metadata": {"name": "weekly"}, "spec": {}})

        def names(path: str) -> list[str]:
            return [item["metadata"]["name"] for item in root.get(path).json["items"]]

        assert names(CRONJOBS) == ["nightly"]
        assert names("/apis/batch/v1/cronjobs") == ["weekly", "nightly"]

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
    def test_labels_select(self, cluster: EmulatedCluster, root: Client, selector: str, names: list[str]) -> None:
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
    def test_a_broken_label_selector_is_refused(self, root: Client, selector: str, message: str) -> None:
        answer = root.get(JOBS, labelSelector=selector)

        assert answer.status == 400
        assert answer.json["message"].startswith(message)

    def test_events_are_selected_by_what_they_are_about(self, cluster: EmulatedCluster, root: Client) -> None:
        for name, about in (("e1", "nightly-1"), ("e2", "nightly-2")):
            involved = {"kind": "Job", "name": about, "namespace": "staging"}
            cluster.apply(
                {"kind": "Event", "metadata": {"name": name, "namespace": "staging"}, "involvedObject": involved}
            )

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
    def test_a_field_that_is_no_selector_is_refused(self, root: Client, path: str, message: str) -> None:
        answer = root.get(path, fieldSelector="spec.x=1")

        assert (answer.status, answer.json["message"]) == (400, message)

    def test_a_list_comes_in_pages_as_it_was_at_the_first(self, cluster: EmulatedCluster, root: Client) -> None:
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

    def test_a_page_too_late_is_expired_and_says_how_to_go_on(self, cluster: EmulatedCluster, root: Client) -> None:
        for name in "abc":
            cluster.apply(job(name) | {"metadata": {"name": name, "namespace": "staging"}})
        token = root.get(JOBS, limit=1).json["metadata"]["continue"]
        cluster.delete("Job", "staging", "b")
        cluster.compact()

        late = root.get(JOBS, limit=1, **{"continue": token})

        assert (late.status, late.json["reason"]) == (410, "Expired")
        rest = root.get(JOBS, **{"continue": late.json["metadata"]["continue"]}).json
        assert [item["metadata"]["name"] for item in rest["items"]] == ["c"]

    def test_an_invented_page_is_refused(self, root: Client) -> None:
        answer = root.get(JOBS, **{"continue": "?"})

        assert answer.status == 400
        assert answer.json["message"].startswith("continue key is not valid")


class TestCreatingAJob:
    def test_the_server_adds_what_only_it_knows(self, cluster: EmulatedCluster, runner: Client) -> None:
        answer = runner.create(job())

        assert answer.status == 201
        created = answer.json
        metadata, uid = created["metadata"], created["metadata"]["uid"]
        generated = {
            "job-name": "nightly-1",
            "batch.kubernetes.io/job-name": "nightly-1",
            "controller-uid": uid,
            "batch.kubernetes.io/controller-uid": uid,
        }
        assert (metadata["namespace"], metadata["generation"]) == ("staging", 1)
        assert datetime.fromisoformat(metadata["creationTimestamp"]).tzinfo == UTC
        assert metadata["labels"] == generated
        assert created["spec"]["template"]["metadata"]["labels"] == generated
        assert created["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        assert {key: value for key, value in created["spec"].items() if key not in {"template", "selector"}} == {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
            "manualSelector": False,
        }
        assert created["status"] == {}
        assert cluster.get("Job", "staging", "nightly-1") == created

    def test_what_was_sent_stays(self, runner: Client) -> None:
        sent = job(parallelism=2, suspend=True, fieldOfTomorrow=[1])
        sent["metadata"] |= {"labels": {"team": "a"}, "annotations": {"run-cronjob/actor": "Ünïcode ✓"}}

        created = runner.create(sent).json

        assert created["metadata"]["labels"] == {"team": "a"}
        assert created["metadata"]["annotations"] == {"run-cronjob/actor": "Ünïcode ✓"}
        assert created["spec"]["fieldOfTomorrow"] == [1]
        assert (created["spec"]["parallelism"], created["spec"]["suspend"]) == (2, True)
        assert "completions" not in created["spec"]

    def test_a_dry_run_answers_and_keeps_nothing(self, cluster: EmulatedCluster, runner: Client) -> None:
        answer = runner.create(job(), dryRun="All")

        assert answer.status == 201
        assert answer.json["metadata"]["uid"]
        assert "resourceVersion" not in answer.json["metadata"]
        assert cluster.list("Job") == ()

    def test_a_dry_run_finds_what_a_real_one_would(self, runner: Client) -> None:
        runner.create(job())

        assert runner.create(job(), dryRun="All").status == 409
        assert runner.create(job("Bad_Name"), dryRun="All").status == 422

    def test_a_name_is_generated_where_asked_for(self, runner: Client) -> None:
        sent = job("")
        sent["metadata"]["generateName"] = "nightly-" + "x" * 60

        names = {runner.create(sent).json["metadata"]["name"] for _ in range(2)}

        assert len(names) == 2
        assert {len(name) for name in names} == {63}

    def test_a_name_is_taken_once(self, runner: Client) -> None:
        runner.create(job())

        answer = runner.create(job())

        assert (answer.status, answer.json["reason"]) == (409, "AlreadyExists")
        assert answer.json["message"] == 'jobs.batch "nightly-1" already exists'

    def test_of_many_at_once_one_gets_the_name(self, cluster: EmulatedCluster, runner: Client) -> None:
        with ThreadPoolExecutor(8) as pool:
            statuses = [answer.status for answer in pool.map(runner.create, [job()] * 8)]

        assert sorted(statuses) == [201] + [409] * 7
        assert len(cluster.list("Job")) == 1

    @pytest.mark.parametrize(
        ("sent", "fields", "message"),
        [
            (job(""), ["metadata.name"], "Required value: name or generateName is required"),
            (
                job("a.B"),
                ["metadata.name"],
                (
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
                    " and must start and end with an alphanumeric character (e.g. 'example.com', regex used for"
                    r" validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                ),
            ),
            (
                job("n" * 64) | {"metadata": {"name": "n" * 64, "labels": {"a": "b"}}},
                ["spec.template.labels", "spec.template.labels"],
                f'Invalid value: "{"n" * 64}": must be no more than 63 bytes',
            ),
            (
                job("n" * 61, completionMode="Indexed", completions=11),
                ["metadata.name"],
                f'"{"n" * 61}": will not able to create pod with invalid DNS label: {"n" * 61}-10',
            ),
            (
                job("a.b", completionMode="Indexed", completions=1),
                ["metadata.name"],
                "will not able to create pod with invalid DNS label: a.b-0",
            ),
            (
                job(completionMode="Indexed", parallelism=1),
                ["spec.completions"],
                "Required value: when completion mode is Indexed",
            ),
            (
                job(template={"metadata": {"labels": {"job-name": "x"}}, "spec": {"restartPolicy": "Never"}}),
                ["spec.template.metadata.labels[job-name]"],
                "must be 'nightly-1'",
            ),
            (
                job(template={"spec": {}}),
                ["spec.template.spec.restartPolicy"],
                'Required value: valid values: "OnFailure", "Never"',
            ),
            (job(backoffLimit=-1), ["spec.backoffLimit"], "Invalid value: -1: must be greater than or equal to 0"),
            (
                job() | {"metadata": {"name": "a", "labels": {"run-cronjob/cronjob": "x" * 64}}},
                ["metadata.labels"],
                "must be no more than 63 bytes",
            ),
            (
                job() | {"metadata": {"name": "a", "annotations": {"a": "x" * 262144}}},
                ["metadata.annotations"],
                "Too long: may not be more than 262144 bytes",
            ),
            (
                job() | {"metadata": {"name": "a", "annotations": {"a b": ""}}},
                ["metadata.annotations"],
                'Invalid value: "a b": name part must consist of',
            ),
            (
                job() | {"metadata": {"name": "a", "ownerReferences": [{"kind": "CronJob", "name": "n", "uid": "u"}]}},
                ["metadata.ownerReferences[0].apiVersion"],
                "Required value: must not be empty",
            ),
        ],
    )
    def test_an_invalid_job_is_refused_with_its_causes(
        self, cluster: EmulatedCluster, runner: Client, sent: Object, fields: list[str], message: str
    ) -> None:
        answer = runner.create(sent)

        assert (answer.status, answer.json["reason"]) == (422, "Invalid")
        name = sent["metadata"].get("name", "")
        assert answer.json["message"].startswith(f'Job.batch "{name}" is invalid: {fields[0]}: ')
        assert message in answer.json["message"]
        assert [cause["field"] for cause in answer.json["details"]["causes"]] == fields
        assert message in answer.json["details"]["causes"][0]["message"]
        assert cluster.list("Job") == ()

    @pytest.mark.parametrize(
        "sent",
        [
            job("n" * 63),
            job("a.b"),
            job("n" * 60, completionMode="Indexed", completions=100),
            job("n" * 57, completionMode="Indexed", completions=100_000),
        ],
    )
    def test_the_longest_names_are_taken(self, runner: Client, sent: Object) -> None:
        assert runner.create(sent).status == 201

    def test_several_errors_are_told_together(self, runner: Client) -> None:
        message = runner.create(job(backoffLimit=-1, completions=-1)).json["message"]

        assert message.startswith('Job.batch "nightly-1" is invalid: [spec.completions: ')
        assert message.endswith(", spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0]")

    def test_a_namespace_that_is_not_there_is_named(self, root: Client) -> None:
        answer = root("POST", "/apis/batch/v1/namespaces/nowhere/jobs", job())

        assert (answer.status, answer.json["message"]) == (404, 'namespaces "nowhere" not found')
        assert answer.json["details"] == {"name": "nowhere", "kind": "namespaces"}

    def test_another_namespace_in_the_object_is_refused(self, runner: Client) -> None:
        answer = runner.create(job() | {"metadata": {"name": "a", "namespace": "default"}})

        assert answer.status == 400
        assert answer.json["message"] == (
            "the namespace of the provided object does not match the namespace sent on the request"
        )

    def test_a_namespace_that_is_going_takes_nothing(self, cluster: EmulatedCluster, runner: Client) -> None:
        cluster.set_status("Namespace", "", "staging", phase="Terminating")

        answer = runner.create(job())

        assert answer.status == 403
        assert answer.json["message"] == (
            'jobs.batch "nightly-1" is forbidden: unable to create new content in namespace staging'
            " because it is being terminated"
        )
        assert answer.json["details"]["causes"] == [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace staging is being terminated",
                "field": "metadata.namespace",
            }
        ]

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"metadata": 1}'])
    def test_what_is_no_object_is_refused(self, runner: Client, body: bytes) -> None:
        answer = runner.create(body)

        assert answer.status == 400
        assert "the object provided is unrecognized (must be of type Job)" in answer.json["message"]

    def test_another_version_of_the_kind_is_refused(self, runner: Client) -> None:
        answer = runner.create(job() | {"apiVersion": "batch/v1beta1"})

        assert answer.json["message"] == (
            "the API version in the data (batch/v1beta1) does not match the expected API version (batch/v1)"
        )


class TestFieldValidation:
    UNKNOWN = "spec.template.spec.containers[0].fieldOfTomorrow"

    def sent(self) -> bytes:
        sent = job()
        sent["spec"]["template"]["spec"]["containers"][0]["fieldOfTomorrow"] = 1
        return (
            json.dumps(sent)
            .replace('"spec": {"template"', '"spec": {"suspend": true, "suspend": false, "template"')
            .encode()
        )

    def test_strict_refuses_unknown_and_repeated_fields(self, cluster: EmulatedCluster, runner: Client) -> None:
        cluster.unknown_fields.add(self.UNKNOWN)

        answer = runner.create(self.sent(), fieldValidation="Strict")

        assert (answer.status, answer.json["reason"]) == (400, "BadRequest")
        assert answer.json["message"] == (
            'Job in version "v1" cannot be handled as a Job: strict decoding error:'
            f' duplicate field "spec.suspend", unknown field "{self.UNKNOWN}"'
        )

    def test_warn_drops_them_and_says_so(self, cluster: EmulatedCluster, runner: Client) -> None:
        cluster.unknown_fields.add(self.UNKNOWN)

        answer = runner.create(self.sent())

        assert answer.status == 201
        assert "fieldOfTomorrow" not in answer.json["spec"]["template"]["spec"]["containers"][0]
        assert answer.headers["Warning"] == (
            f'299 - "duplicate field \\"spec.suspend\\"", 299 - "unknown field \\"{self.UNKNOWN}\\""'
        )

    def test_a_field_not_declared_unknown_is_known(self, runner: Client) -> None:
        answer = runner.create(job(fieldOfTomorrow=1), fieldValidation="Strict")

        assert answer.status == 201


class TestAdmission:
    def test_an_object_quota_counts_jobs(self, cluster: EmulatedCluster, runner: Client) -> None:
        metadata = {"name": "few-jobs", "namespace": "staging"}
        cluster.apply({"kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"count/jobs.batch": "1"}}})

        assert runner.create(job("a"), dryRun="All").status == 201
        assert runner.create(job("a")).status == 201
        answer = runner.create(job("b"))

        assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
        assert answer.json["message"] == (
            'jobs.batch "b" is forbidden: exceeded quota: few-jobs, requested: count/jobs.batch=1,'
            " used: count/jobs.batch=1, limited: count/jobs.batch=1"
        )

    def test_a_webhook_decides_by_the_finished_object(self, cluster: EmulatedCluster, runner: Client) -> None:
        seen: list[Object] = []
        cluster.webhooks.append(Webhook("policy.example.com", seen.append))

        created = runner.create(job()).json

        assert [each["metadata"]["uid"] for each in seen] == [created["metadata"]["uid"]]

    @pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (400, None)])
    def test_a_webhook_denies_in_its_own_words(
        self, cluster: EmulatedCluster, runner: Client, code: int, reason: str | None
    ) -> None:
        cluster.webhooks.append(Webhook("policy.example.com", lambda _job: "no images from there", code=code))

        answer = runner.create(job())

        assert (answer.status, answer.json.get("reason")) == (code, reason)
        assert answer.json["message"] == (
            'admission webhook "policy.example.com" denied the request: no images from there'
        )
        assert cluster.list("Job") == ()

    def test_a_webhook_without_dry_run_support_breaks_a_dry_run_alone(
        self, cluster: EmulatedCluster, runner: Client
    ) -> None:
        cluster.webhooks.append(Webhook("policy.example.com", lambda _job: None, supports_dry_run=False))

        answer = runner.create(job(), dryRun="All")

        assert answer.status == 400
        assert answer.json["message"] == 'admission webhook "policy.example.com" does not support dry run'
        assert runner.create(job()).status == 201

    def test_a_webhook_that_fails_is_an_internal_error(self, cluster: EmulatedCluster, runner: Client) -> None:
        cluster.webhooks.append(Webhook("policy.example.com", lambda _job: Failing("Post: EOF")))

        answer = runner.create(job())

        assert (answer.status, answer.json["reason"]) == (500, "InternalError")
        assert answer.json["message"] == (
            'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post: EOF'
        )

    def test_a_policy_denies_with_its_name_and_binding(self, cluster: EmulatedCluster, runner: Client) -> None:
        cluster.policies.append(Policy("jobs-from-cronjobs", "runners", lambda _job: "not from a CronJob"))

        answer = runner.create(job())

        why = "ValidatingAdmissionPolicy 'jobs-from-cronjobs' with binding 'runners' denied request: not from a CronJob"
        assert (answer.status, answer.json["reason"]) == (422, "Invalid")
        assert answer.json["message"] == f'jobs.batch "nightly-1" is forbidden: {why}'
        assert answer.json["details"]["causes"] == [{"message": why}]

    def test_warnings_come_with_the_answer(self, cluster: EmulatedCluster, runner: Client) -> None:
        cluster.warnings.append('would violate PodSecurity "restricted:latest" ✓ Ü')

        answer = runner.create(job("a.b"))

        told = answer.headers["Warning"].encode("latin-1").decode()
        assert "a DNS label is recommended: [must not contain dots]" in told
        assert told.endswith('299 - "would violate PodSecurity \\"restricted:latest\\" ✓ Ü"')


class TestDeletingAJob:
    @pytest.fixture
    def uid(self, cluster: EmulatedCluster) -> str:
        [created] = cluster.apply(job() | {"metadata": {"name": "nightly-1", "namespace": "staging"}})
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-1", "uid": created["metadata"]["uid"]}
        cluster.patch("Pod", "staging", "nightly-1-abcde", lambda pod: pod["metadata"].update(ownerReferences=[owner]))
        return str(owner["uid"])

    @pytest.mark.parametrize("policy", ["Background", "Foreground"])
    def test_its_pods_go_with_it(self, cluster: EmulatedCluster, root: Client, uid: str, policy: str) -> None:
        options = {"propagationPolicy": policy, "preconditions": {"uid": uid}}

        answer = root("DELETE", f"{JOBS}/nightly-1", options)

        assert answer.status == 200
        assert "Warning" not in answer.headers
        assert cluster.list("Job") == cluster.list("Pod") == ()

    def test_background_answers_success(self, root: Client, uid: str) -> None:
        answer = root("DELETE", f"{JOBS}/nightly-1", propagationPolicy="Background").json

        assert (answer["kind"], answer["status"]) == ("Status", "Success")
        assert answer["details"] == {"name": "nightly-1", "group": "batch", "kind": "jobs", "uid": uid}

    @pytest.mark.usefixtures("uid")
    def test_foreground_answers_the_marked_job(self, root: Client) -> None:
        metadata = root("DELETE", f"{JOBS}/nightly-1", {"propagationPolicy": "Foreground"}).json["metadata"]

        assert metadata["finalizers"] == ["foregroundDeletion"]
        assert metadata["deletionTimestamp"]

    @pytest.mark.usefixtures("uid")
    def test_without_a_policy_its_pods_stay_and_a_warning_says_so(self, cluster: EmulatedCluster, root: Client) -> None:
        answer = root("DELETE", f"{JOBS}/nightly-1")

        assert "child pods are preserved by default" in answer.headers["Warning"]
        assert cluster.list("Job") == ()
        [pod] = cluster.list("Pod")
        assert pod["metadata"]["ownerReferences"] == []

    def test_another_job_of_that_name_is_left_alone(self, cluster: EmulatedCluster, root: Client, uid: str) -> None:
        options = {"propagationPolicy": "Background", "preconditions": {"uid": "another"}}

        answer = root("DELETE", f"{JOBS}/nightly-1", options)

        assert (answer.status, answer.json["reason"]) == (409, "Conflict")
        assert answer.json["message"] == (
            'Operation cannot be fulfilled on Job.batch "nightly-1": the UID in the precondition (another) does not'
            f" match the UID in record ({uid}). The object might have been deleted and then recreated"
        )
        assert len(cluster.list("Job")) == 1

    @pytest.mark.usefixtures("uid")
    def test_a_dry_run_deletes_nothing(self, cluster: EmulatedCluster, root: Client) -> None:
        options = {"propagationPolicy": "Foreground", "dryRun": ["All"]}

        assert root("DELETE", f"{JOBS}/nightly-1", options).status == 200
        assert len(cluster.list("Job")) == 1

    def test_what_is_gone_is_not_found(self, root: Client) -> None:
        assert root("DELETE", f"{JOBS}/nightly-1").status == 404


class TestWatching:
    def test_a_watch_tells_what_happens_after_its_list(self, cluster: EmulatedCluster, root: Client) -> None:
        root.create(job("before"))
        version = root.get(JOBS).json["metadata"]["resourceVersion"]
        root.create(job())
        cluster.set_status("Job", "staging", "nightly-1", active=1)
        cluster.delete("Job", "staging", "nightly-1")

        with root.open("GET", JOBS, watch="true", resourceVersion=version) as stream:
            told = events(stream, 3)

        assert [kind for kind, _ in told] == ["ADDED", "MODIFIED", "DELETED"]
        assert {each["metadata"]["name"] for _, each in told} == {"nightly-1"}
        assert told[1][1]["status"] == told[2][1]["status"] == {"active": 1}
        versions = [int(each["metadata"]["resourceVersion"]) for _, each in told]
        assert versions == sorted(set(versions))

    def test_a_watch_from_nowhere_begins_with_what_is_there(self, root: Client) -> None:
        root.create(job())

        with root.open("GET", JOBS, watch="true") as stream:
            [(kind, each)] = events(stream, 1)

        assert (kind, each["kind"], each["metadata"]["name"]) == ("ADDED", "Job", "nightly-1")

    def test_it_is_open_before_anything_happens_and_live_afterwards(
        self, cluster: EmulatedCluster, root: Client
    ) -> None:
        version = root.get(JOBS).json["metadata"]["resourceVersion"]

        with root.open("GET", JOBS, watch="true", resourceVersion=version) as stream:
            assert stream.status == 200
            cluster.apply(job() | {"metadata": {"name": "nightly-1", "namespace": "staging"}})
            [(kind, _)] = events(stream, 1)

        assert kind == "ADDED"

    def test_it_sees_its_own_namespace_and_selection(self, cluster: EmulatedCluster, root: Client) -> None:
        version = root.get(PODS).json["metadata"]["resourceVersion"]
        cluster.apply({"kind": "Pod", "metadata": {"name": "p", "labels": {"app": "nightly"}}})
        cluster.apply({"kind": "Pod", "metadata": {"name": "q", "namespace": "staging"}})
        cluster.apply({"kind": "Pod", "metadata": {"name": "r", "namespace": "staging", "labels": {"app": "nightly"}}})

        with root.open("GET", PODS, watch="true", resourceVersion=version, labelSelector="app=nightly") as stream:
            [(_, each)] = events(stream, 1)

        assert each["metadata"]["name"] == "r"

    def test_an_object_comes_and_goes_with_its_labels(self, cluster: EmulatedCluster, root: Client) -> None:
        version = root.get(PODS).json["metadata"]["resourceVersion"]
        for label in ({"app": "weekly"}, {"app": "nightly"}):
            cluster.patch("Pod", "staging", "nightly-1-abcde", lambda pod: pod["metadata"].update(labels=label))  # noqa: B023  called at once

        with root.open("GET", PODS, watch="true", resourceVersion=version, labelSelector="app=nightly") as stream:
            assert [kind for kind, _ in events(stream, 2)] == ["DELETED", "ADDED"]

    def test_an_older_version_than_is_remembered_is_an_error_in_the_stream(
        self, cluster: EmulatedCluster, root: Client
    ) -> None:
        version = root.get(JOBS).json["metadata"]["resourceVersion"]
        root.create(job())
        cluster.compact()

        answer = root.get(JOBS, watch="true", resourceVersion=version)

        assert answer.status == 200
        assert answer.json["type"] == "ERROR"
        assert (answer.json["object"]["code"], answer.json["object"]["reason"]) == (410, "Expired")
        assert answer.json["object"]["message"] == f"too old resource version: {version} ({int(version) + 1})"

    def test_bookmarks_come_to_whoever_asked(self, cluster: EmulatedCluster, root: Client) -> None:
        version = root.get(JOBS).json["metadata"]["resourceVersion"]
        cluster.bookmark_interval = 0.01

        with root.open("GET", JOBS, watch="true", resourceVersion=version, allowWatchBookmarks="true") as stream:
            [(kind, mark)] = events(stream, 1)

        assert kind == "BOOKMARK"
        assert mark["kind"] == "Job"
        assert mark["metadata"]["resourceVersion"] == version

    def test_nobody_else_gets_bookmarks(self, cluster: EmulatedCluster, root: Client) -> None:
        version = root.get(JOBS).json["metadata"]["resourceVersion"]
        cluster.bookmark_interval = 0.01

        assert root.get(JOBS, watch="true", resourceVersion=version, timeoutSeconds=1).body == b""

    def test_closing_the_cluster_ends_it(self, authority: Authority) -> None:
        with EmulatedCluster(authority) as cluster:
            client = Client(cluster, cluster.user("root", ["system:masters"]))
            stream = client.open("GET", "/apis/batch/v1/jobs", watch="true")
        with stream:
            assert stream.read() == b""

    def test_a_broken_selector_is_an_answer_and_no_stream(self, root: Client) -> None:
        assert root.get(JOBS, watch="true", labelSelector="=").status == 400


class TestLogs:
    @pytest.fixture
    def log(self, cluster: EmulatedCluster) -> ContainerLog:
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
    def test_the_query_chooses_the_lines(self, root: Client, query: Object, text: bytes) -> None:
        answer = root.get(LOG, **query)

        assert (answer.status, answer.body) == (200, text)
        assert answer.headers["Content-Type"].startswith("text/plain")

    def test_recent_seconds_are_counted_from_now(self, root: Client, log: ContainerLog) -> None:
        log.write("now\n")

        assert root.get(LOG, sinceSeconds=600).body == b"now\n"

    def test_bytes_pass_as_they_were_printed(self, cluster: EmulatedCluster, root: Client) -> None:
        log = cluster.log("staging", "nightly-1-abcde")
        log.write(b"10%\r20%\r\xff\n\npart")
        log.write(b"ial")

        assert root.get(LOG).body == b"10%\r20%\r\xff\n\npartial"
        assert root.get(LOG, timestamps="true").body.count(b"Z ") == 3
        # What was written at once counts, as for the kubelet.
        assert root.get(LOG, tailLines=1).body == b"ial"

    def test_following_goes_on_until_the_container_ends(self, root: Client, log: ContainerLog) -> None:
        with root.open("GET", LOG, follow="true", tailLines=1) as stream:
            log.write("four\n")
            log.end()
            assert stream.read() == b"three\nfour\n"

    def test_closing_the_cluster_ends_it(self, authority: Authority) -> None:
        with EmulatedCluster(authority) as cluster:
            cluster.apply(SET_UP)
            client = Client(cluster, cluster.user("root", ["system:masters"]))
            stream = client.open("GET", LOG, follow="true")
        with stream:
            assert stream.read() == b""

    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            ("ContainerCreating", "ContainerCreating"),
            ("ImagePullBackOff", "trying and failing to pull image"),
        ],
    )
    def test_a_container_that_waits_has_none(
        self, cluster: EmulatedCluster, root: Client, reason: str | None, told: str
    ) -> None:
        waiting = [{"name": "main", "state": {"waiting": {"reason": reason}}}]
        cluster.set_status("Pod", "staging", "nightly-1-abcde", containerStatuses=waiting)

        answer = root.get(LOG)

        assert answer.status == 400
        assert answer.json["message"] == (f'container "main" in pod "nightly-1-abcde" is waiting to start: {told}')

    def test_one_of_several_containers_must_be_named(self, cluster: EmulatedCluster, root: Client) -> None:
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
    def test_a_query_that_makes_no_sense_is_refused(self, root: Client, query: Object, status: int) -> None:
        assert root.get(LOG, **query).status == status

    def test_a_pod_that_is_gone_has_none(self, root: Client) -> None:
        answer = root.get(f"{PODS}/gone/log")

        assert (answer.status, answer.json["message"]) == (404, 'pods "gone" not found')


class TestTheAdministrator:
    def test_applying_again_replaces_but_keeps_identity_and_status(self, cluster: EmulatedCluster) -> None:
        [before] = cluster.apply(job() | {"metadata": {"name": "a", "namespace": "staging"}})
        cluster.set_status("Job", "staging", "a", active=1)

        [after] = cluster.apply(job(backoffLimit=0) | {"metadata": {"name": "a", "namespace": "staging"}})

        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert (after["status"], after["spec"]["backoffLimit"]) == ({"active": 1}, 0)
        assert int(after["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])

    def test_a_job_may_be_applied_with_its_status(self, cluster: EmulatedCluster) -> None:
        cluster.apply(job() | {"metadata": {"name": "a", "namespace": "staging"}, "status": {"active": 1}})

        assert cluster.get("Job", "staging", "a")["status"] == {"active": 1}
        assert cluster.get("Job", "staging", "a")["metadata"]["labels"]["job-name"] == "a"

    def test_a_time_in_a_manifest_stays_text(self, cluster: EmulatedCluster) -> None:
        cluster.apply("{kind: Pod, metadata: {name: a}, status: {startTime: 2026-11-23T04:05:06Z}}")

        assert cluster.get("Pod", "default", "a")["status"]["startTime"] == "2026-11-23T04:05:06Z"

    def test_what_is_handed_out_is_a_copy(self, cluster: EmulatedCluster) -> None:
        cluster.get("CronJob", "staging", "nightly")["spec"].clear()

        assert cluster.get("CronJob", "staging", "nightly")["spec"]["schedule"] == "0 3 * * *"

    def test_deleting_takes_along_what_is_owned(self, cluster: EmulatedCluster) -> None:
        uid = cluster.get("CronJob", "staging", "nightly")["metadata"]["uid"]
        metadata = {"name": "a", "namespace": "staging", "ownerReferences": [{"uid": uid}]}
        cluster.apply(job() | {"metadata": metadata})

        cluster.delete("CronJob", "staging", "nightly")

        assert cluster.list("Job") == ()

    def test_mistakes_are_told(self, cluster: EmulatedCluster) -> None:
        with pytest.raises(StatusError, match='namespaces "nowhere" not found'):
            cluster.apply({"kind": "Pod", "metadata": {"name": "a", "namespace": "nowhere"}})
        with pytest.raises(StatusError, match=r'jobs\.batch "x" not found'):
            cluster.get("Job", "staging", "x")
        with pytest.raises(LookupError, match="this cluster has no kind 'Deployment'"):
            cluster.list("Deployment")
