"""Tests of jobs/create: never two Jobs of one request, and never a report of a Job that does not exist."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from run_cronjob.core.errors import ActionError, ApiError, Cause, Interrupted, NoAnswer
from run_cronjob.core.models import CreatedJob, Creation, Json
from run_cronjob.jobs import create, manifest
from tests.builders import TRIGGER, cronjob
from tests.fakes import FakeClock
from tests.unit.jobs.creation import (
    CONFLICT,
    CREATE_SECONDS,
    FORBIDDEN,
    LOST,
    NAME,
    NOT_FOUND,
    QUOTA,
    REQUEST,
    FakeRecord,
    no_answer,
    plan,
    status,
)

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi
    from run_cronjob.jobs.create import Plan


class Reply:
    """An answer that is no error."""


class Accepted(Reply):
    """The API server creates the Job and answers with it."""


class Ours(Reply):
    """A look-up finds the Job of this request."""


class Others(Reply):
    """A look-up finds the Job of another request."""


Answer = type[Reply] | Exception


class ScriptedApi:
    """Answers in the order of the script and records the requests."""

    def __init__(self, *script: Answer) -> None:
        self._script = deque(script)
        self.requests: list[str] = []
        self.manifests: list[Json] = []
        self.dry_runs: list[bool] = []

    def _next(self) -> type[Reply]:
        answer = self._script.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        self.requests.append(f"POST {manifest['metadata']['name']}")
        self.manifests.append(manifest)
        self.dry_runs.append(dry_run)
        assert self._next() is Accepted
        return {**manifest, "metadata": {**manifest["metadata"], "uid": "job-uid"}}, ("a warning",)

    def get_job(self, namespace: str, name: str) -> Json:
        self.requests.append(f"GET {name}")
        assert namespace == "staging"
        whose = REQUEST if self._next() is Ours else "request-2"
        found = manifest.build(cronjob(), name, TRIGGER, whose)
        found["metadata"]["uid"] = "job-uid"
        return found

    @property
    def is_spent(self) -> bool:
        return not self._script


@dataclass
class Attempt:
    """One run of `create_once` and its effects."""

    api: ScriptedApi
    record: FakeRecord
    clock: FakeClock
    made: CreatedJob | None = None
    error: Exception | None = None

    @property
    def reason(self) -> str:
        """The reason in the report."""
        assert isinstance(self.error, ActionError)
        return self.error.problem.reason


def attempt(*script: Answer, record: FakeRecord | None = None, what: Plan | None = None) -> Attempt:
    seen = Attempt(ScriptedApi(*script), record or FakeRecord(), FakeClock())
    try:
        seen.made = create.create_once(
            cast("KubeApi", seen.api), what or plan(), CREATE_SECONDS, seen.clock, seen.record
        )
    except (ActionError, ApiError, NoAnswer, Interrupted) as error:
        seen.error = error
    return seen


def test_the_usual_case_is_one_request() -> None:
    seen = attempt(Accepted)

    assert seen.api.requests == [f"POST {NAME}"]
    assert seen.made is not None
    assert (seen.made.name, seen.made.uid, seen.made.warnings) == (NAME, "job-uid", ("a warning",))
    assert seen.made.ground == ""
    assert seen.clock.slept == []


def test_while_the_answer_is_awaited_a_job_may_exist() -> None:
    assert attempt(Accepted).record.history == [Creation.OPEN]


@pytest.mark.parametrize(
    "lost",
    [no_answer(Cause.READ_TIMEOUT), no_answer(Cause.BROKEN), status(500), status(502), status(503), status(504)],
    ids=str,
)
def test_after_a_lost_answer_a_look_finds_our_job(lost: Exception) -> None:
    seen = attempt(lost, Ours)

    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}"]
    assert seen.made is not None
    assert (seen.made.uid, seen.made.ground) == ("job-uid", "it carries this request's id")


def test_after_a_lost_answer_the_same_post_is_repeated_only_when_the_job_is_certainly_absent() -> None:
    seen = attempt(LOST, NOT_FOUND, Accepted)

    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}"]
    assert seen.api.manifests[0] == seen.api.manifests[1]
    assert seen.made is not None


def test_between_a_lost_answer_and_its_repetition_a_job_may_still_exist() -> None:
    assert attempt(LOST, NOT_FOUND, QUOTA, NOT_FOUND).record.history == [Creation.OPEN] * 3


@pytest.mark.parametrize(
    "owner",
    [
        cronjob(ttlSecondsAfterFinished=0),
        cronjob(ttlSecondsAfterFinished=CREATE_SECONDS),
        cronjob(spec={"successfulJobsHistoryLimit": 0}),
        cronjob(spec={"failedJobsHistoryLimit": 0}),
    ],
    ids=["ttl 0", "ttl within the budget", "no successes kept", "no failures kept"],
)
@pytest.mark.parametrize("look", [NOT_FOUND, FORBIDDEN], ids=["absent", "hidden"])
def test_a_job_that_may_have_run_and_been_pruned_is_never_requested_again(owner: Json, look: ApiError) -> None:
    seen = attempt(LOST, look, what=plan(owner))

    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}"]
    assert seen.reason == "CreationUncertain"
    assert seen.record.creation is Creation.OPEN


def test_a_job_kept_longer_than_the_budget_can_be_requested_again() -> None:
    owner = cronjob(ttlSecondsAfterFinished=CREATE_SECONDS + 1)

    assert attempt(LOST, NOT_FOUND, Accepted, what=plan(owner)).made is not None


@pytest.mark.parametrize("look", [no_answer(Cause.BROKEN), no_answer(Cause.REFUSED), status(500), status(401)], ids=str)
def test_a_look_that_fails_proves_nothing(look: Exception) -> None:
    seen = attempt(LOST, look)

    assert seen.reason == "CreationUncertain"
    assert seen.record.creation is Creation.OPEN


def test_without_the_right_to_look_a_conflict_right_after_our_lost_answer_counts_as_ours() -> None:
    seen = attempt(LOST, FORBIDDEN, CONFLICT, FORBIDDEN)

    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}", f"GET {NAME}"]
    assert seen.made is not None
    assert (seen.made.name, seen.made.ground) == (NAME, "its name was taken when the request was repeated")


def test_without_the_right_to_look_the_repetition_may_also_simply_succeed() -> None:
    seen = attempt(LOST, FORBIDDEN, Accepted)

    assert seen.made is not None
    assert seen.made.ground == ""


def test_our_own_conflict_is_recognised_by_the_request_id() -> None:
    seen = attempt(LOST, NOT_FOUND, CONFLICT, Ours)

    assert seen.made is not None
    assert seen.made.ground == "it carries this request's id"


def test_a_conflict_with_a_job_that_is_gone_by_now_stays_uncertain() -> None:
    assert attempt(LOST, NOT_FOUND, CONFLICT, NOT_FOUND).reason == "CreationUncertain"


@pytest.mark.parametrize("look", [Others, NOT_FOUND, FORBIDDEN], ids=["seen", "gone by now", "hidden"])
def test_another_requests_conflict_gets_another_name(look: type[Others] | Exception) -> None:
    seen = attempt(CONFLICT, look, Accepted)

    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}-2"]
    assert seen.made is not None
    assert seen.made.name == f"{NAME}-2"


def test_another_request_that_took_the_name_while_our_answer_was_lost_keeps_it() -> None:
    seen = attempt(LOST, Others, Accepted)

    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}-2"]


def test_a_new_name_starts_with_nothing_open() -> None:
    seen = attempt(LOST, Others, CONFLICT, FORBIDDEN, Accepted)

    assert seen.made is not None
    assert seen.made.name == f"{NAME}-3"


def test_another_requests_conflict_is_an_error_for_a_name_that_a_person_fixed() -> None:
    seen = attempt(CONFLICT, Others, what=plan(fixed=True))

    assert seen.reason == "NameTaken"
    assert seen.record.creation is Creation.NONE


def test_names_that_are_all_taken_come_to_an_end() -> None:
    taken: list[Answer] = [CONFLICT, Others]

    seen = attempt(*taken * create.MOST_NAMES)

    assert seen.reason == "NameTaken"
    assert seen.api.is_spent
    assert seen.record.creation is Creation.NONE


@pytest.mark.parametrize(
    "passing",
    [
        no_answer(Cause.NAME),
        no_answer(Cause.REFUSED),
        no_answer(Cause.CONNECT_TIMEOUT),
        no_answer(Cause.PROXY),
        status(429, "TooManyRequests"),
        status(409, "Conflict", "Operation cannot be fulfilled on resourcequotas"),
    ],
    ids=str,
)
def test_what_never_reached_the_cluster_or_had_no_effect_is_simply_repeated(passing: Exception) -> None:
    seen = attempt(passing, Accepted)

    assert seen.api.requests == [f"POST {NAME}", f"POST {NAME}"]
    assert seen.record.history == [Creation.OPEN, Creation.NONE, Creation.OPEN]


def test_the_server_says_how_long_to_wait() -> None:
    seen = attempt(status(429, retry_after=20.0), Accepted)

    assert seen.clock.slept == [20.0]


def test_a_wait_that_the_budget_would_not_outlast_is_not_begun() -> None:
    busy = status(429, retry_after=float(CREATE_SECONDS))

    seen = attempt(busy)

    assert seen.error is busy
    assert seen.clock.slept == []
    assert seen.record.creation is Creation.NONE


def test_repeating_ends_with_the_budget_and_the_last_error() -> None:
    busy = status(429)

    seen = attempt(*[busy] * 100)

    assert seen.error is busy
    assert seen.clock.elapsed < CREATE_SECONDS
    assert len(seen.api.requests) > 5
    assert seen.record.creation is Creation.NONE


def test_a_budget_that_ends_with_an_answer_still_lost_ends_uncertain() -> None:
    seen = attempt(LOST, NOT_FOUND, *[status(429)] * 100)

    assert seen.reason == "CreationUncertain"
    assert seen.record.creation is Creation.OPEN


@pytest.mark.parametrize(
    "refusal",
    [
        QUOTA,
        status(400, "BadRequest", "strict decoding error"),
        status(401, "Unauthorized"),
        status(404, "NotFound", 'namespaces "staging" not found'),
        status(422, "Invalid"),
        status(500, "InternalError", 'failed calling webhook "x": failed to call webhook: context deadline exceeded'),
        status(500, "", 'admission webhook "x" denied the request: it panicked'),
        no_answer(Cause.TLS),
    ],
    ids=str,
)
def test_a_refusal_is_final_and_leaves_no_job(refusal: Exception) -> None:
    seen = attempt(refusal)

    assert seen.error is refusal
    assert seen.api.requests == [f"POST {NAME}"]
    assert seen.record.creation is Creation.NONE


def test_a_refusal_after_a_lost_answer_may_be_our_own_jobs_doing() -> None:
    assert attempt(LOST, NOT_FOUND, QUOTA, Ours).made is not None
    assert attempt(LOST, FORBIDDEN, QUOTA, FORBIDDEN).reason == "CreationUncertain"


def test_a_refusal_after_a_lost_answer_leaves_a_doubt_though_no_job_is_there_yet() -> None:
    assert attempt(LOST, NOT_FOUND, QUOTA, NOT_FOUND).reason == "CreationUncertain"


def test_our_own_conflict_is_not_believed_for_a_name_that_an_earlier_run_may_have_had() -> None:
    assert attempt(LOST, FORBIDDEN, CONFLICT, FORBIDDEN, what=plan(fixed=True)).reason == "CreationUncertain"


def test_the_apis_message_about_an_uncertain_job_contains_no_env_value() -> None:
    template = {"spec": {"containers": [{"name": "c", "env": [{"name": "PASSWORD", "value": "s3cret&more"}]}]}}
    quoting = status(422, "Invalid", r'denied: {"value":"s3cret\u0026more"} s3cret&more of nightly-report')

    seen = attempt(LOST, FORBIDDEN, quoting, FORBIDDEN, what=plan(cronjob(template=template)))

    assert isinstance(seen.error, ActionError)
    assert seen.error.problem.said == 'denied: {"value":"***"} *** of nightly-report'


def test_a_dry_run_creates_nothing_so_that_no_answer_leaves_a_doubt() -> None:
    seen = attempt(LOST, status(500), Accepted, what=plan(dry_run=True))

    assert seen.api.requests == [f"POST {NAME}"] * 3
    assert seen.api.dry_runs == [True] * 3
    assert seen.made is not None


def test_a_dry_run_that_gets_no_answer_ends_with_that() -> None:
    assert isinstance(attempt(*[LOST] * 100, what=plan(dry_run=True)).error, NoAnswer)


def test_after_an_interrupt_no_further_post_is_sent() -> None:
    seen = attempt(LOST, NOT_FOUND, record=FakeRecord(allowed_posts=1))

    assert isinstance(seen.error, Interrupted)
    assert seen.api.requests == [f"POST {NAME}", f"GET {NAME}"]
    assert seen.record.creation is Creation.OPEN
