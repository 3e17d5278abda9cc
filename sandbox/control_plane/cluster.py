"""A real API server with the face of the emulator, so that the same tests try both.

One control plane serves all that is opened in a process, one at a time; closing wipes what was put there.
"""

from __future__ import annotations

import copy
import secrets
from typing import TYPE_CHECKING, Self

import yaml

from sandbox.control_plane.admission_webhooks import Webhooks
from sandbox.control_plane.control_plane import BY_HAND, control_plane
from sandbox.control_plane.token_webhook import with_probe
from sandbox.emulator.resources import RESOURCES, of_kind
from sandbox.names import CLUSTER, REGION
from sandbox.net.fault_proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from urllib3 import BaseHTTPResponse

    from sandbox.aws.server import AWS
    from sandbox.emulator.errors import Object
    from sandbox.emulator.pod_logs import ContainerLog
    from sandbox.emulator.resources import Resource
    from sandbox.net.certificates import Authority

_OURS = {"kube-system", "kube-public", "kube-node-lease"}
_BUILT_IN = "kubernetes.io/bootstrapping"
"""The label of the roles and bindings that an API server brings along."""
_AT_ONCE = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "gracePeriodSeconds": 0}


class RealCluster:
    """A real API server behind a proxy that keeps the journal; otherwise as sandbox.emulator.server.EmulatedCluster.

    Who bears an EKS token is found out by aws-iam-authenticator, from the account's STS and aws-auth. With
    `runs_jobs`, Jobs get pods, and stages.yaml tells how those live.
    """

    def __init__(self, authority: Authority, aws: AWS, *, runs_jobs: bool = False) -> None:
        self._plane = control_plane(cluster=CLUSTER, region=REGION)
        self._plane.run_jobs(wanted=runs_jobs)
        self._aws, self._authority = aws, authority
        self.verifier, self.pods_log = self._plane.verifier, self._plane.pods_log
        self.verifier.answer_sts = aws.answer_sts
        self._write_aws_auth()
        aws.on_aws_auth_change = self._write_aws_auth
        self._proxy = FaultProxy(self._plane.url, authority=authority, upstream_ca=self._plane.ca_pem)
        self.url, self.ca_pem, self.journal = self._proxy.url, authority.pem, self._proxy.journal
        self.direct_url, self.direct_ca_pem = self._plane.url, self._plane.ca_pem
        self.kubeconfig = self._plane.kubeconfig
        """An administrator's, past the proxy."""
        self._webhooks = Webhooks(self._plane, authority)
        self.webhooks, self.warnings = self._webhooks.registered, self._webhooks.warnings

    def _write_aws_auth(self) -> None:
        """Put the account's mapping into the ConfigMap, and wait until the verifier has read it."""
        generation = f"generation-{secrets.token_hex(8)}"
        metadata = {"name": "aws-auth", "namespace": "kube-system"}
        self.apply({"kind": "ConfigMap", "metadata": metadata, "data": with_probe(self._aws.aws_auth, generation)})
        self._plane.wait_for(
            "the verifier to read aws-auth", lambda: self.who_is(self.verifier.probe()) == (generation, ())
        )

    def who_is(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        """Whom the API server takes the bearer of `token` for (username, groups); None means 401."""
        return self._plane.who_is(token)

    def user(self, name: str, groups: Iterable[str] = ()) -> str:
        """A bearer token for `name`."""
        return self._plane.token(name, tuple(groups))

    def client_certificate(self, name: str, group: str | None = None) -> tuple[str, str]:
        """A client certificate and its key for `name`, as PEM. The proxy ends TLS: use `direct_url` with it."""
        return self._plane.client_certificate(name, group)

    def apply(self, manifest: Mapping[str, object] | str) -> list[Object]:
        """Create or replace what a manifest, or YAML of several, says; a status stays if none is given."""
        documents = list(yaml.safe_load_all(manifest)) if isinstance(manifest, str) else [dict(manifest)]
        return [self._apply(copy.deepcopy(document)) for document in documents if document]

    def _apply(self, wanted: Object) -> Object:
        resource = of_kind(wanted["kind"])
        wanted.setdefault("apiVersion", resource.api_version)
        metadata, status = wanted["metadata"], wanted.get("status")
        namespace = metadata.get("namespace", "default") if resource.namespaced else ""
        path = _path(resource, namespace, metadata["name"])
        while True:
            found = self._plane.ask("GET", path)
            if found.status == 200:
                metadata["resourceVersion"] = found.json()["metadata"]["resourceVersion"]
                answer = self._plane.ask("PUT", path, wanted)
            else:
                answer = self._plane.ask("POST", _path(resource, namespace), wanted)
            if answer.status != 409:
                break
        applied = _told("PUT", path, answer)
        if status:
            return self._change(
                resource.kind, namespace, metadata["name"], lambda it: it.update(status=status), "/status"
            )
        return applied

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """The object."""
        return self._must("GET", _path(of_kind(kind), namespace, name))

    def list(self, kind: str, namespace: str = "") -> tuple[Object, ...]:
        """The objects of a kind."""
        return self._list(of_kind(kind), namespace)

    def _list(self, resource: Resource, namespace: str = "", query: str = "") -> tuple[Object, ...]:
        named = {"apiVersion": resource.api_version, "kind": resource.kind}  # which a list says once, of itself
        return tuple({**named, **item} for item in self._must("GET", _path(resource, namespace) + query)["items"])

    def patch(self, kind: str, namespace: str, name: str, change: Callable[[Object], object]) -> Object:
        """Let `change` work on the object, and store the outcome."""
        return self._change(kind, namespace, name, change)

    def set_status(self, kind: str, namespace: str, name: str, **fields: object) -> Object:
        """Set these fields of the object's status; the others stay."""
        return self._change(
            kind, namespace, name, lambda found: found.setdefault("status", {}).update(fields), "/status"
        )

    def _change(
        self, kind: str, namespace: str, name: str, change: Callable[[Object], object], part: str = ""
    ) -> Object:
        path = _path(of_kind(kind), namespace, name)
        while True:
            changed = self._must("GET", path)
            change(changed)
            answer = self._plane.ask("PUT", path + part, changed)
            # At 409 a controller was quicker, which the emulator's lock would have kept waiting.
            if answer.status != 409:
                return _told("PUT", path, answer)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove the object at once; the garbage collector removes what it owns."""
        path = _path(of_kind(kind), namespace, name)
        self._must("DELETE", path, _AT_ONCE)
        if kind != "Namespace":
            self._plane.wait_for(f"{kind} {name} to go", lambda: self._is_gone(path))

    def _is_gone(self, path: str) -> bool:
        found = self._plane.ask("GET", path)
        if found.status == 200:
            self._release(path, found.json())
        return found.status == 404

    def _release(self, path: str, deleted: Object) -> None:
        """Take away what a controller would have to do first: it may not run here."""
        if deleted["metadata"].get("finalizers"):
            self._plane.ask("PUT", path, {**deleted, "metadata": {**deleted["metadata"], "finalizers": []}})

    def log(self, namespace: str, pod: str, container: str = "", *, restarted: bool = False) -> ContainerLog:
        """What a pod's container (the only one, if not named) prints: write to it.

        `restarted`: it starts again, with a new log; the one so far has ended and is the previous one. A pod
        that no scheduler has given a node is bound to one whose pods only tests move.
        """
        found = self.get("Pod", namespace, pod)
        if not found["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": BY_HAND}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
            self._must("POST", f"{_path(of_kind('Pod'), namespace, pod)}/binding", binding)
        if not container:
            [only] = found["spec"]["containers"]
            container = only["name"]
        return self._plane.kubelet.logs.of(namespace, pod, container, restarted=restarted)

    def compact(self) -> None:
        """Forget the past: a new API server knows no change from before it began. It also cuts all streams."""
        self._plane.restart_server()

    def ask(self, method: str, path: str, body: object = None) -> BaseHTTPResponse:
        """One raw request of an administrator, past the proxy."""
        return self._plane.ask(method, path, body)

    def _must(self, method: str, path: str, body: object = None) -> Object:
        return _told(method, path, self._plane.ask(method, path, body))

    def close(self) -> None:
        """Wipe what was put here."""
        self._aws.on_aws_auth_change = lambda: None
        self._webhooks.close()
        self._plane.kubelet.logs.clear()
        for resource in RESOURCES:
            if resource.kind not in {"Namespace", "Event"}:
                self._wipe(resource)
        # Nothing can be put into one until it is gone.
        self._plane.wait_for(
            "namespaces to go", lambda: not any("deletionTimestamp" in it["metadata"] for it in self.list("Namespace"))
        )
        self._proxy.close()

    def _wipe(self, resource: Resource) -> None:
        left = self._left(resource)
        if resource.namespaced:
            paths = {_path(resource, each["metadata"]["namespace"]) for each in left}
        else:
            paths = {_path(resource, "", each["metadata"]["name"]) for each in left}
        for path in paths:
            self._plane.ask("DELETE", path, _AT_ONCE)
        if left:
            self._plane.wait_for(f"{resource} to go", lambda: self._is_wiped(resource))

    def _left(self, resource: Resource) -> Sequence[Object]:
        found = self._list(resource, query=f"?labelSelector=!{_BUILT_IN}")
        return [each for each in found if each["metadata"].get("namespace") not in _OURS]

    def _is_wiped(self, resource: Resource) -> bool:
        left = self._left(resource)
        for each in left:
            self._release(_path(resource, each["metadata"].get("namespace", ""), each["metadata"]["name"]), each)
        return not left

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _told(method: str, path: str, answer: BaseHTTPResponse) -> Object:
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {answer.data.decode()}")
    told: Object = answer.json()
    return told


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    within = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{within}/{resource.plural}" + (f"/{name}" if name else "")
