"""examples/admission-policy.yaml, which docs/setup.md offers: Jobs of existing CronJobs, and no others.

It never stands in the way of this action, and its gap is the one that the page names.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from run_cronjob.core.models import Trigger
from run_cronjob.jobs import manifest
from sandbox.environment import example
from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from tests.real.kubectl import ROOT
from tests.real.laboratory import BATCH, RBAC, Laboratory, Object, server_minor
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

NIGHTLY: Object = {
    "kind": "CronJob",
    "metadata": {"name": "nightly"},
    "spec": {
        "schedule": "0 3 * * *",
        "jobTemplate": {
            "metadata": {"labels": {"app": "nightly"}, "annotations": {"example.com/note": "a"}},
            "spec": {
                "backoffLimit": 2,
                "activeDeadlineSeconds": 600,
                "template": {
                    "metadata": {"labels": {"app": "nightly"}, "annotations": {"example.com/note": "b"}},
                    "spec": {
                        "restartPolicy": "Never",
                        "serviceAccountName": "reporter",
                        "initContainers": [{"name": "first", "image": "registry.example/first"}],
                        "containers": [
                            {
                                "name": "main",
                                "image": "registry.example/report:1",
                                "env": [{"name": "LEVEL", "value": "info"}],
                            }
                        ],
                        "volumes": [{"name": "data", "emptyDir": {}}],
                    },
                },
            },
        },
    },
}


def changed(base: Object, name: str, **job_spec: Any) -> Object:
    other = copy.deepcopy(base)
    other["metadata"]["name"] = name
    other["spec"]["jobTemplate"]["spec"] |= job_spec
    return other


WAITING = changed(NIGHTLY, "waiting", suspend=True)
QUEUE = changed(NIGHTLY, "queue", parallelism=3)
INDEXED = changed(NIGHTLY, "indexed", completionMode="Indexed", completions=3, backoffLimitPerIndex=1)
del INDEXED["spec"]["jobTemplate"]["spec"]["backoffLimit"]


@pytest.fixture(scope="module", autouse=True)
def policies(laboratory: Laboratory) -> Iterator[None]:
    """The two policies, in force."""
    plane = laboratory.plane
    (cronjob,) = laboratory.store([NIGHTLY])
    forgeries = [unowned(cronjob), another_image(cronjob)]
    paths = [f"{ADMISSION}/{PLURALS[each['kind']]}" for each in POLICIES]
    for path, each in zip(paths, POLICIES, strict=True):
        laboratory.post(path, each)
    plane.wait_for("the policies to be in force", lambda: all(refusal(laboratory, each) for each in forgeries))
    yield
    for path, each in zip(paths, POLICIES, strict=True):
        plane.ask("DELETE", f"{path}/{each['metadata']['name']}")
    plane.wait_for("the policies to be gone", lambda: not any(refusal(laboratory, each) for each in forgeries))


@pytest.fixture(scope="module")
def stored(laboratory: Laboratory) -> dict[str, Object]:
    """Several CronJobs of one namespace, by name, which the policy has heard of."""
    found = {each["metadata"]["name"]: each for each in laboratory.store([NIGHTLY, WAITING, QUEUE, INDEXED])}
    wait_until_known(laboratory, found.values())
    return found


@pytest.fixture(scope="module")
def known(laboratory: Laboratory, cronjobs: dict[Manifest, Object]) -> dict[Manifest, Object]:
    """Those of all the manifests, which the policy has heard of."""
    wait_until_known(laboratory, cronjobs.values())
    return cronjobs


def wait_until_known(laboratory: Laboratory, cronjobs: Iterable[Object]) -> None:
    """Of a CronJob that the policy hasn't heard of, any Job passes."""
    forgeries = [another_image(each) for each in cronjobs]
    heard = "the policy to hear of the CronJobs"
    laboratory.plane.wait_for(heard, lambda: all(refusal(laboratory, each) for each in forgeries))


