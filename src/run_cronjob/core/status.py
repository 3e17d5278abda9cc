"""Pure: Job, pods and events as raw JSON -> the few facts of them that are looked at, whatever is missing.

Every field of a status is optional, and a newer API server may say things that nobody here knows: nothing in this
room fails on any shape. What is written in a text stays as it came; whoever shows it makes it harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from run_cronjob.core.models import Json

_DEFAULT_BACKOFF_LIMIT = 6


class Role(Enum):
    """What a container is in its pod."""

    INIT = auto()
    SIDECAR = auto()
    """An init container that is restarted for ever: the others don't wait for its end."""
    MAIN = auto()


@dataclass(frozen=True)
class Ended:
    """How a container ended once."""

    exit_code: int
    reason: str = ""
    message: str = ""
    signal: int = 0
    at: datetime | None = None


@dataclass(frozen=True)
class Container:
    """One container: what was asked for and how it is."""

    name: str
    role: Role = Role.MAIN
    image: str = ""
    requests: Mapping[str, str] = field(default_factory=dict)
    memory_limit: str = ""
    waiting: bool = False
    reason: str = ""
    """Why it waits; empty otherwise."""
    message: str = ""
    running_since: datetime | None = None
    running: bool = False
    ended: Ended | None = None
    """Its end, where it is not running or waiting now."""
    before: Ended | None = None
    """How it ended the time before, where it was started again."""
    restarts: int = 0
    started: bool = False
    """A sidecar that is up; the others start after it."""

    @property
    def has_run(self) -> bool:
        """Whether it came as far as to run."""
        return self.running or self.ended is not None or self.before is not None

    @property
    def is_lost(self) -> bool:
        """Whether its node no longer knew of it when the pod ended; so it calls one too that never ran.

        (pkg/kubelet/status/status_manager.go, TerminatePod.)
        """
        return self.ended is not None and self.ended.reason == "ContainerStatusUnknown"


