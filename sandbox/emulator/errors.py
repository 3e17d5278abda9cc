"""Errors of the Kubernetes API: the Status body, word for word as a real server builds it.

Wording and shape follow apimachinery's pkg/api/errors and apiserver's responsewriters/errors.go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.emulator.resources import Resource

Object = dict[str, Any]

_TITLES = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueRequired": "Required value",
    "FieldValueTooLong": "Too long",
    "FieldValueForbidden": "Forbidden",
}


class StatusError(Exception):
    """A refusal; `body` is what the client gets to read."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Object | None = None,
        metadata: Object | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata or {},
            "status": "Failure",
            "message": message,
            **({"reason": reason} if reason else {}),
            **({"details": details} if details else {}),
            "code": code,
        }


def quote(text: str) -> str:
    """`text` as Go's %q shows it."""
    return json.dumps(text, ensure_ascii=False)


def aggregate(told: Sequence[str]) -> str:
    """Several errors as one, as Go's error aggregates are shown."""
    told = list(dict.fromkeys(told))
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]"


@dataclass(frozen=True)
class FieldError:
    """One broken rule."""

    type: str
    field: str
    detail: str
    value: object = None

    @property
    def body(self) -> str:
        """The error without the field's name."""
        title = _TITLES[self.type]
        if self.type == "FieldValueInvalid":
            title += f": {json.dumps(self.value, ensure_ascii=False, separators=(',', ':'))}"
        return f"{title}: {self.detail}" if self.detail else title

    @property
    def cause(self) -> Object:
        """As one of a Status' `details.causes`."""
        return {"reason": self.type, "message": self.body, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def _details(group: str, kind: str, name: str, causes: Sequence[Object] = ()) -> Object:
    details: Object = {"name": name, "group": group, "kind": kind, "causes": list(causes)}
    return {key: value for key, value in details.items() if value}


def unauthorized() -> StatusError:
    """Nobody we know."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, plural: str, name: str, why: str, causes: Sequence[Object] = ()) -> StatusError:
    """An authorizer or an admission plugin said no."""
    qualified = f"{plural}.{group}" if group else plural
    subject = " ".join(filter(None, [qualified, quote(name) if name else "", "is"])) if plural else ""
    return StatusError(
        403,
        "Forbidden",
        f"{subject} forbidden: {why}".lstrip(),
        details=_details(group, plural, name, causes),
    )


def denied_by_policy(resource: Resource, name: str, why: str) -> StatusError:
    """A policy's no reads like the others, but is `Invalid`."""
    return StatusError(
        422,
        "Invalid",
        f"{resource} {quote(name)} is forbidden: {why}",
        details=_details(resource.group, resource.plural, name, [{"message": why}]),
    )


def not_found(resource: Resource, name: str) -> StatusError:
    """No such object."""
    return StatusError(
        404,
        "NotFound",
        f"{resource} {quote(name)} not found",
        details=_details(resource.group, resource.plural, name),
    )


def already_exists(resource: Resource, name: str) -> StatusError:
    """The name is taken."""
    message = f"{resource} {quote(name)} already exists"
    return StatusError(409, "AlreadyExists", message, details=_details(resource.group, resource.plural, name))


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """A precondition of the request does not hold; named by its kind, as the server does on delete."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return StatusError(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {qualified} {quote(name)}: {why}",
        details=_details(resource.group, resource.kind, name),
    )


def invalid(resource: Resource, name: str, errors: Sequence[FieldError]) -> StatusError:
    """The object breaks the rules of its kind; one cause for each broken one."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return StatusError(
        422,
        "Invalid",
        f"{qualified} {quote(name)} is invalid: {aggregate([str(error) for error in errors])}",
        details=_details(resource.group, resource.kind, name, [error.cause for error in errors]),
    )


def bad_request(message: str) -> StatusError:
    """The request can't be understood."""
    return StatusError(400, "BadRequest", message)


def method_not_allowed(resource: Resource, verb: str) -> StatusError:
    """This server does not serve the verb for the kind."""
    return StatusError(
        405,
        "MethodNotAllowed",
        f"{verb} is not supported on resources of kind {quote(str(resource))}",
        details=_details(resource.group, resource.plural, ""),
    )


def expired(message: str, continue_token: str = "") -> StatusError:
    """The resourceVersion or continue token is older than what is remembered."""
    return StatusError(410, "Expired", message, metadata={"continue": continue_token} if continue_token else None)


def internal_error(why: str) -> StatusError:
    """The server could not finish, for example because a webhook did not answer."""
    return StatusError(500, "InternalError", f"Internal error occurred: {why}", details={"causes": [{"message": why}]})
