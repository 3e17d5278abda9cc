"""Reads the inputs and the workflow run's context from the environment of the step.

`INPUTS` declares every input once. Reading, messages, and the tests of action.yml and README.md follow from it.
No other module reads `INPUT_*` or, apart from the runner's files, `GITHUB_*`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from run_cronjob import REPOSITORY
from run_cronjob.core.models import IfRunning, Inputs, JobRef, Logs, OnCancel, Outcome, TokenRequest, Trigger, WaitFor
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis.run import invalid_inputs
from run_cronjob.jobs import naming

# RFC 1123 as Kubernetes applies it (apimachinery pkg/util/validation).
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
CRONJOB_NAME_LENGTH = 52
"""Kubernetes leaves 11 of 63 characters for the suffix that its controller appends (ValidateCronJobCreate)."""

CLUSTER = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")
REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
AUDIENCE = re.compile(r"[\w.:/@+=,-]{1,255}", re.ASCII)
DURATION_SECONDS = range(900, 43_201)  # The limits of AssumeRoleWithWebIdentity. The role's own maximum may be lower.

TIME = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?|(\d{1,8})", re.ASCII)
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
"""The spellings of YAML 1.2's core schema, which `getBooleanInput` of GitHub's toolkit accepts too."""


@dataclass(frozen=True)
class Input:
    """The declaration of one input of action.yml."""

    name: str
    parse: Callable[[str], object] = str
    """Returns the value of the field in `Inputs`, or None if the text is wrong. It never gets an empty text."""
    rule: str = ""  # the message about a wrong text: it completes "Input `name` ..."
    default: str = ""
    """The text that an empty one stands for, as in action.yml: an unset `vars.X` arrives as an empty string."""
    fallbacks: tuple[str, ...] = ()  # environment variables that are read if the input is empty
    required: bool = False
    choices: tuple[str, ...] = ()  # the valid texts, if there are only a few
    if_empty: object = ""  # the field's value if neither the input, nor a fallback, nor the default gives a text

    @property
    def field(self) -> str:
        """The name of the field in `Inputs`."""
        return self.name.replace("-", "_")

    def text(self, environ: Mapping[str, str]) -> str:
        """The text given, else the first fallback's, else the default."""
        given = environ.get(f"INPUT_{self.name.upper()}", "").strip()
        fallbacks = (environ.get(variable, "") for variable in self.fallbacks)
        return given or next(filter(None, fallbacks), self.default)

    def value(self, text: str) -> object:
        """The field's value for a valid `text`."""
        return self.parse(text) if text else self.if_empty

    def complaint(self, text: str) -> str:
        """The words that complete "Input `name` ..." if `text` is wrong, else an empty string."""
        if not text:
            return f"is missing: it {self.rule}" if self.required else ""
        if self.parse(text) is not None:
            return ""
        near = difflib.get_close_matches(text.lower(), self.choices, n=1)
        hint = f" (did you mean {quoted(near[0])}?)" if near else ""
        return f"{self.rule}; it is {quoted(text)}{hint}"


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


def _cronjob(text: str) -> str | None:
    # A leading slash comes from a variable that is not set. It does not mean the namespace `default`.
    name = text.rpartition("/")[2]
    return text if text[0] != "/" and len(name) <= CRONJOB_NAME_LENGTH and SUBDOMAIN.fullmatch(name) else None


