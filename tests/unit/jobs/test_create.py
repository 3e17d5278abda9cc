"""Tests of jobs/create: never two Jobs of one request, and never a report of a Job that does not exist."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from run_cronjob.core.errors import ActionError, ApiError, Cause, Interrupted, NoAnswer
from run_cronjob.core.models import CreatedJob, Creation, Json
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs import create, manifest
from run_cronjob.jobs.create import LookUp, NextStep, Plan, PostResult, decide, needs_look_up
from tests.builders import TRIGGER, cronjob
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from run_cronjob.clients.kube_api import KubeApi

REQUEST = "request-1"
CREATE_SECONDS = int(Timeouts().create)
NAME = "nightly-report-1"


# --- the table of decisions ---------------------------------------------------------------------------------

ANY = (LookUp.OURS, LookUp.OTHERS, LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN)
BOTH = (False, True)

# POST, what a look finds, an earlier POST is open, a Job may have been pruned -> what to do.
TABLE: list[tuple[PostResult, Iterable[LookUp], Iterable[bool], Iterable[bool], NextStep]] = [
    # No effect, and another may have one: ask again.
    (PostResult.UNREAD, ANY, BOTH, BOTH, NextStep.REPEAT),
    # The Job is there, and its request id says whose it is.
    (PostResult.LOST, [LookUp.OURS], BOTH, BOTH, NextStep.ACCEPT),
    (PostResult.TAKEN, [LookUp.OURS], BOTH, BOTH, NextStep.ACCEPT),
    (PostResult.REFUSED, [LookUp.OURS], BOTH, BOTH, NextStep.ACCEPT),
    (PostResult.LOST, [LookUp.OTHERS], BOTH, BOTH, NextStep.RENAME),
    (PostResult.TAKEN, [LookUp.OTHERS], BOTH, BOTH, NextStep.RENAME),
    (PostResult.REFUSED, [LookUp.OTHERS], BOTH, BOTH, NextStep.RENAME),
    # The answer was lost: again only if there is certainly no Job; a name that can't be looked at
    # lets the repetition find out.
    (PostResult.LOST, [LookUp.ABSENT, LookUp.HIDDEN], BOTH, [False], NextStep.REPEAT),
    (PostResult.LOST, [LookUp.ABSENT, LookUp.HIDDEN], BOTH, [True], NextStep.STAY_UNCERTAIN),
    (PostResult.LOST, [LookUp.UNKNOWN], BOTH, BOTH, NextStep.STAY_UNCERTAIN),
    # A conflict without an open POST of ours is another request's, with or without the right to look.
    (PostResult.TAKEN, [LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN], [False], BOTH, NextStep.RENAME),
    # A conflict right after our own lost answer counts as ours where there is no right to look.
    (PostResult.TAKEN, [LookUp.HIDDEN], [True], BOTH, NextStep.BELIEVE),
    (PostResult.TAKEN, [LookUp.ABSENT, LookUp.UNKNOWN], [True], BOTH, NextStep.STAY_UNCERTAIN),
    # A refusal is the end; but an earlier POST that is open may still have its effect.
    (PostResult.REFUSED, [LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN], [False], BOTH, NextStep.FAIL),
    (PostResult.REFUSED, [LookUp.ABSENT, LookUp.HIDDEN, LookUp.UNKNOWN], [True], BOTH, NextStep.STAY_UNCERTAIN),
]
CASES = [
    (post, seen, lost, gone, expected)
    for post, looks, losts, gones, expected in TABLE
    for seen, lost, gone in product(looks, losts, gones)
]


def test_the_table_has_one_row_for_every_case() -> None:
    assert sorted(map(str, [case[:4] for case in CASES])) == sorted(map(str, product(PostResult, LookUp, BOTH, BOTH)))


@pytest.mark.parametrize(("post", "seen", "lost", "gone", "expected"), CASES)
def test_what_follows_is_as_in_the_table(
    post: PostResult, seen: LookUp, lost: bool, gone: bool, expected: NextStep
) -> None:
    assert decide(post, seen, lost=lost, may_be_gone=gone) is expected


@pytest.mark.parametrize(("post", "lost", "gone"), list(product(PostResult, BOTH, BOTH)))
def test_a_look_is_taken_exactly_where_something_honest_depends_on_it(post: PostResult, lost: bool, gone: bool) -> None:
    answers = {decide(post, seen, lost=lost, may_be_gone=gone) for seen in LookUp}
    if post is PostResult.REFUSED and not lost:
        # Nothing of ours can be there: another request's Job of that name does not cause a refusal.
        assert not needs_look_up(post, lost=lost)
    else:
        assert needs_look_up(post, lost=lost) == (len(answers) > 1)


# --- create_once against a scripted API ---------------------------------------------------------------------


def status(code: int, reason: str = "", message: str = "", retry_after: float | None = None) -> ApiError:
    return ApiError(code, reason, message, retry_after=retry_after)


def no_answer(cause: Cause) -> NoAnswer:
    return NoAnswer("the Kubernetes API", "cluster.example", cause)


CONFLICT = status(409, "AlreadyExists", 'jobs.batch "x" already exists')
LOST = no_answer(Cause.READ_TIMEOUT)
QUOTA = status(403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: jobs')
NOT_FOUND = status(404, "NotFound")
FORBIDDEN = status(403, "Forbidden", 'cannot get resource "jobs"')


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
    """Answers in the order of the script, and remembers the requests."""

    def __init__(self, *script: Answer) -> None:
        self._script = deque(script)
        self.asked: list[str] = []
        self.manifests: list[Json] = []
        self.dry_runs: list[bool] = []

    def _next(self) -> type[Reply]:
        answer = self._script.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        self.asked.append(f"POST {manifest['metadata']['name']}")
        self.manifests.append(manifest)
        self.dry_runs.append(dry_run)
        assert self._next() is Accepted
        return {**manifest, "metadata": {**manifest["metadata"], "uid": "job-uid"}}, ("a warning",)

    def get_job(self, namespace: str, name: str) -> Json:
        self.asked.append(f"GET {name}")
        assert namespace == "staging"
        whose = REQUEST if self._next() is Ours else "request-2"
        found = manifest.build(cronjob(), name, TRIGGER, whose)
        found["metadata"]["uid"] = "job-uid"
        return found

    @property
    def is_spent(self) -> bool:
        return not self._script


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

    assert seen.api.asked == [f"POST {NAME}"]
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

    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}"]
    assert seen.made is not None
    assert (seen.made.uid, seen.made.ground) == ("job-uid", "it carries this request's id")


def test_after_a_lost_answer_the_same_post_is_repeated_only_when_the_job_is_certainly_absent() -> None:
    seen = attempt(LOST, NOT_FOUND, Accepted)

    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}"]
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
def test_a_job_that_may_have_run_and_been_pruned_is_never_asked_for_again(owner: Json, look: ApiError) -> None:
    seen = attempt(LOST, look, what=plan(owner))

    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}"]
    assert seen.reason == "CreationUncertain"
    assert seen.record.creation is Creation.OPEN


def test_a_job_kept_longer_than_the_budget_can_be_asked_for_again() -> None:
    owner = cronjob(ttlSecondsAfterFinished=CREATE_SECONDS + 1)

    assert attempt(LOST, NOT_FOUND, Accepted, what=plan(owner)).made is not None


@pytest.mark.parametrize("look", [no_answer(Cause.BROKEN), no_answer(Cause.REFUSED), status(500), status(401)], ids=str)
def test_a_look_that_fails_proves_nothing(look: Exception) -> None:
    seen = attempt(LOST, look)

    assert seen.reason == "CreationUncertain"
    assert seen.record.creation is Creation.OPEN


def test_without_the_right_to_look_a_conflict_right_after_our_lost_answer_counts_as_ours() -> None:
    seen = attempt(LOST, FORBIDDEN, CONFLICT, FORBIDDEN)

    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}", f"GET {NAME}"]
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

    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}-2"]
    assert seen.made is not None
    assert seen.made.name == f"{NAME}-2"


def test_another_request_that_took_the_name_while_our_answer_was_lost_keeps_it() -> None:
    seen = attempt(LOST, Others, Accepted)

    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}", f"POST {NAME}-2"]


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

    assert seen.api.asked == [f"POST {NAME}", f"POST {NAME}"]
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
    assert len(seen.api.asked) > 5
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
    assert seen.api.asked == [f"POST {NAME}"]
    assert seen.record.creation is Creation.NONE


def test_a_refusal_after_a_lost_answer_may_be_our_own_jobs_doing() -> None:
    assert attempt(LOST, NOT_FOUND, QUOTA, Ours).made is not None
    assert attempt(LOST, FORBIDDEN, QUOTA, FORBIDDEN).reason == "CreationUncertain"


def test_a_refusal_after_a_lost_answer_leaves_a_doubt_though_no_job_is_there_yet() -> None:
    assert attempt(LOST, NOT_FOUND, QUOTA, NOT_FOUND).reason == "CreationUncertain"


def test_our_own_conflict_is_not_believed_for_a_name_that_an_earlier_run_may_have_had() -> None:
    assert attempt(LOST, FORBIDDEN, CONFLICT, FORBIDDEN, what=plan(fixed=True)).reason == "CreationUncertain"


def test_what_the_api_says_of_an_uncertain_job_holds_no_env_value() -> None:
    template = {"spec": {"containers": [{"name": "c", "env": [{"name": "PASSWORD", "value": "s3cret&more"}]}]}}
    quoting = status(422, "Invalid", r'denied: {"value":"s3cret\u0026more"} s3cret&more of nightly-report')

    seen = attempt(LOST, FORBIDDEN, quoting, FORBIDDEN, what=plan(cronjob(template=template)))

    assert isinstance(seen.error, ActionError)
    assert seen.error.problem.said == 'denied: {"value":"***"} *** of nightly-report'


def test_a_dry_run_creates_nothing_so_that_no_answer_leaves_a_doubt() -> None:
    seen = attempt(LOST, status(500), Accepted, what=plan(dry_run=True))

    assert seen.api.asked == [f"POST {NAME}"] * 3
    assert seen.api.dry_runs == [True] * 3
    assert seen.made is not None


def test_a_dry_run_that_gets_no_answer_ends_with_that() -> None:
    assert isinstance(attempt(*[LOST] * 100, what=plan(dry_run=True)).error, NoAnswer)


def test_once_told_to_stop_no_further_post_is_sent() -> None:
    seen = attempt(LOST, NOT_FOUND, record=FakeRecord(allowed_posts=1))

    assert isinstance(seen.error, Interrupted)
    assert seen.api.asked == [f"POST {NAME}", f"GET {NAME}"]
    assert seen.record.creation is Creation.OPEN


# --- create_once against a cluster that may do anything a cluster can do ------------------------------------

UNSENT = [Cause.NAME, Cause.REFUSED, Cause.CONNECT_TIMEOUT, Cause.PROXY]
SENT = [Cause.READ_TIMEOUT, Cause.BROKEN]


class UnreliableApi:
    """A cluster and a network that lose, delay, refuse and prune as `draw` decides.

    A POST that was delayed on the way arrives before the next POST is answered, or never.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], clock: FakeClock, owner: Json) -> None:
        self._draw = draw
        self._clock = clock
        self._keeps = owner["spec"]["jobTemplate"]["spec"].get("ttlSecondsAfterFinished")
        self._keeps_none = owner["spec"].get("successfulJobsHistoryLimit") == 0
        self._may_look = draw(st.booleans())
        self._delayed: list[Json] = []
        self.jobs: dict[str, tuple[float, Json]] = {}
        self.ever: list[str] = []
        """The Jobs of this request that were ever started."""
        self.taken_by_others = draw(st.sets(st.sampled_from([NAME, f"{NAME}-2", f"{NAME}-3"])))
        for name in self.taken_by_others:
            self.jobs[name] = (-1000.0, manifest.build(owner, name, TRIGGER, "request-2"))
        self.lost_answers = 0

    def _execute(self, manifest: Json) -> bool:
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            return False
        self.jobs[name] = (self._clock.elapsed, manifest)
        self.ever.append(name)
        return True

    def _pass_time(self, most: float) -> None:
        self._clock.elapsed += self._draw(st.sampled_from([0.1, most]))
        for name, (since, _) in list(self.jobs.items()):
            old = self._keeps_none or (self._keeps is not None and self._clock.elapsed - since >= self._keeps)
            if name not in self.taken_by_others and old and self._draw(st.booleans()):
                del self.jobs[name]

    def _arrive(self) -> None:
        for delayed in self._delayed:
            if self._draw(st.booleans()):
                self._execute(delayed)
        self._delayed.clear()

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        assert not dry_run
        self._arrive()
        self._pass_time(15)
        fate = self._draw(st.sampled_from(["answered", "lost", "lost before", "delayed", "unsent", "status", "5xx"]))
        event(fate)
        if fate == "unsent":
            raise no_answer(self._draw(st.sampled_from(UNSENT)))
        if fate == "status":
            raise self._draw(st.sampled_from([status(429, retry_after=1), status(409, "Conflict"), QUOTA, status(422)]))
        if fate in {"answered", "lost", "5xx"}:
            executed = self._execute(manifest)
            if fate == "answered" and not executed:
                raise CONFLICT
            if fate == "answered":
                return {**manifest, "metadata": {**manifest["metadata"], "uid": "job-uid"}}, ()
        if fate == "delayed":
            self._delayed.append(manifest)
        self.lost_answers += 1
        raise status(504) if fate == "5xx" else no_answer(self._draw(st.sampled_from(SENT)))

    def get_job(self, namespace: str, name: str) -> Json:
        assert namespace == "staging"
        self._pass_time(20)
        if not self._may_look:
            raise FORBIDDEN
        if self._draw(st.sampled_from([False, False, False, True])):
            raise self._draw(st.sampled_from([no_answer(Cause.BROKEN), status(503)]))
        if name not in self.jobs:
            raise NOT_FOUND
        return self.jobs[name][1]


