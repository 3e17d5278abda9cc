"""Pure: what is known about the run when an error comes, as far as an explanation needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from run_cronjob.core.models import Inputs


@dataclass(frozen=True)
class ErrorContext:
    """Facts about the inputs, the caller and the cluster that make the explanation of an error specific."""

    inputs: Inputs
    namespace: str = ""
    cluster: str = ""
    claims: Mapping[str, object] = field(default_factory=dict)
    """The claims of the run's OIDC token; empty before there is one."""
    caller: str = ""  # the caller's ARN: the role to assume, or the identity of the environment's credentials
    cronjob_names: Sequence[str] | None = None  # the CronJobs of the namespace; None if they can't be listed
    namespace_exists: bool | None = None
    env_values: frozenset[str] = frozenset()  # the values of the template's environment variables, to be redacted
