"""Following a Job on a real control plane: API server, controllers and scheduler. kwok simulates the pods."""

from __future__ import annotations

import copy
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from run_cronjob.clients.kube_api import KubeApi
from run_cronjob.clients.kube_transport import KubeTransport
from run_cronjob.core.clock import SystemClock
from run_cronjob.core.models import Access, JobRef, Result, WaitFor
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.diagnosis import snippets
from run_cronjob.jobs.follow import Follow
from sandbox import CRONJOB_MANIFEST, NAMESPACE
from sandbox.github import container
from sandbox.names import EXAMPLES
from sandbox.tools.wait import TIMEOUT_SECONDS, until
from tests.real.pod_behavior import set_pod_behavior

if TYPE_CHECKING:
    from run_cronjob.core.models import Problem
    from sandbox import Sandbox, StepResult
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.github.runner import Step
    from sandbox.tools.podman import Engine

COMPLETED = {"wait-for": "completed"}
STARTED = {"wait-for": "started"}
DELETE = {"wait-for": "completed", "on-cancel": "delete"}
LONG = "600s"
COMPLETIONS = 50


def may_delete_jobs(sandbox: Sandbox) -> None:
    """Add the rule that the action's message offers to the role of examples/rbac.yaml."""
    rule = snippets.rule("jobs.batch", "delete")
    sandbox.cluster.apply((EXAMPLES / "rbac.yaml").read_text().replace("rules:\n", f"rules:\n{rule}\n"))


def log_of(run: StepResult) -> str:
    return "\n".join(run.log.shown)


def levels(run: StepResult) -> list[str]:
    return [each.level for each in run.log.annotations]


def jobs(sandbox: Sandbox) -> list[Any]:
    """All Jobs that are not being deleted."""
    return [each for each in sandbox.cluster.list("Job", NAMESPACE) if "deletionTimestamp" not in each["metadata"]]


def running(sandbox: Sandbox, inputs: dict[str, str], line: bytes = b" runs") -> tuple[Step, str]:
    """Start a step and read its log up to `line`; return the step and its Job's name."""
    step = sandbox.start(inputs)
    for each in step.process.stdout or []:
        if line in each:
            break
    (job,) = jobs(sandbox)
    return step, job["metadata"]["name"]


# --- how it ended ------------------------------------------------------------------------------------------------


def test_a_job_that_succeeds_is_green_with_its_whole_log_and_no_right_is_missing(sandbox: Sandbox):
    """The role has the rights of examples/rbac.yaml alone."""
    set_pod_behavior(sandbox, runs_for="500ms", prints="reading\n3 rows\nno newline at the end")

    run = sandbox.run(COMPLETED)

    assert (run.exit_status, run.outputs["result"], run.outputs["reason"]) == (0, "succeeded", ""), log_of(run)
    assert run.outputs["exit-code"] == "0"
    assert run.outputs["duration"].isdigit()
    assert [line for line in run.log.shown if line in {"reading", "3 rows", "no newline at the end"}] == [
        "reading",
        "3 rows",
        "no newline at the end",
    ]
    assert levels(run) == ["notice"]
    assert "right" not in log_of(run)
    assert "role" not in run.summary


def test_a_job_that_fails_is_red_with_exit_code_and_last_lines_of_each_try(sandbox: Sandbox):
    set_pod_behavior(
        sandbox, job={"backoffLimit": 1}, exit_code="3", runs_for="200ms", prints="reading\ndisk is full\n"
    )

    run = sandbox.run(COMPLETED)

    assert (run.exit_status, run.outputs["result"]) == (1, "failed"), log_of(run)
    assert (run.outputs["reason"], run.outputs["exit-code"]) == ("ContainerFailed", "3")
    assert run.log.shown.count("disk is full") == 2
    assert "BackoffLimitExceeded" in run.summary
    assert run.summary.count("disk is full") == 1
    assert levels(run)[-1] == "error"


def test_started_is_reached_with_the_first_container_that_runs(sandbox: Sandbox):
    set_pod_behavior(sandbox, runs_for=LONG)

    run = sandbox.run(STARTED)

    assert (run.exit_status, run.outputs["result"]) == (0, "started"), log_of(run)
    assert jobs(sandbox)[0]["status"]["active"] == 1


def test_a_job_whose_containers_never_run_is_not_started(sandbox: Sandbox):
    set_pod_behavior(
        sandbox, job={"activeDeadlineSeconds": 2}, waits_for="CreateContainerConfigError", message="no such thing"
    )

    run = sandbox.run(STARTED)

    assert (run.exit_status, run.outputs["result"]) == (1, "failed"), log_of(run)


