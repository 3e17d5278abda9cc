"""The course that all run: GitHub's token, AWS under its real names, a real control plane.

There are two ways over it. On the direct one runs are timed; on the counted one every byte passes a relay, and the API
server's requests a proxy that writes them down.
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
_PATIENCE_SECONDS = 60
_WATCHES = re.compile(r'^apiserver_longrunning_requests\{.*resource="jobs".*verb="WATCH".*\} (\d+)$', re.MULTILINE)

# What kubectl logs asks for besides.
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
    """What one run asked for: requests by whom they went to, and bytes on the wire."""

    requests: Mapping[str, int]
    sent: int
    received: int


@dataclass(frozen=True)
class Way:
    """Where a process finds GitHub, AWS and the cluster."""

    token_url: str
    proxy_url: str
    server: str
    ca_pem: str


class Course:
    """A sandbox with a finished set-up, and a watch that tells when a Job is there."""

    def __init__(self) -> None:
        self._open = ExitStack()
        keep = self._open.enter_context
        world = self.world = keep(Sandbox(RealCluster))
        cluster = self._cluster = cast("RealCluster", world.cluster)
        self.key_id, self.secret_key = world.aws.create_access_key("bench")
        world.aws.map_identity("arn:aws:iam::123456789012:user/bench", "bench", ["run-cronjob"])
        self.token = cluster.user("bench", ["run-cronjob"])
        cluster.apply(_MORE_RIGHTS)
        # As many as everyone has to read in real life, and the sandbox's own.
        self.authorities = certifi.contents() + world.authority.pem

        self._sts = keep(Server(world.aws.answer_sts, tls=world.authority.server_context(STS_HOST)))
        self._eks = keep(Server(EKS(world.aws).answer, tls=world.authority.server_context(EKS_HOST)))
        proxy = keep(ForwardProxy(local_ports={f"{STS_HOST}:443": self._sts.port, f"{EKS_HOST}:443": self._eks.port}))
        self.direct = Way(world.github.request_url, proxy.url, cluster.direct_url, cluster.direct_ca_pem)

        # `cluster.url` is a proxy of the sandbox's that writes requests down.
        ports = [urlsplit(url).port or 0 for url in (world.github.url, self._sts.url, self._eks.url, cluster.url)]
        self._relays = [keep(Relay(port)) for port in ports]
        github, to_sts, to_eks, to_cluster = self._relays
        counting = keep(ForwardProxy(local_ports={f"{STS_HOST}:443": to_sts.port, f"{EKS_HOST}:443": to_eks.port}))
        token_url = world.github.request_url.replace(f":{ports[0]}/", f":{github.port}/")
        self.counted = Way(token_url, counting.url, f"https://{HOST}:{to_cluster.port}", cluster.ca_pem)

        self._jobs: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._ends: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._watch()

    def take(self, way: Way) -> None:
        """From now on, EKS tells of the cluster at the end of `way`."""
        self.way = way
        self.world.aws.create_cluster(CLUSTER, REGION, way.server, way.ca_pem)

    def _ask(self, path: str, **options: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401  urllib3's
        """One request of an administrator."""
        token = self.world.cluster.user("bench-admin", ["system:masters"])
        http = urllib3.PoolManager(ca_cert_data=self._cluster.direct_ca_pem)
        headers = {"Authorization": f"Bearer {token}"}
        return http.request("GET", self._cluster.direct_url + path, headers=headers, **options)

    def _watch(self) -> None:
        """Note the moments at which each Job appears and completes."""
        events = self._ask(f"{_JOBS}?watch=1", preload_content=False)

        def note() -> None:
            rest = b""
            with suppress(urllib3.exceptions.HTTPError):  # the control plane is stopped
                while data := events.read1():
                    now = time.monotonic()
                    *lines, rest = (rest + data).split(b"\n")
                    for event in map(json.loads, lines):
                        if event["type"] == "ADDED":
                            self._jobs.put(now)
                        elif event["type"] == "MODIFIED" and _is_complete(event["object"]):
                            self._ends.put(now)

        threading.Thread(target=note, daemon=True).start()

    def job_seen(self) -> float:
        """The moment at which the one new Job appeared. Raises queue.Empty if none comes."""
        return self._jobs.get(timeout=_PATIENCE_SECONDS)

    def end_seen(self) -> float:
        """The moment at which the one Job that runs was complete. Raises queue.Empty if it never is."""
        return self._ends.get(timeout=_PATIENCE_SECONDS)

    def watches(self) -> int:
        """How many watches of Jobs the API server serves just now."""
        return sum(map(int, _WATCHES.findall(self._cluster.ask("GET", "/metrics").data.decode())))

    def version(self) -> str:
        """The control plane's."""
        return str(self._cluster.ask("GET", "/version").json()["gitVersion"])

    def clear(self) -> None:
        """Remove the Jobs, so that each run finds what the first one found."""
        for job in self.world.cluster.list("Job", NAMESPACE):
            self.world.cluster.delete("Job", NAMESPACE, job["metadata"]["name"])

    def traffic(self) -> Traffic:
        """What passed the counted way since this was asked last."""
        journals: dict[str, list[RecordedRequest]] = {
            "GitHub": self.world.github.journal,
            "STS": self._sts.journal,
            "EKS": self._eks.journal,
            "Kubernetes": self._cluster.journal,
        }
        told = Traffic(
            {name: len(journal) for name, journal in journals.items()},
            sum(relay.sent for relay in self._relays),
            sum(relay.received for relay in self._relays),
        )
        for journal in journals.values():
            journal.clear()
        for relay in self._relays:
            relay.sent = relay.received = 0
        return told

    def close(self) -> None:
        """Stop everything."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_complete(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Complete", "True") for each in conditions)