def honest(cronjob: Object, namespace: str = "") -> Object:
    """The Job that the action asks for."""
    metadata = {"uid": "0", **cronjob["metadata"], **({"namespace": namespace} if namespace else {})}
    return manifest.build({**cronjob, "metadata": metadata}, "job", Trigger(actor="octocat"), "r-1")


def unowned(cronjob: Object, namespace: str = "") -> Object:
    forged = honest(cronjob, namespace)
    del forged["metadata"]["ownerReferences"]
    return forged


def another_image(cronjob: Object) -> Object:
    forged = honest(cronjob)
    pod(forged)["containers"][0]["image"] = "registry.example/evil"
    return forged


def invented(cronjob: Object, namespace: str = "") -> Object:
    """A forged Job whose owner has a name and a UID that no CronJob has."""
    forged = another_image(cronjob)
    forged["metadata"]["namespace"] = namespace or forged["metadata"]["namespace"]
    owner(forged).update(name="invented", uid="11111111-2222-3333-4444-555555555555")
    return forged


def refusal(laboratory: Laboratory, wanted: Object, *, groups: tuple[str, ...] = (GROUP,), dry_run: bool = True) -> str:
    """What is said against the Job; empty if nothing is, and then it exists, but for a dry run."""
    path = f"{BATCH}/{wanted['metadata']['namespace']}/jobs?fieldValidation=Strict" + "&dryRun=All" * dry_run
    answer = laboratory.plane.ask("POST", path, wanted, laboratory.plane.token("somebody", groups))
    return "" if answer.status == 201 else str(answer.json()["message"])


def pod(forged: Object) -> Any:
    return forged["spec"]["template"]["spec"]


def pods_metadata(forged: Object) -> Any:
    return forged["spec"]["template"]["metadata"]


def owner(forged: Object) -> Any:
    return forged["metadata"]["ownerReferences"][0]


# --- honest Jobs


@pytest.mark.parametrize("name", ["nightly", "waiting", "queue", "indexed"])
def test_the_whole_action_passes(laboratory: Laboratory, stored: dict[str, Object], name: str):
    run = laboratory.press(stored[name])

    assert run.outputs["result"] == "created", run.summary


def test_so_does_its_dry_run(laboratory: Laboratory, stored: dict[str, Object]):
    run = laboratory.press(stored["nightly"], **{"dry-run": "true"})

    assert run.outputs["result"] == "dry-run", run.summary


@pytest.mark.parametrize("manifest", MANIFESTS, ids=str)
def test_jobs_pass_whatever_the_cronjob_says(laboratory: Laboratory, known: dict[Manifest, Object], manifest: Manifest):
    if manifest.since > laboratory.minor:
        pytest.skip(f"Kubernetes 1.{laboratory.minor} keeps only a part of it")

    assert refusal(laboratory, honest(known[manifest])) == ""


def test_jobs_that_a_queueing_system_holds_back_pass(laboratory: Laboratory, stored: dict[str, Object]):
    held = honest(stored["nightly"])
    held["spec"]["suspend"] = True

    assert refusal(laboratory, held) == ""


def test_others_than_the_group_are_not_concerned(laboratory: Laboratory, stored: dict[str, Object]):
    namespace = laboratory.namespace()
    forgeries = [another_image(stored["nightly"]), unowned(stored["nightly"]), unowned(stored["nightly"], namespace)]

    assert all(DENIED in refusal(laboratory, forged) for forged in forgeries)
    assert not any(refusal(laboratory, forged, groups=("system:masters",)) for forged in forgeries)


# --- forged Jobs


OWNED = "must be owned by one CronJob"
NAMESAKE = "the name and the UID of the Job's owner"
POD = "the pod spec differs"
PODS_METADATA = "the pods' labels, annotations or finalizers differ"
FIELDS = "the Job's own fields"

