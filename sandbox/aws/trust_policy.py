"""Evaluates the trust policy of an IAM role against the claims of a web identity, without I/O.

Sources: IAM user guide, "Condition" (operators, IfExists, set operators, missing keys) and "IAM and AWS STS
condition context keys" (the claims of each provider that are keys).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import eq
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ACTION = "sts:AssumeRoleWithWebIdentity"

GITHUB_HOST = "token.actions.githubusercontent.com"
_COMMON_CLAIMS = frozenset({"aud", "sub"})
# Since 2026-01, STS reads these, but only from GitHub's own issuer: an enterprise server's tokens have aud and sub.
_GITHUB_CLAIMS = frozenset(
    {
        "actor",
        "actor_id",
        "enterprise_id",
        "environment",
        "job_workflow_ref",
        "ref",
        "repository",
        "repository_id",
        "workflow",
    }
)

_OPERATOR = re.compile(
    r"(?:(?P<quantifier>ForAnyValue|ForAllValues):)?"
    r"String(?P<negated>Not)?(?P<comparison>EqualsIgnoreCase|Equals|Like)"
    r"(?P<if_exists>IfExists)?"
)


@dataclass(frozen=True)
class TrustDecision:
    """The decision of IAM; `reason` helps to debug a policy, and STS does not send it to its caller."""

    allowed: bool
    reason: str


class MalformedPolicyError(ValueError):
    """A policy contains something that IAM or this module does not support."""


@dataclass(frozen=True)
class _Operator:
    name: str
    quantifier: str | None
    negated: bool
    comparison: Callable[[str, str], bool]
    if_exists: bool

    def holds(self, values: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
        if not values:
            return (
                self.if_exists
                or self.quantifier == "ForAllValues"
                # "Not equal" is true for a missing key.
                or (self.negated and self.quantifier is None)
            )
        hits = (any(self.comparison(value, want) for want in wanted) != self.negated for value in values)
        return any(hits) if self.quantifier == "ForAnyValue" else all(hits)


@dataclass(frozen=True)
class _Condition:
    operator: _Operator
    key: str
    wanted: tuple[str, ...]

    def mismatch(self, context: Mapping[str, tuple[str, ...]]) -> str | None:
        values = context.get(self.key.lower(), ())
        if self.operator.holds(values, self.wanted):
            return None
        found = " and ".join(map(repr, values)) or "missing"
        return f"{self.key} is {found}, but must satisfy {self.operator.name} {' or '.join(map(repr, self.wanted))}"


@dataclass(frozen=True)
class _Statement:
    label: str
    allows: bool
    conditions: tuple[_Condition, ...]
    actions: tuple[str, ...]
    principals: tuple[str, ...]

    def mismatch(self, provider: str, context: Mapping[str, tuple[str, ...]]) -> str | None:
        """The reason for which this statement does not apply, or None if it applies."""
        if not any(like(ACTION.lower(), pattern.lower()) for pattern in self.actions):
            return f"its Action is not {ACTION}"
        if not {"*", provider} & set(self.principals):
            return f"its Principal is not {provider}"
        return next((reason for condition in self.conditions if (reason := condition.mismatch(context))), None)


def decide(policy: Mapping[str, Any], claims: Mapping[str, Any], *, provider: str) -> TrustDecision:
    """Decide whether a token with `claims` may assume the role.

    `provider` is the ARN of the OIDC provider that verified the token. Raises MalformedPolicyError.
    """
    statements = parse(policy)
    context = _context(claims, provider)
    mismatches = [(statement, statement.mismatch(provider, context)) for statement in statements]
    for statement, mismatch in mismatches:
        if mismatch is None and not statement.allows:
            return TrustDecision(allowed=False, reason=f"{statement.label} denies it")
    for statement, mismatch in mismatches:
        if mismatch is None:
            return TrustDecision(allowed=True, reason=f"{statement.label} allows it")
    reasons = "; ".join(f"{statement.label}: {mismatch}" for statement, mismatch in mismatches if statement.allows)
    return TrustDecision(allowed=False, reason=reasons or "no statement allows anything")


def parse(policy: Mapping[str, Any]) -> tuple[_Statement, ...]:
    """The policy's statements. Raises MalformedPolicyError."""
    statements = policy.get("Statement")
    if not statements:
        raise MalformedPolicyError("a trust policy needs at least one Statement")
    listed = [statements] if isinstance(statements, dict) else statements
    return tuple(_statement(number, statement) for number, statement in enumerate(listed, 1))


def like(value: str, pattern: str) -> bool:
    """Compare as IAM's StringLike does: `*` matches any text, `?` any one character."""
    wildcards = {"*": ".*", "?": "."}
    expression = "".join(wildcards.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "Equals": eq,
    "EqualsIgnoreCase": lambda value, wanted: value.casefold() == wanted.casefold(),
    "Like": like,
}


def _context(claims: Mapping[str, Any], provider: str) -> dict[str, tuple[str, ...]]:
    host = provider.partition(":oidc-provider/")[2]
    readable = _COMMON_CLAIMS | (_GITHUB_CLAIMS if host == GITHUB_HOST else frozenset())
    # Condition keys are case-insensitive.
    return {f"{host}:{name}".lower(): _texts(claims[name]) for name in readable & claims.keys()}


def _statement(number: int, statement: Mapping[str, Any]) -> _Statement:
    label = statement.get("Sid") or f"statement {number}"
    unknown = statement.keys() - {"Sid", "Effect", "Principal", "Action", "Condition"}
    if unknown:
        raise MalformedPolicyError(f"{label}: a trust policy here knows no {', '.join(sorted(unknown))}")
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise MalformedPolicyError(f"{label}: Effect must be Allow or Deny, not {statement.get('Effect')!r}")
    for element in ("Principal", "Action"):
        if not statement.get(element):
            raise MalformedPolicyError(f"{label}: {element} is missing")
    principal = statement["Principal"]
    return _Statement(
        label=label,
        allows=statement["Effect"] == "Allow",
        conditions=tuple(_conditions(label, statement.get("Condition") or {})),
        actions=_texts(statement["Action"]),
        principals=_texts(principal) if isinstance(principal, str) else _texts(principal.get("Federated", [])),
    )


def _conditions(label: str, block: Mapping[str, Mapping[str, Any]]) -> Iterable[_Condition]:
    for name, wanted in block.items():
        parts = _OPERATOR.fullmatch(name)
        if parts is None:
            raise MalformedPolicyError(f"{label}: the condition operator {name} is not known here")
        operator = _Operator(
            name=name,
            quantifier=parts["quantifier"],
            negated=bool(parts["negated"]),
            comparison=_COMPARISONS[parts["comparison"]],
            if_exists=bool(parts["if_exists"]),
        )
        for key, values in wanted.items():
            yield _Condition(operator, key, _texts(values))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),)
