"""A real kube-apiserver on loopback, with the face of the emulator in cluster.py, so that the same tests try both.

It needs the binaries etcd and kube-apiserver in one folder, such as envtest's KUBEBUILDER_ASSETS. One control plane
serves all that is opened in a process, one at a time; closing wipes what was put there.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import copy
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import trustme
import urllib3
import yaml
from werkzeug.wrappers import Response

from sandbox.admission import Failing, Webhook
from sandbox.faults import FaultProxy
from sandbox.resources import RESOURCES, Resource, of_kind
from sandbox.serving import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from werkzeug.wrappers import Request

    from sandbox.certificates import Authority
    from sandbox.status import Object

START_SECONDS = 60
_WEBHOOKS = Resource(
    "ValidatingWebhookConfiguration", "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", False
)
_OURS = {"default", "kube-system", "kube-public", "kube-node-lease"}


class Processes:
    """etcd and kube-apiserver, from construction until this process ends."""

    def __init__(self, binaries: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="run-cronjob-controlplane-"))
        self.admin_token = secrets.token_urlsafe(32)
        self.tokens: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.authenticate: Callable[[str], tuple[str, tuple[str, ...]] | None] = lambda _: None
        self._serving_ca, self._client_ca = trustme.CA(), trustme.CA()
        self.ca_pem = self._serving_ca.cert_pem.bytes().decode()
        self._started: list[subprocess.Popen[bytes]] = []
        atexit.register(self.stop)

        self._reviewer = Server(self._review)
        port, etcd = _free_port(), f"http://{HOST}:{_free_port()}"
        self.url = f"https://{HOST}:{port}"
        self._start(
            binaries / "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://{HOST}:0",
            "--unsafe-no-fsync",
        )
        self._write_files()
        self._start(
            binaries / "kube-apiserver",
            f"--etcd-servers={etcd}",
            f"--secure-port={port}",
            f"--bind-address={HOST}",
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={self.folder}/tls.pem",
            f"--tls-private-key-file={self.folder}/tls.pem",
            f"--client-ca-file={self.folder}/client-ca.pem",
            "--service-account-issuer=https://sandbox.invalid",
            f"--service-account-key-file={self.folder}/tls.pem",
            f"--service-account-signing-key-file={self.folder}/tls.pem",
            f"--token-auth-file={self.folder}/tokens.csv",
            f"--authentication-token-webhook-config-file={self.folder}/webhook.yaml",
            "--authentication-token-webhook-cache-ttl=0s",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--anonymous-auth=false",
            "--allow-privileged",
        )
        self._http = urllib3.PoolManager(ca_cert_data=self.ca_pem)
        self._wait()

    def _start(self, *command: object) -> None:
        with (self.folder / f"{Path(str(command[0])).name}.log").open("wb") as log:
            self._started.append(subprocess.Popen([str(word) for word in command], stdout=log, stderr=log))

    def _write_files(self) -> None:
        certificate = self._serving_ca.issue_cert(HOST, "localhost")
        (self.folder / "tls.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        (self.folder / "client-ca.pem").write_bytes(self._client_ca.cert_pem.bytes())
        (self.folder / "tokens.csv").write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        reviewer = {
            "kind": "Config",
            "clusters": [{"name": "r", "cluster": {"server": self._reviewer.url}}],
            "users": [{"name": "r", "user": {}}],
            "contexts": [{"name": "r", "context": {"cluster": "r", "user": "r"}}],
            "current-context": "r",
        }
        (self.folder / "webhook.yaml").write_text(yaml.safe_dump(reviewer))

    def _review(self, request: Request) -> Response:
        """Answer a TokenReview: who is the bearer."""
        review = json.loads(request.get_data())
        token = review["spec"]["token"]
        found = self.tokens.get(token) or self.authenticate(token)
        status: dict[str, Any] = {"authenticated": False}
        if found:
            username, groups = found
            status = {"authenticated": True, "user": {"username": username, "groups": list(groups)}}
        answer = {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}
        return Response(json.dumps(answer), content_type="application/json")

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if self.ask("GET", "/readyz").status == 200:
                    return
            if any(process.poll() is not None for process in self._started):
                break
            time.sleep(0.1)
        raise RuntimeError(f"the control plane did not start: see the logs in {self.folder}")

    def ask(self, method: str, path: str, body: object = None) -> urllib3.BaseHTTPResponse:
        """One request of an administrator."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        return self._http.request(method, self.url + path, headers=headers, json=body, retries=False, timeout=10)

    def client_certificate(self, name: str, group: str | None = None) -> tuple[str, str]:
        """A client certificate and its key, as PEM."""
        issued = self._client_ca.issue_cert(common_name=name, organization_name=group)
        chain = issued.cert_chain_pems[0].bytes().decode()
        return chain, issued.private_key_pem.bytes().decode()

    def stop(self) -> None:
        """End the processes and remove their files."""
        for process in reversed(self._started):
            process.kill()
            process.wait()
        self._reviewer.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def _processes(binaries: Path) -> Processes:
    return Processes(binaries)


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
    """A real API server behind a proxy that keeps the journal; otherwise as sandbox.cluster.Cluster."""

    def __init__(
        self,
        authority: Authority,
        authenticate: Callable[[str], tuple[str, tuple[str, ...]] | None],
        binaries: Path | None = None,
    ) -> None:
        self._processes = _processes(binaries or Path(os.environ["KUBEBUILDER_ASSETS"]))
        self._processes.authenticate = authenticate
        self._authority = authority
        self._proxy = FaultProxy(self._processes.url, authority=authority, upstream_ca=self._processes.ca_pem)
        self.url, self.ca_pem, self.journal = self._proxy.url, authority.pem, self._proxy.journal
        self.direct_url, self.direct_ca_pem = self._processes.url, self._processes.ca_pem
        self._admission = Server(self._admit, tls=authority.server_context())
        self.webhooks = _Webhooks(self._register_webhooks)
        self.warnings = _Warnings(self._register_webhooks)

    def user(self, name: str, groups: Iterable[str] = ()) -> str:
        """A bearer token for `name`."""
        token = secrets.token_urlsafe(32)
        self._processes.tokens[token] = (name, tuple(groups))
        return token

    def client_certificate(self, name: str, group: str | None = None) -> tuple[str, str]:
        """A client certificate and its key for `name`, as PEM. The proxy ends TLS: use `direct_url` with it."""
        return self._processes.client_certificate(name, group)

    def apply(self, manifest: Mapping[str, object] | str) -> list[Object]:
        """Create or replace what a manifest, or YAML of several, says."""
        documents = list(yaml.safe_load_all(manifest)) if isinstance(manifest, str) else [dict(manifest)]
        return [self._apply(copy.deepcopy(document)) for document in documents if document]

    def _apply(self, wanted: Object) -> Object:
        resource = _of_kind(wanted["kind"])
        wanted.setdefault("apiVersion", resource.api_version)
        metadata = wanted["metadata"]
        namespace = metadata.get("namespace", "default") if resource.namespaced else ""
        found = self._processes.ask("GET", _path(resource, namespace, metadata["name"]))
        if found.status == 200:
            metadata["resourceVersion"] = found.json()["metadata"]["resourceVersion"]
            return self._must("PUT", _path(resource, namespace, metadata["name"]), wanted)
        return self._must("POST", _path(resource, namespace), wanted)

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """The object."""
        return self._must("GET", _path(_of_kind(kind), namespace, name))

    def list(self, kind: str, namespace: str = "") -> tuple[Object, ...]:
        """The objects of a kind."""
        return tuple(self._must("GET", _path(_of_kind(kind), namespace))["items"])

    def patch(self, kind: str, namespace: str, name: str, change: Callable[[Object], object]) -> Object:
        """Let `change` work on the object, and store the outcome."""
        changed = self.get(kind, namespace, name)
        change(changed)
        return self._must("PUT", _path(_of_kind(kind), namespace, name), changed)

    def set_status(self, kind: str, namespace: str, name: str, **fields: object) -> Object:
        """Set these fields of the object's status."""
        changed = self.get(kind, namespace, name)
        changed.setdefault("status", {}).update(fields)
        return self._must("PUT", f"{_path(_of_kind(kind), namespace, name)}/status", changed)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Remove the object at once."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        self._must("DELETE", _path(_of_kind(kind), namespace, name), options)

    def _must(self, method: str, path: str, body: object = None) -> Object:
        answer = self._processes.ask(method, path, body)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data.decode()}")
        told: Object = answer.json()
        return told

    # --- admission

    def _register_webhooks(self) -> None:
        """Let the API server ask `_admit` about every new Job."""
        name = "sandbox"
        self._processes.ask("DELETE", _path(_WEBHOOKS, "", name))
        asked = list(self.webhooks) or ([Webhook("warns.example", lambda _: None)] if self.warnings else [])
        if asked:
            configured = [self._configured(index, webhook) for index, webhook in enumerate(asked)]
            self._apply({"kind": _WEBHOOKS.kind, "metadata": {"name": name}, "webhooks": configured})
            self._settle()

    def _configured(self, index: int, webhook: Webhook) -> Object:
        failing = isinstance(webhook.decide({"spec": {}}), Failing)
        url = f"https://{HOST}:{_free_port()}" if failing else f"{self._admission.url}/{index}"
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
        self.warnings.clear()
        self.webhooks.clear()
        for resource in RESOURCES:
            if resource.kind in {"Namespace", "Event"}:
                continue
            for found in self.list(resource.kind):
                metadata = found["metadata"]
                if not metadata["name"].startswith(("system:", "cluster-admin", "admin", "edit", "view", "kube-")) and (
                    metadata.get("namespace", "") not in _OURS
                ):
                    self.delete(resource.kind, metadata.get("namespace", ""), metadata["name"])
        self._proxy.close()
        self._admission.close()

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


def _of_kind(kind: str) -> Resource:
    return _WEBHOOKS if kind == _WEBHOOKS.kind else of_kind(kind)


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    within = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{within}/{resource.plural}" + (f"/{name}" if name else "")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
