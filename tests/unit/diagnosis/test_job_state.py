"""One sentence says what a Job is doing or waiting for; each cause that keeps it from running is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.diagnosis.job_state import blockers, waiting
from tests.builders import (
    NOT_READY,
    SOON,
    after,
    condition,
    end,
    ended,
    event,
    job,
    pod,
    running,
    unplaced,
    view,
    waits,
)
from tests.unit.diagnosis.examples import reasons

if TYPE_CHECKING:
    from run_cronjob.diagnosis.view import View
Raw = dict[str, Any]


THIRD_FAILED = "The container `report` ended with exit code 3"
REFUSED = "The cluster refuses to create the Job's pod, for the reason in its message"
SECOND_FAILED = "Attempt 2 has failed (ContainerFailed, exit code 1)"
RETRYING = job(status={"failed": 2})
PARALLEL = job(status={"succeeded": 3, "active": 2}, completions=10, parallelism=2)


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (view(job()), "The Job is created; the cluster has not made its pod yet."),
        (view(job(suspend=True)), "The Job is suspended: it starts nothing until someone resumes it."),
        (
            view(
                job(),
                pod(
                    phase="Pending",
                    init=[ended(0, "Completed", "fetch"), running("migrate")],
                    containers=[waits("PodInitializing")],
                ),
            ),
            "Init container 2 of 2 (`migrate`) runs since 04:05:11 UTC.",
        ),
        (
            view(RETRYING, pod("a", "Failed", containers=[ended(1)]), pod("b", containers=[running()])),
            "It runs since 04:05:11 UTC (attempt 3 of at most 7).",
        ),
        (
            view(RETRYING, pod("a", "Failed", containers=[ended(1)])),
            f"{SECOND_FAILED}; the next one of at most 7 comes after a pause of about 20 s.",
        ),
        (
            view(
                job(pod_spec={"restartPolicy": "OnFailure"}),
                pod(containers=[waits("CrashLoopBackOff", restartCount=2, lastState=end(3))]),
            ),
            f"{THIRD_FAILED}; it is started again after a pause (restart 2 of at most 6).",
        ),
        (
            view(
                PARALLEL,
                pod("a", "Succeeded", containers=[ended(0, "Completed")]),
                pod("b", containers=[running()]),
                pod("c", "Pending", containers=[waits("ContainerCreating")]),
            ),
            "3 of 10 done, 1 running, 1 not yet: Its containers are being set up on their node.",
        ),
        (
            view(job(), pod(phase="Succeeded", containers=[ended(0, "Completed")])),
            "The Job's pod has ended; the cluster is working out the result.",
        ),
        (
            view(job(condition("FailureTarget", "DeadlineExceeded")), pod(containers=[running()])),
            "The Job has failed; what is left of it is being stopped.",
        ),
        (view(job(condition("SuccessCriteriaMet"))), "The Job's work is done; the cluster is finishing it."),
        (view(job(condition("Complete"))), "The Job has ended."),
        (
            view(job(), events=[event("FailedCreate", 'Error creating: pods "x" is forbidden: no', "nightly")]),
            f"{REFUSED}; that does not pass by itself.",
        ),
    ],
)
def test_says_in_one_sentence_what_the_job_is_doing(known: View, sentence: str):
    assert waiting(known, SOON) == sentence


def test_between_two_parts_of_the_work_the_numbers_are_reported():
    done = pod(phase="Succeeded", containers=[ended(0, "Completed")])

    assert waiting(view(job(completions=3, status={"succeeded": 1}), done), SOON) == "1 of 3 done, 0 running."


def test_the_sentence_stays_the_same_while_nothing_changes():
    known = view(RETRYING, pod("a", "Failed", containers=[ended(1)]), unplaced(NOT_READY, "b"))

    assert waiting(known, SOON) == waiting(known, after(3600))


def test_a_hundred_pods_make_one_short_sentence():
    many = [pod(f"p{number}", "Pending", containers=[waits("ContainerCreating")]) for number in range(100)]

    assert waiting(view(job(completions=200, parallelism=100), *many), SOON) == (
        "0 of 200 done, 0 running, 100 not yet; of those 100: Its containers are being set up on their node."
    )


def test_a_failed_attempt_is_reported_while_the_next_one_is_awaited():
    lost = pod("a", "Failed", containers=[ended(1)])

    assert reasons(view(job(status={"failed": 1}), lost)) == [("ContainerFailed", False)]
    assert blockers(view(job(status={"failed": 1}), lost, pod("b", containers=[running()])), SOON) == ()


def test_a_command_that_is_not_there_will_not_be_there_for_the_next_attempt():
    lost = pod(
        "a", "Failed", containers=[ended(128, "StartError", message='exec: "nosuch": executable file not found')]
    )

    assert reasons(view(job(status={"failed": 1}), lost)) == [("StartFailed", True)]


def test_each_cause_is_reported_once_whatever_the_number_of_pods():
    """The text to paste names another pod each time, which makes no other cause."""
    broken = waits("CreateContainerError", "the message")
    stuck = [pod(f"p{number}", "Pending", containers=[broken]) for number in range(100)]

    assert reasons(view(job(completions=100, parallelism=100), *stuck)) == [("ContainerNotCreated", False)]


def test_two_secrets_that_are_missing_are_two_causes():
    stuck = [
        pod(name, "Pending", containers=[waits("CreateContainerConfigError", f'secret "{name}" not found')])
        for name in ("a", "b")
    ]

    assert reasons(view(job(completions=2, parallelism=2), *stuck)) == [("SecretMissing", False)] * 2


def test_the_cause_that_lasts_comes_first():
    pods = [
        pod("a", "Pending", containers=[waits("CreateContainerConfigError", 'secret "s" not found')]),
        pod("b", "Pending", containers=[waits("InvalidImageName", "bad")]),
    ]

    assert reasons(view(job(completions=2, parallelism=2), *pods)) == [
        ("ImageNameInvalid", True),
        ("SecretMissing", False),
    ]


@pytest.mark.parametrize("kind", ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"])
def test_nothing_keeps_a_job_from_running_that_has_ended(kind: str):
    stuck = pod(phase="Pending", containers=[waits("InvalidImageName", "bad")])

    assert blockers(view(job(condition(kind)), stuck), SOON) == ()