FORGERIES: dict[str, tuple[str, Callable[[Object], Any]]] = {
    "another command": (POD, lambda it: pod(it)["containers"][0].update(command=["sh", "-c", "env"])),
    "other arguments": (POD, lambda it: pod(it)["containers"][0].update(args=["--all"])),
    "another image": (POD, lambda it: pod(it)["containers"][0].update(image="registry.example/evil")),
    "another value of a variable": (POD, lambda it: pod(it)["containers"][0]["env"][0].update(value="debug")),
    "one more container": (POD, lambda it: pod(it)["containers"].append({"name": "x", "image": "y"})),
    "another init container": (POD, lambda it: pod(it)["initContainers"][0].update(image="registry.example/evil")),
    "no init container": (POD, lambda it: pod(it).pop("initContainers")),
    "another volume": (POD, lambda it: pod(it)["volumes"][0].update(secret={"secretName": "s"}, emptyDir=None)),
    "another ServiceAccount": (POD, lambda it: pod(it).update(serviceAccountName="admin")),
    "the node's network": (POD, lambda it: pod(it).update(hostNetwork=True)),
    "no owner": (OWNED, lambda it: it["metadata"].pop("ownerReferences")),
    "no owners": (OWNED, lambda it: it["metadata"].update(ownerReferences=[])),
    "two owners": (
        OWNED,
        lambda it: it["metadata"]["ownerReferences"].append(
            {**owner(it), "controller": False, "uid": "1", "name": "x"}
        ),
    ),
    "an owner of another kind": (OWNED, lambda it: owner(it).update(kind="Job")),
    "an owner of another group": (OWNED, lambda it: owner(it).update(apiVersion="apps/v1")),
    "an owner that is not in control": (OWNED, lambda it: owner(it).update(controller=False)),
    "another name of the owner": (NAMESAKE, lambda it: owner(it).update(name="queue")),
    "an invented name of the owner": (NAMESAKE, lambda it: owner(it).update(name="invented")),
    "an invented UID of the owner": (NAMESAKE, lambda it: owner(it).update(uid="11111111-2222-3333-4444-555555555555")),
    "a finalizer": ("must not have finalizers", lambda it: it["metadata"].update(finalizers=["example.com/stay"])),
    "other labels of the pods": (PODS_METADATA, lambda it: pods_metadata(it)["labels"].update(app="another")),
    "one more label of the pods": (PODS_METADATA, lambda it: pods_metadata(it)["labels"].update(more="1")),
    "no labels of the pods": (PODS_METADATA, lambda it: pods_metadata(it).pop("labels")),
    "other annotations of the pods": (PODS_METADATA, lambda it: pods_metadata(it)["annotations"].update(more="1")),
    "no annotations of the pods": (PODS_METADATA, lambda it: pods_metadata(it).pop("annotations")),
    "finalizers of the pods": (PODS_METADATA, lambda it: pods_metadata(it).update(finalizers=["example.com/stay"])),
    "a thousand pods at a time": (FIELDS, lambda it: it["spec"].update(parallelism=1000)),
    "a thousand pods": (FIELDS, lambda it: it["spec"].update(completions=1000)),
    "more attempts": (FIELDS, lambda it: it["spec"].update(backoffLimit=100)),
    "no limit of attempts": (FIELDS, lambda it: it["spec"].pop("backoffLimit")),
    "no deadline": (FIELDS, lambda it: it["spec"].pop("activeDeadlineSeconds")),
    "a later deadline": (FIELDS, lambda it: it["spec"].update(activeDeadlineSeconds=601)),
    "traces that vanish": (FIELDS, lambda it: it["spec"].update(ttlSecondsAfterFinished=0)),
    "another policy of replacing pods": (FIELDS, lambda it: it["spec"].update(podReplacementPolicy="Failed")),
    "indexes": (FIELDS, lambda it: it["spec"].update(completionMode="Indexed", completions=1)),
}


@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry run"])
@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_jobs_are_refused(laboratory: Laboratory, stored: dict[str, Object], forgery: str, dry_run: bool):
    why, forge = FORGERIES[forgery]
    forged = honest(stored["nightly"])
    forge(forged)

    said = refusal(laboratory, forged, dry_run=dry_run)

    assert DENIED in said
    assert why in said