def _role_duration(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{3,5}", text) and int(text) in DURATION_SECONDS else None


def _seconds(text: str) -> int | None:
    found = TIME.fullmatch(text)
    units = zip(found.groups(), (3600, 60, 1, 1), strict=True) if found else ()
    return sum(int(amount or 0) * unit for amount, unit in units) or None


def _choice(name: str, default: StrEnum, choices: Iterable[StrEnum]) -> Input:
    values = {choice.value: choice for choice in choices}
    rule = f"must be one of {', '.join(map(quoted, values))}"
    return Input(name, values.get, rule, default.value, choices=tuple(values))


INPUTS = (
    Input(
        "cronjob",
        _cronjob,
        "must be the name of a CronJob, as `NAME` or `NAMESPACE/NAME` "
        f"(lower-case letters, digits, `-` and `.`, at most {CRONJOB_NAME_LENGTH} characters)",
        required=True,
    ),
    Input("namespace", _matching(LABEL), "must be the name of a namespace (lower-case letters, digits, `-`)"),
    Input("cluster", _matching(CLUSTER), "must be the name of an EKS cluster, not its ARN or URL"),
    Input("aws-region", fallbacks=("AWS_REGION", "AWS_DEFAULT_REGION")),
    Input(
        "role-to-assume",
        _matching(ROLE),
        "must be the ARN of an IAM role, such as `arn:aws:iam::123456789012:role/run-cronjob`",
    ),
    Input("role-session-name", _matching(SESSION_NAME), "must be 2 to 64 letters, digits or `+=,.@_-` characters"),
    Input(
        "role-duration-seconds",
        _role_duration,
        f"must be a whole number of seconds from {DURATION_SECONDS[0]} to {DURATION_SECONDS[-1]}",
        default="3600",
    ),
    Input("audience", _matching(AUDIENCE), "must be one word, such as `sts.amazonaws.com`", "sts.amazonaws.com"),
    Input("kubeconfig"),
    Input("context"),
    Input(
        "job-name",
        lambda pattern: pattern if naming.is_pattern(pattern) else None,
        naming.PATTERN_RULE,
        naming.DEFAULT_PATTERN,
    ),
    _choice("wait-for", WaitFor.CREATED, WaitFor),
    Input(
        "timeout",
        _seconds,
        "must be a time such as `90s`, `20m`, `1h30m` or a number of seconds, and more than none",
        if_empty=None,
    ),
    _choice("logs", Logs.AUTO, [Logs.AUTO, Logs.TRUE, Logs.FALSE]),
    _choice("if-running", IfRunning.WARN, IfRunning),
    _choice("on-cancel", OnCancel.LEAVE, OnCancel),
    Input("dry-run", BOOLEANS.get, "must be `true` or `false`", "false"),
)
"""In the order of action.yml, of README.md, and of the messages."""


class InvalidInputs(Exception):  # noqa: N818  it is raised for inputs, and carries them
    """Carries one sentence for each wrong input, and the outcome to report."""

    def __init__(self, complaints: list[str], outcome: Outcome) -> None:
        super().__init__(" ".join(complaints))
        self.complaints = complaints
        self.outcome = outcome


def read(environ: Mapping[str, str]) -> Inputs:
    """Read the inputs from `environ`.

    Raises InvalidInputs with a sentence for each one that is wrong, so that a person can correct all in one go.
    """
    texts = {each.name: each.text(environ) for each in INPUTS}
    cronjob_namespace, _, cronjob = texts["cronjob"].rpartition("/")
    namespace = texts["namespace"] or cronjob_namespace or ("" if texts["kubeconfig"] else "default")
    trigger = _trigger(environ)
    links = docs_url(environ)
    if complaints := _complaints(texts):
        problem = invalid_inputs(complaints)
        raise InvalidInputs(complaints, Outcome(cronjob, namespace, texts["cluster"], trigger, links, problem=problem))

    values: dict[str, Any] = {each.field: each.value(texts[each.name]) for each in INPUTS}
    asked = Inputs(**values, token_request=_token_request(environ), trigger=trigger, docs_url=links)
    return replace(
        asked,
        cronjob=cronjob,
        namespace=namespace,
        role_session_name=asked.role_session_name or session_name(trigger),
        logs=_logs_by_visibility(environ) if asked.logs is Logs.AUTO else asked.logs,
    )


def _complaints(texts: Mapping[str, str]) -> list[str]:
    """Return one sentence for everything that is wrong, in the order of `INPUTS`."""
    by_input = {each.name: [(each.name, each.complaint(texts[each.name]))] for each in INPUTS}
    for position, name, words in _conflicts(texts):
        by_input[position].append((name, words))
    return [f"Input `{name}` {words}." for found in by_input.values() for name, words in found if words]


def _conflicts(texts: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Check what depends on more than one input.

    Yields the input after whose complaints this one is listed, the input that it is about, and its words.
    """
    cronjob_namespace = texts["cronjob"].rpartition("/")[0]
    if cronjob_namespace:
        names = f"names the namespace {quoted(cronjob_namespace)}"
        if not LABEL.fullmatch(cronjob_namespace):
            yield "namespace", "cronjob", f"{names}, which can't be one"
        elif texts["namespace"] not in {"", cronjob_namespace}:
            other = quoted(texts["namespace"])
            yield "namespace", "cronjob", f"{names}, but `namespace` is {other}; give it in one place"

    if texts["kubeconfig"]:
        for name in ("cluster", "role-to-assume"):
            if texts[name]:
                yield "job-name", name, "can't be used together with `kubeconfig`: remove one of the two"
        return
    if texts["context"]:
        yield "job-name", "context", "chooses within `kubeconfig`, which is missing"
    if not texts["cluster"]:
        yield "job-name", "cluster", "is missing: give the name of the EKS cluster (or a `kubeconfig`)"
    region = texts["aws-region"]
    if not region:
        missing = "is missing: give the cluster's region, such as `eu-central-1`, or set AWS_REGION"
        yield "job-name", "aws-region", missing
    elif not REGION.fullmatch(region):
        yield "job-name", "aws-region", f"must be an AWS region such as `eu-central-1`; it is {quoted(region)}"


def saved_job(environ: Mapping[str, str]) -> JobRef | None:
    """Return the Job that an earlier entrypoint of this step has saved in the step's state, if there is one."""
    namespace, name, request_id = (environ.get(f"STATE_{key}", "") for key in ("namespace", "job", "request-id"))
    run_id = environ.get("GITHUB_RUN_ID", "")
    return JobRef(namespace, name, request_id=request_id, run_id=run_id) if name and request_id else None


def session_name(trigger: Trigger) -> str:
    """Return person, run and attempt in the 64 characters that STS takes; CloudTrail and audit logs show them."""
    tail = f"-{trigger.run_id or 'local'}-{trigger.run_attempt or '1'}"
    person = re.sub(r"[^\w+=,.@-]", "-", trigger.person, flags=re.ASCII)
    return person[: 64 - len(tail)] + tail


def docs_url(environ: Mapping[str, str]) -> str:
    """Return the URL of the docs folder of the version in use.

    An action that runs from its own checkout has no repository of its own: then it is the project's, at HEAD.
    """
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
    """Read each field of Trigger from the variable `GITHUB_` and the field's name."""
    values = {field.name: environ.get(f"GITHUB_{field.name.upper()}", "") for field in fields(Trigger)}
    values["triggering_actor"] = values["triggering_actor"] or values["actor"]
    return Trigger(**values | {"server_url": _server_url(environ)})


def _logs_by_visibility(environ: Mapping[str, str]) -> Logs:
    """Return TRUE for a private or internal repository, else PUBLIC; only the event's payload has the visibility."""
    try:
        event = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_bytes())
        repository = event["repository"]
        known = repository.get("visibility") or ("private" if repository.get("private") is True else "")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        known = ""
    return Logs.TRUE if known in {"private", "internal"} else Logs.PUBLIC


def _token_request(environ: Mapping[str, str]) -> TokenRequest | None:
    """Return None without `permissions: id-token: write`: then the runner sets neither variable."""
    url = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    return TokenRequest(url, bearer) if url and bearer else None
