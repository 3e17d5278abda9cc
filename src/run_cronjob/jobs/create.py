"""Creates the Job exactly once, also when the answer to the POST is lost or is a conflict.

The Job's name is chosen before the first POST, so that a repeated POST can't make a second Job. The request id, an
annotation on the Job, shows whether a Job of that name is the one of this run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ActionError, ApiError, Cause, NoAnswer
from run_cronjob.core.models import CreatedJob, Creation, Json
from run_cronjob.core.redactor import redact
from run_cronjob.core.retry import Budget
from run_cronjob.diagnosis import kube_api, run
from run_cronjob.jobs import manifest

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi

MOST_NAMES = 5
"""Names tried before the run fails; so many conflicts in a row are no coincidence."""


class PostResult(Enum):
    """The effect of a POST that was not answered with a Job."""

    UNREAD = auto()
    """None; another POST may succeed."""
    LOST = auto()
    """Unknown: the Job may have been created."""
    TAKEN = auto()
    """None, since a Job of that name exists."""
    REFUSED = auto()
    """None, and another POST would fail as well."""


class LookUp(Enum):
    """The result of a GET of the Job by its name."""

    OURS = auto()
    """It has this run's request id."""
    OTHERS = auto()
    """It has another request id."""
    ABSENT = auto()
    HIDDEN = auto()
    """The right to get Jobs is missing."""
    UNKNOWN = auto()


class NextStep(Enum):
    """The reaction to a PostResult."""

    ACCEPT = auto()
    BELIEVE = auto()
    """Accept the Job although it can't be read, and state the reason."""
    REPEAT = auto()
    RENAME = auto()
    FAIL = auto()
    """Raise the error: there is no Job."""
    STAY_UNCERTAIN = auto()


def needs_look_up(post: PostResult, *, lost: bool) -> bool:
    """Whether `decide` depends on the result of a look-up."""
    return post in {PostResult.LOST, PostResult.TAKEN} or (post is PostResult.REFUSED and lost)


def decide(post: PostResult, look_up: LookUp, *, lost: bool, may_be_gone: bool) -> NextStep:
    """The next step.

    With `lost`, an earlier POST under this name may have created the Job. With `may_be_gone`, such a Job can have run
    and been deleted already, so that its absence proves nothing.
    """
    if post is PostResult.UNREAD:
        return NextStep.REPEAT
    if look_up is LookUp.OURS:
        return NextStep.ACCEPT
    if look_up is LookUp.OTHERS:
        return NextStep.RENAME
    if post is PostResult.REFUSED:
        # After a lost answer, the refusal (by a quota, say) may be due to the very Job that was created.
        return NextStep.STAY_UNCERTAIN if lost else NextStep.FAIL
    if post is PostResult.TAKEN:
        if not lost:
            return NextStep.RENAME
        return NextStep.BELIEVE if look_up is LookUp.HIDDEN else NextStep.STAY_UNCERTAIN
    may_repeat = look_up in {LookUp.ABSENT, LookUp.HIDDEN} and not may_be_gone
    return NextStep.REPEAT if may_repeat else NextStep.STAY_UNCERTAIN


class Record(Protocol):
    """Records whether the Job exists, for the report of a run that is interrupted."""

    def before_post(self, name: str) -> None:
        """A POST of a Job called `name` is about to be sent. Raises Interrupted if it must not be sent any more."""

    def after_post(self, creation: Creation) -> None:
        """The result of that POST."""


@dataclass(frozen=True)
class Plan:
    """The Job to create."""

    cronjob: Json
    request_id: str
    manifest: Callable[[str], Json]
    """Makes the Job with a suffix to its name, empty at first."""
    next_suffix: Callable[[], str]
    """Makes a random suffix, such as `-x7k2p`."""
    name_is_fixed: bool
    dry_run: bool


