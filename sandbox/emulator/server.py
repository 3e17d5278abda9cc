"""An emulated Kubernetes API server on loopback TLS, with the parts that creating and following Jobs needs.

It emulates authentication, RBAC, admission, validation, Status bodies, paging and watches. It has no discovery and,
except for garbage collection, no controllers: an object stays as it is until a test changes it.
"""

from __future__ import annotations

import copy
import json
import secrets
from typing import TYPE_CHECKING

import yaml
from werkzeug.wrappers import Response

from sandbox.emulator import admission, jobs, rbac
from sandbox.emulator.authn import Authentication
from sandbox.emulator.decoding import decode
from sandbox.emulator.deletion import ORPHAN_WARNING, delete_job
from sandbox.emulator.errors import (
    Object,
    StatusError,
    already_exists,
    bad_request,
    invalid,
    method_not_allowed,
    not_found,
)
from sandbox.emulator.list_watch import list_page, watch
from sandbox.emulator.pod_logs import ContainerLogs, parse_options
from sandbox.emulator.resources import (
    JOB,
    NAMESPACE,
    POD,
    QUOTA,
    RESOURCES,
    RequestInfo,
    Resource,
    of_kind,
    parse_request,
)
from sandbox.emulator.store import Store, system_metadata
from sandbox.net.server import Closeable, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from werkzeug.wrappers import Request

    from sandbox.emulator.pod_logs import ContainerLog
    from sandbox.net.certificates import Authority
    from sandbox.net.server import RecordedRequest

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_PREFIX_LENGTH = 58


class _ManifestLoader(yaml.SafeLoader):
    """Loads a timestamp in a manifest as a string."""


_ManifestLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: str(node.value))


