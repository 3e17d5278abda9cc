"""Errors of the Kubernetes API as Status bodies, worded as by a real API server.

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
    """A failed request: HTTP status `code` and Status `body`."""

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
    """Format `text` like Go's %q."""
    return json.dumps(text, ensure_ascii=False)


def aggregate(messages: Sequence[str]) -> str:
    """Join error messages as apimachinery's util/errors.Aggregate does."""
    messages = list(dict.fromkeys(messages))
    return messages[0] if len(messages) == 1 else f"[{', '.join(messages)}]"


@dataclass(frozen=True)
class FieldError:
    """A validation error of one field; `type` is a cause type of the API, such as FieldValueInvalid."""

    type: str
    field: str
    detail: str
    value: object = None

    @property
    def body(self) -> str:
        """The message without the field's name."""
        title = _TITLES[self.type]
        if self.type == "FieldValueInvalid":
            title += f": {json.dumps(self.value, ensure_ascii=False, separators=(',', ':'))}"
        return f"{title}: {self.detail}" if self.detail else title

    @property
    def cause(self) -> Object:
        """The error as an entry of a Status' `details.causes`."""
        return {"reason": self.type, "message": self.body, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def _details(group: str, kind: str, name: str, causes: Sequence[Object] = ()) -> Object:
    details: Object = {"name": name, "group": group, "kind": kind, "causes": list(causes)}
    return {key: value for key, value in details.items() if value}


def unauthorized() -> StatusError:
    """Status 401: the credentials are missing or unknown."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, plural: str, name: str, why: str, causes: Sequence[Object] = ()) -> StatusError:
    """Status 403: authorization or admission refused the request."""
    qualified = f"{plural}.{group}" if group else plural
    subject = " ".join(filter(None, [qualified, quote(name) if name else "", "is"])) if plural else ""
    return StatusError(
        403,
        "Forbidden",
        f"{subject} forbidden: {why}".lstrip(),
        details=_details(group, plural, name, causes),
    )


def denied_by_policy(resource: Resource, name: str, why: str) -> StatusError:
    """Status 422: a ValidatingAdmissionPolicy denied the object; worded like a 403."""
    return StatusError(
        422,
        "Invalid",
        f"{resource} {quote(name)} is forbidden: {why}",
        details=_details(resource.group, resource.plural, name, [{"message": why}]),
    )


def not_found(resource: Resource, name: str) -> StatusError:
    """Status 404: there is no such object."""
    return StatusError(
        404,
        "NotFound",
        f"{resource} {quote(name)} not found",
        details=_details(resource.group, resource.plural, name),
    )


def already_exists(resource: Resource, name: str) -> StatusError:
    """Status 409: the name is taken."""
    message = f"{resource} {quote(name)} already exists"
    return StatusError(409, "AlreadyExists", message, details=_details(resource.group, resource.plural, name))


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """Status 409: a precondition does not hold; DELETE names the kind, not the resource."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return StatusError(
        409,
        "Conflict",
        f"Operation cannot be fulfilled on {qualified} {quote(name)}: {why}",
        details=_details(resource.group, resource.kind, name),
    )


def invalid(resource: Resource, name: str, errors: Sequence[FieldError]) -> StatusError:
    """Status 422: the object is invalid, with one cause for each error."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return StatusError(
        422,
        "Invalid",
        f"{qualified} {quote(name)} is invalid: {aggregate([str(error) for error in errors])}",
        details=_details(resource.group, resource.kind, name, [error.cause for error in errors]),
    )


def bad_request(message: str) -> StatusError:
    """Status 400: the request is malformed."""
    return StatusError(400, "BadRequest", message)


def method_not_allowed(resource: Resource, verb: str) -> StatusError:
    """Status 405: the resource does not support the verb."""
    return StatusError(
        405,
        "MethodNotAllowed",
        f"{verb} is not supported on resources of kind {quote(str(resource))}",
        details=_details(resource.group, resource.plural, ""),
    )


def expired(message: str, continue_token: str = "") -> StatusError:
    """Status 410: the resourceVersion or continue token is older than the last compaction."""
    return StatusError(410, "Expired", message, metadata={"continue": continue_token} if continue_token else None)


def internal_error(why: str) -> StatusError:
    """Status 500: the server failed, for example because a webhook did not respond."""
    return StatusError(500, "InternalError", f"Internal error occurred: {why}", details={"causes": [{"message": why}]})
