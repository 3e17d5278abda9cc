"""Environment -> Inputs; the only reader of INPUT_* and GITHUB_*.

Every wrong input is named in one go, before anything is asked of a network.
"""

from __future__ import annotations

import difflib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from run_cronjob import REPOSITORY
from run_cronjob.core.models import IfRunning, Inputs, JobRef, Logs, OnCancel, Outcome, TokenRequest, Trigger, WaitFor
from run_cronjob.core.text import quoted
from run_cronjob.jobs import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Choice = TypeVar("Choice", bound=StrEnum)

# RFC 1123 as Kubernetes applies it (apimachinery pkg/util/validation).
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
CRONJOB_NAME_LENGTH = 52
"""Kubernetes leaves 11 of 63 characters for what its controller appends (ValidateCronJobCreate)."""

CLUSTER = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")
REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
AUDIENCE = re.compile(r"[\w.:/@+=,-]{1,255}", re.ASCII)
DURATION_SECONDS = range(900, 43_201)
"""AssumeRoleWithWebIdentity's limits; the role's own maximum may be lower."""

TIME = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?|(\d{1,8})", re.ASCII)

DEFAULTS = {
    "role-duration-seconds": "3600",
    "audience": "sts.amazonaws.com",
    "job-name": naming.DEFAULT_PATTERN,
    "wait-for": WaitFor.CREATED.value,
    "logs": Logs.AUTO.value,
    "if-running": IfRunning.WARN.value,
    "on-cancel": OnCancel.LEAVE.value,
    "dry-run": "false",
}


class InvalidInputs(Exception):  # noqa: N818  names what they are
    """Carries one sentence for each wrong input, and what there is to tell of the request all the same."""

    def __init__(self, complaints: list[str], known: Outcome) -> None:
        super().__init__(" ".join(complaints))
        self.complaints = complaints
        self.known = known


def read(environ: Mapping[str, str]) -> Inputs:
    """The inputs in `environ`.

    Raises InvalidInputs with a sentence for each one that is wrong.
    """
    form = _Form(environ)
    namespace_in_cronjob, _, cronjob = form.given("cronjob").rpartition("/")
    kubeconfig = form.given("kubeconfig")
    namespace = form.given("namespace") or namespace_in_cronjob or ("" if kubeconfig else "default")
    region = form.given("aws-region") or environ.get("AWS_REGION", "") or environ.get("AWS_DEFAULT_REGION", "")

    form.check(
        "cronjob",
        # A leading slash is the mark of a variable that is not set, not of the namespace `default`.
        lambda given: given[0] != "/" and len(cronjob) <= CRONJOB_NAME_LENGTH and SUBDOMAIN.fullmatch(cronjob),
        "must be the name of a CronJob, as `NAME` or `NAMESPACE/NAME` "
        f"(lower-case letters, digits, `-` and `.`, at most {CRONJOB_NAME_LENGTH} characters)",
        required=True,
    )
    form.check("namespace", LABEL.fullmatch, "must be the name of a namespace (lower-case letters, digits, `-`)")
    if namespace_in_cronjob:
        if not LABEL.fullmatch(namespace_in_cronjob):
            form.complain("cronjob", f"names the namespace {quoted(namespace_in_cronjob)}, which can't be one")
        elif namespace != namespace_in_cronjob:
            form.complain(
                "cronjob",
                f"names the namespace {quoted(namespace_in_cronjob)}, "
                f"but `namespace` is {quoted(namespace)}; give it in one place",
            )
    form.check("cluster", CLUSTER.fullmatch, "must be the name of an EKS cluster, not its ARN or URL")
    form.check(
        "role-to-assume",
        ROLE.fullmatch,
        "must be the ARN of an IAM role, such as `arn:aws:iam::123456789012:role/run-cronjob`",
    )
    form.check("role-session-name", SESSION_NAME.fullmatch, "must be 2 to 64 letters, digits or `+=,.@_-` characters")
    form.check(
        "role-duration-seconds",
        lambda seconds: re.fullmatch(r"[0-9]{3,5}", seconds) and int(seconds) in DURATION_SECONDS,
        f"must be a whole number of seconds from {DURATION_SECONDS[0]} to {DURATION_SECONDS[-1]}",
    )
    form.check("audience", AUDIENCE.fullmatch, "must be one word, such as `sts.amazonaws.com`")
    form.check("job-name", naming.is_pattern, naming.PATTERN_RULE)

    _check_access(form, region)
    wait_for = form.choice("wait-for", WaitFor)
    timeout = form.seconds("timeout")
    logs = form.choice("logs", Logs, [Logs.AUTO, Logs.TRUE, Logs.FALSE])
    if_running = form.choice("if-running", IfRunning)
    on_cancel = form.choice("on-cancel", OnCancel)
    dry_run = form.boolean("dry-run")
    trigger = _trigger(environ)
    links = docs_url(environ)
    if form.complaints:
        known = Outcome(cronjob, namespace, form.given("cluster"), trigger, links)
        raise InvalidInputs(form.complaints, known)

    return Inputs(
        cronjob=cronjob,
        namespace=namespace,
        cluster=form.given("cluster"),
        aws_region=region,
        role_to_assume=form.given("role-to-assume"),
        role_session_name=form.given("role-session-name") or session_name(trigger),
        role_duration_seconds=int(form.given("role-duration-seconds")),
        audience=form.given("audience"),
        kubeconfig=kubeconfig,
        context=form.given("context"),
        job_name=form.given("job-name"),
        wait_for=wait_for,
        timeout=timeout,
        logs=_visible(environ) if logs is Logs.AUTO else logs,
        if_running=if_running,
        on_cancel=on_cancel,
        dry_run=dry_run,
        token_request=_token_request(environ),
        trigger=trigger,
        docs_url=links,
    )


