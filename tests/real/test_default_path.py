"""From the runner's token to pods that run, with nothing in between that agrees with us only."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml

from sandbox import CRONJOB_MANIFEST, NAMESPACE
from sandbox.environment import example
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from sandbox import Sandbox
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.emulator.errors import Object


def has_condition(cluster: RealCluster, job: str, condition: str) -> Object | None:
    found = cluster.get("Job", NAMESPACE, job)
    states = {each["type"]: each["status"] for each in found["status"].get("conditions", ())}
    return found if states.get(condition) == "True" else None


def plays(sandbox: Sandbox, **annotations: str) -> None:
    """Say in the CronJob's pod template what its pods are to do (sandbox/control_plane/stages.yaml)."""
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    template = manifest["spec"]["jobTemplate"]["spec"]["template"]
    told = {f"sandbox/{name.replace('_', '-')}": value for name, value in annotations.items()}
    template["metadata"] = {"annotations": told}
    manifest["spec"]["jobTemplate"]["spec"]["backoffLimit"] = 0
    # The controller prunes manual runs too: keep them for the test to see.
    manifest["spec"] |= {"successfulJobsHistoryLimit": 100, "failedJobsHistoryLimit": 100}
    sandbox.cluster.apply(manifest)


def pods_of(cluster: RealCluster, job: str) -> list[Object]:
    return [
        pod
        for pod in cluster.list("Pod", NAMESPACE)
        if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job
    ]


def test_the_button_runs_the_job_to_its_end(sandbox: Sandbox, cluster: RealCluster):
    plays(sandbox)

    run = sandbox.run()

    assert run.outputs["result"] == "created", run.summary
    until(partial(has_condition, cluster, run.outputs["job-name"], "Complete"))
    (pod,) = pods_of(cluster, run.outputs["job-name"])
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["spec"]["nodeName"] == "kwok"


def test_the_cluster_knows_who_pressed_as_aws_auth_names_them(sandbox: Sandbox, cluster: RealCluster):
    """The group comes from examples/aws-auth.yaml, and its rights from examples/rbac.yaml; there are no others."""
    ((line,),) = example("aws-auth.yaml")
    assert yaml.safe_load(cluster.get("ConfigMap", "kube-system", "aws-auth")["data"]["mapRoles"]) == [
        {**line, "rolearn": line["rolearn"].lower()}
    ]

    cluster.verifier.journal.clear()
    run = sandbox.run()

    assert run.outputs["result"] == "created", run.summary
    asked = {(each.headers["host"], each.query["Action"]) for each in cluster.verifier.journal}
    assert asked == {("sts.eu-central-1.amazonaws.com", "GetCallerIdentity")}
    (token,) = {each.headers["authorization"].removeprefix("Bearer ") for each in cluster.journal}
    assert cluster.who_is(token) == ("run-cronjob:octocat-9876543210-1", ("run-cronjob",))


def test_a_token_of_another_cluster_is_nobodys_here(sandbox: Sandbox):
    sandbox.aws.create_cluster("other", "eu-central-1", sandbox.cluster.url, sandbox.cluster.ca_pem)

    run = sandbox.run({"cluster": "other"})

    assert run.outputs["reason"] == "Unauthorized", run.summary


@pytest.mark.parametrize(("code", "reason"), [("3", "Error"), ("137", "OOMKilled")])
def test_a_container_that_fails_fails_the_job(sandbox: Sandbox, cluster: RealCluster, code: str, reason: str):
    plays(sandbox, exit_code=code, reason=reason, runs_for="100ms")

    job = sandbox.run().outputs["job-name"]

    until(partial(has_condition, cluster, job, "Failed"))
    (pod,) = pods_of(cluster, job)
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == int(code)
    assert container["state"]["terminated"]["reason"] == reason


def test_an_image_that_can_not_be_pulled_keeps_the_pod_pending(sandbox: Sandbox, cluster: RealCluster):
    plays(sandbox, waits_for="ImagePullBackOff", message='Back-off pulling image "x"')

    job = sandbox.run().outputs["job-name"]

    def waiting() -> Object | None:
        states = [each["state"] for pod in pods_of(cluster, job) for each in pod["status"].get("containerStatuses", ())]
        return states[0].get("waiting") if states else None

    assert until(waiting) == {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}
