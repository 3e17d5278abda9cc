"""A real API server with the face of the emulator in cluster.py, so that the same tests try both.

One control plane serves all that is opened in a process, one at a time; closing wipes what was put there.
"""

from __future__ import annotations

import base64
import copy
import json
import time
from typing import TYPE_CHECKING, Self

import yaml
from werkzeug.wrappers import Response

from sandbox.admission import Failing, Webhook
from sandbox.controlplane import BY_HAND, control_plane, free_port
from sandbox.faults import FaultProxy
from sandbox.resources import RESOURCES, Resource, of_kind
from sandbox.serving import HOST, Server
from sandbox.verifier import with_probe
from sandbox.world import CLUSTER, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from urllib3 import BaseHTTPResponse
    from werkzeug.wrappers import Request

    from sandbox.aws import AWS
    from sandbox.certificates import Authority
    from sandbox.podlogs import ContainerLog
    from sandbox.status import Object

_WEBHOOKS = Resource(
    "ValidatingWebhookConfiguration", "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", False
)
_OURS = {"default", "kube-system", "kube-public", "kube-node-lease"}
_BUILT_IN = ("system:", "cluster-admin", "admin", "edit", "view", "kube-")
_AT_ONCE = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background", "gracePeriodSeconds": 0}


class _Webhooks(list[Webhook]):
    """The webhooks of a test; every change reaches the API server at once."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def append(self, webhook: Webhook) -> None:
        super().append(webhook)
        self._changed()

    def clear(self) -> None:
        super().clear()
        self._changed()


class RealCluster:
    """A real API server behind a proxy that keeps the journal; otherwise as sandbox.cluster.Cluster.

    Who bears an EKS token is found out by aws-iam-authenticator, from the account's STS and aws-auth. With
    `runs_jobs`, Jobs get pods, and sandbox/stages.yaml tells how those live.
    """

    def __init__(self, authority: Authority, aws: AWS, *, runs_jobs: bool = False) -> None:
        self._plane = control_plane(cluster=CLUSTER, region=REGION, runs_jobs=runs_jobs)
        self._aws, self._authority = aws, authority
        self._plane.verifier.answer_sts = aws.answer_sts
        self._aws_auths = 0
        self._write_aws_auth()
        aws.on_mapping = self._write_aws_auth
        self._proxy = FaultProxy(self._plane.url, authority=authority, upstream_ca=self._plane.ca_pem)
        self.url, self.ca_pem, self.journal = self._proxy.url, authority.pem, self._proxy.journal
        self.direct_url, self.direct_ca_pem = self._plane.url, self._plane.ca_pem
        self.kubeconfig = self._plane.kubeconfig
        """An administrator's, past the proxy."""
        self.verifier, self.pods_log = self._plane.verifier, self._plane.pods_log
        self._admission = Server(self._admit, tls=authority.server_context())
        self.webhooks = _Webhooks(self._register_webhooks)
        self.warnings = _Warnings(self._register_webhooks)

    def _write_aws_auth(self) -> None:
        """Put the account's mapping into the ConfigMap, and wait until the verifier has read it."""
        self._aws_auths += 1
        generation = f"aws-auth-{id(self)}-{self._aws_auths}"
        metadata = {"name": "aws-auth", "namespace": "kube-system"}
        self.apply({"kind": "ConfigMap", "metadata": metadata, "data": with_probe(self._aws.aws_auth, generation)})
        self._plane.wait_for(
            "the verifier to read aws-auth", lambda: self._plane.who_is(self._plane.verifier.probe()) == generation
        )

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
        resource = _of_kind(wanted["kind"])
        wanted.setdefault("apiVersion", resource.api_version)
        metadata, status = wanted["metadata"], wanted.get("status")
        namespace = metadata.get("namespace", "default") if resource.namespaced else ""
        path = _path(resource, namespace, metadata["name"])
        found = self._plane.ask("GET", path)
        if found.status == 200:
            metadata["resourceVersion"] = found.json()["metadata"]["resourceVersion"]
            applied = self._must("PUT", path, wanted)
        else:
            applied = self._must("POST", _path(resource, namespace), wanted)
        return self._must("PUT", f"{path}/status", {**applied, "status": status}) if status else applied

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """The object."""
        return self._must("GET", _path(_of_kind(kind), namespace, name))

    def list(self, kind: str, namespace: str = "") -> tuple[Object, ...]:
        """The objects of a kind."""
        return tuple(self._must("GET", _path(_of_kind(kind), namespace))["items"])

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
        path = _path(_of_kind(kind), namespace, name)
        while True:
            changed = self._must("GET", path)
            change(changed)
            answer = self._plane.ask("PUT", path + part, changed)
            # A controller was quicker: read it again, as the emulator's lock would have made us do.
            if answer.status != 409:
                return _told("PUT", path, answer)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove the object at once; the garbage collector removes what it owns."""
        path = _path(_of_kind(kind), namespace, name)
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

    def log(self, namespace: str, pod: str, container: str = "") -> ContainerLog:
        """What a pod's container (the only one, if not named) prints: write to it.

        A pod that no scheduler has given a node is bound to one whose pods only tests move.
        """
        found = self.get("Pod", namespace, pod)
        if not found["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": BY_HAND}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
            self._must("POST", f"{_path(of_kind('Pod'), namespace, pod)}/binding", binding)
        if not container:
            [only] = found["spec"]["containers"]
            container = only["name"]
        return self._plane.kubelet.log(namespace, pod, container)

    def compact(self) -> None:
        """Forget the past: a new API server knows no change from before it began. It also cuts all streams."""
        self._plane.restart_server()

    def ask(self, method: str, path: str, body: object = None) -> BaseHTTPResponse:
        """One raw request of an administrator, past the proxy."""
        return self._plane.ask(method, path, body)

    def _must(self, method: str, path: str, body: object = None) -> Object:
        return _told(method, path, self._plane.ask(method, path, body))

    # --- admission

    def _register_webhooks(self) -> None:
        """Let the API server ask `_admit` about every new Job."""
        name = "sandbox"
        self._plane.ask("DELETE", _path(_WEBHOOKS, "", name))
        asked = list(self.webhooks) or ([Webhook("warns.example", lambda _: None)] if self.warnings else [])
        if asked:
            configured = [self._configured(index, webhook) for index, webhook in enumerate(asked)]
            self._apply({"kind": _WEBHOOKS.kind, "metadata": {"name": name}, "webhooks": configured})
            self._settle()

    def _configured(self, index: int, webhook: Webhook) -> Object:
        failing = isinstance(webhook.decide({"spec": {}}), Failing)
        url = f"https://{HOST}:{free_port()}" if failing else f"{self._admission.url}/{index}"
        bundle = base64.b64encode(self._authority.pem.encode()).decode()
        rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
        return {
            "name": webhook.name if webhook.name.count(".") > 1 else f"sandbox.{webhook.name}",
            "clientConfig": {"url": url, "caBundle": bundle},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 2,
        }

    def _settle(self) -> None:
        """The API server learns of a new webhook through a watch of its own; a second is far longer than it takes."""
        time.sleep(1)

    def _admit(self, request: Request) -> Response:
        review = json.loads(request.get_data())["request"]
        index = int(request.path.strip("/"))
        denial = self.webhooks[index].decide(review["object"]) if self.webhooks else None
        answer: Object = {"uid": review["uid"], "allowed": denial is None, "warnings": list(self.warnings)}
        if denial is not None:
            answer["status"] = {"message": str(denial), "code": self.webhooks[index].code}
        told = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        return Response(json.dumps(told), content_type="application/json")

    def close(self) -> None:
        """Wipe what was put here."""
        self._aws.on_mapping = lambda: None
        self.warnings.clear()
        self.webhooks.clear()
        self._plane.kubelet.forget()
        for resource in RESOURCES:
            if resource.kind not in {"Namespace", "Event"}:
                self._wipe(resource)
        self._proxy.close()
        self._admission.close()

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

    def _left(self, resource: Resource) -> list[Object]:
        return [
            each
            for each in self.list(resource.kind)
            if not each["metadata"]["name"].startswith(_BUILT_IN) and each["metadata"].get("namespace") not in _OURS
        ]

    def _is_wiped(self, resource: Resource) -> bool:
        left = self._left(resource)
        for each in left:
            self._release(_path(resource, each["metadata"].get("namespace", ""), each["metadata"]["name"]), each)
        return not left

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Warnings(list[str]):
    """What the API server is to warn of; every change reaches it at once."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def append(self, text: str) -> None:
        super().append(text)
        self._changed()

    def __iadd__(self, texts: Iterable[str]) -> Self:  # type: ignore[misc,override]
        for text in texts:
            self.append(text)
        return self


def _told(method: str, path: str, answer: BaseHTTPResponse) -> Object:
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {answer.data.decode()}")
    told: Object = answer.json()
    return told


def _of_kind(kind: str) -> Resource:
    return _WEBHOOKS if kind == _WEBHOOKS.kind else of_kind(kind)


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    within = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{within}/{resource.plural}" + (f"/{name}" if name else "")