class HonestRecord(FakeRecord):
    """Fails the test if it records that there is no Job although there was one."""

    api: UnreliableApi

    def after_post(self, creation: Creation) -> None:
        super().after_post(creation)
        assert creation is not Creation.NONE or not self.api.ever


OWNERS = [
    cronjob(),
    cronjob(ttlSecondsAfterFinished=0),
    cronjob(ttlSecondsAfterFinished=46),
    cronjob(ttlSecondsAfterFinished=60),
    cronjob(spec={"successfulJobsHistoryLimit": 0}),
]


@settings(max_examples=400)
@given(st.data())
def test_whatever_the_network_does_there_is_one_job_at_most_and_the_word_about_it_is_true(data: st.DataObject) -> None:
    clock = FakeClock()
    owner = data.draw(st.sampled_from(OWNERS))
    api = UnreliableApi(data.draw, clock, owner)
    record = HonestRecord(allowed_posts=data.draw(st.sampled_from([1000, 0, 1, 2])))
    record.api = api
    fixed = data.draw(st.booleans())

    try:
        made = create.create_once(cast("KubeApi", api), plan(owner, fixed=fixed), CREATE_SECONDS, clock, record)
    except (ApiError, NoAnswer):
        event("ends: error")
        assert api.ever == []
    except ActionError as error:
        reason = error.problem.reason
        event(f"ends: {reason}")
        if reason == "NameTaken":
            assert api.ever == []
        else:
            assert reason == "CreationUncertain"
            assert api.lost_answers
            assert record.creation is Creation.OPEN
    except Interrupted:
        event("ends: interrupted")
        assert record.creation is Creation.OPEN or not api.ever
    else:
        event(f"ends: {made.ground or 'answered'}")
        if made.ground == "its name was taken when the request was repeated":
            # Without a look there is no telling whose; that there is a Job of that name is certain.
            assert made.name in {*api.ever, *api.taken_by_others}
        else:
            assert api.ever == [made.name]

    assert len(api.ever) <= 1
