"""The error that stops a release, and how the commands of this package report it.

The package needs Python's standard library and git, and no other package: a release installs nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ReleaseError(Exception):
    """A release is not possible. The message gives the reason and what to do."""


def run(command: Callable[..., None], arguments: Sequence[str]) -> int:
    """Call `command`; return the exit status, which is 1 if it raises. The error goes to stderr."""
    try:
        command(*arguments)
    except (ReleaseError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
