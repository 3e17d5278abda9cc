"""An HTTP client of the emulated cluster, and the objects that its tests create first."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sandbox.emulator.errors import Object
    from sandbox.emulator.server import EmulatedCluster

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
    """Sends requests to the cluster as one user."""

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
