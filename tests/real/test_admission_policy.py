"""examples/admission-policy.yaml allows Jobs of existing CronJobs and no others, with the gap that docs/setup.md names.

It allows every Job that the action creates.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox.environment import example
from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from tests.real.api_server import BATCH, RBAC, ApiServer, Object, server_minor
from tests.real.forged_jobs import (
    FIELDS,
    FORGED_FIELDS,
    FORGERIES,
    INDEXED,
    NIGHTLY,
    OWNER_IDENTITY,
    POD,
    QUEUE,
    WAITING,
    action_job,
    changed_cronjob,
    job_with_another_image,
    job_with_invented_owner,
    pod_spec,
    unowned_job,
)
from tests.real.kubectl import ROOT
from tests.real.manifests import MANIFESTS, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SETUP = (ROOT / "docs/setup.md").read_text(encoding="utf-8")
POLICIES = example("admission-policy.yaml")
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
GROUP = "run-cronjob"
DENIED = "denied request: "


@pytest.fixture(scope="module", autouse=True)
def policies(api_server: ApiServer) -> Iterator[None]:
    """Put the two policies in force."""
    plane = api_server.plane
    (cronjob,) = api_server.store([NIGHTLY])
    forgeries = [unowned_job(cronjob), job_with_another_image(cronjob)]
    paths = [f"{ADMISSION}/{PLURALS[each['kind']]}" for each in POLICIES]
    for path, each in zip(paths, POLICIES, strict=True):
        api_server.post(path, each)
    plane.wait_for("the policies to be in force", lambda: all(refusal(api_server, each) for each in forgeries))
    yield
    for path, each in zip(paths, POLICIES, strict=True):
        plane.ask("DELETE", f"{path}/{each['metadata']['name']}")
    plane.wait_for("the policies to be gone", lambda: not any(refusal(api_server, each) for each in forgeries))


@pytest.fixture(scope="module")
def stored(api_server: ApiServer) -> dict[str, Object]:
    """Several CronJobs of one namespace, by name, once the policy knows them."""
    found = {each["metadata"]["name"]: each for each in api_server.store([NIGHTLY, WAITING, QUEUE, INDEXED])}
    wait_until_known(api_server, found.values())
    return found


@pytest.fixture(scope="module")
def known_cronjobs(api_server: ApiServer, cronjobs: dict[Manifest, Object]) -> dict[Manifest, Object]:
    """The CronJobs of all manifests, once the policy knows them."""
    wait_until_known(api_server, cronjobs.values())
    return cronjobs


def wait_until_known(api_server: ApiServer, cronjobs: Iterable[Object]) -> None:
    """Wait until the policy knows the CronJobs. Before that, it allows any Job of theirs."""
    forgeries = [job_with_another_image(each) for each in cronjobs]
    awaited = "the policy to know the CronJobs"
    api_server.plane.wait_for(awaited, lambda: all(refusal(api_server, each) for each in forgeries))


def refusal(api_server: ApiServer, job: Object, *, groups: tuple[str, ...] = (GROUP,), dry_run: bool = True) -> str:
    """Create the Job as a member of `groups`; return the message of a refusal, or an empty string."""
    path = f"{BATCH}/{job['metadata']['namespace']}/jobs?fieldValidation=Strict" + "&dryRun=All" * dry_run
    answer = api_server.plane.ask("POST", path, job, api_server.plane.token("somebody", groups))
    return "" if answer.status == 201 else str(answer.json()["message"])


# --- Jobs of the action


@pytest.mark.parametrize("name", ["nightly", "waiting", "queue", "indexed"])
def test_the_whole_action_is_allowed(api_server: ApiServer, stored: dict[str, Object], name: str):
    run = api_server.run_action(stored[name])

    assert run.outputs["result"] == "created", run.summary


def test_its_dry_run_is_allowed(api_server: ApiServer, stored: dict[str, Object]):
    run = api_server.run_action(stored["nightly"], **{"dry-run": "true"})

    assert run.outputs["result"] == "dry-run", run.summary


@pytest.mark.parametrize("manifest", MANIFESTS, ids=str)
def test_jobs_of_every_cronjob_are_allowed(
    api_server: ApiServer, known_cronjobs: dict[Manifest, Object], manifest: Manifest
):
    if manifest.since > api_server.minor:
        pytest.skip(f"Kubernetes 1.{api_server.minor} keeps only a part of it")

    assert refusal(api_server, action_job(known_cronjobs[manifest])) == ""


def test_jobs_that_a_queueing_system_suspends_are_allowed(api_server: ApiServer, stored: dict[str, Object]):
    held = action_job(stored["nightly"])
    held["spec"]["suspend"] = True

    assert refusal(api_server, held) == ""


def test_the_policy_applies_to_the_group_alone(api_server: ApiServer, stored: dict[str, Object]):
    namespace = api_server.namespace()
    forgeries = [
        job_with_another_image(stored["nightly"]),
        unowned_job(stored["nightly"]),
        unowned_job(stored["nightly"], namespace),
    ]

    assert all(DENIED in refusal(api_server, forged) for forged in forgeries)
    assert not any(refusal(api_server, forged, groups=("system:masters",)) for forged in forgeries)


# --- forged Jobs


@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry run"])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_jobs_are_refused(api_server: ApiServer, stored: dict[str, Object], forgery: str, dry_run: bool):
    reason, forge = FORGERIES[forgery]
    forged = action_job(stored["nightly"])
    forge(forged)

    message = refusal(api_server, forged, dry_run=dry_run)

    assert DENIED in message
    assert reason in message


@pytest.mark.skipif(server_minor() < 32, reason="it drops `managedBy`, and then the Job is valid")
def test_a_job_for_another_controller_is_refused(api_server: ApiServer, stored: dict[str, Object]):
    forged = action_job(stored["nightly"])
    forged["spec"]["managedBy"] = "example.com/other"

    assert FIELDS in refusal(api_server, forged)


@pytest.mark.parametrize(("name", "fields"), FORGED_FIELDS, ids=str)
def test_a_default_is_refused_if_the_template_has_another_value(
    api_server: ApiServer, stored: dict[str, Object], name: str, fields: dict[str, Any]
):
    forged = action_job(stored[name])
    forged["spec"] |= fields

    assert FIELDS in refusal(api_server, forged)


def test_a_job_that_names_another_cronjob_as_its_owner_is_refused(api_server: ApiServer, stored: dict[str, Object]):
    forged = action_job(stored["nightly"])
    forged["metadata"]["ownerReferences"] = action_job(stored["queue"])["metadata"]["ownerReferences"]

    assert FIELDS in refusal(api_server, forged)


def test_an_owner_in_another_namespace_is_refused_where_the_name_is_known(
    api_server: ApiServer, stored: dict[str, Object]
):
    (elsewhere,) = api_server.store([NIGHTLY])

    forged = action_job(elsewhere, stored["nightly"]["metadata"]["namespace"])

    assert OWNER_IDENTITY in refusal(api_server, forged)


# --- the gap


def test_an_invented_owner_is_allowed_until_the_garbage_collector_deletes_the_job(
    api_server: ApiServer, stored: dict[str, Object]
):
    forged = job_with_invented_owner(stored["nightly"])
    forged["metadata"]["name"] = "invented"

    assert refusal(api_server, forged, dry_run=False) == ""

    path = f"{BATCH}/{forged['metadata']['namespace']}/jobs/invented"
    api_server.plane.wait_for("the garbage collector", lambda: api_server.plane.ask("GET", path).status == 404)


def test_the_gap_exists_without_any_cronjob_as_well(api_server: ApiServer, stored: dict[str, Object]):
    forged = job_with_invented_owner(stored["nightly"], api_server.namespace())

    # The authorizer sees the role binding of a new namespace a moment after it was stored.
    api_server.plane.wait_for("the Job to be allowed", lambda: refusal(api_server, forged) == "")


def test_a_role_that_names_the_cronjobs_closes_the_gap(api_server: ApiServer):
    (cronjob,) = api_server.store([changed_cronjob(NIGHTLY, "nightly-report")])
    namespace = cronjob["metadata"]["namespace"]
    role = narrow_role()
    plane = api_server.plane
    plane.ask("DELETE", f"{RBAC}/namespaces/{namespace}/rolebindings/run-cronjob")
    api_server.post(f"{RBAC}/namespaces/{namespace}/roles", role)
    binding = {
        "kind": "RoleBinding",
        "metadata": {"name": "run-cronjob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": GROUP}],
    }
    api_server.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)

    def message() -> str:
        return refusal(api_server, job_with_invented_owner(cronjob))

    plane.wait_for("the role to be known", lambda: message() != "" and "cannot create" not in message())
    assert "must be allowed to read the CronJob" in message()
    run = api_server.run_action(cronjob)
    assert run.outputs["result"] == "created", run.summary


def narrow_role() -> Object:
    """The role of examples/rbac.yaml, with docs/setup.md's rule for named CronJobs instead of `get` for all."""
    role, _ = example("rbac.yaml")
    first, *others = role["rules"]
    (shown,) = re.findall(r"^```yaml\n(- apiGroups:\n.*?resourceNames:.*?)^```$", SETUP, re.DOTALL | re.MULTILINE)
    rules = [{**first, "verbs": ["list"]}, *yaml.safe_load(shown), *others]
    return {"kind": "Role", "metadata": {"name": "run-cronjob"}, "rules": rules}


