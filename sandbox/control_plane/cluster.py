"""A real API server with the interface of the emulated one, so that the same tests run on both.

The clusters of a process share one control plane, one after the other; closing one deletes its objects.
"""

from __future__ import annotations

import copy
import secrets
from typing import TYPE_CHECKING

import yaml

from sandbox.control_plane.admission_webhooks import Webhooks
from sandbox.control_plane.control_plane import BY_HAND, control_plane
from sandbox.control_plane.token_webhook import with_probe
from sandbox.emulator.resources import RESOURCES, of_kind
from sandbox.names import CLUSTER, REGION
from sandbox.net.fault_proxy import FaultProxy
from sandbox.net.server import Closeable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from urllib3 import BaseHTTPResponse

    from sandbox.aws.server import AWS
    from sandbox.emulator.errors import Object
    from sandbox.emulator.pod_logs import ContainerLog
    from sandbox.emulator.resources import Resource
    from sandbox.net.certificates import Authority

_SYSTEM_NAMESPACES = {"kube-system", "kube-public", "kube-node-lease"}
_BUILT_IN = "kubernetes.io/bootstrapping"
"""The label of the roles and bindings that the API server creates."""
_AT_ONCE = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "gracePeriodSeconds": 0}


class RealCluster(Closeable):
    """A real API server behind a proxy that records requests; see sandbox.emulator.server.EmulatedCluster.

    aws-iam-authenticator verifies EKS tokens, with the account's STS and aws-auth. With `runs_jobs`, Jobs get pods,
    which kwok runs as stages.yaml says.
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
        """An administrator's kubeconfig, which bypasses the proxy."""
        self._webhooks = Webhooks(self._plane, authority)
        self.webhooks, self.warnings = self._webhooks.registered, self._webhooks.warnings

    def _write_aws_auth(self) -> None:
        """Write the account's mapping into the ConfigMap, and wait until the verifier uses it."""
        generation = f"generation-{secrets.token_hex(8)}"
        metadata = {"name": "aws-auth", "namespace": "kube-system"}
        self.apply({"kind": "ConfigMap", "metadata": metadata, "data": with_probe(self._aws.aws_auth, generation)})
        self._plane.wait_for(
            "the verifier to read aws-auth", lambda: self.who_is(self.verifier.probe()) == (generation, ())
        )

    def who_is(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        """Return (username, groups) that the API server authenticates `token` as, None for a 401."""
        return self._plane.who_is(token)

    def user(self, name: str, groups: Iterable[str] = ()) -> str:
        """Issue a bearer token for `name`."""
        return self._plane.token(name, tuple(groups))

    def client_certificate(self, name: str, group: str | None = None) -> tuple[str, str]:
        """Issue a client certificate and its key, as PEM, for `direct_url`: the proxy terminates TLS."""
        return self._plane.client_certificate(name, group)

    def apply(self, manifest: Mapping[str, object] | str) -> list[Object]:
        """Create or replace the objects in a manifest or in YAML; keep the status where the manifest has none."""
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
        applied = _checked("PUT", path, answer)
        if status:
            return self._change(
                resource.kind, namespace, metadata["name"], lambda it: it.update(status=status), "/status"
            )
        return applied

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """Return the object; `namespace` is "" for cluster-scoped kinds."""
        return self._ask("GET", _path(of_kind(kind), namespace, name))

    def list(self, kind: str, namespace: str = "") -> tuple[Object, ...]:
        """Return a kind's objects in one namespace, or in all."""
        return self._list(of_kind(kind), namespace)

    def _list(self, resource: Resource, namespace: str = "", query: str = "") -> tuple[Object, ...]:
        named = {"apiVersion": resource.api_version, "kind": resource.kind}  # the items of a list have none
        return tuple({**named, **item} for item in self._ask("GET", _path(resource, namespace) + query)["items"])

    def patch(self, kind: str, namespace: str, name: str, change: Callable[[Object], object]) -> Object:
        """Apply `change` to the object and store it."""
        return self._change(kind, namespace, name, change)

    def set_status(self, kind: str, namespace: str, name: str, **fields: object) -> Object:
        """Set these fields of the object's status and keep the others."""
        return self._change(
            kind, namespace, name, lambda found: found.setdefault("status", {}).update(fields), "/status"
        )

    def _change(
        self, kind: str, namespace: str, name: str, change: Callable[[Object], object], part: str = ""
    ) -> Object:
        path = _path(of_kind(kind), namespace, name)
        while True:
            changed = self._ask("GET", path)
            change(changed)
            answer = self._plane.ask("PUT", path + part, changed)
            # A 409 means that a controller wrote first; the emulated cluster has a lock instead.
            if answer.status != 409:
                return _checked("PUT", path, answer)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete the object at once; the garbage collector deletes its dependents."""
        path = _path(of_kind(kind), namespace, name)
        self._ask("DELETE", path, _AT_ONCE)
        if kind != "Namespace":
            self._plane.wait_for(f"{kind} {name} to go", lambda: self._is_gone(path))

    def _is_gone(self, path: str) -> bool:
        found = self._plane.ask("GET", path)
        if found.status == 200:
            self._release(path, found.json())
        return found.status == 404

    def _release(self, path: str, deleted: Object) -> None:
        """Remove the finalizers: the controllers that would do so may not run."""
        if deleted["metadata"].get("finalizers"):
            self._plane.ask("PUT", path, {**deleted, "metadata": {**deleted["metadata"], "finalizers": []}})

    def log(self, namespace: str, pod: str, container: str = "", *, restarted: bool = False) -> ContainerLog:
        """Return the log of a pod's container (by default its only one), to write to.

        `restarted` starts a new log and makes the current one the previous one. A pod without a node is bound to
        the node BY_HAND.
        """
        found = self.get("Pod", namespace, pod)
        if not found["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": BY_HAND}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
            self._ask("POST", f"{_path(of_kind('Pod'), namespace, pod)}/binding", binding)
        if not container:
            [only] = found["spec"]["containers"]
            container = only["name"]
        return self._plane.kubelet.logs.of(namespace, pod, container, restarted=restarted)

    def compact(self) -> None:
        """Drop the history by a restart of the API server, which also ends all streams."""
        self._plane.restart_server()

    def ask(self, method: str, path: str, body: object = None) -> BaseHTTPResponse:
        """Send one request as an administrator, without the proxy."""
        return self._plane.ask(method, path, body)

    def _ask(self, method: str, path: str, body: object = None) -> Object:
        return _checked(method, path, self._plane.ask(method, path, body))

    def close(self) -> None:
        """Delete all objects that were created here, and wait until they are gone."""
        self._aws.on_aws_auth_change = lambda: None
        self._webhooks.close()
        self._plane.kubelet.logs.clear()
        for resource in RESOURCES:
            if resource.kind not in {"Namespace", "Event"}:
                self._wipe(resource)
        # Nothing can be created in a namespace that is being deleted.
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
        return [each for each in found if each["metadata"].get("namespace") not in _SYSTEM_NAMESPACES]

    def _is_wiped(self, resource: Resource) -> bool:
        left = self._left(resource)
        for each in left:
            self._release(_path(resource, each["metadata"].get("namespace", ""), each["metadata"]["name"]), each)
        return not left


def _checked(method: str, path: str, answer: BaseHTTPResponse) -> Object:
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {answer.data.decode()}")
    body: Object = answer.json()
    return body


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    within = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{within}/{resource.plural}" + (f"/{name}" if name else "")