def test_an_image_that_can_not_be_pulled_until_the_deadline_is_named_as_the_cause(sandbox: Sandbox):
    message = 'Back-off pulling image "registry.example/reports/nightly:2.7.1": ErrImagePull: not found'
    set_pod_behavior(sandbox, job={"activeDeadlineSeconds": 3}, waits_for="ImagePullBackOff", message=message)

    run = sandbox.run(COMPLETED)

    assert (run.exit_status, run.outputs["result"]) == (1, "failed"), log_of(run)
    assert (run.outputs["reason"], run.outputs["exit-code"]) == ("ImageNotFound", "")
    assert "`registry.example/reports/nightly:2.7.1`" in run.summary
    assert levels(run)[0] == "error"  # immediately, before the Job's end


def test_a_deadline_that_ends_a_job_is_reported_as_such(sandbox: Sandbox):
    set_pod_behavior(sandbox, job={"activeDeadlineSeconds": 2}, runs_for=LONG, prints="working\n")

    run = sandbox.run(COMPLETED)

    assert (run.exit_status, run.outputs["result"]) == (1, "failed"), log_of(run)
    assert run.outputs["reason"] == "DeadlineExceeded"
    assert "deadline of 2 seconds" in run.summary
    assert "working" in run.log.shown


def test_an_indexed_job_shows_each_index_log_once(sandbox: Sandbox):
    spec = {"completions": 3, "parallelism": 2, "completionMode": "Indexed"}
    set_pod_behavior(sandbox, job=spec, runs_for="700ms", prints="one\ntwo\n")

    run = sandbox.run(COMPLETED)

    assert run.outputs["result"] == "succeeded", log_of(run)
    # Lines of pods that run at the same time have a prefix. Which do depends on the machine's speed.
    printed = [line.rpartition(" | ")[2] for line in run.log.shown]
    assert (printed.count("one"), printed.count("two")) == (3, 3), log_of(run)
    for index in range(3):
        assert log_of(run).count(f"in pod `{run.outputs['job-name']}-{index}-") == 1, log_of(run)


# --- deleted Jobs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history_limit", "spec"), [(0, {}), (100, {"ttlSecondsAfterFinished": 0})], ids=["history limit", "time to live"]
)
@pytest.mark.parametrize(("code", "result"), [("0", "succeeded"), ("3", "failed")])
def test_an_end_that_was_seen_is_reported_though_the_cluster_deletes_the_job_immediately(
    sandbox: Sandbox, history_limit: int, spec: dict[str, int], code: str, result: str
):
    set_pod_behavior(sandbox, job=spec, history_limit=history_limit, runs_for="1s", exit_code=code)

    run = sandbox.run(COMPLETED)

    assert run.outputs["result"] == result, log_of(run)
    assert run.succeeded == (result == "succeeded")
    until(lambda: not jobs(sandbox))


def test_a_job_that_is_deleted_before_its_end_was_seen_is_no_success(sandbox: Sandbox, cluster: RealCluster):
    set_pod_behavior(sandbox, job={"ttlSecondsAfterFinished": 0})
    proxy = sandbox.before_cluster()

    def hold_back(asked: Any, _: int) -> None:
        if asked.method == "POST" and asked.path.endswith("/jobs"):
            until(lambda: not cluster.list("Job", NAMESPACE))

    proxy.on_answer = hold_back

    run = sandbox.run(COMPLETED)

    assert (run.exit_status, run.outputs["result"], run.outputs["reason"]) == (1, "deleted", "JobDeleted"), log_of(run)


def test_a_job_that_somebody_deletes_while_it_runs_is_deleted(sandbox: Sandbox):
    set_pod_behavior(sandbox, runs_for=LONG)
    step, job = running(sandbox, COMPLETED)

    sandbox.cluster.delete("Job", NAMESPACE, job)

    run = step.finish()
    assert (run.exit_status, run.outputs["result"], run.outputs["reason"]) == (1, "deleted", "JobDeleted"), log_of(run)


# --- restarts of the API server, and load ----------------------------------------------------------------------------


def test_a_restart_of_the_api_server_is_survived_without_a_message(sandbox: Sandbox, cluster: RealCluster):
    set_pod_behavior(sandbox, runs_for=LONG, prints="before\n")
    step, job = running(sandbox, COMPLETED, line=b"before")
    (pod,) = cluster.list("Pod", NAMESPACE)
    log = cluster.log(NAMESPACE, pod["metadata"]["name"])

    cluster.compact()
    log.write("after\n")
    (status,) = pod["status"]["containerStatuses"]
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", **status["state"]["running"]}}
    statuses = [{**status, "ready": False, "started": False, "state": ended}]
    cluster.set_status("Pod", NAMESPACE, pod["metadata"]["name"], phase="Succeeded", containerStatuses=statuses)

    run = step.finish()
    assert (run.exit_status, run.outputs["result"], run.outputs["job-name"]) == (0, "succeeded", job), log_of(run)
    assert "before" not in run.log.shown  # `running` has read it, and it must not be shown twice
    assert run.log.shown.count("after") == 1
    assert levels(run) == ["notice"]


