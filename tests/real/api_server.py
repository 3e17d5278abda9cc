"""An API server on which the action and kubectl create Jobs from the same CronJobs."""

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
from tests.real.job_diff import difference
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
    """The API server refuses an object. The message names it and gives the reason."""


@cache
def server_minor() -> int:
    """The API server's minor version. It is known before the start, since feature gates depend on it."""
    return int(kubernetes_version().split(".")[1])


class ApiServer:
    """The API server of a control plane. `kubectls` are the newest and the previous one; `launch` starts the action."""

    def __init__(self, plane: ControlPlane, launch: Launcher) -> None:
        self.plane, self._launch = plane, launch
        self.kubectls = tuple(Kubectl(program, plane.kubeconfig) for program in (NEWEST, PREVIOUS))
        self.minor = server_minor()
        self._numbers = itertools.count(1)
        role, self._binding = example("rbac.yaml")
        self.post(f"{RBAC}/clusterroles", role)

    def namespace(self) -> str:
        """Create a namespace in which the group run-cronjob has the rights of examples/rbac.yaml; return its name."""
        name = f"test-{next(self._numbers)}"
        self.post("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": name}})
        binding = {**self._binding, "metadata": {"name": "run-cronjob"}}
        self.post(f"{RBAC}/namespaces/{name}/rolebindings", binding)
        return name

    def store(self, cronjobs: Iterable[Object]) -> list[Object]:
        """Create the CronJobs, each of their namespaces as a new one; return them as stored. Raises RefusedError."""
        namespaces: dict[str, str] = {}
        stored = []
        for each in cronjobs:
            metadata = each["metadata"]
            original = metadata.get("namespace", "")
            namespace = namespaces.get(original) or namespaces.setdefault(original, self.namespace())
            # A CronJob from another cluster has a resource version and owners that mean nothing here.
            kept = {field: metadata[field] for field in ("name", "labels", "annotations") if field in metadata}
            moved = {**each, "metadata": {**kept, "namespace": namespace}}
            stored.append(self.post(f"{BATCH}/{namespace}/cronjobs?fieldValidation=Strict", moved))
        return stored

    def run_action(self, cronjob: Object, **inputs: str) -> StepResult:
        """Run the action for the CronJob."""
        defaults = {
            "kubeconfig": self.kubeconfig(),
            "namespace": cronjob["metadata"]["namespace"],
            "cronjob": cronjob["metadata"]["name"],
        }
        with GitHub() as github, tempfile.TemporaryDirectory() as folder:
            return run_step(
                entrypoint=ENTRYPOINT,
                inputs={**defaults, **inputs},
                github=github,
                folder=Path(folder),
                launch=self._launch,
            )

    def our_job(self, cronjob: Object) -> Object:
        """The Job that the action creates."""
        run = self.run_action(cronjob)
        assert run.succeeded, run.summary
        return self.job(cronjob, run.outputs["job-name"])

    def kubectl_job(self, kubectl: Kubectl, cronjob: Object) -> Object:
        """The Job that `kubectl create job --from` creates."""
        namespace, name = cronjob["metadata"]["namespace"], cronjob["metadata"]["name"]
        # As long as with any other version, and short enough for the longest index.
        job = f"by-kubectl-{kubectl.minor}-{next(self._numbers)}"
        kubectl("create", "job", job, f"--from=cronjob/{name}", "--namespace", namespace)
        return self.job(cronjob, job)

    def differences(self, cronjob: Object, kubectls: Iterable[Kubectl]) -> str:
        """The differences between our Job and that of each kubectl; empty if there are none."""
        ours = self.our_job(cronjob)
        found = ((kubectl, difference(ours, self.kubectl_job(kubectl, cronjob))) for kubectl in kubectls)
        messages = [f"kubectl 1.{kubectl.minor} makes another Job:\n{text}" for kubectl, text in found if text]
        return "\n\n".join(messages)

    def job(self, cronjob: Object, name: str) -> Object:
        """A Job in the CronJob's namespace, as stored."""
        namespace = cronjob["metadata"]["namespace"]
        found: Object = self.plane.ask("GET", f"{BATCH}/{namespace}/jobs/{name}").json()
        return found

    def post(self, path: str, manifest: Object) -> Object:
        """Create an object, as an administrator. Raises RefusedError."""
        answer = self.plane.ask("POST", path, manifest)
        created: Object = answer.json()
        if answer.status != 201:
            raise RefusedError(f"{manifest['kind']} {manifest['metadata']['name']}: {created['message']}")
        return created

    def kubeconfig(self) -> str:
        """A kubeconfig of a user with the rights that docs/setup.md gives."""
        authority = base64.b64encode(self.plane.ca_pem.encode()).decode()
        config = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.plane.url, "certificate-authority-data": authority}}],
            "users": [{"name": "u", "user": {"token": self.plane.token("ci", ("run-cronjob",))}}],
        }
        return json.dumps(config)
