"""What a real scheduler, real admission and the real Job controller say is understood, word for word.

Where one of these tests fails with a newer Kubernetes, its words have changed: the modules of run_cronjob/diagnosis
look for the old ones.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.core import status
from run_cronjob.diagnosis.job_failure import JobFailure, job_failure
from run_cronjob.diagnosis.job_state import blockers, waiting
from run_cronjob.diagnosis.view import View
from sandbox.tools.wait import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from run_cronjob.core.status import Pod
    from run_cronjob.diagnosis.blocker import Blocker
    from sandbox.control_plane.cluster import RealCluster

Raw = dict[str, Any]

IMAGE = "registry.example/report:1"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


class Place:
    """A namespace for one test, and what is seen of the Job in it as time goes by."""

    def __init__(self, cluster: RealCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self._pods: dict[str, Pod] = {}

    def begin(self, **labels: str) -> None:
        """Create the namespace."""
        self.put("/api/v1/namespaces", {"metadata": {"name": self.name, "labels": labels}})

    def put(self, path: str, manifest: Raw) -> None:
        answer = self.cluster.ask("POST", path, manifest)
        assert answer.status == 201, answer.data

    def within(self, plural: str, name: str, **spec: Any) -> None:
        """Create something of the core API in the namespace."""
        self.put(f"/api/v1/namespaces/{self.name}/{plural}", {"metadata": {"name": name}, "spec": spec})

    def job(
        self, *, container: Raw | None = None, pod: Raw | None = None, plays: Raw | None = None, **spec: Any
    ) -> None:
        """Start a Job; `plays` is what kwok is to do with its pods (sandbox/control_plane/stages.yaml)."""
        containers = [{"name": "report", "image": IMAGE} | (container or {})]
        template: Raw = {
            "metadata": {"annotations": {f"sandbox/{name}": value for name, value in (plays or {}).items()}},
            "spec": {"restartPolicy": "Never", "containers": containers} | (pod or {}),
        }
        manifest = {"metadata": {"name": "nightly"}, "spec": {"template": template, "backoffLimit": 0} | spec}
        self.put(f"/apis/batch/v1/namespaces/{self.name}/jobs", manifest)

    def view(self) -> View:
        """As a follower has it: pods as they were seen last, also those that are gone."""
        where = f"/api/v1/namespaces/{self.name}"
        for pod in self.cluster.ask("GET", f"{where}/pods").json()["items"]:
            self._pods[pod["metadata"]["name"]] = status.pod(pod)
        job = self.cluster.ask("GET", f"/apis/batch/v1/namespaces/{self.name}/jobs/nightly").json()
        events = self.cluster.ask("GET", f"{where}/events").json()["items"]
        return View(status.job(job), tuple(self._pods.values()), tuple(map(status.event, events)))

    def trouble(self) -> tuple[Blocker, ...]:
        """As it would be told a while later."""
        return blockers(self.view(), datetime.now(UTC) + timedelta(minutes=10))

    def failure(self) -> JobFailure | None:
        """Why the Job failed, once it has."""
        view = self.view()
        return job_failure(view) if view.job.condition("Failed") else None


@pytest.fixture
def place(cluster: RealCluster) -> Place:
    """A namespace of its own. It stays: to delete one that holds anything takes the cluster five seconds."""
    return Place(cluster, f"causes-{secrets.token_hex(4)}")


def test_a_quota_that_is_used_up_may_become_free(place: Place):
    place.begin()
    place.within("resourcequotas", "compute", hard={"requests.cpu": "2"})
    until(lambda: place_quota(place))
    taken = {"resources": {"requests": {"cpu": "1500m"}}}
    place.put(
        f"/api/v1/namespaces/{place.name}/pods",
        {"metadata": {"name": "taken"}, "spec": {"containers": [{"name": "c", "image": IMAGE} | taken]}},
    )

    place.job(container={"resources": {"requests": {"cpu": "1"}}})

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == ("PodQuotaExceeded", False)
    assert "`requests.cpu`: it asks for `1`, `1500m` of `2` are used" in found.problem.what


def place_quota(place: Place) -> bool:
    """Whether the controller has counted what the quota is about; before, admission refuses everything."""
    path = f"/api/v1/namespaces/{place.name}/resourcequotas/compute"
    return bool(place.cluster.ask("GET", path).json().get("status", {}).get("used"))


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"resources": {"requests": {"cpu": "4"}}}, "it will never fit"),
        ({}, "don't say how much they need (`requests.cpu`)"),
    ],
)
def test_a_quota_that_it_can_never_keep_is_lasting(place: Place, container: Raw, told: str):
    place.begin()
    place.within("resourcequotas", "compute", hard={"requests.cpu": "2"})
    until(lambda: place_quota(place))

    place.job(container=container)

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == ("PodQuotaExceeded", True)
    assert told in f"{found.problem.what} {found.problem.why}"


@pytest.mark.parametrize(
    "resources",
    [
        {"limits": {"cpu": "2"}},
        {"requests": {"cpu": "10m"}, "limits": {"cpu": "1"}},
        {"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}},
    ],
    ids=["maximum", "minimum", "ratio"],
)
def test_a_limit_range_that_is_broken_is_told_with_its_bound(place: Place, resources: Raw):
    place.begin()
    bounds = {"type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}}
    place.within("limitranges", "bounds", limits=[bounds])

    place.job(container={"resources": resources})

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == ("LimitRangeRefused", True)
    assert " per Container is " in found.problem.what


def test_what_is_offered_for_pod_security_names_every_setting(place: Place):
    place.begin(**{"pod-security.kubernetes.io/enforce": "restricted"})

    place.job()

    (found,) = until(place.trouble)
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
def test_a_class_that_does_not_exist_is_named(place: Place, pod: Raw, reason: str):
    place.begin()

    place.job(pod=pod)

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == (reason, True)
    assert "`nobodys`" in found.problem.what


@pytest.fixture
def policy(cluster: RealCluster, place: Place) -> Iterator[str]:
    """An admission policy that refuses every pod of the namespace."""
    name = f"signed-{place.name}"
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    chosen = {"namespaceSelector": {"matchLabels": {"signed": place.name}}, "resourceRules": rules}
    checks = [{"expression": "false", "message": "images must be signed"}]
    place.put(POLICIES, {"metadata": {"name": name}, "spec": {"matchConstraints": chosen, "validations": checks}})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    place.put(BINDINGS, {"metadata": {"name": name}, "spec": binding})
    yield name
    cluster.ask("DELETE", f"{BINDINGS}/{name}")
    cluster.ask("DELETE", f"{POLICIES}/{name}")


def test_a_policy_that_refuses_its_pods_is_named(place: Place, policy: str):
    place.begin(signed=place.name)
    # It comes into force in its own time: what a first pod met is the test's business, not the Job's.
    probe = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "c", "image": IMAGE}]}}
    path = f"/api/v1/namespaces/{place.name}/pods?dryRun=All"
    until(lambda: place.cluster.ask("POST", path, probe).status == 422)

    place.job()

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == ("PodRefused", True)
    assert f"`{policy}`" in found.problem.what


NOBODYS_CLAIM = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "nobodys"}}]}


@pytest.mark.parametrize(
    ("wants", "expected", "told"),
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
def test_what_the_scheduler_says_is_understood(place: Place, wants: Raw, expected: tuple[str, bool], told: str):
    """This cluster has nodes that are cordoned and may be opened: so a selector alone is not hopeless."""
    place.begin()

    place.job(**wants)

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == expected
    assert told in found.problem.what


def test_a_suspended_job_is_told_as_such(place: Place):
    place.begin()

    place.job(suspend=True)

    (found,) = until(place.trouble)
    assert (found.problem.reason, found.lasting) == ("JobSuspended", True)
    assert "suspended" in waiting(place.view(), datetime.now(UTC))


# --- why it failed ------------------------------------------------------------------------------------------

FOR_EVER = {"runs-for": "1h"}


def reason_and_code(found: JobFailure) -> tuple[str, int | None]:
    return found.problem.reason, found.exit_code


@pytest.mark.parametrize(
    ("plays", "spec", "expected", "told"),
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
        (FOR_EVER, {"activeDeadlineSeconds": 3}, ("DeadlineExceeded", None), "`activeDeadlineSeconds`"),
        (
            {"waits-for": "ImagePullBackOff", "message": f'Back-off pulling image "{IMAGE}": {IMAGE}: not found'},
            {"activeDeadlineSeconds": 3},
            ("ImageNotFound", None),
            "until the Job's deadline (3 s) ended the waiting",
        ),
    ],
    ids=["backoff", "memory", "policy", "index", "indexes", "deadline", "deadline while waiting"],
)
def test_what_the_job_controller_decides_is_understood(
    place: Place, plays: Raw, spec: Raw, expected: tuple[str, int | None], told: str
):
    place.begin()

    place.job(plays=plays, **spec)

    found = until(place.failure)
    assert found
    assert reason_and_code(found) == expected
    assert told in found.problem.why


FAIL_JOB = {"rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget"}]}]}


@pytest.mark.parametrize("policy", [None, FAIL_JOB], ids=["backoff", "policy"])
def test_a_pod_that_was_made_to_leave_its_node_is_told_as_such(place: Place, cluster: RealCluster, policy: Raw | None):
    place.begin()
    place.job(plays=FOR_EVER, **({"podFailurePolicy": policy} if policy else {}))

    (pod,) = until(partial(running, place))
    path = f"/api/v1/namespaces/{place.name}/pods/{pod}"
    evicted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    assert cluster.ask("POST", f"{path}/eviction", evicted).status == 201
    if policy:
        # As a kubelet would; the controller asks the policy about pods that have ended only.
        cluster.set_status("Pod", place.name, pod, phase="Failed")

    found = until(place.failure)
    assert found
    assert reason_and_code(found) == ("Drained", None)


def running(place: Place) -> list[str]:
    return [pod.name for pod in place.view().pods if pod.phase == "Running"]