@pytest.mark.skipif(server_minor() < 32, reason="it drops `managedBy`, and so makes an honest Job of it")
def test_a_job_for_another_controller_is_refused(laboratory: Laboratory, stored: dict[str, Object]):
    forged = honest(stored["nightly"])
    forged["spec"]["managedBy"] = "example.com/other"

    assert FIELDS in refusal(laboratory, forged)


FORGED_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("waiting", {"suspend": False}),
    ("queue", {"completions": 1}),
    ("indexed", {"backoffLimit": 6}),
    ("indexed", {"backoffLimitPerIndex": 100}),
]


@pytest.mark.parametrize(("name", "fields"), FORGED_FIELDS, ids=str)
def test_a_default_is_no_excuse_where_the_template_has_another(
    laboratory: Laboratory, stored: dict[str, Object], name: str, fields: dict[str, Any]
):
    forged = honest(stored[name])
    forged["spec"] |= fields

    assert FIELDS in refusal(laboratory, forged)


def test_a_job_that_names_another_cronjob_as_its_owner_is_refused(laboratory: Laboratory, stored: dict[str, Object]):
    forged = honest(stored["nightly"])
    forged["metadata"]["ownerReferences"] = honest(stored["queue"])["metadata"]["ownerReferences"]

    assert FIELDS in refusal(laboratory, forged)


def test_an_owner_in_another_namespace_is_refused_where_the_name_is_known(
    laboratory: Laboratory, stored: dict[str, Object]
):
    (elsewhere,) = laboratory.store([NIGHTLY])

    forged = honest(elsewhere, stored["nightly"]["metadata"]["namespace"])

    assert NAMESAKE in refusal(laboratory, forged)


# --- the gap


def test_an_invented_owner_passes_until_the_garbage_collector_comes(laboratory: Laboratory, stored: dict[str, Object]):
    forged = invented(stored["nightly"])
    forged["metadata"]["name"] = "invented"

    assert refusal(laboratory, forged, dry_run=False) == ""

    path = f"{BATCH}/{forged['metadata']['namespace']}/jobs/invented"
    laboratory.plane.wait_for("the garbage collector", lambda: laboratory.plane.ask("GET", path).status == 404)


def test_the_gap_is_there_without_any_cronjob_as_well(laboratory: Laboratory, stored: dict[str, Object]):
    assert refusal(laboratory, invented(stored["nightly"], laboratory.namespace())) == ""


def test_where_the_role_names_the_cronjobs_the_gap_is_closed(laboratory: Laboratory):
    (cronjob,) = laboratory.store([changed(NIGHTLY, "nightly-report")])
    namespace = cronjob["metadata"]["namespace"]
    role = narrow_role()
    plane = laboratory.plane
    plane.ask("DELETE", f"{RBAC}/namespaces/{namespace}/rolebindings/run-cronjob")
    laboratory.post(f"{RBAC}/namespaces/{namespace}/roles", role)
    binding = {
        "kind": "RoleBinding",
        "metadata": {"name": "run-cronjob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]},
        "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": GROUP}],
    }
    laboratory.post(f"{RBAC}/namespaces/{namespace}/rolebindings", binding)

    def said() -> str:
        return refusal(laboratory, invented(cronjob))

    plane.wait_for("the role to be known", lambda: said() != "" and "cannot create" not in said())
    assert "must be allowed to read the CronJob" in said()
    run = laboratory.press(cronjob)
    assert run.outputs["result"] == "created", run.summary


def narrow_role() -> Object:
    """The rights of examples/rbac.yaml, with the rule that docs/setup.md shows in place of `get` for all CronJobs."""
    role, _ = example("rbac.yaml")
    first, *others = role["rules"]
    (shown,) = re.findall(r"^```yaml\n(- apiGroups:\n.*?resourceNames:.*?)^```$", SETUP, re.DOTALL | re.MULTILINE)
    rules = [{**first, "verbs": ["list"]}, *yaml.safe_load(shown), *others]
    return {"kind": "Role", "metadata": {"name": "run-cronjob"}, "rules": rules}


