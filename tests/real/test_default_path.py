"""Whole runs from the runner's token to running pods, on a real control plane."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox import NAMESPACE
from sandbox.environment import example
from sandbox.tools.wait import until
from tests.real.pod_behavior import set_pod_behavior

if TYPE_CHECKING:
    from sandbox import Sandbox
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.emulator.errors import Object


def has_condition(cluster: RealCluster, job: str, condition: str) -> Object | None:
    found = cluster.get("Job", NAMESPACE, job)
    states = {each["type"]: each["status"] for each in found["status"].get("conditions", ())}
    return found if states.get(condition) == "True" else None


def pods_of(cluster: RealCluster, job: str) -> list[Object]:
    return [
        pod
        for pod in cluster.list("Pod", NAMESPACE)
        if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job
    ]


def test_the_job_runs_to_its_end(sandbox: Sandbox, cluster: RealCluster):
    set_pod_behavior(sandbox)

    run = sandbox.run()

    assert run.outputs["result"] == "created", run.summary
    until(partial(has_condition, cluster, run.outputs["job-name"], "Complete"))
    (pod,) = pods_of(cluster, run.outputs["job-name"])
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["spec"]["nodeName"] == "kwok"


def test_the_cluster_identifies_the_actor_as_aws_auth_maps_the_role(sandbox: Sandbox, cluster: RealCluster):
    """The group comes from examples/aws-auth.yaml, and all of its rights from examples/rbac.yaml."""
    ((line,),) = example("aws-auth.yaml")
    assert yaml.safe_load(cluster.get("ConfigMap", "kube-system", "aws-auth")["data"]["mapRoles"]) == [
        {**line, "rolearn": line["rolearn"].lower()}
    ]

    cluster.verifier.journal.clear()
    run = sandbox.run()

    assert run.outputs["result"] == "created", run.summary
    requests = {(each.headers["host"], each.query["Action"]) for each in cluster.verifier.journal}
    assert requests == {("sts.eu-central-1.amazonaws.com", "GetCallerIdentity")}
    (token,) = {each.headers["authorization"].removeprefix("Bearer ") for each in cluster.journal}
    assert cluster.who_is(token) == ("run-cronjob:octocat-9876543210-1", ("run-cronjob",))


def test_a_token_for_another_cluster_is_refused(sandbox: Sandbox):
    sandbox.aws.create_cluster("other", "eu-central-1", sandbox.cluster.url, sandbox.cluster.ca_pem)

    run = sandbox.run({"cluster": "other"})

    assert run.outputs["reason"] == "Unauthorized", run.summary


@pytest.mark.parametrize(("code", "reason"), [("3", "Error"), ("137", "OOMKilled")])
def test_a_container_that_fails_fails_the_job(sandbox: Sandbox, cluster: RealCluster, code: str, reason: str):
    set_pod_behavior(sandbox, exit_code=code, reason=reason, runs_for="100ms")

    job = sandbox.run().outputs["job-name"]

    until(partial(has_condition, cluster, job, "Failed"))
    (pod,) = pods_of(cluster, job)
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == int(code)
    assert container["state"]["terminated"]["reason"] == reason


def test_an_image_that_can_not_be_pulled_keeps_the_pod_pending(sandbox: Sandbox, cluster: RealCluster):
    set_pod_behavior(sandbox, waits_for="ImagePullBackOff", message='Back-off pulling image "x"')

    job = sandbox.run().outputs["job-name"]

    def waiting() -> Object | None:
        states = [each["state"] for pod in pods_of(cluster, job) for each in pod["status"].get("containerStatuses", ())]
        return states[0].get("waiting") if states else None

    assert until(waiting) == {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}
