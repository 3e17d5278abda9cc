r"""Scripted status updates of a Job: what the Job controller, the scheduler and the kubelet would write.

script = JobScript(sandbox.cluster, NAMESPACE)
pod = script.pod()
pod.run(); pod.log(b"hello\\n"); pod.end(0)
script.complete()

It needs only an administrator's methods, so that a real API server takes and validates the same updates.
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
    """Return the current time in the API's format."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Pod:
    """A pod of the Job, first in the phase Pending."""

    def __init__(self, script: JobScript, name: str) -> None:
        self._script = script
        self.name = name
        self._began = ""

    @property
    def raw(self) -> Object:
        """The pod as the API server has it."""
        return self._script.cluster.get("Pod", self._script.namespace, self.name)

    def unschedulable(self, message: str) -> None:
        """Report that the scheduler finds no node."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self._status(phase="Pending", conditions=[condition | {"lastTransitionTime": now()}])

    def wait(self, reason: str, message: str = "", container: str = "") -> None:
        """Report that a container waits, or all without `container`."""
        waiting = {"reason": reason} | ({"message": message} if message else {})
        self._status(
            phase="Pending",
            conditions=[_scheduled()],
            containerStatuses=self._containers(container, {"waiting": waiting}),
        )

    def run(self, container: str = "") -> None:
        """Report that a container runs, or all without `container`."""
        self._began = self._began or now()
        self._status(
            phase="Running",
            conditions=[_scheduled()],
            containerStatuses=self._containers(container, {"running": {"startedAt": self._began}}),
        )

    def end(self, exit_code: int, reason: str = "", container: str = "", message: str = "") -> None:
        """Report that a container, or all, has terminated; the pod ends with its last container."""
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
        """Append to the container's log."""
        cast("EmulatedCluster", self._script.cluster).log(self._script.namespace, self.name, container).write(text)

    def delete(self) -> None:
        """Delete the pod and its logs."""
        self._script.cluster.delete("Pod", self._script.namespace, self.name)

    def _containers(self, chosen: str, state: Object) -> list[Object]:
        found = self.raw
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
    """Updates the newest Job in a namespace; waits until the Job exists."""

    def __init__(
        self, cluster: EmulatedCluster | RealCluster, namespace: str, *, others: int = 0, step: Step | None = None
    ) -> None:
        """Wait until there are more Jobs than `others`. Raises LookupError if `step` ends without a new one."""
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
        """The Job as the API server has it."""
        return self.cluster.get("Job", self.namespace, self.name)

    def start(self) -> None:
        """Set the Job's startTime."""
        self._began = self._began or now()
        self.cluster.set_status("Job", self.namespace, self.name, startTime=self._began)

    def pod(self, suffix: str = "") -> Pod:
        """Create a pod for the Job."""
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
        """Create an event about the Job or a pod; `kind` is Normal or Warning."""
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
        """Set the conditions of a Job that succeeded."""
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
        """Set the conditions of a Job that failed."""
        self.start()
        conditions = [_condition("FailureTarget", reason, message), _condition("Failed", reason, message)]
        self.cluster.set_status("Job", self.namespace, self.name, conditions=conditions, failed=1)

    def delete(self) -> None:
        """Delete the Job and its pods."""
        self.cluster.delete("Job", self.namespace, self.name)


def _scheduled() -> Object:
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
