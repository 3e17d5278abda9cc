"""RealCluster has the interface of the emulated cluster: tests can do the same with both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import CRONJOB, NAMESPACE
from sandbox.control_plane.control_plane import READS_FILES
from sandbox.emulator.pod_logs import ContainerLog, parse_options
from sandbox.tools import go_build
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from sandbox import Sandbox
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.tools.podman import Engine

ROOT = Path(__file__).resolve().parent.parent.parent


def pod(name: str, **spec: object) -> dict[str, Any]:
    container = {"name": "main", "image": "registry.example/x:1"}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"containers": [container], "schedulerName": "nobody", **spec},
    }


def log_of(cluster: RealCluster, name: str, query: str = "") -> bytes:
    return cluster.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/log?{query}").data


def test_the_api_server_has_the_requested_version(cluster: RealCluster):
    version = cluster.ask("GET", "/version").json()

    assert version["gitVersion"] == go_build.kubernetes_version()
    if not os.environ.get("KUBEBUILDER_ASSETS"):
        assert version["gitVersion"] == go_build.kubernetes(os.environ).version
    assert f"v{version['major']}.{version['minor']}." in version["gitVersion"]


def test_a_pod_whose_status_a_test_writes_runs_and_ends(cluster: RealCluster):
    running: dict[str, Any] = {"name": "main", "image": "registry.example/x:1", "imageID": "", "restartCount": 0}
    running |= {"ready": True, "state": {"running": {"startedAt": "2026-11-24T03:00:00Z"}}}

    cluster.apply({**pod("by-hand"), "status": {"phase": "Running", "containerStatuses": [running]}})
    assert cluster.get("Pod", NAMESPACE, "by-hand")["status"]["phase"] == "Running"

    cluster.set_status("Pod", NAMESPACE, "by-hand", phase="Succeeded")
    found = cluster.get("Pod", NAMESPACE, "by-hand")["status"]
    assert found["phase"] == "Succeeded"
    assert found["containerStatuses"][0]["state"] == running["state"]

    cluster.delete("Pod", NAMESPACE, "by-hand")
    assert "by-hand" not in {each["metadata"]["name"] for each in cluster.list("Pod", NAMESPACE)}


def test_a_log_is_followed_through_the_api_server_to_its_end(cluster: RealCluster):
    cluster.apply(pod("talks"))
    log = cluster.log(NAMESPACE, "talks")
    log.write("first\nsecond\nno newline")
    log.end()

    assert log_of(cluster, "talks", "follow=true") == b"first\nsecond\nno newline"
    assert log_of(cluster, "talks", "tailLines=1") == b"no newline"


def test_a_container_that_waits_to_start_has_no_log_yet(cluster: RealCluster):
    cluster.apply(pod("waits"))
    cluster.log(NAMESPACE, "waits")
    waiting: dict[str, Any] = {"name": "main", "image": "registry.example/x:1", "imageID": "", "restartCount": 0}
    waiting |= {"ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
    cluster.set_status("Pod", NAMESPACE, "waits", phase="Pending", containerStatuses=[waiting])

    answer = cluster.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/waits/log").json()

    message = 'container "main" in pod "waits" is waiting to start: ContainerCreating'
    assert (answer["code"], answer["reason"], answer["message"]) == (400, "BadRequest", message)


LINES = [
    ("2026-11-24T03:00:00.000001000Z", "F", "first"),
    ("2026-11-24T03:00:00.999999000Z", "F", ""),
    ("2026-11-24T03:00:01.000000000Z", "F", "same time"),
    ("2026-11-24T03:00:01.000000000Z", "F", "as this one"),
    ("2026-11-24T03:00:02.500000000Z", "F", "progress \r 50 %"),
    ("2026-11-24T03:00:03.000000000Z", "P", "long enough to come in "),
    ("2026-11-24T03:00:03.200000000Z", "P", "several "),
    ("2026-11-24T03:00:03.200000000Z", "F", "pieces"),
    ("2026-11-24T03:00:04.123456000Z", "F", "last"),
]
OPTIONS = [
    "",
    "timestamps=true",
    "tailLines=2",
    "tailLines=3&timestamps=true",
    "tailLines=0",
    "tailLines=100&timestamps=true",
    "limitBytes=9",
    "limitBytes=40&timestamps=true",
    "sinceTime=2026-11-24T03:00:01Z",
    "sinceTime=2026-11-24T03:00:01Z&timestamps=true",
    "sinceTime=2026-11-24T03:00:03.1Z&timestamps=true",
    "sinceTime=2026-11-24T03:00:02Z&tailLines=3",
]


@pytest.mark.parametrize("query", OPTIONS)
def test_the_emulators_log_reads_as_the_kubelets_own_code_reads_it(cluster: RealCluster, query: str):
    """kwok reads a container runtime's log file with the kubelet's code."""
    cluster.pods_log.write_text("".join(f"{time} stdout {tag} {text}\n" for time, tag, text in LINES))
    cluster.apply(pod("reads", nodeName=READS_FILES))
    ours = ContainerLog()
    for time, tag, text in LINES:
        ours.write(text if tag == "P" else f"{text}\n", at=datetime.fromisoformat(time))

    options = parse_options(dict(part.split("=") for part in query.split("&") if part), "reads")
    assert b"".join(ours.read(options)) == log_of(cluster, "reads", query)


def test_watches_from_before_a_compaction_are_refused(sandbox: Sandbox, cluster: RealCluster):
    before = cluster.get("CronJob", NAMESPACE, CRONJOB)["metadata"]["resourceVersion"]
    cluster.patch("CronJob", NAMESPACE, CRONJOB, lambda it: it["spec"].update(suspend=True))

    cluster.compact()

    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?watch=true&timeoutSeconds=3&resourceVersion={before}"
    first = json.loads(cluster.ask("GET", path).data.split(b"\n")[0])
    assert (first["type"], first["object"]["code"]) == ("ERROR", 410)
    assert sandbox.run().outputs["result"] == "created"


OWNER = """
import time
from sandbox import Sandbox
from sandbox.tools.podman import Engine
from sandbox.tools.processes import process_manager
from sandbox.control_plane.cluster import RealCluster
with Sandbox(RealCluster), Engine() as engine, engine.service():
    options = ("--detach", "--rm", f"--label={{engine.label}}", "--entrypoint=/usr/bin/tail")
    container = engine.podman("run", *options, "{image}", "-f", "/dev/null").strip()
    print(process_manager().folder, container, flush=True)
    time.sleep(600)
"""


def test_a_kill_leaves_no_process_no_file_and_no_container_behind(engine: Engine, image: str):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(image=image)], cwd=ROOT, stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert owner.stdout
    with owner.stdout:
        folder, container = owner.stdout.readline().split()
    expected = {"etcd", "kube-apiserver", "kube-controller-manager", "aws-iam-authenticator", "podman"}
    assert expected <= programs(folder)
    assert container in engine.containers()

    os.killpg(owner.pid, signal.SIGKILL)
    owner.wait()

    until(lambda: not programs(folder) and not Path(folder).exists())
    assert container not in engine.containers()


def programs(folder: str) -> set[str]:
    """The names of processes that have this folder in their arguments."""
    found = set()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            program, _, arguments = process.read_text().partition("\0")
        except OSError:
            continue
        if folder in arguments:
            found.add(Path(program).name)
    return found
