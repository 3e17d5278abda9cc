"""An API server before which our action and kubectl make Jobs from the same CronJobs."""

from __future__ import annotations

import base64
import itertools
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox import ENTRYPOINT
from sandbox.environment import example
from sandbox.github.oidc_provider import GitHub
from sandbox.github.runner import run_step
from sandbox.tools.go_build import kubernetes_version
from tests.real.comparison import difference
from tests.real.kubectl import NEWEST, PREVIOUS, Kubectl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox import StepResult
    from sandbox.control_plane.control_plane import ControlPlane
    from sandbox.github.runner import Launcher

Object = dict[str, Any]
BATCH = "/apis/batch/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


class RefusedError(Exception):
    """The API server doesn't take an object: which, and why."""


@cache
def server_minor() -> int:
    """Which 1.x the API server is, which decides how it can be started."""
    return int(kubernetes_version().split(".")[1])


class Laboratory:
    """Of one control plane; `kubectls` are the newest one and the one before it, `launch` starts the action."""

    def __init__(self, plane: ControlPlane, launch: Launcher) -> None:
        self.plane, self._launch = plane, launch
        self.kubectls = tuple(Kubectl(program, plane.kubeconfig) for program in (NEWEST, PREVIOUS))
        self.minor = server_minor()
        self._numbers = itertools.count(1)
        role, self._binding = example("rbac.yaml")
        self.post(f"{RBAC}/clusterroles", role)

    def namespace(self) -> str:
        """A new one, in which the group run-cronjob has the rights of examples/rbac.yaml."""
        name = f"laboratory-{next(self._numbers)}"
        self.post("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": name}})
        binding = {**self._binding, "metadata": {"name": "run-cronjob"}}
        self.post(f"{RBAC}/namespaces/{name}/rolebindings", binding)
        return name

    def store(self, cronjobs: Iterable[Object]) -> list[Object]:
        """The CronJobs as they are stored, in a new namespace for each that they are from. Raises RefusedError."""
        namespaces: dict[str, str] = {}
        stored = []
        for each in cronjobs:
            metadata = each["metadata"]
            home = metadata.get("namespace", "")
            namespace = namespaces.get(home) or namespaces.setdefault(home, self.namespace())
            # What came from a cluster has a version there, and owners that are missed here.
            kept = {field: metadata[field] for field in ("name", "labels", "annotations") if field in metadata}
            moved = {**each, "metadata": {**kept, "namespace": namespace}}
            stored.append(self.post(f"{BATCH}/{namespace}/cronjobs?fieldValidation=Strict", moved))
        return stored

    def press(self, cronjob: Object, **inputs: str) -> StepResult:
        """A press of the button."""
        form = {
            "kubeconfig": self.kubeconfig(),
            "namespace": cronjob["metadata"]["namespace"],
            "cronjob": cronjob["metadata"]["name"],
        }
        with GitHub() as github, tempfile.TemporaryDirectory() as folder:
            return run_step(
                entrypoint=ENTRYPOINT,
                inputs={**form, **inputs},
                github=github,
                folder=Path(folder),
                launch=self._launch,
            )

    def ours(self, cronjob: Object) -> Object:
        """The Job that a press of the button makes."""
        run = self.press(cronjob)
        assert run.succeeded, run.summary
        return self.job(cronjob, run.outputs["job-name"])

    def theirs(self, kubectl: Kubectl, cronjob: Object) -> Object:
        """The Job that `kubectl create job --from` makes."""
        namespace, name = cronjob["metadata"]["namespace"], cronjob["metadata"]["name"]
        # Of one length with any other version's, and short enough for the longest index.
        job = f"by-kubectl-{kubectl.minor}-{next(self._numbers)}"
        kubectl("create", "job", job, f"--from=cronjob/{name}", "--namespace", namespace)
        return self.job(cronjob, job)

    def differences(self, cronjob: Object, kubectls: Iterable[Kubectl]) -> str:
        """What our Job and each kubectl's differ in; empty if in nothing."""
        ours = self.ours(cronjob)
        found = ((kubectl, difference(ours, self.theirs(kubectl, cronjob))) for kubectl in kubectls)
        told = [f"kubectl 1.{kubectl.minor} makes another Job:\n{text}" for kubectl, text in found if text]
        return "\n\n".join(told)

    def job(self, cronjob: Object, name: str) -> Object:
        """A Job of the CronJob's namespace, as it is stored."""
        namespace = cronjob["metadata"]["namespace"]
        found: Object = self.plane.ask("GET", f"{BATCH}/{namespace}/jobs/{name}").json()
        return found

    def post(self, path: str, wanted: Object) -> Object:
        """Create an object, as an administrator. Raises RefusedError."""
        answer = self.plane.ask("POST", path, wanted)
        told: Object = answer.json()
        if answer.status != 201:
            raise RefusedError(f"{wanted['kind']} {wanted['metadata']['name']}: {told['message']}")
        return told

    def kubeconfig(self) -> str:
        """That of somebody with the rights that docs/setup.md gives."""
        authority = base64.b64encode(self.plane.ca_pem.encode()).decode()
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.plane.url, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": self.plane.token("ci", ("run-cronjob",))}}],
        }
        return json.dumps(config)
