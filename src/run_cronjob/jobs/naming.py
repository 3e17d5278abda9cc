"""Makes the Job's name from a pattern, and shortens it where it is too long. No I/O.

A Job's name becomes a label value on its pods, so it has at most 63 characters. The pods of an Indexed Job have the
host name NAME-INDEX, so the longest of these must be a DNS-1123 label: at most 63 characters and no dots (kubernetes
pkg/apis/batch/validation, ValidateJob).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from run_cronjob.core.models import Json

DEFAULT_PATTERN = "{cronjob}-by-gha-{timestamp}"
PLACEHOLDERS = ("cronjob", "timestamp", "run-id", "run-attempt")
PATTERN_RULE = (
    "must be lower-case letters, digits, `-`, `.` and the placeholders "
    + ", ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)
    + ", beginning and ending with a letter, a digit or a placeholder"
)
TIMESTAMP = "%Y%m%d%H%M%S"
LENGTH = 63
_HASH_LENGTH = 5
_SHORTEST_STEM = 3
"""If fewer characters of the CronJob's name would be left, the whole name is cut instead."""

_PLACEHOLDER = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")


@dataclass(frozen=True)
class NameRule:
    """The names that the API server accepts for one Job template."""

    length: int = LENGTH
    dots: bool = True


def rule_for(job_spec: Json) -> NameRule:
    """The rule for a Job with this spec."""
    if job_spec.get("completionMode") != "Indexed":
        return NameRule()
    last_index = max(int(job_spec.get("completions") or 1) - 1, 0)
    return NameRule(LENGTH - len(f"-{last_index}"), dots=False)


def is_pattern(pattern: str) -> bool:
    """Whether all names made from `pattern` are DNS-1123 subdomains."""
    sample = _PLACEHOLDER.sub("x", pattern)
    return bool(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", sample))


def placeholder_values(cronjob: str, now: datetime, run_id: str, run_attempt: str) -> dict[str, str]:
    """The values of the placeholders; `now` is in UTC. Outside a workflow, run and attempt are 0."""
    return {
        "cronjob": cronjob,
        "timestamp": now.strftime(TIMESTAMP),
        "run-id": run_id or "0",
        "run-attempt": run_attempt or "0",
    }


def job_name(pattern: str, values: Mapping[str, str], rule: NameRule, suffix: str = "") -> str:
    """A valid name: `pattern` filled in, `suffix` (such as `-x7k2p`) at its end, cut with a hash to fit.

    The CronJob's name is cut first, so that the parts that differ between runs stay readable.
    """
    length = rule.length - len(suffix)

    def fill(cronjob: str) -> str:
        name = _PLACEHOLDER.sub(lambda found: {**values, "cronjob": cronjob}[found[1]], pattern)
        return name if rule.dots else name.replace(".", "-")

    full = fill(values["cronjob"])
    if len(full) <= length:
        return full + suffix
    if "{cronjob}" in pattern:
        spare = (length - len(fill(""))) // pattern.count("{cronjob}")
        if spare >= _SHORTEST_STEM + 1 + _HASH_LENGTH:
            return fill(_cut(values["cronjob"], spare)) + suffix
    return _cut(full, length) + suffix


def _cut(name: str, length: int) -> str:
    """The beginning of `name` and a hash of all of it, in at most `length` characters."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: length - 1 - _HASH_LENGTH].rstrip('-.')}-{digest}"
