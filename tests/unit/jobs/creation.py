"""Objects for the tests of jobs/create: the plan of a request, the API's errors, and a record of the creation."""

from __future__ import annotations

from dataclasses import dataclass, field

from run_cronjob.core.errors import ApiError, Cause, Interrupted, NoAnswer
from run_cronjob.core.models import Creation, Json
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs import manifest
from run_cronjob.jobs.create import Plan
from tests.builders import TRIGGER, cronjob

REQUEST = "request-1"
CREATE_SECONDS = int(Timeouts().create)
NAME = "nightly-report-1"


def status(code: int, reason: str = "", message: str = "", retry_after: float | None = None) -> ApiError:
    return ApiError(code, reason, message, retry_after=retry_after)


def no_answer(cause: Cause) -> NoAnswer:
    return NoAnswer("the Kubernetes API", "cluster.example", cause)


CONFLICT = status(409, "AlreadyExists", 'jobs.batch "x" already exists')
LOST = no_answer(Cause.READ_TIMEOUT)
QUOTA = status(403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: jobs')
NOT_FOUND = status(404, "NotFound")
FORBIDDEN = status(403, "Forbidden", 'cannot get resource "jobs"')


@dataclass
class FakeRecord:
    """Remembers the creation as a report would state it if the run were interrupted now."""

    creation: Creation = Creation.NONE
    name: str = ""
    history: list[Creation] = field(default_factory=list)
    allowed_posts: int = 1000

    def before_post(self, name: str) -> None:
        if not self.allowed_posts:
            raise Interrupted
        self.allowed_posts -= 1
        self.name = name
        self.after_post(Creation.OPEN)

    def after_post(self, creation: Creation) -> None:
        self.creation = creation
        self.history.append(creation)


def plan(owner: Json | None = None, *, fixed: bool = False, dry_run: bool = False) -> Plan:
    owner = owner or cronjob()
    suffixes = iter(range(2, 100))
    return Plan(
        cronjob=owner,
        request_id=REQUEST,
        manifest=lambda suffix: manifest.build(owner, NAME + suffix, TRIGGER, REQUEST),
        next_suffix=lambda: f"-{next(suffixes)}",
        name_is_fixed=fixed,
        dry_run=dry_run,
    )
