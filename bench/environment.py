"""The environment in which all contenders run: GitHub's tokens, AWS under its real names, a real control plane.

It has two sets of endpoints. Timed runs use the direct ones. In counted runs every byte passes a relay, and requests to
the API server pass a proxy that records them.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

import certifi
import urllib3

from bench.relay import Relay
from sandbox import NAMESPACE
from sandbox.aws.eks import EKS
from sandbox.control_plane.cluster import RealCluster
from sandbox.environment import Sandbox
from sandbox.names import CLUSTER, REGION
from sandbox.net.http_proxy import ForwardProxy
from sandbox.net.server import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.emulator.errors import Object
    from sandbox.net.server import RecordedRequest

STS_HOST, EKS_HOST = f"sts.{REGION}.amazonaws.com", f"eks.{REGION}.amazonaws.com"
_JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_TIMEOUT_SECONDS = 60
_WATCHES = re.compile(r'^apiserver_longrunning_requests\{.*resource="jobs".*verb="WATCH".*\} (\d+)$', re.MULTILINE)

# `kubectl logs` reads the pod, too.
_MORE_RIGHTS = f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: others, namespace: {NAMESPACE}}}
rules: [{{apiGroups: [""], resources: [pods], verbs: [get]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: others, namespace: {NAMESPACE}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: others}}
subjects: [{{kind: Group, name: run-cronjob, apiGroup: rbac.authorization.k8s.io}}]
"""


@dataclass(frozen=True)
class Traffic:
    """The traffic of one run: the number of requests to each service, and the bytes on the wire."""

    requests: Mapping[str, int]
    sent: int
    received: int


@dataclass(frozen=True)
class Endpoints:
    """The addresses at which a process reaches GitHub, AWS and the cluster."""

    token_url: str
    proxy_url: str
    server: str
    ca_pem: str


class Environment:
    """A sandbox that is set up for all contenders, and a watch that notes when a Job is created and completes."""

    def __init__(self) -> None:
        self._exit_stack = ExitStack()
        enter = self._exit_stack.enter_context
        sandbox = self.sandbox = enter(Sandbox(RealCluster))
        cluster = self._cluster = cast("RealCluster", sandbox.cluster)
        self.key_id, self.secret_key = sandbox.aws.create_access_key("bench")
        sandbox.aws.map_identity("arn:aws:iam::123456789012:user/bench", "bench", ["run-cronjob"])
        self.token = cluster.user("bench", ["run-cronjob"])
        cluster.apply(_MORE_RIGHTS)
        # Outside of a sandbox, every contender reads a bundle of this size.
        self.ca_bundle = certifi.contents() + sandbox.authority.pem

        self._sts = enter(Server(sandbox.aws.answer_sts, tls=sandbox.authority.server_context(STS_HOST)))
        self._eks = enter(Server(EKS(sandbox.aws).answer, tls=sandbox.authority.server_context(EKS_HOST)))
        proxy = enter(ForwardProxy(local_ports={f"{STS_HOST}:443": self._sts.port, f"{EKS_HOST}:443": self._eks.port}))
        self.direct = Endpoints(sandbox.github.request_url, proxy.url, cluster.direct_url, cluster.direct_ca_pem)

        # `cluster.url` is the sandbox's proxy, which records requests.
        ports = [urlsplit(url).port or 0 for url in (sandbox.github.url, self._sts.url, self._eks.url, cluster.url)]
        self._relays = [enter(Relay(port)) for port in ports]
        github, to_sts, to_eks, to_cluster = self._relays
        counting = enter(ForwardProxy(local_ports={f"{STS_HOST}:443": to_sts.port, f"{EKS_HOST}:443": to_eks.port}))
        token_url = sandbox.github.request_url.replace(f":{ports[0]}/", f":{github.port}/")
        self.counted = Endpoints(token_url, counting.url, f"https://{HOST}:{to_cluster.port}", cluster.ca_pem)

        self._created: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._completed: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._watch()

    def use(self, endpoints: Endpoints) -> None:
        """From now on, contenders get `endpoints`, and EKS describes the cluster there."""
        self.endpoints = endpoints
        self.sandbox.aws.create_cluster(CLUSTER, REGION, endpoints.server, endpoints.ca_pem)

    def _get(self, path: str, **options: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401  urllib3's
        """GET `path` as an administrator."""
        token = self.sandbox.cluster.user("bench-admin", ["system:masters"])
        http = urllib3.PoolManager(ca_cert_data=self._cluster.direct_ca_pem)
        headers = {"Authorization": f"Bearer {token}"}
        return http.request("GET", self._cluster.direct_url + path, headers=headers, **options)

    def _watch(self) -> None:
        """Note the times at which each Job is created and completes."""
        events = self._get(f"{_JOBS}?watch=1", preload_content=False)

        def note() -> None:
            rest = b""
            with suppress(urllib3.exceptions.HTTPError):  # the control plane is stopped
                while data := events.read1():
                    now = time.monotonic()
                    *lines, rest = (rest + data).split(b"\n")
                    for event in map(json.loads, lines):
                        if event["type"] == "ADDED":
                            self._created.put(now)
                        elif event["type"] == "MODIFIED" and _is_complete(event["object"]):
                            self._completed.put(now)

        threading.Thread(target=note, daemon=True).start()

    def wait_for_creation(self) -> float:
        """Return the time at which the one new Job was created. Raises queue.Empty after 60 seconds."""
        return self._created.get(timeout=_TIMEOUT_SECONDS)

    def wait_for_completion(self) -> float:
        """Return the time at which the one running Job completed. Raises queue.Empty after 60 seconds."""
        return self._completed.get(timeout=_TIMEOUT_SECONDS)

    def watch_count(self) -> int:
        """The number of watches of Jobs that the API server serves at present."""
        return sum(map(int, _WATCHES.findall(self._cluster.ask("GET", "/metrics").data.decode())))

    def kubernetes_version(self) -> str:
        """The control plane's version, as in `v1.37.2`."""
        return str(self._cluster.ask("GET", "/version").json()["gitVersion"])

    def delete_jobs(self) -> None:
        """Delete all Jobs, so that each run starts from the same state."""
        for job in self.sandbox.cluster.list("Job", NAMESPACE):
            self.sandbox.cluster.delete("Job", NAMESPACE, job["metadata"]["name"])

    def take_traffic(self) -> Traffic:
        """Return the traffic of the counted endpoints since the last call, and reset the counters."""
        journals: dict[str, list[RecordedRequest]] = {
            "GitHub": self.sandbox.github.journal,
            "STS": self._sts.journal,
            "EKS": self._eks.journal,
            "Kubernetes": self._cluster.journal,
        }
        traffic = Traffic(
            {name: len(journal) for name, journal in journals.items()},
            sum(relay.sent for relay in self._relays),
            sum(relay.received for relay in self._relays),
        )
        for journal in journals.values():
            journal.clear()
        for relay in self._relays:
            relay.sent = relay.received = 0
        return traffic

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit_stack.close()


def _is_complete(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Complete", "True") for each in conditions)
