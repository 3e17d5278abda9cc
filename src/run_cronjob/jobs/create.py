"""Exactly once: what follows when the answer to the creating POST is lost, or is a conflict.

The name is chosen before the first POST, so that repeating it can't make a second Job; the request id on a
Job tells whether it is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from run_cronjob.core.errors import ActionError, ApiError, Cause, NoAnswer
from run_cronjob.core.models import CreatedJob, Creation
from run_cronjob.core.text import redact
from run_cronjob.diagnosis import kube_api, run
from run_cronjob.jobs import manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.core.models import Json
    from run_cronjob.core.retry import Budget

BUDGET_SECONDS = 40
MOST_NAMES = 5
"""So many names taken in a row are no chance."""


class PostResult(Enum):
    """What became of a POST that did not answer with a Job."""

    UNREAD = auto()
    """It had no effect, and another may."""
    LOST = auto()
    """It may have had its effect."""
    TAKEN = auto()
    """A Job of that name exists."""
    REFUSED = auto()
    """It had no effect, and no other will."""


class LookUp(Enum):
    """What a look for the Job of that name found."""

    OURS = auto()
    STRANGERS = auto()
    ABSENT = auto()
    HIDDEN = auto()
    """We have no right to look."""
    UNKNOWN = auto()


class NextStep(Enum):
    """What to do about it."""

    ACCEPT = auto()
    BELIEVE = auto()
    """Take it for ours though it can't be looked at, and say on what ground."""
    REPEAT = auto()
    RENAME = auto()
    FAIL = auto()
    """Tell the error: there is no Job."""
    STAY_UNCERTAIN = auto()


def needs_look(post: PostResult, *, lost: bool) -> bool:
    """Whether `decide` depends on what a look finds."""
    return post in {PostResult.LOST, PostResult.TAKEN} or (post is PostResult.REFUSED and lost)


def decide(post: PostResult, seen: LookUp, *, lost: bool, may_be_gone: bool) -> NextStep:
    """The next step. `lost`: an earlier POST under this name may have had its effect.

    `may_be_gone`: a Job of this CronJob can have run and been pruned already, so that absence proves nothing.
    """
    if post is PostResult.UNREAD:
        return NextStep.REPEAT
    if seen is LookUp.OURS:
        return NextStep.ACCEPT
    if seen is LookUp.STRANGERS:
        return NextStep.RENAME
    absent = seen is LookUp.ABSENT and not may_be_gone
    if post is PostResult.REFUSED:
        # With an earlier POST open, our own Job may be what the refusal (a quota's, say) is about.
        return NextStep.STAY_UNCERTAIN if lost else NextStep.FAIL
    if post is PostResult.TAKEN:
        if not lost:
            return NextStep.RENAME
        return NextStep.BELIEVE if seen is LookUp.HIDDEN else NextStep.STAY_UNCERTAIN
    may_repeat = absent or (seen is LookUp.HIDDEN and not may_be_gone)
    return NextStep.REPEAT if may_repeat else NextStep.STAY_UNCERTAIN


class JobCreator(Protocol):
    """What is needed of a cluster."""

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        """Ask once; the answer and its warnings."""

    def get_job(self, namespace: str, name: str) -> Json:
        """The Job of that name."""


class Record(Protocol):
    """Keeps what is known of the Job, for whoever must tell of it if the work is cut short."""

    def posting(self, name: str) -> None:
        """A POST is about to be sent. Raises Interrupted, and nothing is to be sent, if work is to stop."""

    def known(self, creation: Creation) -> None:
        """That POST's fate."""


@dataclass(frozen=True)
class Plan:
    """What to create."""

    cronjob: Json
    request_id: str
    manifest: Callable[[str], Json]
    """The Job under a name with the given suffix, empty at first."""
    next_suffix: Callable[[], str]
    """A random one, such as `-x7k2p`."""
    name_is_fixed: bool
    dry_run: bool


def create_once(api: JobCreator, plan: Plan, budget: Budget, record: Record) -> CreatedJob:
    """The one Job of this request.

    Raises ActionError, Interrupted, or the ApiError or NoAnswer of a POST after which there is no Job.
    """
    may_be_gone = manifest.may_be_pruned_within(plan.cronjob, BUDGET_SECONDS)
    wanted = plan.manifest("")
    names = 1
    lost = False
    while True:
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        record.posting(name)
        try:
            return _post(api, wanted, dry_run=plan.dry_run)
        except (ApiError, NoAnswer) as failure:
            error = failure

        post = _judge(error, dry_run=plan.dry_run)
        look = needs_look(post, lost=lost)
        seen, uid = _look(api, plan, namespace, name) if look else (LookUp.UNKNOWN, "")
        step = decide(post, seen, lost=lost, may_be_gone=may_be_gone)
        lost = lost or post is PostResult.LOST
        if step is NextStep.REPEAT:
            record.known(Creation.OPEN if lost else Creation.NONE)
            if not budget.pause(error.retry_after if isinstance(error, ApiError) else None):
                step = NextStep.STAY_UNCERTAIN if lost else NextStep.FAIL

        if step is NextStep.BELIEVE and plan.name_is_fixed:
            step = NextStep.STAY_UNCERTAIN  # an earlier run may well have had that name

        match step:
            case NextStep.ACCEPT:
                return CreatedJob(name, uid, ground="it carries this request's id")
            case NextStep.BELIEVE:
                return CreatedJob(name, "", ground="its name was taken when the request was repeated")
            case NextStep.STAY_UNCERTAIN:
                said = _said(error, plan, namespace)
                raise ActionError(run.creation_uncertain(namespace, name, said, may_be_gone=may_be_gone))
            case NextStep.FAIL:
                record.known(Creation.NONE)
                raise error
            case NextStep.RENAME:
                record.known(Creation.NONE)
                if plan.name_is_fixed or names == MOST_NAMES:
                    raise ActionError(run.name_taken(namespace, name, fixed=plan.name_is_fixed))
                names += 1
                lost = False
                wanted = plan.manifest(plan.next_suffix())


def _post(api: JobCreator, manifest: Json, *, dry_run: bool) -> CreatedJob:
    answer, warnings = api.create_job(manifest, dry_run=dry_run)
    metadata, name = answer.get("metadata") or {}, manifest["metadata"]["name"]
    if metadata.get("name") != name:
        raise NoAnswer("the Kubernetes API", "", Cause.BROKEN, "the answer is not the Job")
    return CreatedJob(name, str(metadata.get("uid", "")), answer, warnings)


def _judge(error: ApiError | NoAnswer, *, dry_run: bool) -> PostResult:
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


def _said(error: ApiError | NoAnswer, plan: Plan, namespace: str) -> str:
    if isinstance(error, NoAnswer):
        return error.detail
    return redact(error.message, manifest.env_values(plan.cronjob), known=(plan.cronjob["metadata"]["name"], namespace))


def _look(api: JobCreator, plan: Plan, namespace: str, name: str) -> tuple[LookUp, str]:
    try:
        found = api.get_job(namespace, name)
    except ApiError as error:
        return {404: LookUp.ABSENT, 403: LookUp.HIDDEN}.get(error.status, LookUp.UNKNOWN), ""
    except NoAnswer:
        return LookUp.UNKNOWN, ""
    if manifest.is_ours(found, plan.request_id):
        return LookUp.OURS, str(found["metadata"].get("uid", ""))
    # By no request of this action, it seems: but a webhook may have stripped our annotations.
    return (LookUp.STRANGERS if manifest.request_of(found) else LookUp.UNKNOWN), ""
