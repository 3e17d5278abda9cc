"""A run with the inputs of the README's workflow, without any failure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox import CRONJOB, NAMESPACE

if TYPE_CHECKING:
    from sandbox import Sandbox

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
CRONJOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs"


def the_job(sandbox: Sandbox):
    (job,) = sandbox.cluster.list("Job", NAMESPACE)
    return job


def test_creates_the_job_and_succeeds(sandbox: Sandbox):
    run = sandbox.run()

    assert run.exit_status == 0
    assert re.fullmatch(r"nightly-report-by-gha-\d{14}", run.outputs["job-name"])
    assert the_job(sandbox)["metadata"]["name"] == run.outputs["job-name"]


def test_outputs_name_the_job_and_where_it_is(sandbox: Sandbox):
    run = sandbox.run()

    assert run.outputs == {
        "job-name": the_job(sandbox)["metadata"]["name"],
        "job-uid": the_job(sandbox)["metadata"]["uid"],
        "namespace": NAMESPACE,
        "cluster": "staging",
        "result": "created",
        "reason": "",
        "exit-code": "",
        "duration": "",
    }


def test_asks_github_sts_and_eks_once_and_the_cluster_three_times(sandbox: Sandbox):
    sandbox.run()

    assert [(each.method, each.path) for each in sandbox.github.journal] == [("GET", "/token")]
    assert [each.method for each in sandbox.aws.sts.journal] == ["POST"]
    assert [(each.method, each.path) for each in sandbox.aws.eks.journal] == [("GET", "/clusters/staging")]
    assert [(each.method, each.path) for each in sandbox.cluster.journal] == [
        ("GET", f"{CRONJOBS}/{CRONJOB}"),
        ("GET", JOBS),
        ("POST", JOBS),
    ]


def test_asks_the_cluster_twice_when_overlapping_runs_are_allowed(sandbox: Sandbox):
    sandbox.run({"if-running": "allow"})

    assert [(each.method, each.path) for each in sandbox.cluster.journal] == [
        ("GET", f"{CRONJOBS}/{CRONJOB}"),
        ("POST", JOBS),
    ]


def test_the_job_is_the_one_that_kubectl_create_job_from_creates(sandbox: Sandbox):
    sandbox.run()

    job = the_job(sandbox)
    cronjob = sandbox.cluster.get("CronJob", NAMESPACE, CRONJOB)
    owner = cronjob["metadata"]["uid"]
    assert job["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "CronJob", "name": CRONJOB, "uid": owner, "controller": True}
    ]
    assert job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert job["metadata"]["labels"]["app"] == CRONJOB
    template = cronjob["spec"]["jobTemplate"]["spec"]
    assert job["spec"]["backoffLimit"] == template["backoffLimit"]
    assert job["spec"]["template"]["spec"] == template["template"]["spec"]


def test_the_post_is_kubectls(sandbox: Sandbox):
    sandbox.run()

    (post,) = [each for each in sandbox.cluster.journal if each.method == "POST"]
    assert post.query == {"fieldManager": "run-cronjob", "fieldValidation": "Strict"}


def test_the_jobs_annotations_name_the_actor_and_the_workflow_run(sandbox: Sandbox):
    sandbox.run()

    metadata = the_job(sandbox)["metadata"]
    event = sandbox.github.event
    ours = {key: value for key, value in metadata["annotations"].items() if key.startswith("run-cronjob/")}
    assert re.fullmatch(r"[0-9a-f-]{36}", ours.pop("run-cronjob/request-id"))
    assert ours == {
        "run-cronjob/actor": event.actor,
        "run-cronjob/triggering-actor": event.triggering_actor,
        "run-cronjob/repository": event.repository,
        "run-cronjob/workflow": event.workflow,
        "run-cronjob/ref": event.ref,
        "run-cronjob/sha": event.sha,
        "run-cronjob/run-id": str(event.run_id),
        "run-cronjob/run-attempt": str(event.run_attempt),
        "run-cronjob/run-url": f"https://github.com/{event.repository}/actions/runs/{event.run_id}",
    }
    assert metadata["labels"]["run-cronjob/cronjob"] == CRONJOB


def test_the_summary_says_first_what_runs_where_and_by_whom(sandbox: Sandbox):
    run = sandbox.run()

    first = run.summary.splitlines()[0]
    assert first.endswith(f"`{CRONJOB}` was started in `{NAMESPACE}` on `staging`, by `octocat`")
    assert "is not known here" in run.summary
    assert f"kubectl --namespace {NAMESPACE} delete job {run.outputs['job-name']}" in run.summary


def test_there_is_one_annotation_a_notice(sandbox: Sandbox):
    run = sandbox.run()

    assert [each.level for each in run.log.annotations] == ["notice"]
    assert run.outputs["job-name"] in run.log.annotations[0].message


def test_the_log_has_a_line_for_each_stage_with_its_time(sandbox: Sandbox):
    run = sandbox.run()

    stages = [line for line in run.log.shown if line.startswith("✓")]
    assert [stage.split()[1] for stage in stages] == ["AWS", "Cluster", "Address", "CronJob", "Guard", "Job"]
    assert all(re.search(r"\(\d+\.\d\d s\)$", stage) for stage in stages)
    assert len(run.log.shown) <= 15


def test_nothing_is_written_to_the_other_stream(sandbox: Sandbox):
    assert sandbox.run().stderr == b""


def test_nothing_is_left_in_home_or_the_workspace(sandbox: Sandbox):
    run = sandbox.run()

    assert list(run.home.iterdir()) == []
    assert list(run.workspace.iterdir()) == []


def test_the_role_sessions_name_holds_the_actor_and_the_workflow_run(sandbox: Sandbox):
    sandbox.run()

    (asked,) = sandbox.aws.sts.journal
    event = sandbox.github.event
    assert f"RoleSessionName={event.triggering_actor}-{event.run_id}-{event.run_attempt}" in asked.body.decode()


def test_a_dry_run_asks_for_everything_and_creates_nothing(sandbox: Sandbox):
    run = sandbox.run({"dry-run": "true"})

    assert run.exit_status == 0
    assert run.outputs["result"] == "dry-run"
    assert run.outputs["job-name"] == ""
    assert not sandbox.cluster.list("Job", NAMESPACE)
    (post,) = [each for each in sandbox.cluster.journal if each.method == "POST"]
    assert post.query["dryRun"] == "All"


def test_a_dry_run_shows_the_job_without_env_values(sandbox: Sandbox):
    run = sandbox.run({"dry-run": "true"})

    assert "DATABASE_PASSWORD" in run.summary
    assert "registry.example/reports/nightly:2.7.1" in run.summary
    assert "correct-horse" not in run.summary
    assert b"correct-horse" not in run.stdout


def test_a_dry_run_shows_nothing_of_the_servers_bookkeeping(sandbox: Sandbox):
    shown = sandbox.run({"dry-run": "true"}).summary
    assert "managedFields" not in shown
    assert "status: {}" not in shown


def test_a_summary_that_can_not_be_written_changes_nothing_else(sandbox: Sandbox):
    run = sandbox.run(environ={"GITHUB_STEP_SUMMARY": "/nowhere/summary"})
    assert run.outputs["result"] == "created"
    assert run.exit_status == 0
    assert run.stderr == b""
