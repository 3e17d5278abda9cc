"""Untrusted text for the tests of clients/workflow_commands, and a look at the runner's interpretation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from sandbox.github.workflow_commands import Interpretation


TOKEN = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"

# Parts of commands, and characters that the runner's comparison ignores or trims.
PIECES = [
    "::", "##[", "#", "[", "]", ":", "error", "add-mask", "set-output name=result", "stop-commands", "x", " ",
    "\n", "\r", "\t", "\x0b", "\x85", "\u2028", "\u200b", "\u2060", "\ufeff", "\u00ad", "\u034f", "\x00", "\u3000",
]  # fmt: skip
NASTY = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text()
SHARED_FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def names(read: Interpretation) -> list[str]:
    return [command.name for command in read.commands]
