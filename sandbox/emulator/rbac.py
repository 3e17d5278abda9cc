"""Role-based access control: pure functions from roles and bindings to a decision.

Semantics follow Kubernetes' plugin/pkg/auth/authorizer/rbac and pkg/registry/rbac/validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.emulator.errors import Object, StatusError, aggregate, forbidden, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sandbox.emulator.resources import RequestInfo

    Objects = Callable[[str, str], Sequence[Object]]
    """Returns the objects of a kind in a namespace ("" for cluster-scoped kinds)."""


@dataclass(frozen=True)
class User:
    """An authenticated user."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """Whether a request is allowed, and the authorizer's `reason`, often empty."""

    allowed: bool
    reason: str = ""


def authorize(user: User, request: RequestInfo, objects: Objects) -> Decision:
    """Decide by the roles that are bound to `user` whether it may send `request`."""
    if "system:masters" in user.groups:
        return Decision(allowed=True)
    missing: list[str] = []
    for binding in _bindings(user, request.namespace, objects):
        role = _role(binding.role_kind, binding.role_name, binding.namespace, objects)
        if role is None:
            missing.append(
                f"{binding.role_kind.lower()}.rbac.authorization.k8s.io {quote(binding.role_name)} not found"
            )
        elif any(rule_allows(rule, request) for rule in role.get("rules") or ()):
            return Decision(allowed=True, reason=f"RBAC: allowed by {binding}")
    if not missing:
        return Decision(allowed=False)
    return Decision(allowed=False, reason=f"RBAC: {aggregate(missing)}")


def rule_allows(rule: Object, request: RequestInfo) -> bool:
    """Whether this rule allows `request`."""

    def covers(key: str, *wanted: str) -> bool:
        return bool({"*", *wanted} & set(rule.get(key) or ()))

    if not covers("verbs", request.verb):
        return False
    if not request.is_resource_request:
        return any(
            url == request.path or (url.endswith("*") and request.path.startswith(url.rstrip("*")))
            for url in rule.get("nonResourceURLs") or ()
        )
    resources = [request.plural]
    if request.subresource:
        resources = [f"{request.plural}/{request.subresource}", f"*/{request.subresource}"]
    names = rule.get("resourceNames") or ()
    return (
        covers("apiGroups", request.group) and covers("resources", *resources) and (not names or request.name in names)
    )


def refusal(user: User, request: RequestInfo, reason: str) -> StatusError:
    """Build the 403 for a request that no rule allows."""
    resource = "/".join(filter(None, [request.plural, request.subresource]))
    if not request.is_resource_request:
        why = f"User {quote(user.name)} cannot {request.verb} path {quote(request.path)}"
    else:
        scope = f"in the namespace {quote(request.namespace)}" if request.namespace else "at the cluster scope"
        why = (
            f"User {quote(user.name)} cannot {request.verb} resource {quote(resource)}"
            f" in API group {quote(request.group)} {scope}"
        )
    # The API server escapes HTML in these messages.
    why = why.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return forbidden(request.group, request.plural, request.name, f"{why}: {reason}" if reason else why)


@dataclass(frozen=True)
class _Binding:
    kind: str
    name: str
    namespace: str
    role_kind: str
    role_name: str
    subject: str

    def __str__(self) -> str:
        name = f"{self.name}/{self.namespace}" if self.namespace else self.name
        return f"{self.kind} {quote(name)} of {self.role_kind} {quote(self.role_name)} to {self.subject}"


def _bindings(user: User, namespace: str, objects: Objects) -> Iterator[_Binding]:
    found = [("ClusterRoleBinding", "", binding) for binding in objects("ClusterRoleBinding", "")]
    if namespace:
        found += [("RoleBinding", namespace, binding) for binding in objects("RoleBinding", namespace)]
    for kind, scope, binding in found:
        for subject in binding.get("subjects") or ():
            if _matches(user, subject, scope):
                reference = binding["roleRef"]
                yield _Binding(
                    kind,
                    binding["metadata"]["name"],
                    scope,
                    reference["kind"],
                    reference["name"],
                    _describe(subject, scope),
                )
                break


def _matches(user: User, subject: Object, scope: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(user.name == subject["name"])
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            namespace = subject.get("namespace") or scope
            return bool(namespace) and user.name == f"system:serviceaccount:{namespace}:{subject['name']}"
    return False


def _describe(subject: Object, scope: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or scope}"
    return f"{subject['kind']} {quote(name)}"


def _role(kind: str, name: str, namespace: str, objects: Objects) -> Object | None:
    roles = objects(kind, namespace if kind == "Role" else "")
    return next((role for role in roles if role["metadata"]["name"] == name), None)
