"""From the runner's token to pods that run, with nothing in between that agrees with us only."""

from __future__ import annotations

import copy
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox import CRONJOB, CRONJOB_MANIFEST, NAMESPACE
from sandbox.world import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox import Sandbox
    from sandbox.realcluster import RealCluster
    from sandbox.status import Object

SECONDS = 60


def until(condition: Callable[[], Any]) -> Any:
    """What `condition` gives, once it gives something."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError


def has_condition(cluster: RealCluster, job: str, condition: str) -> Object | None:
    found = cluster.get("Job", NAMESPACE, job)
    states = {each["type"]: each["status"] for each in found["status"].get("conditions", ())}
    return found if states.get(condition) == "True" else None


def plays(world: Sandbox, **annotations: str) -> None:
    """Say in the CronJob's pod template what its pods are to do (sandbox/stages.yaml)."""
    manifest = copy.deepcopy(CRONJOB_MANIFEST)
    template = manifest["spec"]["jobTemplate"]["spec"]["template"]
    told = {f"sandbox/{name.replace('_', '-')}": value for name, value in annotations.items()}
    template["metadata"] = {"annotations": told}
    manifest["spec"]["jobTemplate"]["spec"]["backoffLimit"] = 0
    # The controller prunes manual runs too: keep them for the test to see.
    manifest["spec"] |= {"successfulJobsHistoryLimit": 100, "failedJobsHistoryLimit": 100}
    world.cluster.apply(manifest)


def pods_of(cluster: RealCluster, job: str) -> list[Object]:
    return [
        pod
        for pod in cluster.list("Pod", NAMESPACE)
        if pod["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job
    ]


def log_of(cluster: RealCluster, pod: str, query: str = "") -> bytes:
    return cluster.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/log?{query}").data


def test_the_button_runs_the_job_to_its_end(world: Sandbox, cluster: RealCluster):
    plays(world)

    run = world.run()

    assert run.outputs["result"] == "created", run.summary
    until(partial(has_condition, cluster, run.outputs["job-name"], "Complete"))
    (pod,) = pods_of(cluster, run.outputs["job-name"])
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["spec"]["nodeName"] == "kwok"


def test_the_cluster_knows_who_pressed_as_aws_auth_names_them(world: Sandbox, cluster: RealCluster):
    """The group comes from examples/aws-auth.yaml, and its rights from examples/rbac.yaml; there are no others."""
    (line,) = yaml.safe_load((EXAMPLES / "aws-auth.yaml").read_text())
    assert yaml.safe_load(cluster.get("ConfigMap", "kube-system", "aws-auth")["data"]["mapRoles"]) == [
        {**line, "rolearn": line["rolearn"].lower()}
    ]

    cluster.verifier.journal.clear()
    run = world.run()

    assert run.outputs["result"] == "created", run.summary
    asked = {(each.headers["host"], each.query["Action"]) for each in cluster.verifier.journal}
    assert asked == {("sts.eu-central-1.amazonaws.com", "GetCallerIdentity")}


def test_a_token_of_another_cluster_is_nobodys_here(world: Sandbox):
    world.aws.create_cluster("other", "eu-central-1", world.cluster.url, world.cluster.ca_pem)

    run = world.run({"cluster": "other"})

    assert run.outputs["reason"] == "Unauthorized", run.summary


@pytest.mark.parametrize(("code", "reason"), [("3", "Error"), ("137", "OOMKilled")])
def test_a_container_that_fails_fails_the_job(world: Sandbox, cluster: RealCluster, code: str, reason: str):
    plays(world, exit_code=code, reason=reason, runs_for="100ms")

    job = world.run().outputs["job-name"]

    until(partial(has_condition, cluster, job, "Failed"))
    (pod,) = pods_of(cluster, job)
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == int(code)
    assert container["state"]["terminated"]["reason"] == reason


def test_an_image_that_can_not_be_pulled_keeps_the_pod_pending(world: Sandbox, cluster: RealCluster):
    plays(world, waits_for="ImagePullBackOff", message='Back-off pulling image "x"')

    job = world.run().outputs["job-name"]

    def waiting() -> Object | None:
        states = [each["state"] for pod in pods_of(cluster, job) for each in pod["status"].get("containerStatuses", ())]
        return states[0].get("waiting") if states else None

    assert until(waiting) == {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}


def test_a_pods_log_comes_by_the_api_servers_own_way(world: Sandbox, cluster: RealCluster):
    plays(world, runs_for="30s")
    job = world.run().outputs["job-name"]

    (pod,) = until(lambda: pods_of(cluster, job))
    name = pod["metadata"]["name"]
    until(lambda: cluster.get("Pod", NAMESPACE, name)["status"]["phase"] == "Running")
    log = cluster.log(NAMESPACE, name)
    log.write("first\nsecond\n")
    log.end()

    assert log_of(cluster, name, "follow=true") == b"first\nsecond\n"
    assert log_of(cluster, name, "tailLines=1") == b"second\n"


def test_a_pod_that_a_test_moves_by_hand_has_a_log_too(cluster: RealCluster):
    container = {"name": "main", "image": "registry.example/x:1"}
    cluster.apply(
        {
            "kind": "Pod",
            "metadata": {"name": "alone", "namespace": NAMESPACE},
            "spec": {"containers": [container], "schedulerName": "nobody"},
        }
    )

    cluster.log(NAMESPACE, "alone").write("said\n")
    running = {"name": "main", "image": container["image"], "imageID": "", "ready": True, "restartCount": 0}
    running |= {"state": {"running": {"startedAt": "2026-11-24T03:00:00Z"}}}
    cluster.set_status("Pod", NAMESPACE, "alone", phase="Running", containerStatuses=[running])

    assert log_of(cluster, "alone") == b"said\n"
    assert cluster.get("Pod", NAMESPACE, "alone")["status"]["phase"] == "Running"


def test_watches_from_before_a_compaction_are_refused(world: Sandbox, cluster: RealCluster):
    before = cluster.get("CronJob", NAMESPACE, CRONJOB)["metadata"]["resourceVersion"]
    cluster.patch("CronJob", NAMESPACE, CRONJOB, lambda it: it["spec"].update(suspend=True))

    cluster.compact()

    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?watch=true&timeoutSeconds=3&resourceVersion={before}"
    first = json.loads(cluster.ask("GET", path).data.split(b"\n")[0])
    assert (first["type"], first["object"]["code"]) == ("ERROR", 410)
    assert world.run().outputs["result"] == "created"