# --- what changes Jobs on their way


def mutation(name: str, resource: str, change: str) -> tuple[Object, Object]:
    """A MutatingAdmissionPolicy and its binding."""
    group, kinds = ("batch", "jobs") if resource == "jobs" else ("", "pods")
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [kinds]}
    made = {
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}],
        },
    }
    return made, {"kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {"policyName": name}}


@pytest.fixture
def mutate(laboratory: Laboratory) -> Iterator[Callable[[str], None]]:
    """Lets the API server change every new Job so, from now on."""
    plane = laboratory.plane
    plurals = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
    if plane.ask("GET", f"{ADMISSION}/{plurals[0]}").status == 404:
        pytest.skip(f"Kubernetes 1.{laboratory.minor} has no MutatingAdmissionPolicy")
    bare = laboratory.namespace()

    def is_changed() -> bool:
        wanted = {"metadata": {"name": "x"}, "spec": NIGHTLY["spec"]["jobTemplate"]["spec"]}
        made = plane.ask("POST", f"{BATCH}/{bare}/jobs?dryRun=All", wanted).json()
        return "mutated" in made["metadata"].get("annotations", {})

    def apply(change: str) -> None:
        marked = f'Object{{metadata: Object.metadata{{annotations: {{"mutated": "1"}}}}, {change}}}'
        for plural, each in zip(plurals, mutation("changes-jobs", "jobs", marked), strict=True):
            laboratory.post(f"{ADMISSION}/{plural}", each)
        plane.wait_for("the change to be in force", is_changed)

    yield apply
    for plural in plurals:
        plane.ask("DELETE", f"{ADMISSION}/{plural}/changes-jobs")
    plane.wait_for("the change to be gone", lambda: not is_changed())


def test_a_queueing_system_may_suspend_new_jobs(
    laboratory: Laboratory, stored: dict[str, Object], mutate: Callable[[str], None]
):
    mutate("spec: Object.spec{suspend: true}")

    run = laboratory.press(stored["nightly"])

    assert run.outputs["result"] == "created", run.summary


def test_whoever_changes_the_pod_spec_of_new_jobs_gets_them_refused_as_the_page_warns(
    laboratory: Laboratory, stored: dict[str, Object], mutate: Callable[[str], None]
):
    mutate('spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{schedulerName: "other"}}}')

    run = laboratory.press(stored["nightly"])

    assert run.outputs["reason"] == "AdmissionRefused"
    assert POD in run.summary


# --- a CronJob that changes in that moment


def test_a_cronjob_changed_after_it_was_read_is_told_with_what_to_do(laboratory: Laboratory):
    (cronjob,) = laboratory.store([NIGHTLY])
    path = f"{BATCH}/{cronjob['metadata']['namespace']}/cronjobs/nightly"
    plane, authority = laboratory.plane, Authority()

    def change(request: Any) -> None:
        if request.method == "POST":
            newer = plane.ask("GET", path).json()
            pod(newer["spec"]["jobTemplate"])["containers"][0]["image"] = "registry.example/report:2"
            plane.ask("PUT", path, newer)
            is_known = lambda: refusal(laboratory, honest(newer)) == ""  # noqa: E731
            plane.wait_for("the policy to hear of the change", is_known)

    with FaultProxy(plane.url, authority=authority, upstream_ca=plane.ca_pem) as proxy:
        proxy.on_request = change
        run = laboratory.press(cronjob, kubeconfig=through(laboratory, proxy.url, authority.pem))

    assert run.outputs["reason"] == "AdmissionRefused"
    assert "A policy of the cluster refused the Job." in run.summary
    assert POD in run.summary
    assert "Run the workflow again." in run.summary


def through(laboratory: Laboratory, url: str, ca_pem: str) -> str:
    config = json.loads(laboratory.kubeconfig())
    bundle = base64.b64encode(ca_pem.encode()).decode()
    config["clusters"][0]["cluster"] = {"server": url, "certificate-authority-data": bundle}
    return json.dumps(config)
