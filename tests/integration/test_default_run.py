"""A press of the button, as the README's workflow sends it, when all is well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox import CRONJOB, NAMESPACE

if TYPE_CHECKING:
    from sandbox import Sandbox

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
CRONJOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs"


def the_job(world: Sandbox):
    (job,) = world.cluster.list("Job", NAMESPACE)
    return job


def test_creates_the_job_and_succeeds(world: Sandbox):
    run = world.run()

    assert run.exit_status == 0
    assert re.fullmatch(r"nightly-report-by-gha-\d{14}", run.outputs["job-name"])
    assert the_job(world)["metadata"]["name"] == run.outputs["job-name"]


def test_outputs_name_the_job_and_where_it_is(world: Sandbox):
    run = world.run()

    assert run.outputs == {
        "job-name": the_job(world)["metadata"]["name"],
        "job-uid": the_job(world)["metadata"]["uid"],
        "namespace": NAMESPACE,
        "cluster": "staging",
        "result": "created",
        "reason": "",
        "exit-code": "",
        "duration": "",
    }


def test_asks_github_sts_and_eks_once_and_the_cluster_three_times(world: Sandbox):
    world.run()

    assert [(each.method, each.path) for each in world.github.journal] == [("GET", "/token")]
    assert [each.method for each in world.aws.sts.journal] == ["POST"]
    assert [(each.method, each.path) for each in world.aws.eks.journal] == [("GET", "/clusters/staging")]
    assert [(each.method, each.path) for each in world.cluster.journal] == [
        ("GET", f"{CRONJOBS}/{CRONJOB}"),
        ("GET", JOBS),
        ("POST", JOBS),
    ]


def test_asks_the_cluster_twice_when_overlapping_runs_are_allowed(world: Sandbox):
    world.run({"if-running": "allow"})

    assert [(each.method, each.path) for each in world.cluster.journal] == [
        ("GET", f"{CRONJOBS}/{CRONJOB}"),
        ("POST", JOBS),
    ]


def test_the_job_is_the_one_that_kubectl_create_job_from_creates(world: Sandbox):
    world.run()

    job = the_job(world)
    cronjob = world.cluster.get("CronJob", NAMESPACE, CRONJOB)
    owner = cronjob["metadata"]["uid"]
    assert job["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "CronJob", "name": CRONJOB, "uid": owner, "controller": True}
    ]
    assert job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert job["metadata"]["labels"]["app"] == CRONJOB
    template = cronjob["spec"]["jobTemplate"]["spec"]
    assert job["spec"]["backoffLimit"] == template["backoffLimit"]
    assert job["spec"]["template"]["spec"] == template["template"]["spec"]


def test_the_post_is_kubectls(world: Sandbox):
    world.run()

    (post,) = [each for each in world.cluster.journal if each.method == "POST"]
    assert post.query == {"fieldManager": "run-cronjob", "fieldValidation": "Strict"}


def test_the_job_tells_who_asked_for_it_and_from_which_run(world: Sandbox):
    world.run()

    metadata = the_job(world)["metadata"]
    event = world.github.event
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


def test_the_summary_says_first_what_runs_where_and_by_whom(world: Sandbox):
    run = world.run()

    first = run.summary.splitlines()[0]
    assert first.endswith(f"`{CRONJOB}` was started in `{NAMESPACE}` on `staging`, by `octocat`")
    assert "is not known here" in run.summary
    assert f"kubectl --namespace {NAMESPACE} delete job {run.outputs['job-name']}" in run.summary


def test_there_is_one_annotation_a_notice(world: Sandbox):
    run = world.run()

    assert [each.level for each in run.log.annotations] == ["notice"]
    assert run.outputs["job-name"] in run.log.annotations[0].message


def test_the_log_tells_the_story_in_a_dozen_lines_each_stage_with_its_time(world: Sandbox):
    run = world.run()

    stages = [line for line in run.log.shown if line.startswith("✓")]
    assert [stage.split()[1] for stage in stages] == ["AWS", "Cluster", "Address", "CronJob", "Guard", "Job"]
    assert all(re.search(r"\(\d+\.\d\d s\)$", stage) for stage in stages)
    assert len(run.log.shown) <= 15


def test_nothing_is_written_to_the_other_stream(world: Sandbox):
    assert world.run().stderr == b""


def test_nothing_is_left_in_home_or_the_workspace(world: Sandbox):
    run = world.run()

    assert list(run.home.iterdir()) == []
    assert list(run.workspace.iterdir()) == []


def test_the_role_session_carries_who_pressed_and_which_run(world: Sandbox):
    world.run()

    (asked,) = world.aws.sts.journal
    event = world.github.event
    assert f"RoleSessionName={event.triggering_actor}-{event.run_id}-{event.run_attempt}" in asked.body.decode()


def test_a_dry_run_asks_for_everything_and_creates_nothing(world: Sandbox):
    run = world.run({"dry-run": "true"})

    assert run.exit_status == 0
    assert run.outputs["result"] == "dry-run"
    assert run.outputs["job-name"] == ""
    assert not world.cluster.list("Job", NAMESPACE)
    (post,) = [each for each in world.cluster.journal if each.method == "POST"]
    assert post.query["dryRun"] == "All"


def test_a_dry_run_shows_the_job_without_env_values(world: Sandbox):
    run = world.run({"dry-run": "true"})

    assert "DATABASE_PASSWORD" in run.summary
    assert "registry.example/reports/nightly:2.7.1" in run.summary
    assert "correct-horse" not in run.summary
    assert b"correct-horse" not in run.stdout


def test_a_dry_run_shows_nothing_of_the_servers_bookkeeping(world: Sandbox):
    shown = world.run({"dry-run": "true"}).summary
    assert "managedFields" not in shown
    assert "status: {}" not in shown


def test_a_summary_that_can_not_be_written_changes_nothing_else(world: Sandbox):
    run = world.run(environ={"GITHUB_STEP_SUMMARY": "/nowhere/summary"})
    assert run.outputs["result"] == "created"
    assert run.exit_status == 0
    assert run.stderr == b""