def _check_access(form: _Form, region: str) -> None:
    """A kubeconfig, or a cluster in a region; not both."""
    if form.given("kubeconfig"):
        for name in ("cluster", "role-to-assume"):
            if form.given(name):
                form.complain(name, "can't be used together with `kubeconfig`: remove one of the two")
    else:
        if form.given("context"):
            form.complain("context", "chooses within `kubeconfig`, which is missing")
        if not form.given("cluster"):
            form.complain("cluster", "is missing: give the name of the EKS cluster (or a `kubeconfig`)")
        if not region:
            form.complain(
                "aws-region",
                "is missing: give the cluster's region, such as `eu-central-1`, or set AWS_REGION",
            )
        elif not REGION.fullmatch(region):
            form.complain("aws-region", f"must be an AWS region such as `eu-central-1`; it is {quoted(region)}")


class _Form:
    """The inputs as given, and the complaints collected about them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.complaints: list[str] = []

    def given(self, name: str) -> str:
        """The value, or the default where it is empty: an unset `vars.X` arrives as an empty string."""
        return self._environ.get(f"INPUT_{name.upper()}", "").strip() or DEFAULTS.get(name, "")

    def complain(self, name: str, complaint: str) -> None:
        self.complaints.append(f"Input `{name}` {complaint}.")

    def check(self, name: str, valid: Callable[[str], object], rule: str, *, required: bool = False) -> None:
        value = self.given(name)
        if not value and required:
            self.complain(name, f"is missing: it {rule}")
        elif value and not valid(value):
            self.complain(name, f"{rule}; it is {quoted(value)}")

    def choice(self, name: str, choices: type[Choice], offered: Iterable[Choice] = ()) -> Choice:
        value = self.given(name)
        options = [choice.value for choice in offered or choices]
        if value in options:
            return choices(value)
        near = difflib.get_close_matches(value.lower(), options, n=1)
        meant = f" (did you mean {quoted(near[0])}?)" if near else ""
        listed = ", ".join(quoted(option) for option in options)
        self.complain(name, f"must be one of {listed}; it is {quoted(value)}{meant}")
        return next(iter(choices))

    def seconds(self, name: str) -> int | None:
        """A time such as `1h30m`; None where none is given."""
        found = TIME.fullmatch(self.given(name))
        units = zip(found.groups(), (3600, 60, 1, 1), strict=True) if found else ()
        seconds = sum(int(amount or 0) * unit for amount, unit in units)
        rule = "must be a time such as `90s`, `20m`, `1h30m` or a number of seconds, and more than none"
        self.check(name, lambda _: seconds, rule)
        return seconds or None

    def boolean(self, name: str) -> bool:
        """As YAML 1.2's core schema, and so the runner's own toolkit, writes them."""
        value = self.given(name)
        if value not in {"true", "True", "TRUE", "false", "False", "FALSE"}:
            self.complain(name, f"must be `true` or `false`; it is {quoted(value)}")
        return value.lower() == "true"


def left(environ: Mapping[str, str]) -> JobRef | None:
    """The Job that an earlier entrypoint of this step may have left behind, as its state file tells."""
    namespace, name, request_id = (environ.get(f"STATE_{key}", "") for key in ("namespace", "job", "request-id"))
    run_id = environ.get("GITHUB_RUN_ID", "")
    return JobRef(namespace, name, request_id=request_id, run_id=run_id) if name and request_id else None


def session_name(trigger: Trigger) -> str:
    """Who pressed and in which run, in the 64 characters STS takes; seen in CloudTrail and audit logs."""
    tail = f"-{trigger.run_id or 'local'}-{trigger.run_attempt or '1'}"
    person = re.sub(r"[^\w+=,.@-]", "-", trigger.person, flags=re.ASCII)
    return person[: 64 - len(tail)] + tail


def docs_url(environ: Mapping[str, str]) -> str:
    """The docs of the version in use; an action run from its own checkout has no repository of its own."""
    repository = environ.get("GITHUB_ACTION_REPOSITORY", "")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        return f"https://github.com/{REPOSITORY}/blob/HEAD/docs"
    ref = environ.get("GITHUB_ACTION_REF", "")
    ref = ref if re.fullmatch(r"[\w./-]+", ref, re.ASCII) else "HEAD"
    return f"{_server_url(environ)}/{repository}/blob/{ref}/docs"


def _server_url(environ: Mapping[str, str]) -> str:
    url = environ.get("GITHUB_SERVER_URL", "")
    return url if re.fullmatch(r"https?://[\w.:-]+", url, re.ASCII) else "https://github.com"


def _trigger(environ: Mapping[str, str]) -> Trigger:
    def github(name: str) -> str:
        return environ.get(f"GITHUB_{name}", "")

    return Trigger(
        actor=github("ACTOR"),
        triggering_actor=github("TRIGGERING_ACTOR") or github("ACTOR"),
        repository=github("REPOSITORY"),
        workflow=github("WORKFLOW"),
        ref=github("REF"),
        sha=github("SHA"),
        run_id=github("RUN_ID"),
        run_attempt=github("RUN_ATTEMPT"),
        server_url=_server_url(environ),
    )


def _visible(environ: Mapping[str, str]) -> Logs:
    """Whether all who can read the workflow's log belong to the repository; only the event file tells."""
    try:
        event = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_bytes())
        repository = event["repository"]
        known = repository.get("visibility") or ("private" if repository.get("private") is True else "")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        known = ""
    return Logs.TRUE if known in {"private", "internal"} else Logs.PUBLIC


def _token_request(environ: Mapping[str, str]) -> TokenRequest | None:
    """Both variables exist only with `permissions: id-token: write`."""
    url = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    return TokenRequest(url, bearer) if url and bearer else None
