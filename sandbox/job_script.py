r"""The script of a Job, played by hand: what the Job controller, the scheduler and the kubelet would write of it.

script = JobScript(sandbox.cluster, NAMESPACE)
pod = script.pod()
pod.run(); pod.log(b"hello\\n"); pod.end(0)
script.complete()

Everything goes by the administrator's face, so that the same script is played on a real API server, which checks it.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from sandbox.tools.wait import until

if TYPE_CHECKING:
    from sandbox.control_plane.cluster import RealCluster
    from sandbox.emulator.errors import Object
    from sandbox.emulator.server import EmulatedCluster
    from sandbox.github.runner import Step


def now() -> str:
    """As the API writes a time."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Pod:
    """One pod of the Job, Pending at first."""

    def __init__(self, script: JobScript, name: str) -> None:
        self._script = script
        self.name = name
        self._began = ""
        self._restarts = 0

    @property
    def raw(self) -> Object:
        """The pod as it is."""
        return self._script.cluster.get("Pod", self._script.namespace, self.name)

    def unschedulable(self, message: str) -> None:
        """The scheduler finds no node."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self._status(phase="Pending", conditions=[condition | {"lastTransitionTime": now()}])

    def wait(self, reason: str, message: str = "", container: str = "") -> None:
        """The kubelet can't start a container yet."""
        waiting = {"reason": reason} | ({"message": message} if message else {})
        self._status(
            phase="Pending",
            conditions=[_placed()],
            containerStatuses=self._containers(container, {"waiting": waiting}),
        )

    def run(self, container: str = "") -> None:
        """The containers, or the one named, run."""
        self._began = self._began or now()
        self._status(
            phase="Running",
            conditions=[_placed()],
            containerStatuses=self._containers(container, {"running": {"startedAt": self._began}}),
        )

    def end(self, exit_code: int, reason: str = "", container: str = "", message: str = "") -> None:
        """They end; with them the pod."""
        ended = {
            "exitCode": exit_code,
            "reason": reason or ("Completed" if exit_code == 0 else "Error"),
            "startedAt": self._began or now(),
            "finishedAt": now(),
        } | ({"message": message} if message else {})
        statuses = self._containers(container, {"terminated": ended})
        codes = [each["state"].get("terminated", {}).get("exitCode") for each in statuses]
        phase = "Running" if None in codes else ("Failed" if any(codes) else "Succeeded")
        self._status(phase=phase, containerStatuses=statuses)
        for status in statuses:
            if "terminated" in status["state"] and hasattr(self._script.cluster, "log"):
                self._script.cluster.log(self._script.namespace, self.name, status["name"]).end()

    def log(self, text: bytes, container: str = "") -> None:
        """It prints."""
        cast("EmulatedCluster", self._script.cluster).log(self._script.namespace, self.name, container).write(text)

    def delete(self) -> None:
        """It goes, and its logs with it."""
        self._script.cluster.delete("Pod", self._script.namespace, self.name)

    def _containers(self, chosen: str, state: Object) -> list[Object]:
        found = self._script.cluster.get("Pod", self._script.namespace, self.name)
        before = {each["name"]: each for each in found.get("status", {}).get("containerStatuses") or []}
        return [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": "",
                "restartCount": 0,
                "ready": "running" in state,
                "state": state,
            }
            if chosen in {"", each["name"]}
            else before[each["name"]]
            for each in found["spec"]["containers"]
        ]

    def _status(self, **fields: Any) -> None:  # noqa: ANN401  JSON
        self._script.cluster.set_status("Pod", self._script.namespace, self.name, **fields)


class JobScript:
    """The newest Job in a namespace, from when it is there."""

    def __init__(
        self, cluster: EmulatedCluster | RealCluster, namespace: str, *, others: int = 0, step: Step | None = None
    ) -> None:
        """`others` Jobs are there already; `step` is to create this one."""
        self.cluster = cluster
        self.namespace = namespace
        self._pods = 0
        until(lambda: len(cluster.list("Job", namespace)) > others or bool(step and step.process.poll() is not None))
        if len(cluster.list("Job", namespace)) <= others:
            raise LookupError(f"no Job was created: {step and step.finish().log.shown}")
        self.name = str(max(cluster.list("Job", namespace), key=_age)["metadata"]["name"])
        self._began = ""

    @property
    def job(self) -> Object:
        """The Job as it is."""
        return self.cluster.get("Job", self.namespace, self.name)

    def start(self) -> None:
        """The controller has seen it."""
        self._began = self._began or now()
        self.cluster.set_status("Job", self.namespace, self.name, startTime=self._began)

    def pod(self, suffix: str = "") -> Pod:
        """The controller makes a pod."""
        self.start()
        self._pods += 1
        job = self.job
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": self.name,
            "uid": job["metadata"]["uid"],
            "controller": True,
        }
        name = f"{self.name}-{suffix or uuid.uuid4().hex[:5]}"
        template = job["spec"]["template"]
        metadata = {
            "name": name,
            "namespace": self.namespace,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        }
        self.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
        pod = Pod(self, name)
        self.cluster.set_status("Pod", self.namespace, name, phase="Pending", startTime=now())
        return pod

    def event(self, about: Object, reason: str, message: str, *, kind: str = "Warning", count: int = 1) -> None:
        """Some part of the cluster notes something about the Job or a pod."""
        metadata = about["metadata"]
        involved = {
            "kind": about["kind"],
            "namespace": self.namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}", "namespace": self.namespace},
                "involvedObject": involved,
                "reason": reason,
                "message": message,
                "type": kind,
                "count": count,
                "firstTimestamp": now(),
                "lastTimestamp": now(),
                "source": {"component": "sandbox"},
            }
        )

    def complete(self) -> None:
        """It succeeded."""
        self.start()
        conditions = [
            _condition("SuccessCriteriaMet", "CompletionsReached"),
            _condition("Complete", "CompletionsReached"),
        ]
        self.cluster.set_status(
            "Job", self.namespace, self.name, conditions=conditions, completionTime=now(), succeeded=1
        )

    def fail(
        self, reason: str = "BackoffLimitExceeded", message: str = "Job has reached the specified backoff limit"
    ) -> None:
        """It failed."""
        self.start()
        conditions = [_condition("FailureTarget", reason, message), _condition("Failed", reason, message)]
        self.cluster.set_status("Job", self.namespace, self.name, conditions=conditions, failed=1)

    def delete(self) -> None:
        """It goes, and its pods with it."""
        self.cluster.delete("Job", self.namespace, self.name)


def _placed() -> Object:
    return {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}


def _condition(kind: str, reason: str, message: str = "") -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message or "Reached expected number of succeeded pods",
        "lastProbeTime": now(),
        "lastTransitionTime": now(),
    }


def _age(job: Object) -> tuple[str, int]:
    return str(job["metadata"]["creationTimestamp"]), int(job["metadata"]["resourceVersion"])
