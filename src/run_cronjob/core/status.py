"""Parses Jobs, pods and events: raw JSON of the Kubernetes API into the few fields that the action uses. No I/O.

This is the only module that reads a status or an event. Every field is optional, and a newer API server may send
values that are unknown here, so no shape of an object raises an error. Texts stay as the cluster sent them: escape
them before showing them (core/text.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, TypeVar

from run_cronjob.core.models import Json, TerminalCondition

Default = TypeVar("Default", int, None)

_DEFAULT_BACKOFF_LIMIT = 6

_TERMINAL = {"Complete": True, "Failed": False}
"""The only conditions that end a Job, and whether it succeeded; SuccessCriteriaMet and FailureTarget are interim."""


class Role(Enum):
    """The kind of a container in its pod."""

    INIT = auto()
    SIDECAR = auto()  # an init container with `restartPolicy: Always`: the next containers don't wait for its end
    MAIN = auto()


@dataclass(frozen=True)
class Ended:
    """One end of a container: its `terminated` state."""

    exit_code: int
    reason: str = ""
    message: str = ""
    signal: int = 0
    at: datetime | None = None
    has_started: bool = False  # the container's process has run
    has_log: bool = False  # the runtime had made the container, so that the kubelet can be asked for its log


@dataclass(frozen=True)
class Container:
    """One container of a pod: its spec and its status."""

    name: str
    role: Role = Role.MAIN
    image: str = ""
    requests: Mapping[str, str] = field(default_factory=dict)
    memory_limit: str = ""
    waiting: bool = False
    reason: str = ""  # of the `waiting` state; empty in other states
    message: str = ""
    running_since: datetime | None = None
    running: bool = False
    ended: Ended | None = None  # its present state, where that is `terminated`
    before: Ended | None = None  # its last state, where the container was restarted
    restarts: int = 0

    @property
    def has_run(self) -> bool:
        """Whether the container runs or has ended at least once, a start that failed included."""
        return self.running or self.ended is not None or self.before is not None

    @property
    def has_started(self) -> bool:
        """Whether the container's process runs or has run: a start that failed doesn't count."""
        return self.running or any(end.has_started for end in (self.ended, self.before) if end)

    @property
    def is_lost(self) -> bool:
        """Whether the kubelet had no record of the container when the pod ended; it may never have run.

        Source: pkg/kubelet/status/status_manager.go, TerminatePod.
        """
        return self.ended is not None and self.ended.reason == "ContainerStatusUnknown"


@dataclass(frozen=True)
class Condition:
    """A condition of a Job or pod whose status is True or False; one that is Unknown is left out."""

    true: bool
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Pod:
    """A pod of the Job."""

    name: str
    namespace: str = ""
    uid: str = ""  # the pod's name, where the UID is missing
    phase: str = ""
    reason: str = ""
    message: str = ""
    created: datetime | None = None
    started: datetime | None = None  # when the kubelet acknowledged the pod
    node: str = ""
    terminating: bool = False  # the pod is being deleted
    index: str = ""  # the completion index, where the Job is Indexed
    never_restarts: bool = False  # no container is ever restarted in this pod
    deadline: int | None = None
    scheduling_gates: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()  # init containers and sidecars first, in the order of their start

    @property
    def is_over(self) -> bool:
        """Whether the pod has succeeded or failed."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def has_run(self) -> bool:
        """Whether any container runs or has ended at least once."""
        return any(container.has_run for container in self.containers)

    @property
    def ended_at(self) -> datetime | None:
        """When the last container ended; where none ran, the last transition of a condition."""
        ends = [each.ended.at for each in self.containers if each.ended and each.ended.at]
        changes = [each.since for each in self.conditions.values() if each.since]
        return max(ends or changes, default=self.created)


@dataclass(frozen=True)
class Event:
    """An event about the Job or one of its pods; `kind` and `name` are those of the object."""

    kind: str
    name: str
    reason: str
    message: str
    component: str = ""
    at: datetime | None = None
    count: int = 1


