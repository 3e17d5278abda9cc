"""What can keep us from knowing or doing: as raised at the border, and as told to people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from run_cronjob.core.models import Problem


class ActionError(Exception):
    """A failure that has been understood: `problem` tells cause and fix."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class Refused(ActionError):  # noqa: N818  nothing went wrong
    """Nothing failed: the guard said no."""


class Interrupted(Exception):  # noqa: N818  nothing went wrong: the work was told to stop
    """The work was told to stop; raised where it would have gone on."""


class Cause(StrEnum):
    """Why no answer came."""

    NAME = "the host name does not resolve"
    REFUSED = "nothing there accepts the connection"
    CONNECT_TIMEOUT = "connecting timed out"
    READ_TIMEOUT = "no answer came in time"
    TLS = "the TLS certificate was not accepted"
    PROXY = "the proxy did not let the connection through"
    FOREIGN = "what answers is not a Kubernetes API"
    BROKEN = "the connection broke"

    @property
    def sent(self) -> bool:
        """Whether the request may have reached the server."""
        return self in {Cause.READ_TIMEOUT, Cause.FOREIGN, Cause.BROKEN}

    @property
    def is_final(self) -> bool:
        """Whether trying again is pointless: certificates don't change by themselves."""
        return self is Cause.TLS


@dataclass
class NoAnswer(Exception):  # noqa: N818  names what happened
    """No HTTP answer from `service` (GitHub, STS, EKS, Kubernetes) at `host`; `detail` is the library's."""

    service: str
    host: str
    cause: Cause
    detail: str = ""


@dataclass
class UnusableKubeconfig(Exception):  # noqa: N818  names what it is
    """The kubeconfig's certificates, keys or files can't be loaded; `detail` is the loader's."""

    detail: str


@dataclass
class GitHubError(Exception):
    """The OIDC endpoint answered, but with no token."""

    status: int
    message: str


@dataclass
class AwsError(Exception):
    """AWS answered with an error: its `code` and `message`, and the HTTP `status`."""

    operation: str
    code: str
    message: str
    status: int


@dataclass
class ApiError(Exception):
    """The Kubernetes API answered with an error, as its Status tells it (meta/v1 `Status`)."""

    status: int
    reason: str
    message: str
    is_status: bool = True
    """False: the answer was no Status object, so that something else than an API server may have given it."""
    retry_after: float | None = None
    """Seconds, from the Retry-After header."""
