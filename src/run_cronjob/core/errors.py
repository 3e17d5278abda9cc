"""Errors of the services that the action uses, and the exceptions that end a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from run_cronjob.core.models import Problem


class ActionError(Exception):
    """A failure whose cause is known. `problem` holds cause and fix."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class Refused(ActionError):  # noqa: N818  not an error
    """The input `if-running` forbids the run."""


class Interrupted(Exception):  # noqa: N818  not an error
    """The run was ended by a signal or the deadline. Raised where the work would go on."""


class Cause(StrEnum):
    """The reason why there is no answer."""

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
        """Whether a retry is pointless: certificates don't change by themselves."""
        return self is Cause.TLS


@dataclass
class NoAnswer(Exception):  # noqa: N818  the name says it
    """No HTTP answer from `service` (GitHub, STS, EKS, Kubernetes) at `host`. `detail` is the library's message."""

    service: str
    host: str
    cause: Cause
    detail: str = ""


@dataclass
class UnusableKubeconfig(Exception):  # noqa: N818  the name says it
    """The kubeconfig's certificates, keys or files can't be loaded. `detail` is the loader's message."""

    detail: str


@dataclass
class GitHubError(Exception):
    """The OIDC endpoint answered without a token."""

    status: int
    message: str


@dataclass
class AwsError(Exception):
    """AWS answered with an error. `code` and `message` are AWS's, `status` is the HTTP status."""

    operation: str
    code: str
    message: str
    status: int


@dataclass
class ApiError(Exception):
    """The Kubernetes API answered with an error. The fields are those of a meta/v1 `Status`."""

    status: int
    reason: str
    message: str
    is_status: bool = True  # False if the answer was not a Status object, and so perhaps not from an API server
    retry_after: float | None = None  # seconds, from the Retry-After header
