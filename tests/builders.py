"""Builders of the objects in the tests: inputs, a CronJob, Jobs, pods, events, an Outcome, and hostile texts.

The messages of the cluster are those of Kubernetes 1.37 (taken from a real API server, controller manager and
scheduler, or from the kubelet's source) and of containerd 2.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from run_cronjob.core import status
from run_cronjob.core.models import CronJobFacts, Inputs, Logs, Outcome, Trigger
from run_cronjob.diagnosis.view import View
from run_cronjob.inputs import INPUTS

ROLE = "arn:aws:iam::123456789012:role/ci/run-cronjob"

TRIGGER = Trigger(
    actor="hubot",
    triggering_actor="octocat",
    repository="acme/batch",
    workflow="Run CronJob",
    ref="refs/heads/main",
    sha="0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
    run_id="4711",
    run_attempt="2",
)

CLAIMS = {
    "iss": "https://token.actions.githubusercontent.com",
    "sub": "repo:acme/batch:ref:refs/heads/main",
    "aud": "sts.amazonaws.com",
    "repository": "acme/batch",
    "ref": "refs/heads/main",
    "job_workflow_ref": "acme/batch/.github/workflows/run.yml@refs/heads/main",
}

HOSTILE = [
    "`closed` **bold** <b>html</b>",
    "``` \n```\n# heading",
    "a | b \\| c",
    "[link](https://evil.example) ![image](https://evil.example/x.png)",
    "</details><script>alert(1)</script><!--",
    "https://evil.example www.evil.example mail@evil.example",
    "@octocat #1 acme/batch#1 :tada:",
    "line one\nline two\r\nline three\rline four\n\n> quote\n\n- list",
    "::error::no\n::add-mask::a\n  ::set-output name=result::created",
    "see ##[error]no ##[add-mask]a",
    "\N{ZERO WIDTH SPACE}::error::no #\N{WORD JOINER}#[error]no",
    "\u2028::error::no\x85::error::no\x0b::error::no",
    "left \N{RIGHT-TO-LEFT OVERRIDE}thgir\N{POP DIRECTIONAL FORMATTING}",
    "\x1b[31mred\x1b[0m \x00 \x07",
    "$(id) `id` ; id && id # '\"",
    "&lt;b&gt; &#96; \\` \\",
    "\ud800 half a pair",
    "",
    " ",
    "x" * 5000,
]
"""Texts that anyone may write into a name, a message or a claim."""


INPUT_NAMES: list[str] = list(
    yaml.safe_load((Path(__file__).resolve().parents[1] / "action.yml").read_text())["inputs"]
)


def cronjob(*, name: str = "nightly-report", spec: dict[str, Any] | None = None, **job_spec: Any) -> dict[str, Any]:
    """A CronJob from the API server; `spec` overrides fields of its spec, `job_spec` those of the Job template's."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "report", "image": "registry.example/r:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "staging", "uid": "0c5a8c9e-cron"},
        "spec": {
            "schedule": "5 4 * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"metadata": {}, "spec": {"template": template} | job_spec},
        }
        | (spec or {}),
    }


def inputs(**changes: Any) -> Inputs:
    """Valid inputs for EKS. Inputs that are named neither here nor in `changes` have their defaults."""
    given: dict[str, Any] = {each.field: each.value(each.default) for each in INPUTS}
    given |= {
        "cronjob": "nightly-report",
        "namespace": "staging",
        "cluster": "blue",
        "aws_region": "eu-central-1",
        "role_to_assume": ROLE,
        "role_session_name": "octocat-4711-2",
        "logs": Logs.TRUE,
        "token_request": None,
        "trigger": TRIGGER,
        "docs_url": "https://github.com/acme/run-cronjob/blob/v1/docs",
    }
    return Inputs(**(given | changes))


def outcome(**changes: Any) -> Outcome:
    """The Outcome before the Job is created."""
    known: dict[str, Any] = {
        "cronjob": "nightly-report",
        "namespace": "staging",
        "cluster": "blue",
        "trigger": TRIGGER,
        "docs_url": "https://github.com/acme/run-cronjob/blob/v1/docs",
        "facts": CronJobFacts(
            schedule="5 4 * * *",
            time_zone="Europe/Berlin",
            suspended=False,
            template_suspended=False,
            concurrency_policy="Forbid",
            images=("registry.example/r:1",),
        ),
    }
    return Outcome(**(known | changes))


# --- Jobs, pods and events as an API server shows them --------------------------------------------------------

START = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
IMAGE = "registry.example/report:1"

Raw = dict[str, Any]