def create_once(api: KubeApi, plan: Plan, seconds: float, clock: Clock, record: Record) -> CreatedJob:
    """Create the Job within `seconds`, retries included.

    Raises ActionError, Interrupted, or the ApiError or NoAnswer of the last POST if there is no Job.
    """
    budget = Budget(seconds, clock)
    may_be_gone = manifest.may_be_pruned_within(plan.cronjob, seconds)
    wanted = plan.manifest("")
    names = 1
    lost = False
    while True:
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        record.before_post(name)
        try:
            return _post(api, wanted, dry_run=plan.dry_run)
        except (ApiError, NoAnswer) as failure:
            error = failure

        post = _result_of(error, dry_run=plan.dry_run)
        needs = needs_look_up(post, lost=lost)
        look_up, uid = _look_up(api, plan, namespace, name) if needs else (LookUp.UNKNOWN, "")
        step = decide(post, look_up, lost=lost, may_be_gone=may_be_gone)
        lost = lost or post is PostResult.LOST
        if step is NextStep.REPEAT:
            record.after_post(Creation.OPEN if lost else Creation.NONE)
            if not budget.pause(error.retry_after if isinstance(error, ApiError) else None):
                step = NextStep.STAY_UNCERTAIN if lost else NextStep.FAIL

        match step:
            case NextStep.ACCEPT:
                return CreatedJob(name, uid, ground="it carries this request's id")
            case NextStep.BELIEVE if not plan.name_is_fixed:  # an earlier run may have had a fixed name
                return CreatedJob(name, "", ground="its name was taken when the request was repeated")
            case NextStep.BELIEVE | NextStep.STAY_UNCERTAIN:
                said = _message(error, plan, namespace)
                raise ActionError(run.creation_uncertain(namespace, name, said, may_be_gone=may_be_gone))
            case NextStep.FAIL:
                record.after_post(Creation.NONE)
                raise error
            case NextStep.RENAME:
                record.after_post(Creation.NONE)
                if plan.name_is_fixed or names == MOST_NAMES:
                    raise ActionError(run.name_taken(namespace, name, fixed=plan.name_is_fixed))
                names += 1
                lost = False
                wanted = plan.manifest(plan.next_suffix())


def _post(api: KubeApi, manifest: Json, *, dry_run: bool) -> CreatedJob:
    answer, warnings = api.create_job(manifest, dry_run=dry_run)
    metadata, name = answer.get("metadata") or {}, manifest["metadata"]["name"]
    if metadata.get("name") != name:
        raise NoAnswer("the Kubernetes API", "", Cause.BROKEN, "the answer is not the Job")
    return CreatedJob(name, str(metadata.get("uid", "")), answer, warnings)


def _result_of(error: ApiError | NoAnswer, *, dry_run: bool) -> PostResult:
    if isinstance(error, NoAnswer):
        if error.cause.is_final:
            return PostResult.REFUSED
        return PostResult.LOST if error.cause.sent and not dry_run else PostResult.UNREAD
    if kube_api.is_denied(error):
        return PostResult.REFUSED
    if error.status == 409:
        return PostResult.TAKEN if error.reason == "AlreadyExists" else PostResult.UNREAD
    if error.status == 429:
        return PostResult.UNREAD
    if error.status >= 500 and not kube_api.is_webhook_failure(error):
        return PostResult.UNREAD if dry_run else PostResult.LOST
    return PostResult.REFUSED


def _message(error: ApiError | NoAnswer, plan: Plan, namespace: str) -> str:
    if isinstance(error, NoAnswer):
        return error.detail
    return redact(error.message, manifest.env_values(plan.cronjob), known=(plan.cronjob["metadata"]["name"], namespace))


def _look_up(api: KubeApi, plan: Plan, namespace: str, name: str) -> tuple[LookUp, str]:
    try:
        found = api.get_job(namespace, name)
    except ApiError as error:
        return {404: LookUp.ABSENT, 403: LookUp.HIDDEN}.get(error.status, LookUp.UNKNOWN), ""
    except NoAnswer:
        return LookUp.UNKNOWN, ""
    request_id = manifest.annotation(found, "request-id")
    if request_id == plan.request_id:
        return LookUp.OURS, str(found["metadata"].get("uid", ""))
    # Without a request id it may still be ours: a webhook can have removed our annotations.
    return (LookUp.OTHERS if request_id else LookUp.UNKNOWN), ""
