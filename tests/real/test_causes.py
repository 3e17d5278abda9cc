"""The messages of a real scheduler, real admission and the real Job controller are recognized.

If one of these tests fails with a newer Kubernetes, a message has changed. A module of run_cronjob/diagnosis looks for
the former one: pod_creation, scheduling, image_pull, startup or failures.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.core import status
from run_cronjob.diagnosis.job_failure import job_failure
from run_cronjob.diagnosis.job_state import blockers, waiting
from run_cronjob.diagnosis.view import View
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from run_cronjob.core.status import Pod
    from run_cronjob.diagnosis.blocker import Blocker
    from run_cronjob.diagnosis.pod_failure import Failure
    from sandbox.control_plane.cluster import RealCluster

Raw = dict[str, Any]

IMAGE = "registry.example/report:1"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


class JobNamespace:
    """A namespace for one test, with one Job and the last seen state of its pods."""

    def __init__(self, cluster: RealCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self._pods: dict[str, Pod] = {}

    def create(self, **labels: str) -> None:
        """Create the namespace."""
        self.put("/api/v1/namespaces", {"metadata": {"name": self.name, "labels": labels}})

    def put(self, path: str, manifest: Raw) -> None:
        answer = self.cluster.ask("POST", path, manifest)
        assert answer.status == 201, answer.data

    def create_object(self, plural: str, name: str, **spec: Any) -> None:
        """Create an object of the core API in the namespace."""
        self.put(f"/api/v1/namespaces/{self.name}/{plural}", {"metadata": {"name": name}, "spec": spec})

    def job(
        self, *, container: Raw | None = None, pod: Raw | None = None, behavior: Raw | None = None, **spec: Any
    ) -> None:
        """Create the Job. `behavior` is that of its pods, which kwok simulates (sandbox/control_plane/stages.yaml)."""
        containers = [{"name": "report", "image": IMAGE} | (container or {})]
        template: Raw = {
            "metadata": {"annotations": {f"sandbox/{name}": value for name, value in (behavior or {}).items()}},
            "spec": {"restartPolicy": "Never", "containers": containers} | (pod or {}),
        }
        manifest = {"metadata": {"name": "nightly"}, "spec": {"template": template, "backoffLimit": 0} | spec}
        self.put(f"/apis/batch/v1/namespaces/{self.name}/jobs", manifest)

    def view(self) -> View:
        """The state as in a JobWait: pods as seen last, also those that are gone."""
        path = f"/api/v1/namespaces/{self.name}"
        for pod in self.cluster.ask("GET", f"{path}/pods").json()["items"]:
            self._pods[pod["metadata"]["name"]] = status.pod(pod)
        job = self.cluster.ask("GET", f"/apis/batch/v1/namespaces/{self.name}/jobs/nightly").json()
        events = self.cluster.ask("GET", f"{path}/events").json()["items"]
        return View(status.job(job), tuple(self._pods.values()), tuple(map(status.event, events)))

    def blockers(self) -> tuple[Blocker, ...]:
        """The problems that would be reported ten minutes from now."""
        return blockers(self.view(), datetime.now(UTC) + timedelta(minutes=10))

    def failure(self) -> Failure | None:
        """The cause of the Job's failure; None until it has failed."""
        view = self.view()
        return job_failure(view) if view.job.condition("Failed") else None


@pytest.fixture
def namespace(cluster: RealCluster) -> JobNamespace:
    """A new namespace, not created yet. It is not deleted, since that takes the cluster five seconds."""
    return JobNamespace(cluster, f"causes-{secrets.token_hex(4)}")


def test_a_quota_that_is_used_up_may_become_free(namespace: JobNamespace):
    namespace.create()
    namespace.create_object("resourcequotas", "compute", hard={"requests.cpu": "2"})
    until(lambda: quota_is_counted(namespace))
    taken = {"resources": {"requests": {"cpu": "1500m"}}}
    namespace.put(
        f"/api/v1/namespaces/{namespace.name}/pods",
        {"metadata": {"name": "taken"}, "spec": {"containers": [{"name": "c", "image": IMAGE} | taken]}},
    )

    namespace.job(container={"resources": {"requests": {"cpu": "1"}}})

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == ("PodQuotaExceeded", False)
    assert "`requests.cpu`: it asks for `1`, `1500m` of `2` are used" in found.problem.what


