"""CronJobs, the Jobs that the action creates from them, and forged Jobs that an admission policy must refuse."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from run_cronjob.core.models import Trigger
from run_cronjob.jobs import manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real.api_server import Object

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


def changed_cronjob(base: Object, name: str, **job_spec: Any) -> Object:
    """A copy of the CronJob with another name and changed fields of its Jobs' spec."""
    other = copy.deepcopy(base)
    other["metadata"]["name"] = name
    other["spec"]["jobTemplate"]["spec"] |= job_spec
    return other


WAITING = changed_cronjob(NIGHTLY, "waiting", suspend=True)
QUEUE = changed_cronjob(NIGHTLY, "queue", parallelism=3)
INDEXED = changed_cronjob(NIGHTLY, "indexed", completionMode="Indexed", completions=3, backoffLimitPerIndex=1)
del INDEXED["spec"]["jobTemplate"]["spec"]["backoffLimit"]


def action_job(cronjob: Object, namespace: str = "") -> Object:
    """The Job that the action creates, in the CronJob's namespace or another one."""
    metadata = {"uid": "0", **cronjob["metadata"], **({"namespace": namespace} if namespace else {})}
    return manifest.build({**cronjob, "metadata": metadata}, "job", Trigger(actor="octocat"), "r-1")


def unowned_job(cronjob: Object, namespace: str = "") -> Object:
    """A Job without an owner."""
    forged = action_job(cronjob, namespace)
    del forged["metadata"]["ownerReferences"]
    return forged


def job_with_another_image(cronjob: Object) -> Object:
    forged = action_job(cronjob)
    pod_spec(forged)["containers"][0]["image"] = "registry.example/evil"
    return forged


def job_with_invented_owner(cronjob: Object, namespace: str = "") -> Object:
    """A forged Job whose owner's name and UID no CronJob has."""
    forged = job_with_another_image(cronjob)
    forged["metadata"]["namespace"] = namespace or forged["metadata"]["namespace"]
    owner(forged).update(name="invented", uid="11111111-2222-3333-4444-555555555555")
    return forged


def pod_spec(forged: Object) -> Any:
    return forged["spec"]["template"]["spec"]


def pod_metadata(forged: Object) -> Any:
    return forged["spec"]["template"]["metadata"]


def owner(forged: Object) -> Any:
    return forged["metadata"]["ownerReferences"][0]


OWNED = "must be owned by one CronJob"
OWNER_IDENTITY = "the name and the UID of the Job's owner"
POD = "the pod spec differs"
POD_METADATA = "the pods' labels, annotations or finalizers differ"
FIELDS = "the Job's own fields"
"""Parts of the policies' messages."""

FORGERIES: dict[str, tuple[str, Callable[[Object], Any]]] = {
    "another command": (POD, lambda it: pod_spec(it)["containers"][0].update(command=["sh", "-c", "env"])),
    "other arguments": (POD, lambda it: pod_spec(it)["containers"][0].update(args=["--all"])),
    "another image": (POD, lambda it: pod_spec(it)["containers"][0].update(image="registry.example/evil")),
    "another value of a variable": (POD, lambda it: pod_spec(it)["containers"][0]["env"][0].update(value="debug")),
    "one more container": (POD, lambda it: pod_spec(it)["containers"].append({"name": "x", "image": "y"})),
    "another init container": (POD, lambda it: pod_spec(it)["initContainers"][0].update(image="registry.example/evil")),
    "no init container": (POD, lambda it: pod_spec(it).pop("initContainers")),
    "another volume": (POD, lambda it: pod_spec(it)["volumes"][0].update(secret={"secretName": "s"}, emptyDir=None)),
    "another ServiceAccount": (POD, lambda it: pod_spec(it).update(serviceAccountName="admin")),
    "the node's network": (POD, lambda it: pod_spec(it).update(hostNetwork=True)),
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
    "another name of the owner": (OWNER_IDENTITY, lambda it: owner(it).update(name="queue")),
    "an invented name of the owner": (OWNER_IDENTITY, lambda it: owner(it).update(name="invented")),
    "an invented UID of the owner": (
        OWNER_IDENTITY,
        lambda it: owner(it).update(uid="11111111-2222-3333-4444-555555555555"),
    ),
    "a finalizer": ("must not have finalizers", lambda it: it["metadata"].update(finalizers=["example.com/stay"])),
    "other labels of the pods": (POD_METADATA, lambda it: pod_metadata(it)["labels"].update(app="another")),
    "one more label of the pods": (POD_METADATA, lambda it: pod_metadata(it)["labels"].update(more="1")),
    "no labels of the pods": (POD_METADATA, lambda it: pod_metadata(it).pop("labels")),
    "other annotations of the pods": (POD_METADATA, lambda it: pod_metadata(it)["annotations"].update(more="1")),
    "no annotations of the pods": (POD_METADATA, lambda it: pod_metadata(it).pop("annotations")),
    "finalizers of the pods": (POD_METADATA, lambda it: pod_metadata(it).update(finalizers=["example.com/stay"])),
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

FORGED_FIELDS: list[tuple[str, dict[str, Any]]] = [
    ("waiting", {"suspend": False}),
    ("queue", {"completions": 1}),
    ("indexed", {"backoffLimit": 6}),
    ("indexed", {"backoffLimitPerIndex": 100}),
]