# --- controllers that change new Jobs


def mutation(name: str, resource: str, change: str) -> tuple[Object, Object]:
    """A MutatingAdmissionPolicy and its binding."""
    group, kinds = ("batch", "jobs") if resource == "jobs" else ("", "pods")
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [kinds]}
    policy = {
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}],
        },
    }
    return policy, {"kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name}}


@pytest.fixture
def mutate(api_server: ApiServer) -> Iterator[Callable[[str], None]]:
    """Make the API server change every new Job by an expression."""
    plane = api_server.plane
    plurals = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
    if plane.ask("GET", f"{ADMISSION}/{plurals[0]}").status == 404:
        pytest.skip(f"Kubernetes 1.{api_server.minor} has no MutatingAdmissionPolicy")
    namespace = api_server.namespace()

    def is_changed() -> bool:
        manifest = {"metadata": {"name": "x"}, "spec": NIGHTLY["spec"]["jobTemplate"]["spec"]}
        created = plane.ask("POST", f"{BATCH}/{namespace}/jobs?dryRun=All", manifest).json()
        return "mutated" in created["metadata"].get("annotations", {})

    def apply(change: str) -> None:
        marked = f'Object{{metadata: Object.metadata{{annotations: {{"mutated": "1"}}}}, {change}}}'
        for plural, each in zip(plurals, mutation("changes-jobs", "jobs", marked), strict=True):
            api_server.post(f"{ADMISSION}/{plural}", each)
        plane.wait_for("the change to be in force", is_changed)

    yield apply
    for plural in plurals:
        plane.ask("DELETE", f"{ADMISSION}/{plural}/changes-jobs")
    plane.wait_for("the change to be gone", lambda: not is_changed())


def test_a_queueing_system_may_suspend_new_jobs(
    api_server: ApiServer, stored: dict[str, Object], mutate: Callable[[str], None]
):
    mutate("spec: Object.spec{suspend: true}")

    run = api_server.run_action(stored["nightly"])

    assert run.outputs["result"] == "created", run.summary


def test_jobs_whose_pod_spec_a_controller_changes_are_refused_as_the_page_warns(
    api_server: ApiServer, stored: dict[str, Object], mutate: Callable[[str], None]
):
    mutate('spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{schedulerName: "other"}}}')

    run = api_server.run_action(stored["nightly"])

    assert run.outputs["reason"] == "AdmissionRefused"
    assert POD in run.summary


# --- a CronJob that changes during a run


def test_a_change_of_the_cronjob_after_it_was_read_is_reported_with_what_to_do(api_server: ApiServer):
    (cronjob,) = api_server.store([NIGHTLY])
    path = f"{BATCH}/{cronjob['metadata']['namespace']}/cronjobs/nightly"
    plane, authority = api_server.plane, Authority()

    def change(request: Any) -> None:
        if request.method == "POST":
            newer = plane.ask("GET", path).json()
            pod_spec(newer["spec"]["jobTemplate"])["containers"][0]["image"] = "registry.example/report:2"
            plane.ask("PUT", path, newer)
            is_known = lambda: refusal(api_server, action_job(newer)) == ""  # noqa: E731
            plane.wait_for("the policy to know the change", is_known)

    with FaultProxy(plane.url, authority=authority, upstream_ca=plane.ca_pem) as proxy:
        proxy.on_request = change
        run = api_server.run_action(cronjob, kubeconfig=kubeconfig_for(api_server, proxy.url, authority.pem))

    assert run.outputs["reason"] == "AdmissionRefused"
    assert "A policy of the cluster refused the Job." in run.summary
    assert POD in run.summary
    assert "Run the workflow again." in run.summary


def kubeconfig_for(api_server: ApiServer, url: str, ca_pem: str) -> str:
    config = json.loads(api_server.kubeconfig())
    bundle = base64.b64encode(ca_pem.encode()).decode()
    config["clusters"][0]["cluster"] = {"server": url, "certificate-authority-data": bundle}
    return json.dumps(config)
