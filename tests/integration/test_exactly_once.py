"""One run of the step never leaves two Jobs, and never reports a Job that is not there."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB, CRONJOB_MANIFEST, NAMESPACE
from sandbox.net.http_proxy import ForwardProxy

if TYPE_CHECKING:
    from sandbox import Sandbox, StepResult
    from sandbox.net.fault_proxy import FaultProxy

GET_JOB = re.compile(rf"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/.+")


def jobs(sandbox: Sandbox) -> tuple[Any, ...]:
    return sandbox.cluster.list("Job", NAMESPACE)


def posts(proxy: FaultProxy) -> list[Any]:
    return [each for each in proxy.journal if each.method == "POST"]


def name_in(post: Any) -> str:
    return str(json.loads(post.body)["metadata"]["name"])


def looks(proxy: FaultProxy) -> list[Any]:
    return [each for each in proxy.journal if each.method == "GET" and GET_JOB.fullmatch(each.path)]


def expect_the_one_job(sandbox: Sandbox, run: StepResult) -> None:
    (job,) = jobs(sandbox)
    assert run.outputs["result"] == "created", run.summary
    assert run.outputs["job-name"] == job["metadata"]["name"]


def prune_at_once(sandbox: Sandbox) -> None:
    """Let finished Jobs be deleted at once, as with a history limit of 0."""
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["successfulJobsHistoryLimit"] = 0
    sandbox.cluster.apply(manifest)


def no_get(sandbox: Sandbox) -> None:
    rules = [
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    sandbox.cluster.patch("ClusterRole", "", "run-cronjob", lambda it: it.update(rules=rules))


def test_a_lost_answer_is_looked_for_and_found(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()

    run = sandbox.run()

    expect_the_one_job(sandbox, run)
    assert run.outputs["job-uid"] == jobs(sandbox)[0]["metadata"]["uid"]
    assert (len(posts(proxy)), len(looks(proxy))) == (1, 1)
    assert "it carries this request's id" in run.summary


def test_an_answer_replaced_by_a_load_balancers_error_is_looked_for_too(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").status_after(504, b"<html>Gateway Time-out</html>")

    expect_the_one_job(sandbox, sandbox.run())
    assert len(posts(proxy)) == 1


def test_a_post_that_never_arrived_is_repeated_under_the_same_name(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").close()

    expect_the_one_job(sandbox, sandbox.run())
    assert len({name_in(each) for each in posts(proxy)}) == 1
    assert len(posts(proxy)) == 2


def test_without_the_right_to_look_our_own_conflict_counts_as_ours(sandbox: Sandbox):
    no_get(sandbox)
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()

    run = sandbox.run()

    expect_the_one_job(sandbox, run)
    assert len(posts(proxy)) == 2
    assert "its name was taken when the request was repeated" in run.summary
    assert "its name was taken when the request was repeated" in "\n".join(run.log.shown)


def test_a_job_that_may_have_been_pruned_is_not_created_again(sandbox: Sandbox):
    prune_at_once(sandbox)
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()
    proxy.on_answer = lambda asked, _: (
        sandbox.cluster.delete("Job", NAMESPACE, jobs(sandbox)[0]["metadata"]["name"])
        if asked.method == "POST"
        else None
    )

    run = sandbox.run()

    assert len(posts(proxy)) == 1
    assert run.outputs["reason"] == "CreationUncertain"
    assert run.outputs["job-name"] == ""
    assert run.exit_status == 1
    assert "Don't run the workflow again yet" in run.summary
    assert f"kubectl --namespace {NAMESPACE} get job {CRONJOB}-by-gha-" in run.summary


def test_where_a_job_may_be_pruned_and_can_not_be_looked_at_the_post_is_not_repeated(sandbox: Sandbox):
    prune_at_once(sandbox)
    no_get(sandbox)
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()

    run = sandbox.run()

    assert len(posts(proxy)) == 1
    assert run.outputs["reason"] == "CreationUncertain"


def test_a_name_that_another_job_has_gets_a_suffix(sandbox: Sandbox):
    proxy = sandbox.before_cluster()

    def take_the_name(asked: Any) -> None:
        if asked.method == "POST" and not jobs(sandbox):
            name = name_in(asked)
            sandbox.cluster.apply({"kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec()})

    proxy.on_request = take_the_name

    run = sandbox.run()

    taken, ours = sorted(each["metadata"]["name"] for each in jobs(sandbox))
    assert re.fullmatch(rf"{taken}-[a-z0-9]{{5}}", ours)
    assert run.outputs["job-name"] == ours


def spec() -> dict[str, Any]:
    return copy.deepcopy(CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"])


def test_two_workflows_in_the_same_second_make_two_jobs(sandbox: Sandbox):
    steps = [sandbox.start({"job-name": "", "if-running": "allow"}) for _ in range(2)]
    runs = [step.finish() for step in steps]

    assert [run.outputs["result"] for run in runs] == ["created", "created"]
    assert sorted(run.outputs["job-name"] for run in runs) == sorted(job["metadata"]["name"] for job in jobs(sandbox))
    assert len(jobs(sandbox)) == 2


def test_too_many_requests_are_waited_for(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").status(429, headers={"Retry-After": "1"})

    expect_the_one_job(sandbox, sandbox.run())
    assert len(posts(proxy)) == 2
    assert not looks(proxy)


def test_a_dry_runs_lost_answer_is_simply_asked_for_again(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()

    run = sandbox.run({"dry-run": "true"})

    assert run.outputs["result"] == "dry-run"
    assert not jobs(sandbox)
    assert not looks(proxy)


def test_reads_are_repeated_after_a_broken_connection_and_a_server_error(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains="/cronjobs/").reset()
    proxy.on(method="GET", path_contains="/cronjobs/").status(503)
    proxy.on(method="GET", path_contains="/jobs?").status(429, headers={"Retry-After": "1"})

    expect_the_one_job(sandbox, sandbox.run())


def test_an_answer_that_is_not_the_job_is_no_answer(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").status(200, b'{"welcome": "to the log-in page"}')

    expect_the_one_job(sandbox, sandbox.run())
    assert len(posts(proxy)) == 2


def test_a_job_whose_annotations_a_webhook_stripped_is_not_taken_for_another_ones(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()

    def strip(asked: Any, _: int) -> None:
        if asked.method == "POST":
            name = jobs(sandbox)[0]["metadata"]["name"]
            sandbox.cluster.patch("Job", NAMESPACE, name, lambda job: job["metadata"].pop("annotations"))

    proxy.on_answer = strip

    run = sandbox.run()

    assert len(jobs(sandbox)) == len(posts(proxy)) == 1
    assert run.outputs["reason"] == "CreationUncertain"


@pytest.mark.parametrize("fault", ["reset", "closed"])
def test_an_answer_lost_within_a_proxys_tunnel_is_a_lost_answer_too(sandbox: Sandbox, fault: str):
    no_get(sandbox)
    proxy = sandbox.before_cluster()
    rule = proxy.on(method="POST")
    if fault == "reset":
        rule.lose_answer()
    else:
        rule.truncate(0)
    with ForwardProxy() as tunnel:
        run = sandbox.run(environ={"HTTPS_PROXY": tunnel.url})

    expect_the_one_job(sandbox, run)
    assert len(posts(proxy)) == 2


def test_a_fixed_name_that_an_earlier_run_had_is_not_taken_for_ours(sandbox: Sandbox):
    no_get(sandbox)
    earlier = sandbox.run({"job-name": "report-of-{run-id}"})
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").close()

    run = sandbox.run({"job-name": "report-of-{run-id}", "if-running": "allow"})

    assert run.outputs["job-name"] == ""
    assert run.outputs["reason"] == "CreationUncertain"
    assert [job["metadata"]["name"] for job in jobs(sandbox)] == [earlier.outputs["job-name"]]


def test_each_further_name_is_another(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    spec = copy.deepcopy(CRONJOB_MANIFEST["spec"]["jobTemplate"]["spec"])

    def take_the_name(asked: Any) -> None:
        if asked.method == "POST" and len(sandbox.cluster.list("Job", NAMESPACE)) < 2:
            name = json.loads(asked.body)["metadata"]["name"]
            sandbox.cluster.apply({"kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    proxy.on_request = take_the_name
    run = sandbox.run()
    assert run.outputs["result"] == "created", run.summary
    assert len(sandbox.cluster.list("Job", NAMESPACE)) == 3


def test_the_summary_says_why_the_post_was_not_repeated(sandbox: Sandbox):
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    manifest["spec"]["successfulJobsHistoryLimit"] = 0
    sandbox.cluster.apply(manifest)
    proxy = sandbox.before_cluster()
    proxy.on(method="POST").lose_answer()

    def prune(asked: Any, _: int) -> None:
        for job in sandbox.cluster.list("Job", NAMESPACE) if asked.method == "POST" else ():
            sandbox.cluster.delete("Job", NAMESPACE, job["metadata"]["name"])

    proxy.on_answer = prune
    assert "that is why the request was not repeated" in sandbox.run().summary


def test_an_answer_that_names_another_job_is_not_believed(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    other = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other", "uid": "u"}}
    proxy.on(method="POST").status_after(201, json.dumps(other).encode())
    run = sandbox.run()
    (job,) = sandbox.cluster.list("Job", NAMESPACE)
    assert run.outputs["job-uid"] == job["metadata"]["uid"]
