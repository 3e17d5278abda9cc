"""The resources that the emulator serves, and the parser of request paths.

Paths are parsed as in apiserver's pkg/endpoints/request/requestinfo.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Resource:
    """A resource: its kind, API group, version and plural name."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True
    selectable: frozenset[str] = frozenset()
    """The fields that a fieldSelector may use, besides metadata.name and metadata.namespace."""

    @property
    def api_version(self) -> str:
        """The `apiVersion` in the kind's manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


_RBAC = "rbac.authorization.k8s.io"
_POD_FIELDS = frozenset({
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
    "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
})  # fmt: skip
_EVENT_FIELDS = frozenset({
    "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
    "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
    "reason", "reportingComponent", "type",
})  # fmt: skip

NAMESPACE = Resource("Namespace", "", "v1", "namespaces", False, frozenset({"status.phase"}))
CRONJOB = Resource("CronJob", "batch", "v1", "cronjobs")
JOB = Resource("Job", "batch", "v1", "jobs", selectable=frozenset({"status.successful"}))
POD = Resource("Pod", "", "v1", "pods", selectable=_POD_FIELDS)
QUOTA = Resource("ResourceQuota", "", "v1", "resourcequotas")

RESOURCES = (
    NAMESPACE,
    CRONJOB,
    JOB,
    POD,
    QUOTA,
    Resource("Event", "", "v1", "events", selectable=_EVENT_FIELDS),
    Resource("ConfigMap", "", "v1", "configmaps"),
    Resource("Role", _RBAC, "v1", "roles"),
    Resource("RoleBinding", _RBAC, "v1", "rolebindings"),
    Resource("ClusterRole", _RBAC, "v1", "clusterroles", namespaced=False),
    Resource("ClusterRoleBinding", _RBAC, "v1", "clusterrolebindings", namespaced=False),
)


def of_kind(kind: str) -> Resource:
    """Return the resource with this `kind`. Raises LookupError."""
    for resource in RESOURCES:
        if resource.kind == kind:
            return resource
    known = ", ".join(resource.kind for resource in RESOURCES)
    raise LookupError(f"this cluster has no kind {kind!r}, only {known}")


@dataclass(frozen=True)
class RequestInfo:
    """The attributes of a request that RBAC decides by."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    plural: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def is_resource_request(self) -> bool:
        """Whether the request is for API objects, unlike one for /version."""
        return bool(self.plural)

    @property
    def resource(self) -> Resource | None:
        """The requested resource, or None if the emulator doesn't serve it."""
        wanted = (self.group, self.version, self.plural)
        found = (r for r in RESOURCES if (r.group, r.version, r.plural) == wanted)
        return next(found, None)


_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def parse_request(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    """Parse method, path and query."""
    verb = _VERBS.get(method, method.lower())
    match = re.fullmatch(r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)/(?P<rest>.+)", path)
    if not match:
        return RequestInfo(verb, path)
    parts = match["rest"].strip("/").split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in {"status", "finalize"}:
            parts = parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    if not name and verb == "get":
        verb = "watch" if query.get("watch", "false").lower() in {"", "1", "true"} else "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    if verb in {"list", "watch", "deletecollection"}:
        # resourceNames in a rule allow a list that selects one name.
        only = re.fullmatch(r"metadata\.name={1,2}([^,=]+)", query.get("fieldSelector", ""))
        name = only[1] if only else ""
    return RequestInfo(verb, path, match["group"] or "", match["version"], plural, subresource, namespace, name)
