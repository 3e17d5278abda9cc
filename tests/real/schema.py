"""The fields that an object can have by an OpenAPI document, and those that an object has. Does no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Field = tuple[str, str]
"""The name of a type and of one of its fields."""


class Schema:
    """The types of an OpenAPI document (as at /openapi/v3/apis/batch/v1) that can be reached from the type `root`."""

    def __init__(self, document: dict[str, Any], root: str) -> None:
        self._types: dict[str, Any] = document["components"]["schemas"]
        self._root = root

    def fields(self) -> set[Field]:
        """Every field of a type that can be reached."""
        found: set[Field] = set()
        waiting = [self._root]
        while waiting:
            name = waiting.pop()
            for field, schema in self._fields_of(name).items():
                if (name, field) not in found:
                    found.add((name, field))
                    waiting += _reference(_unwrapped(schema))
        return {(_short(name), field) for name, field in found}

    def used(self, value: dict[str, Any]) -> set[Field]:
        """Every field that `value`, an object of the root type, has."""
        return {(_short(name), field) for name, field in self._used(self._root, value)}

    def _used(self, name: str, value: dict[str, Any]) -> Iterator[Field]:
        fields = self._fields_of(name)
        for field in value.keys() & fields.keys():
            yield name, field
            for inner in _reference(_unwrapped(fields[field])):
                for each in _leaves(fields[field], value[field]):
                    if isinstance(each, dict):  # a quantity has a type of its own, and is a string
                        yield from self._used(inner, each)

    def _fields_of(self, name: str) -> dict[str, Any]:
        # Times, quantities and the like are types without fields.
        fields: dict[str, Any] = self._types[name].get("properties", {})
        return fields


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _reference(schema: dict[str, Any]) -> list[str]:
    references = [each["$ref"] for each in (schema, *schema.get("allOf", ())) if "$ref" in each]
    return [reference.rpartition("/")[2] for reference in references]


def _inner(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a list's items or a map's values."""
    return schema.get("items") or schema.get("additionalProperties")


def _unwrapped(schema: dict[str, Any]) -> dict[str, Any]:
    while inner := _inner(schema):
        schema = inner
    return schema


def _leaves(schema: dict[str, Any], value: Any) -> Iterator[Any]:
    inner = _inner(schema)
    if not inner:
        yield value
        return
    for each in value.values() if isinstance(value, dict) else value:
        yield from _leaves(inner, each)