class RecordingReporter:
    """A follow.Reporter that records problems and missing rights."""

    def __init__(self) -> None:
        self.has_seen = threading.Event()
        self.problems: list[object] = []

    def state_changed(self, _: str) -> None:
        self.has_seen.set()

    def state_unchanged(self, _: str) -> None:
        """Not recorded."""

    def problem_found(self, problem: Problem) -> None:
        if problem.reason != "JobSuspended":
            self.problems.append(problem)

    def main_problem(self, problem: Problem | None) -> None:
        """Also reported as trouble."""

    def right_missing(self, right: object) -> None:
        self.problems.append(right)


def test_many_jobs_that_end_at_the_same_time_are_all_reported_correctly(cluster: RealCluster):
    """Every third Job fails, and every fifth is deleted as soon as it has ended."""
    access = Access(yaml.safe_load(cluster.kubeconfig.read_text()), "c", NAMESPACE)
    api = KubeApi(KubeTransport(access, SystemClock(), Timeouts()))
    wanted = {f"many-{n}": Result.FAILED if n % 3 == 0 else Result.SUCCEEDED for n in range(COMPLETIONS)}
    reporters = [RecordingReporter() for _ in wanted]

    def follow(number: int) -> Result:
        name = f"many-{number}"
        (created,) = cluster.apply(suspended(name, fails=number % 3 == 0, pruned=number % 5 == 0))
        ref = JobRef(NAMESPACE, name, created["metadata"]["uid"])
        following = Follow(api, ref, WaitFor.COMPLETED, reporters[number], None, SystemClock(), Timeouts(), frozenset())
        return following.until_decided()[0]

    with ThreadPoolExecutor(COMPLETIONS) as threads:
        results = threads.map(follow, range(COMPLETIONS))
        assert all(each.has_seen.wait(TIMEOUT_SECONDS) for each in reporters)
        for name in wanted:
            cluster.patch("Job", NAMESPACE, name, lambda job: job["spec"].update(suspend=False))

    assert dict(zip(wanted, results, strict=True)) == wanted
    assert not [problem for each in reporters for problem in each.problems]


def suspended(name: str, *, fails: bool, pruned: bool) -> dict[str, Any]:
    spec = copy.deepcopy(CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"]) | {"backoffLimit": 0, "suspend": True}
    spec["template"]["metadata"] = {"annotations": {"sandbox/exit-code": "3" if fails else "0"}}
    if pruned:
        spec["ttlSecondsAfterFinished"] = 0
    return {"kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


# --- rights -----------------------------------------------------------------------------------------------------


def test_the_role_for_created_creates_and_says_before_the_post_that_it_can_not_follow(sandbox: Sandbox):
    set_pod_behavior(sandbox)
    sandbox.cluster.apply((EXAMPLES / "rbac-created.yaml").read_text())

    refused = sandbox.run(COMPLETED)

    assert (refused.exit_status, refused.outputs["result"]) == (1, "error"), log_of(refused)
    assert not jobs(sandbox)
    assert refused.outputs["reason"] == "CannotFollow"
    assert snippets.rule("jobs.batch", "watch") in refused.summary

    run = sandbox.run()
    assert (run.exit_status, run.outputs["result"]) == (0, "created"), log_of(run)


# --- cancelled --------------------------------------------------------------------------------------------------


def test_a_cancelled_job_is_deleted_with_its_pods(sandbox: Sandbox):
    may_delete_jobs(sandbox)
    set_pod_behavior(sandbox, runs_for=LONG)
    step, job = running(sandbox, DELETE)

    step.process.send_signal(signal.SIGINT)

    run = step.finish()
    assert (run.exit_status, run.outputs["result"], run.outputs["job-name"]) == (1, "cancelled", job), log_of(run)
    assert "is being deleted, with its pods" in run.summary.splitlines()[0]
    until(lambda: not sandbox.cluster.list("Job", NAMESPACE) and not sandbox.cluster.list("Pod", NAMESPACE))


def test_in_the_image_the_post_entrypoint_deletes_the_job_that_was_left(sandbox: Sandbox, engine: Engine, image: str):
    may_delete_jobs(sandbox)
    set_pod_behavior(sandbox, runs_for=LONG)
    sandbox.before_cluster().on(method="DELETE").hang()
    sandbox.launch = container.launcher(engine, image)
    step, job = running(sandbox, DELETE)
    step.process.send_signal(signal.SIGINT)
    run = step.finish()
    assert "the cluster's answer is not in yet" in run.summary.splitlines()[0]
    assert [each["metadata"]["name"] for each in jobs(sandbox)] == [job]

    after = sandbox.run_post(run, DELETE)

    assert after.exit_status == 0, log_of(after)
    assert f"the Job `{job}` is being deleted" in after.summary
    until(lambda: not sandbox.cluster.list("Job", NAMESPACE) and not sandbox.cluster.list("Pod", NAMESPACE))