def quota_is_counted(namespace: JobNamespace) -> bool:
    """Whether the controller has counted the quota's use. Before that, admission refuses every pod."""
    path = f"/api/v1/namespaces/{namespace.name}/resourcequotas/compute"
    return bool(namespace.cluster.ask("GET", path).json().get("status", {}).get("used"))


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"resources": {"requests": {"cpu": "4"}}}, "it will never fit"),
        ({}, "don't say how much they need (`requests.cpu`)"),
    ],
)
def test_a_quota_that_is_too_small_for_the_pod_is_lasting(namespace: JobNamespace, container: Raw, text: str):
    namespace.create()
    namespace.create_object("resourcequotas", "compute", hard={"requests.cpu": "2"})
    until(lambda: quota_is_counted(namespace))

    namespace.job(container=container)

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == ("PodQuotaExceeded", True)
    assert text in f"{found.problem.what} {found.problem.why}"


@pytest.mark.parametrize(
    "resources",
    [
        {"limits": {"cpu": "2"}},
        {"requests": {"cpu": "10m"}, "limits": {"cpu": "1"}},
        {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}},
    ],
    ids=["maximum", "minimum", "ratio"],
)
def test_a_limit_range_that_is_broken_is_reported_with_its_bound(namespace: JobNamespace, resources: Raw):
    namespace.create()
    bounds = {"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}}
    namespace.create_object("limitranges", "bounds", limits=[bounds])

    namespace.job(container={"resources": resources})

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == ("LimitRangeRefused", True)
    assert " per Container is " in found.problem.what


def test_the_text_to_paste_for_pod_security_names_every_setting(namespace: JobNamespace):
    namespace.create(**{"pod-security.kubernetes.io/enforce": "restricted"})

    namespace.job()

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == ("PodSecurityRefused", True)
    for setting in ("runAsNonRoot: true", "type: RuntimeDefault", "allowPrivilegeEscalation: false", "- ALL"):
        assert setting in found.problem.paste


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"priorityClassName": "nobodys"}, "PriorityClassMissing"),
        ({"runtimeClassName": "nobodys"}, "RuntimeClassMissing"),
    ],
)
def test_a_class_that_does_not_exist_is_named(namespace: JobNamespace, pod: Raw, reason: str):
    namespace.create()

    namespace.job(pod=pod)

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == (reason, True)
    assert "`nobodys`" in found.problem.what


@pytest.fixture
def policy(cluster: RealCluster, namespace: JobNamespace) -> Iterator[str]:
    """An admission policy that refuses every pod of the namespace."""
    name = f"signed-{namespace.name}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    chosen = {"namespaceSelector": {"matchLabels": {"signed": namespace.name}}, "resourceRules": rules}
    checks = [{"expression": "false", "message": "images must be signed"}]
    namespace.put(POLICIES, {"metadata": {"name": name}, "spec": {"matchConstraints": chosen, "validations": checks}})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    namespace.put(BINDINGS, {"metadata": {"name": name}, "spec": binding})
    yield name
    cluster.ask("DELETE", f"{BINDINGS}/{name}")
    cluster.ask("DELETE", f"{POLICIES}/{name}")


def test_a_policy_that_refuses_its_pods_is_named(namespace: JobNamespace, policy: str):
    namespace.create(signed=namespace.name)
    # The policy takes effect after some time, and the Job's first pod has to meet it.
    probe = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "c", "image": IMAGE}]}}
    path = f"/api/v1/namespaces/{namespace.name}/pods?dryRun=All"
    until(lambda: namespace.cluster.ask("POST", path, probe).status == 422)

    namespace.job()

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == ("PodRefused", True)
    assert f"`{policy}`" in found.problem.what


NOBODYS_CLAIM = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "nobodys"}}]}


