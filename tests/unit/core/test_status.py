"""Tests of core/status: what is read from a Job, a pod and an event."""

from __future__ import annotations

from typing import Any

import pytest

from run_cronjob.core import status
from run_cronjob.core.models import TerminalCondition
from tests.builders import at, condition, end, ended, job, pod, running, waits

Raw = dict[str, Any]


def parsed(*pods: Raw) -> list[status.Pod]:
    return [status.pod(each) for each in pods]


@pytest.mark.parametrize(
    ("conditions", "succeeded"),
    [
        ([], None),
        ([condition("SuccessCriteriaMet")], None),
        ([condition("FailureTarget"), condition("Suspended")], None),
        ([condition("Complete", true=False), condition("Failed", true=False)], None),
        ([condition("Complete") | {"status": "Unknown"}], None),
        ([condition("SuccessCriteriaMet"), condition("Complete")], True),
        ([condition("FailureTarget"), condition("Failed")], False),
    ],
)
def test_only_complete_and_failed_end_a_job(conditions: list[Raw], succeeded: bool | None) -> None:
    found = status.job(job(*conditions, status={"succeeded": 5, "failed": 5})).terminal_condition

    assert (found and found.succeeded) is succeeded


def test_a_job_took_the_time_from_its_start_to_its_completion_or_to_its_failure() -> None:
    complete = job(condition("Complete", seconds=99), status={"completionTime": at(60)})
    failed = job(condition("Failed", "DeadlineExceeded", "too long", seconds=90))
    no_start = job(condition("Complete"), status={"startTime": None})
    found = [status.job(each).terminal_condition for each in (complete, failed, no_start)]

    assert [each and each.seconds for each in found] == [60, 90, None]
    assert found[1] == TerminalCondition(succeeded=False, reason="DeadlineExceeded", message="too long", seconds=90)


@pytest.mark.parametrize(
    ("a_pod", "has_started"),
    [
        (pod(containers=[running()]), True),
        (pod(containers=[ended(1)]), True),
        (pod(containers=[waits("CrashLoopBackOff", lastState=end(1))]), True),
        (pod(containers=[waits("PodInitializing")]), False),
        (pod(containers=[waits("PodInitializing")], init=[running("fetch")], sidecars=[running("proxy")]), False),
        (pod(containers=[{"name": "report", "state": {"terminated": {"reason": "ContainerCannotRun"}}}]), False),
    ],
)
def test_a_job_has_started_when_a_main_container_has(a_pod: Raw, *, has_started: bool) -> None:
    assert status.has_started(status.job(job()), parsed(a_pod)) is has_started


def test_without_pods_the_count_of_ready_ones_tells_that_a_job_has_started() -> None:
    assert status.has_started(status.job(job(status={"ready": 1})), [])
    assert not status.has_started(status.job(job(status={"ready": 0})), [])


@pytest.mark.parametrize(
    ("pods", "exit_code"),
    [
        ([], None),
        ([pod(phase="Succeeded", containers=[ended(0)])], 0),
        ([pod(phase="Succeeded", containers=[ended(3)], init=[ended(0, name="fetch")])], 3),
        ([pod(phase="Failed", containers=[ended(1)]), pod("next", "Succeeded", containers=[ended(0)])], 0),
        ([pod(phase="Succeeded", containers=[ended(0), ended(0, name="copy")])], None),
        ([pod(phase="Succeeded", containers=[ended(0)]), pod("b", "Succeeded", containers=[ended(0)])], None),
        ([pod(phase="Succeeded", containers=[waits("Unknown")])], None),
    ],
)
def test_the_exit_code_is_that_of_the_only_container_of_the_only_pod_that_succeeded(
    pods: list[Raw], exit_code: int | None
) -> None:
    assert status.exit_code(parsed(*pods)) == exit_code


@pytest.mark.parametrize(
    ("terminated", "has_log"),
    [
        ({"exitCode": 0, "startedAt": at(1)}, True),
        ({"exitCode": 0, "containerID": "containerd://1"}, True),
        ({"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}, False),
    ],
)
def test_there_is_a_log_of_a_container_that_the_runtime_had_made(terminated: Raw, *, has_log: bool) -> None:
    (container,) = status.pod(pod(containers=[{"name": "report", "state": {"terminated": terminated}}])).containers

    assert container.ended is not None
    assert container.ended.has_log is has_log


def test_a_pod_never_restarts_unless_a_container_has_a_rule_of_its_own() -> None:
    never = pod(spec={"restartPolicy": "Never"})
    on_failure = pod(spec={"restartPolicy": "OnFailure"})
    with_sidecar = pod(spec={"restartPolicy": "Never"}, sidecars=[running("proxy")])

    assert [each.never_restarts for each in parsed(never, on_failure, with_sidecar)] == [True, False, False]


def test_a_termination_message_from_the_log_is_left_out_where_logs_are_not_shown() -> None:
    policy = {"report": {"terminationMessagePolicy": "FallbackToLogsOnError"}}

    def message(*, shows_output: bool, reason: str = "Error") -> str:
        raw = pod(containers=[ended(1, reason, message="line")], container_specs=policy)
        (container,) = status.pod(raw, shows_output=shows_output).containers
        return container.ended.message if container.ended else ""

    assert message(shows_output=True) == "line"
    assert message(shows_output=False) == ""
    assert message(shows_output=False, reason="StartError") == "line"


def test_the_name_stands_in_for_a_uid_that_is_missing() -> None:
    assert [status.pod(pod("a")).uid, status.pod(pod("a", metadata={"uid": "u"})).uid] == ["a", "u"]
    assert status.uid({}) == ""
