"""Immutable values that modules pass to each other. Their properties follow from the value alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import quote

from run_cronjob.core.reasons import Reason

Json = dict[str, Any]
"""An object of the Kubernetes API, or a kubeconfig, as decoded JSON. Unknown fields are kept."""


class Result(StrEnum):
    """The `result` output."""

    CREATED = "created"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    DRY_RUN = "dry-run"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    REFUSED = "refused"
    ERROR = "error"

    @property
    def exit_status(self) -> int:
        """The status that the action's process exits with."""
        return 0 if self in {Result.CREATED, Result.STARTED, Result.SUCCEEDED, Result.DRY_RUN} else 1

    @property
    def is_an_end(self) -> bool:
        """Whether the Job's own end was seen. Nothing that happens later changes it."""
        return self in {Result.SUCCEEDED, Result.FAILED, Result.DELETED}


class IfRunning(StrEnum):
    """The input `if-running`: the reaction to an unfinished Job of the same CronJob."""

    ALLOW = "allow"
    WARN = "warn"
    REFUSE = "refuse"
    POLICY = "policy"


class WaitFor(StrEnum):
    """The input `wait-for`: how far the Job is followed."""

    CREATED = "created"
    STARTED = "started"
    COMPLETED = "completed"


class Logs(StrEnum):
    """The input `logs`: whether the containers' output is shown. `inputs.read` replaces AUTO by TRUE or PUBLIC."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"
    PUBLIC = "the repository is public, or not known to be private"
    """The result of `auto` where everyone could read the log: the output is not shown."""


class OnCancel(StrEnum):
    """The input `on-cancel`: what happens to an unfinished Job when the workflow run is cancelled."""

    LEAVE = "leave"
    DELETE = "delete"


class Deletion(StrEnum):
    """The progress of deleting the Job of a cancelled run."""

    NONE = "not asked for"
    BEGUN = "about to be asked for"
    DONE = "accepted by the cluster"
    ENDED = "not needed: the Job had ended"
    GONE = "there is no such Job"
    FAILED = "refused, or not answered"


class Creation(StrEnum):
    """Whether this step's Job exists in the cluster."""

    NONE = "certainly not"
    OPEN = "asked for, the answer is not in or was lost"
    DONE = "yes"


@dataclass(frozen=True)
class Trigger:
    """The person and the workflow run behind this step. Every field is untrusted text from the environment."""

    actor: str = ""
    triggering_actor: str = ""
    repository: str = ""
    workflow: str = ""
    ref: str = ""
    sha: str = ""
    run_id: str = ""
    run_attempt: str = ""
    server_url: str = "https://github.com"

    @property
    def person(self) -> str:
        """The login that started this attempt. On a re-run it may differ from `actor`."""
        return self.triggering_actor or self.actor or "someone"

    @property
    def run_url(self) -> str:
        """The URL of the workflow run's page, empty outside a workflow."""
        if not self.repository or not self.run_id:
            return ""
        repository = quote(self.repository, errors="replace")
        return f"{self.server_url}/{repository}/actions/runs/{quote(self.run_id, safe='', errors='replace')}"


@dataclass(frozen=True)
class TokenRequest:
    """The URL and the bearer token with which a step requests an OIDC token from the runner."""

    url: str
    bearer: str = field(repr=False)


@dataclass(frozen=True)
class Inputs:
    """The validated inputs, and the context of the workflow run. `inputs.INPUTS` declares one field for each input."""

    cronjob: str
    namespace: str  # empty only with a kubeconfig: then the namespace of its context applies, else `default`
    cluster: str
    aws_region: str
    role_to_assume: str
    role_session_name: str
    role_duration_seconds: int
    audience: str
    kubeconfig: str = field(repr=False)
    context: str
    job_name: str
    wait_for: WaitFor
    timeout: int | None
    """Seconds from the Job's creation. None sets no limit besides the workflow's own `timeout-minutes`."""
    logs: Logs
    if_running: IfRunning
    on_cancel: OnCancel
    dry_run: bool
    token_request: TokenRequest | None
    trigger: Trigger
    docs_url: str  # URL of the docs folder of the version in use, for links


@dataclass(frozen=True)
class Endpoint:
    """An EKS cluster, from DescribeCluster. `ca_data` is base64 of PEM, as in a kubeconfig."""

    server: str
    ca_data: str
    version: str
    status: str