def at(seconds: float) -> str:
    """The time `seconds` after the Job's start, in the API's format."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")


def job(
    *conditions: Raw, status: Raw | None = None, pod_spec: Raw | None = None, metadata: Raw | None = None, **spec: Any
) -> Raw:
    """A Job that has started; the arguments override fields of its parts."""
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "report", "image": IMAGE}]} | (pod_spec or {})
    }
    known = {"startTime": at(0), "conditions": list(conditions)} | (status or {})
    defaults = {"backoffLimit": 6, "completions": 1, "parallelism": 1, "completionMode": "NonIndexed", "suspend": False}
    return {
        "metadata": {"name": "nightly", "namespace": "staging", "uid": "j", "creationTimestamp": at(0)}
        | (metadata or {}),
        "spec": {"template": template} | defaults | spec,
        "status": known,
    }


def condition(kind: str, reason: str = "", message: str = "", *, true: bool = True, seconds: float = 60) -> Raw:
    return {
        "type": kind,
        "status": "True" if true else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(seconds),
    }


def failed(reason: str, message: str = "", **changes: Any) -> Raw:
    """A Job that has failed for `reason`."""
    return job(condition("FailureTarget", reason, message), condition("Failed", reason, message), **changes)


def pod(name: str = "nightly-abcde", phase: str = "Running", **changes: Any) -> Raw:
    """A pod on a node.

    `init`, `sidecars` and `containers` are statuses; `spec`, `status` and `metadata` override fields.
    """
    statuses = changes.pop("containers", [])
    first = changes.pop("init", [])
    sidecars = changes.pop("sidecars", [])
    specs = changes.pop("container_specs", {})

    def described(status: Raw) -> Raw:
        return {"name": status["name"], "image": IMAGE, **specs.get(status["name"], {})}

    return {
        "metadata": {"name": name, "namespace": "staging", "creationTimestamp": at(1)} | changes.pop("metadata", {}),
        "spec": {
            "nodeName": "node-1",
            "containers": [described(each) for each in statuses] or [{"name": "report", "image": IMAGE}],
            "initContainers": [
                *(described(each) for each in first),
                *({**described(each), "restartPolicy": "Always"} for each in sidecars),
            ],
        }
        | changes.pop("spec", {}),
        "status": {
            "phase": phase,
            "startTime": at(2),
            "conditions": [condition("PodScheduled", seconds=2)],
            "containerStatuses": statuses,
            "initContainerStatuses": [*first, *sidecars],
        }
        | changes.pop("status", {}),
    } | changes


def unplaced(message: str, name: str = "nightly-abcde", *, reason: str = "Unschedulable", **spec: Any) -> Raw:
    """A pod for which the scheduler finds no node."""
    conditions = [condition("PodScheduled", reason, message, true=False, seconds=1)]
    wanted = {"nodeName": "", "containers": [{"name": "report", "image": IMAGE}]} | spec
    return pod(name, "Pending", spec=wanted, status={"conditions": conditions, "startTime": None})


def running(name: str = "report", seconds: float = 5, **more: Any) -> Raw:
    return {"name": name, "state": {"running": {"startedAt": at(seconds)}}, "restartCount": 0} | more


def waits(reason: str, message: str = "", name: str = "report", **more: Any) -> Raw:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}, "restartCount": 0} | more


def ended(code: int, reason: str = "Error", name: str = "report", **more: Any) -> Raw:
    return {"name": name, "state": end(code, reason, more.pop("message", ""), more.pop("seconds", 30)), **more}


def end(code: int, reason: str = "Error", message: str = "", seconds: float = 30) -> Raw:
    state: Raw = {"exitCode": code, "reason": reason, "startedAt": at(5), "finishedAt": at(seconds)}
    return {"terminated": state | ({"message": message} if message else {})}


def event(reason: str, message: str, about: str = "nightly-abcde", **more: Any) -> Raw:
    """An event as the kubelet or a controller records it, about a pod or about the Job `nightly`."""
    kind = "Job" if about == "nightly" else "Pod"
    seconds = more.pop("seconds", 3)
    known = {
        "involvedObject": {"kind": kind, "name": about, "namespace": "staging"},
        "reason": reason,
        "message": message,
        "firstTimestamp": at(2),
        "lastTimestamp": at(seconds),
        "count": 1,
        "source": {"component": "kubelet"},
    }
    return known | more


def modern_event(reason: str, message: str, about: str = "nightly-abcde", *, seconds: float = 3) -> Raw:
    """An event recorded through events.k8s.io, as by the scheduler: without a count, its time in `eventTime`."""
    new: Raw = {"firstTimestamp": None, "lastTimestamp": None, "eventTime": at(seconds), "source": {}}
    return event(reason, message, about, reportingComponent="default-scheduler") | new | {"count": None}


def view(
    a_job: Raw,
    *pods: Raw,
    events: tuple[Raw, ...] | list[Raw] = (),
    env_values: frozenset[str] = frozenset(),
    shows_output: bool = True,
) -> View:
    parsed = tuple(status.pod(each, shows_output=shows_output) for each in pods)
    return View(status.job(a_job), parsed, tuple(map(status.event, events)), env_values)


def after(seconds: float) -> datetime:
    """The time `seconds` after the Job's start."""
    return START + timedelta(seconds=seconds)


SOON, LATER, MUCH_LATER = after(40), after(180), after(400)
"""Before the two minutes until a missing object counts as a lasting cause, after them, after a node's five minutes."""


def lost(*containers: Raw, **changes: Any) -> Raw:
    """A pod that has failed."""
    return pod(phase="Failed", containers=list(containers), **changes)


def refused(message: str, *pods: Raw, **about: Any) -> View:
    """A Job whose pods are rejected by admission."""
    said = f'Error creating: pods "nightly-x2b7q" is forbidden: {message}'
    created = event("FailedCreate", said, "nightly", seconds=20, source={"component": "job-controller"})
    return view(job(**about), *pods, events=[created])


NOT_READY = "0/3 nodes are available: 3 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."
FULL_QUOTA = (
    "exceeded quota: compute, requested: pods=1,requests.cpu=1, used: pods=1,requests.cpu=1500m, "
    "limited: pods=1,requests.cpu=2"
)
UNPACK = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '

BACKOFF = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
POLICY_MET = "Container report for pod staging/nightly-abcde failed with exit code 42 matching FailJob rule at index 0"
