"""Frozen values that travel between the rooms. No behaviour but what follows from a value alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import datetime

    from run_cronjob.core.reasons import Reason

Json = dict[str, Any]
"""An object of the Kubernetes API or a kubeconfig, as decoded JSON: unknown fields survive in it."""


class Result(StrEnum):
    """The `result` output: what became of the request."""

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
        """0 where the developer got what they asked for."""
        return 0 if self in {Result.CREATED, Result.STARTED, Result.SUCCEEDED, Result.DRY_RUN} else 1

    @property
    def is_an_end(self) -> bool:
        """Whether the Job's own end was seen: nothing that comes later changes it."""
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
    """How far the deletion of a cancelled run's Job has come."""

    NONE = "not asked for"
    BEGUN = "about to be asked for"
    DONE = "accepted by the cluster"
    ENDED = "not needed: the Job had ended"
    GONE = "there is no such Job"
    FAILED = "refused, or not answered"


class Creation(StrEnum):
    """Whether there is a Job of this step in the cluster."""

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
    namespace: str
    """Empty only with a kubeconfig: then the namespace of its context applies, else `default`."""
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
    docs_url: str
    """URL of the docs folder of the version in use, for links."""


@dataclass(frozen=True)
class Endpoint:
    """An EKS cluster as DescribeCluster tells it; `ca_data` is base64 PEM, as a kubeconfig holds it."""

    server: str
    ca_data: str
    version: str
    status: str


@dataclass(frozen=True)
class Access:
    """A way into one cluster: a kubeconfig reduced to what we load, and what it is called."""

    kubeconfig: Json = field(repr=False)
    cluster: str
    namespace: str
    proxy_url: str = ""
    """The kubeconfig's own `proxy-url`, which goes before the environment's."""
    secrets: tuple[str, ...] = field(repr=False, default=())
    token_file: str = ""
    """Where the bearer token stands, if somebody may write a newer one there."""


@dataclass(frozen=True)
class CronJobFacts:
    """What a person wants to see of a CronJob."""

    schedule: str
    time_zone: str
    suspended: bool
    template_suspended: bool
    concurrency_policy: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class TerminalCondition:
    """How a Job ended: its terminal condition. `reason` and `message` are the controller's words."""

    succeeded: bool
    reason: str
    message: str
    seconds: int | None
    """From its start to its end by the cluster's clock; None where it does not tell."""


@dataclass(frozen=True)
class RunningJob:
    """An unfinished Job of the CronJob; `since` is RFC 3339, `by` empty where no person started it."""

    name: str
    since: str = ""
    by: str = ""


@dataclass(frozen=True)
class CreatedJob:
    """The Job as the API server answered it; `ground` tells on what it is believed where no answer came."""

    name: str
    uid: str
    manifest: Json = field(repr=False, default_factory=dict)
    warnings: tuple[str, ...] = ()
    ground: str = ""


class Concerns(StrEnum):
    """Whom a problem concerns."""

    DEVELOPER = "who pressed the button"
    PLATFORM = "who set it up"


@dataclass(frozen=True)
class Problem:
    """A failure as its reader needs it.

    `reason` is the `reason` output and the heading in docs/troubleshooting.md. `what`, `why` and `fix` are
    sentences of ours; names in them went through `text.quoted`. `said` is foreign, `paste` is to be copied.
    `first` is what the one who pressed does or looks at before the platform team is asked for `fix`.
    """

    reason: Reason
    what: str
    why: str
    fix: str
    concerns: Concerns = Concerns.PLATFORM
    first: str = ""
    said: str = ""
    paste: str = ""
    paste_language: str = "yaml"


@dataclass(frozen=True)
class Output:
    """The last lines of the container that decided; without lines, `withheld` says why there are none."""

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
    request_id: str = ""
    """The annotation that tells the Job from another one of the same name."""
    run_id: str = ""
    """The workflow run that the Job must be of, where not empty: from the runner itself, which no step can change."""


@dataclass(frozen=True)
class Outcome:
    """Everything known so far; at the end, everything there is to tell."""

    cronjob: str = ""
    namespace: str = ""
    cluster: str = ""
    trigger: Trigger = field(default_factory=Trigger)
    docs_url: str = ""
    dry_run: bool = False
    result: Result = Result.ERROR
    stage: str = ""
    """What was being done, in words that complete "while ..."."""
    facts: CronJobFacts | None = None
    creation: Creation = Creation.NONE
    job_name: str = ""
    """The name tried last; that of a Job only with `Creation.DONE`."""
    job_uid: str = ""
    remarks: tuple[str, ...] = ()
    """Warnings, each one sentence; foreign parts went through `text.quoted`."""
    manifest: str = ""
    """Of a dry run: the Job as YAML, without env values."""
    problem: Problem | None = None
    wait_for: WaitFor = WaitFor.CREATED
    timeout: int | None = None
    on_cancel: OnCancel = OnCancel.LEAVE
    following_since: datetime | None = None
    """When the Job was created; None before, and once its end or start is certain."""
    state: str = ""
    """What the Job waits for or does, one sentence."""
    trouble: Problem | None = None
    """What keeps it from running now, and can't heal by itself."""
    seconds: int | None = None
    """How long the Job took, or has been followed."""
    exit_code: int | None = None
    """Of the one container that decided."""
    output: Output | None = None
    deletion: Deletion = Deletion.NONE

    @classmethod
    def of(cls, asked: Inputs) -> Outcome:
        """What is known at the beginning: what was asked for."""
        return cls(
            cronjob=asked.cronjob,
            namespace=asked.namespace,
            cluster=asked.cluster,
            trigger=asked.trigger,
            docs_url=asked.docs_url,
            dry_run=asked.dry_run,
            wait_for=asked.wait_for,
            timeout=asked.timeout,
            on_cancel=asked.on_cancel,
        )
