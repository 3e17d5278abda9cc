"""Validation of names, labels and annotations.

Texts follow apimachinery's pkg/api/validate/content and pkg/util/validation/field.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.emulator.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
ANNOTATIONS_SIZE = 256 * 1024

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_KEY})?"


def invalid(field: str, value: object, detail: str) -> FieldError:
    """Return an error for a wrong value."""
    return FieldError("FieldValueInvalid", field, detail, value)


def required(field: str, detail: str = "") -> FieldError:
    """Return an error for a missing value."""
    return FieldError("FieldValueRequired", field, detail)


def dns_label(value: str) -> list[str]:
    """Check a DNS-1123 label; return the errors."""
    errors = _too_long(value, LABEL_LENGTH)
    if not re.fullmatch(_LABEL, value):
        if re.fullmatch(_SUBDOMAIN, value):
            errors.append("must not contain dots")
        else:
            rule = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-',"
                " and must start and end with an alphanumeric character"
            )
            errors.append(_pattern(rule, _LABEL, "my-name", "123-abc"))
    return errors


def dns_subdomain(value: str) -> list[str]:
    """Check a DNS-1123 subdomain; return the errors."""
    errors = _too_long(value, SUBDOMAIN_LENGTH)
    if not re.fullmatch(_SUBDOMAIN, value):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
            " and must start and end with an alphanumeric character"
        )
        errors.append(_pattern(rule, _SUBDOMAIN, "example.com"))
    return errors


def label_key(key: str) -> list[str]:
    """Check a label's key (or an annotation's, in lower case); return the errors."""
    rule = (
        "must consist of alphanumeric characters, '-', '_' or '.',"
        " and must start and end with an alphanumeric character"
    )
    name_rule = _pattern(rule, _KEY, "MyName", "my.name", "123-abc")
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a valid label key {name_rule} {optional}"]
    errors: list[str] = []
    if slash:
        prefix_errors = dns_subdomain(prefix) if prefix else ["must be non-empty"]
        errors += [f"prefix part {error}" for error in prefix_errors]
    errors += [f"name part {error}" for error in (_too_long(name, LABEL_LENGTH) if name else ["must be non-empty"])]
    if not re.fullmatch(_KEY, name):
        errors.append(f"name part {name_rule}")
    return errors


def label_value(value: str) -> list[str]:
    """Check a label's value; return the errors."""
    errors = _too_long(value, LABEL_LENGTH)
    if not re.fullmatch(_VALUE, value):
        rule = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
            " and must start and end with an alphanumeric character"
        )
        errors.append(_pattern(rule, _VALUE, "MyValue", "my_value", "12345"))
    return errors


def label_set(found: Mapping[str, str], field: str) -> list[FieldError]:
    """Check the labels in `field`."""
    return [
        invalid(field, text, detail)
        for key, value in found.items()
        for text, details in ((key, label_key(key)), (value, label_value(value)))
        for detail in details
    ]


def annotation_set(found: Mapping[str, str], field: str) -> list[FieldError]:
    """Check the annotations in `field`."""
    errors = [invalid(field, key, detail) for key in found for detail in label_key(key.lower())]
    if sum(len(key.encode()) + len(value.encode()) for key, value in found.items()) > ANNOTATIONS_SIZE:
        errors.append(FieldError("FieldValueTooLong", field, f"may not be more than {ANNOTATIONS_SIZE} bytes"))
    return errors


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} bytes"] if len(value.encode()) > limit else []


def _pattern(rule: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {shown}regex used for validation is '{pattern}')"