@pytest.mark.parametrize(
    ("wants", "expected", "text"),
    [
        ({"container": {"resources": {"requests": {"cpu": "999"}}}}, ("Unschedulable", False), "(it asks for `999`)"),
        ({"pod": {"nodeSelector": {"disk": "ssd"}}}, ("Unschedulable", False), "(`nodeSelector` `disk=ssd`)"),
        ({"pod": NOBODYS_CLAIM}, ("VolumeClaimMissing", True), "`nobodys`"),
        (
            {"pod": {"schedulingGates": [{"name": "example.com/queue"}]}},
            ("SchedulingGated", False),
            "`example.com/queue`",
        ),
    ],
    ids=["resources", "selector", "claim", "gate"],
)
def test_the_schedulers_message_is_recognized(
    namespace: JobNamespace, wants: Raw, expected: tuple[str, bool], text: str
):
    """This cluster has cordoned nodes, which may become schedulable: a selector alone is no lasting problem."""
    namespace.create()

    namespace.job(**wants)

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == expected
    assert text in found.problem.what


def test_a_suspended_job_is_reported_as_such(namespace: JobNamespace):
    namespace.create()

    namespace.job(suspend=True)

    (found,) = until(namespace.blockers)
    assert (found.problem.reason, found.lasting) == ("JobSuspended", True)
    assert "suspended" in waiting(namespace.view(), datetime.now(UTC))


# --- why it failed ------------------------------------------------------------------------------------------

LONG_RUN = {"runs-for": "1h"}


def reason_and_code(found: Failure) -> tuple[str, int | None]:
    return found.problem.reason, found.exit_code


@pytest.mark.parametrize(
    ("behavior", "spec", "expected", "text"),
    [
        ({"exit-code": "3"}, {}, ("ContainerFailed", 3), "`BackoffLimitExceeded`"),
        ({"exit-code": "137", "reason": "OOMKilled"}, {}, ("OOMKilled", 137), "`BackoffLimitExceeded`"),
        (
            {"exit-code": "42"},
            {
                "podFailurePolicy": {
                    "rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}],
                },
                "backoffLimit": 6,
            },
            ("ContainerFailed", 42),
            "`podFailurePolicy`, rule 1,",
        ),
        (
            {"exit-code": "3"},
            {"completions": 1, "completionMode": "Indexed", "backoffLimitPerIndex": 0, "backoffLimit": 6},
            ("ContainerFailed", 3),
            "Failed indexes: `0`",
        ),
        (
            {"exit-code": "3"},
            {
                "completions": 3,
                "parallelism": 1,
                "completionMode": "Indexed",
                "backoffLimitPerIndex": 0,
                "maxFailedIndexes": 0,
                "backoffLimit": 6,
            },
            ("ContainerFailed", 3),
            "`maxFailedIndexes`",
        ),
        (LONG_RUN, {"activeDeadlineSeconds": 3}, ("DeadlineExceeded", None), "`activeDeadlineSeconds`"),
        (
            {"waits-for": "ImagePullBackOff", "message": f'Back-off pulling image "{IMAGE}": {IMAGE}: not found'},
            {"activeDeadlineSeconds": 3},
            ("ImageNotFound", None),
            "until the Job's deadline (3 s) ended the waiting",
        ),
    ],
    ids=["backoff", "memory", "policy", "index", "indexes", "deadline", "deadline while waiting"],
)
def test_the_job_controllers_condition_is_recognized(
    namespace: JobNamespace, behavior: Raw, spec: Raw, expected: tuple[str, int | None], text: str
):
    namespace.create()

    namespace.job(behavior=behavior, **spec)

    found = until(namespace.failure)
    assert found
    assert reason_and_code(found) == expected
    assert text in found.problem.why


FAIL_JOB = {"rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget"}]}]}


@pytest.mark.parametrize("policy", [None, FAIL_JOB], ids=["backoff", "policy"])
def test_a_pod_that_was_made_to_leave_its_node_is_reported_as_such(
    namespace: JobNamespace, cluster: RealCluster, policy: Raw | None
):
    namespace.create()
    namespace.job(behavior=LONG_RUN, **({"podFailurePolicy": policy} if policy else {}))

    (pod,) = until(partial(running, namespace))
    path = f"/api/v1/namespaces/{namespace.name}/pods/{pod}"
    evicted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    assert cluster.ask("POST", f"{path}/eviction", evicted).status == 201
    if policy:
        # As a kubelet does. The controller applies the policy to pods that have ended only.
        cluster.set_status("Pod", namespace.name, pod, phase="Failed")

    found = until(namespace.failure)
    assert found
    assert reason_and_code(found) == ("Drained", None)


def running(namespace: JobNamespace) -> list[str]:
    return [pod.name for pod in namespace.view().pods if pod.phase == "Running"]
