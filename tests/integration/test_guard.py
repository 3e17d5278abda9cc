"""The input `if-running`, while a run of the CronJob is unfinished."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB, CRONJOB_MANIFEST, NAMESPACE

if TYPE_CHECKING:
    from sandbox import Sandbox

BLIND = [
    {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
]


def jobs(sandbox: Sandbox) -> tuple[Any, ...]:
    return sandbox.cluster.list("Job", NAMESPACE)


def end(sandbox: Sandbox, name: str, condition: str) -> None:
    """End the Job as its controller does, with all that an API server demands of the status."""
    then = "2026-11-24T03:00:00Z"
    times = {"lastProbeTime": then, "lastTransitionTime": then}
    interim = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[condition]
    conditions = [{"type": each, "status": "True", **times} for each in (interim, condition)]
    status: dict[str, Any] = {"startTime": then, "conditions": conditions}
    if condition == "Complete":
        status |= {"succeeded": 1, "completionTime": then}
    sandbox.cluster.set_status("Job", NAMESPACE, name, **status)


def test_refuse_starts_nothing_beside_an_unfinished_run(sandbox: Sandbox):
    first = sandbox.run()
    second = sandbox.run({"if-running": "refuse"})

    assert second.outputs["result"] == "refused"
    assert second.outputs["reason"] == "AlreadyRunning"
    assert second.outputs["job-name"] == ""
    assert second.exit_status == 1
    assert first.outputs["job-name"] in second.summary
    assert "started by `octocat`" in second.summary
    assert len(jobs(sandbox)) == 1


def test_refuse_counts_a_run_that_someone_started_with_kubectl(sandbox: Sandbox):
    sandbox.run()
    name = jobs(sandbox)[0]["metadata"]["name"]
    sandbox.cluster.patch(
        "Job", NAMESPACE, name, lambda job: [job["metadata"].pop(key) for key in ("labels", "annotations")]
    )

    assert sandbox.run({"if-running": "refuse"}).outputs["result"] == "refused"


@pytest.mark.parametrize("condition", ["Complete", "Failed"])
def test_refuse_lets_the_next_run_start_once_the_former_has_ended(sandbox: Sandbox, condition: str):
    end(sandbox, sandbox.run().outputs["job-name"], condition)

    assert sandbox.run({"if-running": "refuse"}).outputs["result"] == "created"


@pytest.mark.parametrize("condition", ["SuccessCriteriaMet", "FailureTarget", "Suspended"])
def test_interim_conditions_end_no_run(sandbox: Sandbox, condition: str):
    first = sandbox.run()
    interim = [{"type": condition, "status": "True"}, {"type": "Complete", "status": "False"}]
    sandbox.cluster.set_status("Job", NAMESPACE, first.outputs["job-name"], conditions=interim)

    assert sandbox.run({"if-running": "refuse"}).outputs["result"] == "refused"


def test_jobs_of_a_deleted_cronjob_of_the_same_name_do_not_count(sandbox: Sandbox):
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": CRONJOB, "uid": "of-one-deleted-since"}
    metadata = {"name": "left-over", "namespace": NAMESPACE, "ownerReferences": [{**owner, "controller": True}]}
    spec = copy.deepcopy(CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"])
    sandbox.cluster.apply({"kind": "Job", "metadata": metadata, "spec": spec})

    assert sandbox.run({"if-running": "refuse"}).outputs["result"] == "created"


def test_warn_starts_another_run_and_says_so(sandbox: Sandbox):
    first = sandbox.run()
    second = sandbox.run()

    assert second.outputs["result"] == "created"
    (warning,) = [each for each in second.log.annotations if each.level == "warning"]
    assert first.outputs["job-name"] in warning.message
    assert "this one runs beside it" in second.summary


@pytest.mark.parametrize(("policy", "result"), [("Forbid", "refused"), ("Allow", "created"), ("Replace", "created")])
def test_policy_refuses_where_the_cronjob_forbids(sandbox: Sandbox, policy: str, result: str):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["concurrencyPolicy"] = policy
    sandbox.cluster.apply(manifest)
    sandbox.run()

    assert sandbox.run({"if-running": "policy"}).outputs["result"] == result
    assert len(jobs(sandbox)) == (1 if result == "refused" else 2)


def test_without_the_right_to_list_the_cronjobs_own_status_is_used(sandbox: Sandbox):
    rules = [
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    sandbox.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=rules))
    sandbox.cluster.set_status("CronJob", NAMESPACE, CRONJOB, active=[{"kind": "Job", "name": "nightly-report-29"}])

    run = sandbox.run({"if-running": "warn"})
    refused = sandbox.run({"if-running": "refuse"})

    assert run.outputs["result"] == "created"
    assert "`nightly-report-29`" in run.summary
    assert refused.outputs["result"] == "refused"


def test_all_pages_of_a_crowded_namespace_are_read(sandbox: Sandbox):
    sandbox.run()
    spec = CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"]
    for number in range(600):
        metadata = {"name": f"a{number:04}", "namespace": NAMESPACE}
        sandbox.cluster.apply({"kind": "Job", "metadata": metadata, "spec": copy.deepcopy(spec)})

    assert sandbox.run({"if-running": "refuse"}).outputs["result"] == "refused"
    lists = [each for each in sandbox.cluster.journal if each.method == "GET" and each.path.endswith("/jobs")]
    assert len(lists) == 3


@pytest.mark.parametrize(("policy", "reason"), [("Forbid", "CannotListJobs"), ("Replace", ""), ("Allow", "")])
def test_policy_must_see_where_the_cronjob_forbids(sandbox: Sandbox, policy: str, reason: str):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["concurrencyPolicy"] = policy
    sandbox.cluster.apply(manifest)
    sandbox.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=BLIND))
    run = sandbox.run({"if-running": "policy"})
    assert run.outputs["reason"] == reason
    assert len(sandbox.cluster.list("Job", NAMESPACE)) == (0 if reason else 1)


def test_a_list_that_fails_is_no_missing_right(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains="/jobs?", times=None).status(
        400, b'{"kind": "Status", "reason": "BadRequest"}'
    )
    run = sandbox.run()
    assert run.outputs["result"] == "error"
    assert not sandbox.cluster.list("Job", NAMESPACE)


def test_a_list_that_expires_between_two_pages_is_read_again_as_a_whole(sandbox: Sandbox):
    sandbox.run()
    spec = CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"]
    for number in range(600):
        metadata = {"name": f"a{number:04}", "namespace": NAMESPACE}
        sandbox.cluster.apply({"kind": "Job", "metadata": metadata, "spec": copy.deepcopy(spec)})
    proxy = sandbox.before_cluster()
    proxy.on(path_contains="continue=").status(410, b'{"kind": "Status", "reason": "Expired", "code": 410}')
    assert sandbox.run({"if-running": "refuse"}).outputs["result"] == "refused"
