"""Decodes a request's body into an object, as strictly as `fieldValidation` says.

Follows apiserver's pkg/endpoints/handlers/create.go. Instead of a schema there is a list of unknown fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.emulator.errors import Object, bad_request, quote

if TYPE_CHECKING:
    from collections.abc import Collection

    from sandbox.emulator.resources import Resource


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps repeated names."""


def decode(
    body: bytes, resource: Resource, *, unknown_fields: Collection[str], field_validation: str
) -> tuple[Object, list[str]]:
    """Return the object without its unknown fields, and the warnings. Raises StatusError (400)."""
    try:
        pairs = json.loads(body, object_pairs_hook=_Pairs)
    except ValueError as error:
        raise _unrecognized(resource, body, f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(pairs, _Pairs):
        raise _unrecognized(resource, body, "couldn't get version/kind; json parse error: not an object")
    complaints: list[str] = []
    decoded: Object = _fold(pairs, "", unknown_fields, complaints)
    version = decoded.setdefault("apiVersion", resource.api_version)
    kind = decoded.setdefault("kind", resource.kind)
    if version != resource.api_version or kind != resource.kind:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
            if version != resource.api_version
            else f"{kind} in version {quote(resource.version)} cannot be handled as a {resource.kind}"
        )
    if complaints and field_validation == "Strict":
        raise bad_request(
            f"{kind} in version {quote(resource.version)} cannot be handled as a {resource.kind}:"
            f" strict decoding error: {', '.join(complaints)}"
        )
    if not isinstance(decoded.setdefault("metadata", {}), dict):
        raise _unrecognized(resource, body, "metadata is not an object")
    return decoded, [] if field_validation == "Ignore" else complaints


def _fold(value: object, path: str, unknown: Collection[str], complaints: list[str]) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, _Pairs):
        folded: Object = {}
        for name, child in value:
            here = f"{path}.{name}" if path else name
            if here in unknown:
                complaints.append(f"unknown field {quote(here)}")
                continue
            if name in folded:
                complaints.append(f"duplicate field {quote(here)}")
            folded[name] = _fold(child, here, unknown, complaints)
        return folded
    if isinstance(value, list):
        return [_fold(child, f"{path}[{index}]", unknown, complaints) for index, child in enumerate(value)]
    return value


def _unrecognized(resource: Resource, body: bytes, why: str) -> Exception:
    start = body[:30].decode(errors="replace")
    return bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {why} ({start})")
