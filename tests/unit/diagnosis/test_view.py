"""A view of any shape and with any text is explained, without markup and commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run_cronjob.diagnosis.job_failure import job_failure
from run_cronjob.diagnosis.job_state import blockers, waiting
from tests.builders import (
    BACKOFF,
    DEADLINE,
    FULL_QUOTA,
    HOSTILE,
    LATER,
    MUCH_LATER,
    NOT_READY,
    POLICY_MET,
    SOON,
    after,
    at,
    condition,
    end,
    ended,
    event,
    failed,
    job,
    lost,
    modern_event,
    pod,
    refused,
    running,
    unplaced,
    view,
    waits,
)

if TYPE_CHECKING:
    from run_cronjob.core.models import Problem
    from run_cronjob.diagnosis.view import View
Raw = dict[str, Any]


def all_sentences(known: View) -> tuple[list[str], list[Problem]]:
    """Every sentence about `known`, and every problem."""
    problems = [each.problem for each in blockers(known, LATER)] + [job_failure(known).problem]
    sentences = [waiting(known, LATER)]
    sentences += [text for each in problems for text in (each.what, each.why, each.fix, each.first) if text]
    return sentences, problems


JOBS = [
    job(),
    job(suspend=True),
    job(completions=4, parallelism=2, completionMode="Indexed"),
    failed(*BACKOFF),
    failed(*DEADLINE),
    failed("PodFailurePolicy", POLICY_MET),
    failed("FailedIndexes", backoffLimitPerIndex=1),
]
PODS = [
    lost(ended(1), init=[ended(0, name="fetch")], sidecars=[running("proxy")]),
    lost(status={"reason": "Evicted", "message": "The node was low on resource: memory. "}),
    pod(phase="Pending", containers=[waits("ImagePullBackOff", "Back-off pulling image")]),
    pod(phase="Pending", containers=[waits("CrashLoopBackOff", "back-off", lastState=end(3), restartCount=2)]),
    pod(containers=[running()], status={"conditions": [condition("DisruptionTarget", "DeletionByPodGC")]}),
    unplaced(NOT_READY),
]
EVENTS = [
    event("FailedCreate", f"Error creating: {FULL_QUOTA}", "nightly"),
    event("FailedMount", 'secret "s" not found'),
    modern_event("FailedScheduling", NOT_READY),
]
FIRST_DAY = "0001-01-01T00:00:00+14:00"
"""UTC has no year for this time."""
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.integers(10**9, 10**12),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(HOSTILE),
    st.sampled_from(
        ["Failed", "Succeeded", "Pending", "True", "Always", "OnFailure", "OOMKilled", "StartError", at(90)]
    ),
    st.sampled_from(
        ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-11-23T04:05:06", "exceeded quota: "]
    ),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["name", "reason", "terminated", "exitCode"]), st.integers(0, 3), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything within `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path]
    for key, each in inner:
        found += places(each, (*path, key))
    return found


def with_odd(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """`value` with the part at `path` replaced by `odd`."""
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_odd(value[path[0]], path[1:], odd)
    return copy


@st.composite
def objects(draw: Any, samples: list[Raw]) -> Raw:
    """One of `samples`, with up to three places in it replaced by something odd."""
    found = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(places(found)[1:] or [("metadata",)]))
        found = with_odd(found, path, draw(ODD))
    return dict(found)


@given(
    a_job=objects(JOBS),
    pods=st.lists(objects(PODS), max_size=3),
    events=st.lists(objects(EVENTS), max_size=3),
    secrets=st.sets(st.sampled_from(["report", "1", "nightly"])),
)
def test_no_shape_of_a_status_breaks_anything(a_job: Raw, pods: list[Raw], events: list[Raw], secrets: set[str]):
    sentences, problems = all_sentences(view(a_job, *pods, events=events, env_values=frozenset(secrets)))

    for sentence in sentences:
        assert sentence.endswith((".", ":", "?", ")."))
        assert "\n" not in sentence
    for problem in problems:
        assert problem.reason.isalpha()
        assert problem.what
        assert problem.why
        assert problem.fix


@pytest.mark.parametrize("sample", [*JOBS, *PODS, *EVENTS])
@pytest.mark.parametrize("odd", [None, [], {}, "", 7, [None, 3], {"a": None}, FIRST_DAY], ids=str)
def test_each_part_of_a_status_may_be_anything(sample: Raw, odd: Any):
    for path in places(sample)[1:]:
        broken = with_odd(sample, path, odd)
        all_sentences(view(broken, broken, PODS[0], events=[broken, EVENTS[0]]))


def test_nothing_at_all_is_a_job_without_a_pod():
    nothing = view({})

    assert waiting(nothing, SOON) == "The Job is created; the cluster has not made its pod yet."
    assert blockers(nothing, MUCH_LATER) == ()
    assert job_failure(nothing).problem.reason == "JobFailed"


def test_without_the_right_to_see_events_the_pods_report_what_they_can():
    stuck = pod(phase="Pending", containers=[waits("CreateContainerConfigError", 'secret "s" not found')])

    assert [each.problem.reason for each in blockers(view(job(), stuck), LATER)] == ["SecretMissing"]


CONFIG_ERRORS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "SomethingNew")


def cases(foreign: str) -> list[View]:
    """Views with `foreign` in every place that a sentence may quote."""
    return [*_pending_cases(foreign), *_failed_cases(foreign), *_refused_cases(foreign)]


def _specs(foreign: str) -> Raw:
    described = {"image": foreign, "resources": {"limits": {"memory": foreign}, "requests": {foreign: foreign}}}
    return {"report": described, foreign: described}


def _pending_cases(foreign: str) -> list[View]:
    pending: Raw = {"phase": "Pending", "container_specs": _specs(foreign)}
    taint = f"0/3 nodes are available: 3 node(s) had untolerated taint {{{foreign}: {foreign}}}."
    pulls = [
        waits("ErrImagePull", why)
        for why in (": not found", "no such host", "403 Forbidden", "toomanyrequests", "no match for platform", "")
    ]
    starts = [
        waits("ErrImageNeverPull"),
        waits("InvalidImageName", foreign),
        *(waits(reason, f"{foreign} runAsNonRoot", foreign) for reason in CONFIG_ERRORS),
    ]
    return [
        *(view(job(), pod(foreign, containers=[each], **pending)) for each in [*pulls, *starts]),
        view(
            job(), pod(containers=[waits("ImagePullBackOff", foreign)], **pending), events=[event("Pulling", foreign)]
        ),
        view(job(), pod(containers=[waits(foreign, foreign, foreign)], **pending)),
        view(job(), pod(containers=[waits("CreateContainerConfigError", f'secret "{foreign}" not found')], **pending)),
        view(
            job(),
            pod(containers=[waits("CreateContainerError", f"find key {foreign} in Secret a/{foreign}")], **pending),
        ),
        view(job(), unplaced(f"0/3 nodes are available: 3 {foreign}, 1 Insufficient {foreign}.")),
        view(job(), unplaced(taint, nodeSelector={foreign: foreign})),
        view(job(), unplaced(f'persistentvolumeclaim "{foreign}" not found', schedulingGates=[{"name": foreign}])),
    ]


def _failed_cases(foreign: str) -> list[View]:
    ends = [ended(1), ended(137), ended(128, "StartError", message=foreign), ended(137, "ContainerStatusUnknown")]
    leaving = ["PreemptionByScheduler", "EvictionByEvictionAPI", "DeletionByPodGC", foreign]
    return [
        *(
            view(
                failed(*BACKOFF),
                lost({**each, "name": foreign}, spec={"nodeName": foreign}, metadata={"name": foreign}),
            )
            for each in ends
        ),
        *(
            view(
                failed(*BACKOFF),
                lost(spec={"nodeName": foreign}, status={"conditions": [condition("DisruptionTarget", by)]}),
            )
            for by in leaving
        ),
        view(failed(*BACKOFF), lost(init=[ended(1, name=foreign)])),
        view(failed(*BACKOFF), lost(ended(137, "OOMKilled", foreign), container_specs=_specs(foreign))),
        view(failed(foreign, foreign), lost(ended(3, foreign, foreign, message=foreign))),
        view(failed(*BACKOFF), lost(status={"reason": foreign, "message": foreign}, spec={"nodeName": foreign})),
        view(failed("FailedIndexes", status={"failedIndexes": foreign})),
        view(failed("PodFailurePolicy", POLICY_MET.replace("report", foreign).replace("nightly-abcde", foreign))),
    ]


def _refused_cases(foreign: str) -> list[View]:
    return [
        *(
            refused(message)
            for message in (f"no PriorityClass with name {foreign} was found", f'RuntimeClass "{foreign}" not found')
        ),
        refused(f'failed calling webhook "{foreign}"'),
        refused(f"failed quota: {foreign}: must specify {foreign} for: {foreign}"),
        refused(f"exceeded quota: {foreign}, requested: {foreign}=1, used: {foreign}=1, limited: {foreign}=1"),
        refused(f'error looking up service account a/{foreign}: or violates PodSecurity "{foreign}:latest"'),
        refused(f'admission webhook "{foreign}" denied the request: {foreign}'),
        refused(f"maximum {foreign} usage per Pod is {foreign}"),
    ]


@pytest.mark.parametrize("case", range(len(cases("x"))))
@given(text=st.one_of(st.text(max_size=20), st.sampled_from(HOSTILE)))
@settings(max_examples=15)
def test_foreign_text_is_in_code_spans_or_in_quoted_messages(case: int, text: str):
    sentences, _ = all_sentences(cases(f"\x07{text}::error::<b>[x](y)")[case])

    for sentence in sentences:
        assert sentence.count("`") % 2 == 0
        outside = "".join(sentence.split("`")[::2])
        assert not {"::error::", "<b>", "[x]"} & {mark for mark in ("::error::", "<b>", "[x]") if mark in outside}
        assert "\x07" not in sentence


def test_env_values_that_the_cluster_quotes_are_struck():
    secret = frozenset({"hunter2-hunter2"})
    started = lost(ended(128, "StartError", message='exec: "hunter2-hunter2": executable file not found in $PATH'))
    denied = 'Error creating: pods "x" is forbidden: admission webhook "w" denied the request: env hunter2-hunter2'

    found = job_failure(view(failed(*BACKOFF), started, env_values=secret)).problem
    (refusal,) = blockers(view(job(), events=[event("FailedCreate", denied, "nightly")], env_values=secret), after(40))

    assert "hunter2" not in f"{found}{refusal.problem}"
    assert "***" in found.said
    assert "***" in refusal.problem.said