@dataclass(frozen=True)
class Condition:
    """A condition of a Job or pod that is known to be true or false."""

    true: bool
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class Pod:
    """One attempt at the Job's work, or at a part of it."""

    name: str
    uid: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    created: datetime | None = None
    started: datetime | None = None
    """When its node took it over."""
    node: str = ""
    leaving: bool = False
    index: str = ""
    deadline: int | None = None
    gates: tuple[str, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    containers: tuple[Container, ...] = ()
    """Init containers and sidecars first, in the order in which they start."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def has_run(self) -> bool:
        """Whether any of its containers came as far as to run."""
        return any(container.has_run for container in self.containers)

    @property
    def ended_at(self) -> datetime | None:
        """When its last container ended; where none ran, the last change that is known of."""
        ends = [each.ended.at for each in self.containers if each.ended and each.ended.at]
        changes = [each.since for each in self.conditions.values() if each.since]
        return max(ends or changes, default=self.created)


@dataclass(frozen=True)
class Event:
    """What some part of the cluster noted about the Job or one of its pods."""

    kind: str
    name: str
    reason: str
    message: str
    component: str = ""
    at: datetime | None = None
    count: int = 1


@dataclass(frozen=True)
class Job:
    """What is asked of the Job, and how far it is."""

    name: str = ""
    namespace: str = ""
    created: datetime | None = None
    started: datetime | None = None
    suspended: bool = False
    completions: int | None = 1
    parallelism: int = 1
    indexed: bool = False
    backoff_limit: int = _DEFAULT_BACKOFF_LIMIT
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    deadline: int | None = None
    restarts_in_place: bool = False
    """`restartPolicy: OnFailure`: a container that fails is started again in the same pod."""
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    failed_indexes: str = ""
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def condition(self, kind: str) -> Condition | None:
        """The condition, if it is true."""
        found = self.conditions.get(kind)
        return found if found and found.true else None


def job(raw: Json) -> Job:
    """The Job."""
    metadata, spec, status = _parts(raw)
    indexed = spec.get("completionMode") == "Indexed"
    per_index = _number(spec.get("backoffLimitPerIndex"))
    backoff_limit = _number(spec.get("backoffLimit"))
    return Job(
        name=_text(metadata.get("name")),
        namespace=_text(metadata.get("namespace")),
        created=_time(metadata.get("creationTimestamp")),
        started=_time(status.get("startTime")),
        suspended=spec.get("suspend") is True,
        completions=_number(spec.get("completions")) if "completions" in spec or "parallelism" in spec else 1,
        parallelism=_number(spec.get("parallelism"), 1),
        indexed=indexed,
        backoff_limit=_DEFAULT_BACKOFF_LIMIT if backoff_limit is None else backoff_limit,
        backoff_limit_per_index=per_index,
        max_failed_indexes=_number(spec.get("maxFailedIndexes")),
        deadline=_number(spec.get("activeDeadlineSeconds")),
        restarts_in_place=_map(_map(spec.get("template")).get("spec")).get("restartPolicy") == "OnFailure",
        active=_number(status.get("active"), 0),
        succeeded=_number(status.get("succeeded"), 0),
        failed=_number(status.get("failed"), 0),
        failed_indexes=_text(status.get("failedIndexes")),
        conditions=_conditions(status),
    )


def pod(raw: Json, *, shows_output: bool = True) -> Pod:
    """A pod; unless it `shows_output`, without what its containers' logs say."""
    metadata, spec, status = _parts(raw)
    labels = _map(metadata.get("labels")) | _map(metadata.get("annotations"))
    return Pod(
        name=_text(metadata.get("name")),
        uid=_text(metadata.get("uid")),
        phase=_text(status.get("phase")),
        reason=_text(status.get("reason")),
        message=_text(status.get("message")),
        created=_time(metadata.get("creationTimestamp")),
        started=_time(status.get("startTime")),
        node=_text(spec.get("nodeName")),
        leaving=bool(metadata.get("deletionTimestamp")),
        index=_text(labels.get("batch.kubernetes.io/job-completion-index")),
        deadline=_number(spec.get("activeDeadlineSeconds")),
        gates=tuple(_text(gate.get("name")) for gate in _maps(spec.get("schedulingGates"))),
        selector=_texts(spec.get("nodeSelector")),
        conditions=_conditions(status),
        containers=tuple(_containers(spec, status, shows_output=shows_output)),
    )


def event(raw: Json) -> Event:
    """An event, as core/v1 shows it; those written by way of events.k8s.io have `eventTime` and `series`."""
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
    for specs, statuses, role in (
        ("initContainers", "initContainerStatuses", Role.INIT),
        ("containers", "containerStatuses", Role.MAIN),
    ):
        seen = {_text(each.get("name")): each for each in _maps(status.get(statuses))}
        wanted = {_text(each.get("name")): each for each in _maps(spec.get(specs))}
        for name in dict.fromkeys([*wanted, *seen]):
            yield _container(name, role, wanted.get(name, {}), seen.get(name, {}), shows_output=shows_output)


def _container(name: str, role: Role, spec: Json, status: Json, *, shows_output: bool) -> Container:
    resources = _map(spec.get("resources"))
    state = _map(status.get("state"))
    waiting, running = state.get("waiting"), state.get("running")
    if role is Role.INIT and spec.get("restartPolicy") == "Always":
        role = Role.SIDECAR
    # Then the kubelet may take the log's last lines for the message.
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
        started=status.get("started") is True,
    )


def _ended(raw: object, *, silent: bool) -> Ended | None:
    if not isinstance(raw, dict):
        return None
    reason = _text(raw.get("reason"))
    return Ended(
        exit_code=_number(raw.get("exitCode"), 0),
        reason=reason,
        message="" if silent and reason not in _NEVER_STARTED else _text(raw.get("message")),
        signal=_number(raw.get("signal"), 0),
        at=_time(raw.get("finishedAt")),
    )


_NEVER_STARTED = {"StartError", "ContainerCannotRun"}
"""What ended so has printed nothing: the message is the runtime's."""


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


@overload
def _number(value: object) -> int | None: ...
@overload
def _number(value: object, default: int) -> int: ...
def _number(value: object, default: int | None = None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _time(value: object) -> datetime | None:
    """RFC 3339, to whole seconds or finer."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