@dataclass(frozen=True)
class Job:
    """The Job: its spec and its status."""

    name: str = ""
    namespace: str = ""
    uid: str = ""  # the Job's name, where the UID is missing
    created: datetime | None = None
    started: datetime | None = None
    completed: datetime | None = None  # when the Job succeeded; a Job that failed has no such time
    suspended: bool = False
    completions: int | None = 1
    parallelism: int = 1
    backoff_limit: int = _DEFAULT_BACKOFF_LIMIT
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    deadline: int | None = None
    restarts_in_place: bool = False  # `restartPolicy: OnFailure`: a container that fails is restarted in the same pod
    ready: int = 0  # how many pods are ready
    succeeded: int = 0
    failed: int = 0
    failed_indexes: str = ""
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if it is true."""
        found = self.conditions.get(kind)
        return found if found and found.true else None

    @property
    def terminal_condition(self) -> TerminalCondition | None:
        """How the Job ended; None while it has not. Counters decide nothing: they may lag behind."""
        for kind, found in self.conditions.items():
            if kind in _TERMINAL and found.true:
                seconds = _seconds(self.started, self.completed or found.since)
                return TerminalCondition(_TERMINAL[kind], found.reason, found.message, seconds)
        return None


def has_started(job: Job, pods: Iterable[Pod]) -> bool:
    """Whether a main container of `job` runs or has run; init containers and sidecars don't count.

    Where the pods can't be listed, the Job's own count of ready pods decides.
    """
    mains = (each for pod in pods for each in pod.containers if each.role is Role.MAIN)
    return any(each.has_started for each in mains) or job.ready > 0


def exit_code(pods: Iterable[Pod]) -> int | None:
    """The exit code of the only main container of the only pod that succeeded; None unless there is exactly one."""
    succeeded = [pod for pod in pods if pod.phase == "Succeeded"]
    mains = [each for pod in succeeded for each in pod.containers if each.role is Role.MAIN]
    ended = mains[0].ended if len(succeeded) == len(mains) == 1 else None
    return ended.exit_code if ended else None


def uid(raw: Json) -> str:
    """The UID of any object, or its name where that is missing."""
    metadata = _map(raw.get("metadata"))
    return _text(metadata.get("uid")) or _text(metadata.get("name"))


def job(raw: Json) -> Job:
    """Parse a Job."""
    metadata, spec, status = _parts(raw)
    return Job(
        name=_text(metadata.get("name")),
        namespace=_text(metadata.get("namespace")),
        uid=uid(raw),
        created=_time(metadata.get("creationTimestamp")),
        started=_time(status.get("startTime")),
        completed=_time(status.get("completionTime")),
        suspended=spec.get("suspend") is True,
        completions=_number(spec.get("completions"), None) if "completions" in spec or "parallelism" in spec else 1,
        parallelism=_number(spec.get("parallelism"), 1),
        backoff_limit=_number(spec.get("backoffLimit"), _DEFAULT_BACKOFF_LIMIT),
        backoff_limit_per_index=_number(spec.get("backoffLimitPerIndex"), None),
        max_failed_indexes=_number(spec.get("maxFailedIndexes"), None),
        deadline=_number(spec.get("activeDeadlineSeconds"), None),
        restarts_in_place=_map(_map(spec.get("template")).get("spec")).get("restartPolicy") == "OnFailure",
        ready=_number(status.get("ready"), 0),
        succeeded=_number(status.get("succeeded"), 0),
        failed=_number(status.get("failed"), 0),
        failed_indexes=_text(status.get("failedIndexes")),
        conditions=_conditions(status),
    )


def pod(raw: Json, *, shows_output: bool = True) -> Pod:
    """Parse a pod; unless `shows_output`, without termination messages that may repeat log lines."""
    metadata, spec, status = _parts(raw)
    labels = _map(metadata.get("labels")) | _map(metadata.get("annotations"))
    containers = tuple(_containers(spec, status, shows_output=shows_output))
    has_rules = any(each.get("restartPolicy") for key in _KINDS for each in _maps(spec.get(key)))
    return Pod(
        name=_text(metadata.get("name")),
        namespace=_text(metadata.get("namespace")),
        uid=uid(raw),
        phase=_text(status.get("phase")),
        reason=_text(status.get("reason")),
        message=_text(status.get("message")),
        created=_time(metadata.get("creationTimestamp")),
        started=_time(status.get("startTime")),
        node=_text(spec.get("nodeName")),
        terminating=bool(metadata.get("deletionTimestamp")),
        index=_text(labels.get("batch.kubernetes.io/job-completion-index")),
        never_restarts=spec.get("restartPolicy") == "Never" and not has_rules,
        deadline=_number(spec.get("activeDeadlineSeconds"), None),
        scheduling_gates=tuple(_text(gate.get("name")) for gate in _maps(spec.get("schedulingGates"))),
        node_selector=_texts(spec.get("nodeSelector")),
        conditions=_conditions(status),
        containers=containers,
    )


def event(raw: Json) -> Event:
    """Parse an event of core/v1; those written through events.k8s.io have `eventTime` and `series`."""
    about = _map(raw.get("involvedObject"))
    series = _map(raw.get("series"))
    metadata = _map(raw.get("metadata"))
    times = (raw.get("lastTimestamp"), series.get("lastObservedTime"), raw.get("eventTime"), raw.get("firstTimestamp"))
    seen = [time for time in map(_time, times) if time]
    return Event(
        kind=_text(about.get("kind")),
        name=_text(about.get("name")),
        reason=_text(raw.get("reason")),
        message=_text(raw.get("message")),
        component=_text(raw.get("reportingComponent")) or _text(_map(raw.get("source")).get("component")),
        at=max(seen, default=_time(metadata.get("creationTimestamp"))),
        count=max(_number(raw.get("count"), 1), _number(series.get("count"), 1)),
    )


def _containers(spec: Json, status: Json, *, shows_output: bool) -> Iterator[Container]:
    for key, (statuses, role) in _KINDS.items():
        specs = {_text(each.get("name")): each for each in _maps(spec.get(key))}
        states = {_text(each.get("name")): each for each in _maps(status.get(statuses))}
        for name in dict.fromkeys([*specs, *states]):
            yield _container(name, role, specs.get(name, {}), states.get(name, {}), shows_output=shows_output)


_KINDS = {"initContainers": ("initContainerStatuses", Role.INIT), "containers": ("containerStatuses", Role.MAIN)}


def _container(name: str, role: Role, spec: Json, status: Json, *, shows_output: bool) -> Container:
    resources = _map(spec.get("resources"))
    state = _map(status.get("state"))
    waiting, running = state.get("waiting"), state.get("running")
    if role is Role.INIT and spec.get("restartPolicy") == "Always":
        role = Role.SIDECAR
    # With this policy the kubelet may use the log's last lines as the message.
    silent = not shows_output and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    return Container(
        name=name,
        role=role,
        image=_text(spec.get("image")) or _text(status.get("image")),
        requests=_texts(resources.get("requests")),
        memory_limit=_texts(resources.get("limits")).get("memory", ""),
        waiting=isinstance(waiting, dict),
        reason=_text(_map(waiting).get("reason")),
        message=_text(_map(waiting).get("message")),
        running=isinstance(running, dict),
        running_since=_time(_map(running).get("startedAt")),
        ended=_ended(state.get("terminated"), silent=silent),
        before=_ended(_map(status.get("lastState")).get("terminated"), silent=silent),
        restarts=_number(status.get("restartCount"), 0),
    )


def _ended(raw: object, *, silent: bool) -> Ended | None:
    if not isinstance(raw, dict):
        return None
    reason = _text(raw.get("reason"))
    has_started = bool(raw.get("startedAt"))
    return Ended(
        exit_code=_number(raw.get("exitCode"), 0),
        reason=reason,
        message="" if silent and reason not in NEVER_STARTED else _text(raw.get("message")),
        signal=_number(raw.get("signal"), 0),
        at=_time(raw.get("finishedAt")),
        has_started=has_started,
        has_log=has_started or bool(raw.get("containerID")),
    )


NEVER_STARTED = {"StartError", "ContainerCannotRun"}
"""With these reasons the process never ran: the message is the container runtime's, not the log's."""


def _conditions(status: Json) -> dict[str, Condition]:
    return {
        _text(each.get("type")): Condition(
            true=each.get("status") == "True",
            reason=_text(each.get("reason")),
            message=_text(each.get("message")),
            since=_time(each.get("lastTransitionTime")),
        )
        for each in _maps(status.get("conditions"))
        if _text(each.get("status")) in {"True", "False"}
    }


def _parts(raw: Json) -> tuple[Json, Json, Json]:
    return _map(raw.get("metadata")), _map(raw.get("spec")), _map(raw.get("status"))


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(each) for key, each in _map(value).items() if isinstance(each, str | int | float)}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object, default: Default) -> int | Default:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    return max(int((end - start).total_seconds()), 0) if start and end else None


def _time(value: object) -> datetime | None:
    """A time in RFC 3339, to whole seconds or finer."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