@dataclass(frozen=True)
class Access:
    """Access to one cluster: a kubeconfig reduced to the fields in use, and the name of the cluster."""

    kubeconfig: Json = field(repr=False)
    cluster: str
    namespace: str
    proxy_url: str = ""  # the kubeconfig's `proxy-url`, which takes precedence over the environment's proxy
    secrets: tuple[str, ...] = field(repr=False, default=())
    token_file: str = ""  # path of the file that holds the bearer token, and may get a new one; empty if there is none


@dataclass(frozen=True)
class CronJobFacts:
    """The fields of a CronJob that the log and the summary show."""

    schedule: str
    time_zone: str
    suspended: bool
    template_suspended: bool
    concurrency_policy: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class TerminalCondition:
    """The terminal condition of a Job. `reason` and `message` are the Job controller's."""

    succeeded: bool
    reason: str
    message: str
    seconds: int | None  # from its start to its end by the cluster's clock; None if the Job's status lacks one of them


@dataclass(frozen=True)
class RunningJob:
    """An unfinished Job of the CronJob. `since` is RFC 3339; `by` is empty where no person started it."""

    name: str
    since: str = ""
    by: str = ""


@dataclass(frozen=True)
class CreatedJob:
    """The Job in the API server's answer. If the answer was lost, `ground` says why the Job counts as this run's."""

    name: str
    uid: str
    manifest: Json = field(repr=False, default_factory=dict)
    warnings: tuple[str, ...] = ()
    ground: str = ""


class Concerns(StrEnum):
    """The person who can fix a problem."""

    DEVELOPER = "the person who started the run"
    PLATFORM = "the person who set up the action and the cluster"


@dataclass(frozen=True)
class Problem:
    """A failure, with its cause and its fix.

    `reason` is the `reason` output and the heading in docs/troubleshooting.md. `what`, `why` and `fix` are sentences
    of this project; names in them went through `text.quoted`. `said` is untrusted text of a service, `paste` is text
    to copy. `first` is what the developer does or checks before the platform team is asked for `fix`.
    """

    reason: Reason
    what: str
    why: str
    fix: str
    concerns: Concerns = Concerns.PLATFORM
    first: str = ""
    said: str = ""
    paste: str = ""
    paste_language: str = "sh"


developer_problem = partial(Problem, concerns=Concerns.DEVELOPER)
"""A Problem that the person who started the run can fix."""


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


@dataclass(frozen=True)
class Output:
    """The last lines of the container that decided the result; `withheld` says why there are none."""

    pod: str
    container: str
    lines: tuple[str, ...] = ()
    withheld: str = ""


@dataclass(frozen=True)
class JobRef:
    """A Job in the cluster: the one of that name with this UID or, while that is unknown, of this request."""

    namespace: str
    name: str
    uid: str = ""
    request_id: str = ""  # the annotation that tells the Job from another one of the same name
    run_id: str = ""
    """The workflow run that the Job must be of, where not empty: from the runner itself, which no step can change."""


@dataclass(frozen=True)
class Outcome:
    """Everything that is known about a run so far; at its end, everything that is reported."""

    cronjob: str = ""
    namespace: str = ""
    cluster: str = ""
    trigger: Trigger = field(default_factory=Trigger)
    docs_url: str = ""
    dry_run: bool = False
    result: Result = Result.ERROR
    stage: str = ""  # the current stage, in words that complete "while ..."
    facts: CronJobFacts | None = None
    creation: Creation = Creation.NONE
    job_name: str = ""  # the name in the last POST; a Job of that name exists for certain only with `Creation.DONE`
    job_uid: str = ""
    remarks: tuple[str, ...] = ()  # notices and warnings, one sentence each; untrusted parts went through `text.quoted`
    manifest: str = ""  # the Job of a dry run as YAML, without env values
    problem: Problem | None = None
    timeout: int | None = None
    on_cancel: OnCancel = OnCancel.LEAVE
    following_since: datetime | None = None  # when following the Job began; None before, and once its result is certain
    state: str = ""  # one sentence about what the Job does or waits for
    trouble: Problem | None = None  # the problem that keeps the Job from running now, if it won't go away by itself
    seconds: int | None = None  # the duration of the Job or, while that is not known, of following it
    exit_code: int | None = None  # the exit code of the one container that decided the result
    output: Output | None = None
    deletion: Deletion = Deletion.NONE

    @classmethod
    def of(cls, asked: Inputs) -> Outcome:
        """The Outcome at the beginning of a run, from its inputs."""
        return cls(
            cronjob=asked.cronjob,
            namespace=asked.namespace,
            cluster=asked.cluster,
            trigger=asked.trigger,
            docs_url=asked.docs_url,
            dry_run=asked.dry_run,
            timeout=asked.timeout,
            on_cancel=asked.on_cancel,
        )
