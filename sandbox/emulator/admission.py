"""Admission control: refuses an object that RBAC lets its creator create.

Texts follow apiserver's pkg/admission/plugin (namespace/lifecycle, policy/validating, webhook, resourcequota).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.emulator.errors import (
    Object,
    StatusError,
    bad_request,
    denied_by_policy,
    forbidden,
    internal_error,
    not_found,
    quote,
)
from sandbox.emulator.resources import NAMESPACE, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class WebhookFailure:
    """A call to a webhook that failed; `why` is worded as in Go's HTTP client."""

    why: str = 'Post "https://policy.policy-system.svc:443/validate?timeout=10s": context deadline exceeded'


@dataclass(frozen=True)
class Webhook:
    """A validating webhook; `decide` returns the reason for a denial, a failure, or None to admit."""

    name: str
    decide: Callable[[Object], str | WebhookFailure | None]
    supports_dry_run: bool = True
    code: int = 403


@dataclass(frozen=True)
class Policy:
    """A ValidatingAdmissionPolicy and its binding; `decide` returns the reason for a denial, or None to admit."""

    name: str
    binding: str
    decide: Callable[[Object], str | None]


def check_namespace(resource: Resource, name: str, namespace: str, found: Object | None) -> None:
    """Refuse an object in a namespace that is missing (`found` is None) or terminating."""
    if found is None:
        raise not_found(NAMESPACE, namespace)
    if found.get("status", {}).get("phase") == "Terminating":
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        raise forbidden(resource.group, resource.plural, name, why, causes=[cause])


def check_policies(resource: Resource, created: Object, policies: Sequence[Policy]) -> None:
    """Refuse an object that a policy denies."""
    for policy in policies:
        denial = policy.decide(created)
        if denial is not None:
            why = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{policy.binding}' denied request: {denial}"
            name = created["metadata"]["name"]
            raise denied_by_policy(resource, name, why)


def check_webhooks(created: Object, webhooks: Sequence[Webhook], *, dry_run: bool) -> None:
    """Refuse an object that a webhook denies or can't review."""
    for webhook in webhooks:
        if dry_run and not webhook.supports_dry_run:
            raise bad_request(f"admission webhook {quote(webhook.name)} does not support dry run")
        match webhook.decide(created):
            case WebhookFailure(why):
                raise internal_error(f"failed calling webhook {quote(webhook.name)}: failed to call webhook: {why}")
            case str(denial):
                raise StatusError(
                    webhook.code,
                    "Forbidden" if webhook.code == 403 else "",
                    f"admission webhook {quote(webhook.name)} denied the request: {denial}",
                )


def check_quotas(resource: Resource, name: str, used: int, quotas: Sequence[Object]) -> None:
    """Refuse an object that exceeds an object-count quota; `used` is the count before it."""
    counted = f"count/{resource}"
    for quota in quotas:
        hard = quota.get("spec", {}).get("hard", {}).get(counted)
        if hard is not None and used + 1 > int(hard):
            raise forbidden(
                resource.group,
                resource.plural,
                name,
                f"exceeded quota: {quota['metadata']['name']}, requested: {counted}=1,"
                f" used: {counted}={used}, limited: {counted}={hard}",
            )
