"""Admission: what may refuse an object that its creator has every right to create.

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
class Failing:
    """A webhook that can't be reached; `why` as Go's HTTP client tells it."""

    why: str = 'Post "https://policy.policy-system.svc:443/validate?timeout=10s": context deadline exceeded'


@dataclass(frozen=True)
class Webhook:
    """A validating webhook; `decide` answers why not, that it fails, or None for yes."""

    name: str
    decide: Callable[[Object], str | Failing | None]
    supports_dry_run: bool = True
    code: int = 403


@dataclass(frozen=True)
class Policy:
    """A ValidatingAdmissionPolicy and its binding; `decide` answers why not, or None for yes."""

    name: str
    binding: str
    decide: Callable[[Object], str | None]


def check_namespace(resource: Resource, name: str, namespace: str, found: Object | None) -> None:
    """Refuse what is to be created where nothing can be."""
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
    """Refuse what a policy denies."""
    for policy in policies:
        denial = policy.decide(created)
        if denial is not None:
            why = f"ValidatingAdmissionPolicy '{policy.name}' with binding '{policy.binding}' denied request: {denial}"
            name = created["metadata"]["name"]
            raise denied_by_policy(resource, name, why)


def check_webhooks(created: Object, webhooks: Sequence[Webhook], *, dry_run: bool) -> None:
    """Refuse what a webhook denies, or what it can't be asked about."""
    for webhook in webhooks:
        if dry_run and not webhook.supports_dry_run:
            raise bad_request(f"admission webhook {quote(webhook.name)} does not support dry run")
        match webhook.decide(created):
            case Failing(why):
                raise internal_error(f"failed calling webhook {quote(webhook.name)}: failed to call webhook: {why}")
            case str(denial):
                raise StatusError(
                    webhook.code,
                    "Forbidden" if webhook.code == 403 else "",
                    f"admission webhook {quote(webhook.name)} denied the request: {denial}",
                )


def check_quotas(resource: Resource, name: str, used: int, quotas: Sequence[Object]) -> None:
    """Refuse one object more than an object-count quota allows."""
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