class EmulatedCluster(Closeable):
    """The API server at `url`, and methods with an administrator's rights that bypass it.

    `authenticate` stands for a token webhook: it maps a token to (username, groups), or to None.
    """

    def __init__(
        self,
        authority: Authority,
        authenticate: Callable[[str], tuple[str, tuple[str, ...]] | None] = lambda _token: None,
    ) -> None:
        self.policies: list[admission.Policy] = []
        self.webhooks: list[admission.Webhook] = []
        self.warnings: list[str] = []
        """Sent in the response for each created Job."""
        self.unknown_fields: set[str] = set()
        """Dotted paths such as `spec.template.spec.containers[0].x` that this API version lacks."""
        self.bookmark_interval = 60.0
        """In seconds."""
        self._authentication = Authentication(authenticate)
        self._store = Store()
        self._logs = ContainerLogs()
        for name in ("default", "kube-system"):
            self.apply({"kind": "Namespace", "metadata": {"name": name}})
        context = authority.server_context()
        self._authentication.accept_certificates(context)
        self.ca_pem = authority.pem
        self._server = Server(self._answer, tls=context)
        self.url = self._server.url
        self.direct_url, self.direct_ca_pem = self.url, self.ca_pem

    @property
    def journal(self) -> list[RecordedRequest]:
        """All requests that the server received."""
        return self._server.journal

    def close(self) -> None:
        """End all streams and stop the server."""
        self._store.close()
        self._logs.clear()
        self._server.close()

    # For an administrator

    def user(self, name: str, groups: Iterable[str] = ()) -> str:
        """Issue a bearer token for `name`."""
        return self._authentication.token(name, groups)

    def client_certificate(self, name: str, group: str | None = None) -> tuple[str, str]:
        """Issue a client certificate and its key for `name`, as PEM."""
        return self._authentication.certificate(name, group)

    def apply(self, manifest: Mapping[str, object] | str) -> Sequence[Object]:
        """Create or replace the objects in a manifest or in YAML; keep the status where the manifest has none."""
        documents = yaml.load_all(manifest, _ManifestLoader) if isinstance(manifest, str) else [dict(manifest)]
        return [self._apply(copy.deepcopy(document)) for document in documents if document]

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """Return a copy of the object; `namespace` is "" for cluster-scoped kinds."""
        return copy.deepcopy(self._find(of_kind(kind), namespace, name))

    def patch(self, kind: str, namespace: str, name: str, change: Callable[[Object], object]) -> Object:
        """Apply `change` to the object and store it."""
        with self._store.changed:
            changed = self.get(kind, namespace, name)
            change(changed)
            return copy.deepcopy(self._store.put(of_kind(kind), changed))

    def set_status(self, kind: str, namespace: str, name: str, **fields: object) -> Object:
        """Set these fields of the object's status and keep the others."""
        return self.patch(kind, namespace, name, lambda found: found.setdefault("status", {}).update(fields))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete the object and its dependents at once; a namespace stays while an object in it has finalizers."""
        with self._store.changed:
            if kind == NAMESPACE.kind and self._is_held(name):
                self.set_status(kind, namespace, name, phase="Terminating")
            else:
                self._store.delete(of_kind(kind), self._find(of_kind(kind), namespace, name))

    def _is_held(self, namespace: str) -> bool:
        within = (
            each for resource in RESOURCES if resource.namespaced for each in self._store.select(resource, namespace)
        )
        return any(each["metadata"].get("finalizers") for each in within)

    def log(self, namespace: str, pod: str, container: str = "", *, restarted: bool = False) -> ContainerLog:
        """Return the log of a pod's container (by default its only one), to write to.

        `restarted` starts a new log and makes the current one the previous one.
        """
        if not container:
            [only] = self._find(POD, namespace, pod)["spec"]["containers"]
            container = only["name"]
        return self._logs.of(namespace, pod, container, restarted=restarted)

    def compact(self) -> None:
        """Drop the history, as etcd does every few minutes: older watches and continue tokens expire."""
        self._store.compact()

    def list(self, kind: str, namespace: str = "") -> tuple[Object, ...]:
        """Return copies of a kind's objects in one namespace, or in all."""
        return tuple(copy.deepcopy(self._store.select(of_kind(kind), namespace)))

    def _apply(self, wanted: Object) -> Object:
        resource = of_kind(wanted["kind"])
        wanted.setdefault("apiVersion", resource.api_version)
        metadata = wanted["metadata"]
        if resource.namespaced:
            self._find(NAMESPACE, "", metadata.setdefault("namespace", "default"))
        with self._store.changed:
            before = self._store.get(resource, metadata.get("namespace", ""), metadata["name"])
            if before and "status" in before:
                wanted.setdefault("status", before["status"])
            match resource.kind:
                case "Namespace":
                    wanted.setdefault("status", {"phase": "Active"})
                case "CronJob":
                    jobs.set_cronjob_defaults(wanted)
                case "Job":
                    kept = before["metadata"] if before else system_metadata()
                    metadata.update(uid=metadata.get("uid", kept["uid"]), generation=1)
                    wanted.setdefault("status", {})
                    jobs.prepare(wanted)
            return copy.deepcopy(self._store.put(resource, wanted))

    def _find(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self._store.get(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    # Requests

    def _answer(self, request: Request) -> Response:
        try:
            user = self._authentication.identify(request)
            query = request.args.to_dict()
            info = parse_request(request.method, request.path, query)
            if (info.verb, info.path) == ("create", ACCESS_REVIEWS):
                # The built-in role system:basic-user allows this for everyone.
                return _json(201, self._review(user, request))
            decision = rbac.authorize(user, info, self._objects)
            if not decision.allowed:
                raise rbac.refusal(user, info, decision.reason)
            return self._serve(request, info, query)
        except StatusError as error:
            return _json(error.code, error.body)

    def _objects(self, kind: str, namespace: str) -> Sequence[Object]:
        return self._store.select(of_kind(kind), namespace)

    def _serve(self, request: Request, info: RequestInfo, query: Mapping[str, str]) -> Response:
        resource = info.resource
        if resource is None or (info.subresource and (resource, info.subresource) != (POD, "log")):
            return Response("404 page not found\n", 404, mimetype="text/plain")
        match resource.kind, info.verb:
            case "Pod", "get" if info.subresource:
                return self._serve_log(info, query)
            case _, "get":
                # For RBAC, a Namespace is in the namespace of its own name.
                namespace = info.namespace if resource.namespaced else ""
                return _json(200, self._find(resource, namespace, info.name))
            case _, "list":
                return _json(200, list_page(self._store, resource, info, query))
            case _, "watch":
                stream = watch(self._store, resource, info, query, self.bookmark_interval)
                return Response(stream, 200, mimetype="application/json")
            case "Job", "create":
                return self._create_job(request, info)
            case "Job", "delete":
                return self._delete_job(request, info)
        raise method_not_allowed(resource, info.verb)

    def _serve_log(self, info: RequestInfo, query: Mapping[str, str]) -> Response:
        options = parse_options(query, info.name)
        pod = self._find(POD, info.namespace, info.name)
        log = self._logs.requested(pod, query.get("container", ""), previous=options.previous)
        return Response(log.read(options), 200, mimetype="text/plain")

    def _review(self, user: rbac.User, request: Request) -> Object:
        review = _body(request)
        asked = review.get("spec", {}).get("resourceAttributes")
        if not isinstance(asked, dict):
            raise bad_request("spec.resourceAttributes is what this cluster reviews; the request has none")
        info = RequestInfo(
            verb=asked.get("verb", ""),
            path="",
            group=asked.get("group", ""),
            plural=asked.get("resource", ""),
            subresource=asked.get("subresource", ""),
            namespace=asked.get("namespace", ""),
            name=asked.get("name", ""),
        )
        decision = rbac.authorize(user, info, self._objects)
        status: Object = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return {**review, "status": status}

    def _create_job(self, request: Request, info: RequestInfo) -> Response:
        dry_run = request.args.get("dryRun") == "All"
        job, warnings = decode(
            request.get_data(),
            JOB,
            unknown_fields=self.unknown_fields,
            field_validation=request.args.get("fieldValidation", "Warn"),
        )
        metadata = job["metadata"]
        if metadata.setdefault("namespace", info.namespace) != info.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        named = metadata.get("name") or metadata.get("generateName") or "Unknown"
        admission.check_namespace(JOB, named, info.namespace, self._store.get(NAMESPACE, "", info.namespace))
        for field in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(field, None)
        metadata.update(system_metadata(), generation=1)
        # The list of fields is left empty: nothing here reads it.
        metadata["managedFields"] = [
            {
                "manager": request.args.get("fieldManager") or request.user_agent.string.partition("/")[0] or "unknown",
                "operation": "Update",
                "apiVersion": JOB.api_version,
                "time": metadata["creationTimestamp"],
                "fieldsType": "FieldsV1",
                "fieldsV1": {},
            }
        ]
        if metadata.get("generateName") and not metadata.get("name"):
            suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
            metadata["name"] = metadata["generateName"][:_GENERATED_PREFIX_LENGTH] + suffix
        job["status"] = {}
        jobs.prepare(job)
        name = metadata.get("name", "")
        if errors := jobs.validate(job):
            raise invalid(JOB, name, errors)
        admission.check_policies(JOB, copy.deepcopy(job), self.policies)
        admission.check_webhooks(copy.deepcopy(job), self.webhooks, dry_run=dry_run)
        with self._store.changed:
            used = len(self._store.select(JOB, info.namespace))
            admission.check_quotas(JOB, name, used, self._store.select(QUOTA, info.namespace))
            if self._store.get(JOB, info.namespace, name):
                raise already_exists(JOB, name)
            created = job if dry_run else self._store.put(JOB, job)
        return _json(201, created, [*warnings, *jobs.warnings(job), *self.warnings])

    def _delete_job(self, request: Request, info: RequestInfo) -> Response:
        options = _body(request)
        # The API takes these options in the body and in the query.
        if policy := request.args.get("propagationPolicy"):
            options.setdefault("propagationPolicy", policy)
        if dry_run := request.args.getlist("dryRun"):
            options.setdefault("dryRun", dry_run)
        with self._store.changed:
            answer = delete_job(self._store, self._find(JOB, info.namespace, info.name), options)
        return _json(200, answer, [] if options.get("propagationPolicy") else [ORPHAN_WARNING])


def _body(request: Request) -> Object:
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: not an object")
    return body


def _json(code: int, body: Object, warnings: Iterable[str] = ()) -> Response:
    response = Response(
        json.dumps(body, ensure_ascii=False).encode(errors="replace"), code, mimetype="application/json"
    )
    for text in warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        # The header is UTF-8, and WSGI passes bytes as Latin-1.
        response.headers.add("Warning", f'299 - "{quoted}"'.encode().decode("latin-1"))
    return response
