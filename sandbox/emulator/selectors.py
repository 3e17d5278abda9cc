"""Parses labelSelector and fieldSelector into predicates on objects.

Follows apimachinery's pkg/labels and pkg/fields.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.emulator.errors import Object, aggregate, bad_request, quote
from sandbox.emulator.validation import invalid, label_key, label_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.emulator.resources import Resource

    Predicate = Callable[[Object], bool]

_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<missing>[^\s!=,()]+)"
    r"|(?P<key>[^\s!=,()]+)\s*(?:"
    r"(?P<operator>!=|==?)\s*(?P<value>[^\s!=,()]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,(?=.)|$)"
)


def label_selector(text: str) -> Predicate:
    """Parse a label selector. Raises StatusError (400)."""
    requirements: list[Callable[[dict[str, str]], bool]] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if not match:
            raise bad_request(f"unable to parse requirement: found '{text[position:]}', expected: identifier")
        requirements.append(_label_requirement(match))
        position = match.end()
    return lambda candidate: all(holds(candidate["metadata"].get("labels") or {}) for holds in requirements)


def _label_requirement(match: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    key = match["missing"] or match["key"]
    if match["set"]:
        values = {value.strip() for value in match["values"].split(",")}
    else:
        values = {match["value"]} if match["operator"] else set()
    errors = [invalid("key", key, detail) for detail in label_key(key)]
    errors += [
        invalid(f"values[{index}][{key}]", value, detail)
        for index, value in enumerate(sorted(values))
        for detail in label_value(value)
    ]
    if errors:
        raise bad_request(f"unable to parse requirement: {aggregate([str(error) for error in errors])}")
    if match["absent"]:
        return lambda labels: key not in labels
    if match["operator"] == "!=" or match["set"] == "notin":
        return lambda labels: labels.get(key) not in values
    if values:
        return lambda labels: labels.get(key) in values
    return lambda labels: key in labels


def field_selector(text: str, resource: Resource) -> Predicate:
    """Parse a field selector for `resource`. Raises StatusError (400)."""
    requirements = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*(?P<path>[^!=]+?)(?P<operator>!=|==?)(?P<value>.*)", part)
        if not match:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path = match["path"]
        if path not in {"metadata.name", "metadata.namespace", *resource.selectable}:
            raise bad_request(_unsupported(path, resource))
        requirements.append((path, match["value"], match["operator"] != "!="))
    return lambda candidate: all((_field(candidate, path) == value) is wanted for path, value, wanted in requirements)


def _unsupported(path: str, resource: Resource) -> str:
    if resource.kind == "Job":
        return f"field label {quote(path)} not supported for Job"
    if resource.selectable:
        return f"field label not supported: {path}"
    return f'{quote(path)} is not a known field selector: only "metadata.name", "metadata.namespace"'


def _field(candidate: Object, path: str) -> str:
    if path == "status.successful":
        return str(candidate.get("status", {}).get("succeeded") or 0)
    value: object = candidate
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
