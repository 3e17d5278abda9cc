"""Makes a Job from a CronJob, and reads the specs and metadata of both. No I/O.

The Job is the one that `kubectl create job NAME --from=cronjob/X` creates (kubernetes
staging/src/k8s.io/kubectl/pkg/cmd/create/create_job.go, createJobFromCronJob), with our label and
annotations in addition. The template is copied as raw JSON, so that fields newer than this client survive.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from run_cronjob.core.models import CronJobFacts, Json, RunningJob, Trigger
from run_cronjob.core.redactor import redact
from run_cronjob.core.text import clean, cut

PREFIX = "run-cronjob/"
_ANNOTATION_LENGTH = 1000
"""Characters of a value, more than any real one has; all annotations of an object share 256 KiB."""

_SOON_SECONDS = 24 * 3600
"""A failed Job that is deleted sooner may be gone before somebody looks at it."""


def build(cronjob: Json, name: str, trigger: Trigger, request_id: str) -> Json:
    """The Job to create from `cronjob`.

    Labels and annotations of the template under our own prefix are left out, since they could be forged.
    """
    template, source = cronjob["spec"]["jobTemplate"], cronjob["metadata"]
    carried = template.get("metadata") or {}
    labels = _without_ours(_labels(template)) | {f"{PREFIX}cronjob": source["name"]}
    annotations = (
        {"cronjob.kubernetes.io/instantiate": "manual"}
        | _without_ours(carried.get("annotations"))
        | _origin(trigger)
        | {f"{PREFIX}request-id": request_id}
    )
    # Without blockOwnerDeletion, which would need rights on cronjobs/finalizers.
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": source["name"], "uid": source["uid"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": source["namespace"],
            "annotations": annotations,
            "labels": labels,
            "ownerReferences": [owner | {"controller": True}],
        },
        "spec": copy.deepcopy(template.get("spec") or {}),
    }


def _labels(template: Json) -> dict[str, str] | None:
    """The labels that a Job made from `template` has.

    The API server copies the pods' labels to a Job without labels (kubernetes pkg/apis/batch/v1/defaults.go,
    SetDefaults_Job). Our Job always has a label, so they are copied here.
    """
    pod_template = (template.get("spec") or {}).get("template") or {}
    own: dict[str, str] | None = (template.get("metadata") or {}).get("labels")
    return own or (pod_template.get("metadata") or {}).get("labels")


def _without_ours(carried: dict[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (carried or {}).items() if not key.startswith(PREFIX)}


def _origin(trigger: Trigger) -> dict[str, str]:
    keys = ["actor", "triggering-actor", "repository", "workflow", "ref", "sha", "run-id", "run-attempt", "run-url"]
    values = {key: getattr(trigger, key.replace("-", "_")) for key in keys}
    return {PREFIX + key: cut(clean(value), _ANNOTATION_LENGTH) for key, value in values.items()}


def annotation(job: Json, key: str) -> str:
    """The value of our own annotation `key`, such as `run-id`; empty if this action did not create `job`."""
    annotations = (job.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(PREFIX + key) or "")


def unfinished(jobs: Iterable[Json], cronjob: Json) -> tuple[RunningJob, ...]:
    """The Jobs of `cronjob` without a terminal condition, scheduled or not; oldest first."""
    found = [job for job in jobs if owns(cronjob["metadata"]["uid"], job)]
    if not found:
        return ()
    from run_cronjob.core import status  # noqa: PLC0415  a run that finds no Job here starts sooner without it

    running = []
    for raw in found:
        job = status.job(raw)
        if not job.terminal_condition:
            since = job.started or job.created
            text = f"{since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
            running.append(RunningJob(job.name, text, annotation(raw, "triggering-actor")))
    return tuple(sorted(running, key=lambda job: (job.since, job.name)))


def active(cronjob: Json) -> tuple[RunningJob, ...]:
    """The unfinished Jobs in the CronJob's status: those of its schedule only, not those that people created."""
    listed = (cronjob.get("status") or {}).get("active") or []
    return tuple(RunningJob(str(reference.get("name", ""))) for reference in listed)


def pod_selector(job: Json) -> str:
    """The label selector by which the Job controller finds the Job's pods."""
    selector = (job.get("spec") or {}).get("selector") or {}
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        values = f"({','.join(each.get('values') or [])})"
        operators = {"In": f"{each['key']} in {values}", "NotIn": f"{each['key']} notin {values}"}
        operators |= {"Exists": str(each["key"]), "DoesNotExist": f"!{each['key']}"}
        terms += [operators[each["operator"]]] if each.get("operator") in operators else []
    # All Kubernetes versions set this label on the pods of Jobs; older ones set no other.
    return ",".join(terms) or f"controller-uid={job['metadata']['uid']}"


def owns(uid: str, dependent: Json) -> bool:
    """Whether the object with this UID, a CronJob or a Job, owns `dependent`."""
    owners = (dependent.get("metadata") or {}).get("ownerReferences") or []
    return any(owner.get("uid") == uid for owner in owners)


def facts(cronjob: Json) -> CronJobFacts:
    """The fields of `cronjob` that the summary shows."""
    spec = cronjob["spec"]
    job_spec = spec["jobTemplate"].get("spec") or {}
    images = dict.fromkeys(str(each.get("image", "")) for each in _containers(job_spec))
    return CronJobFacts(
        schedule=str(spec.get("schedule", "")),
        time_zone=str(spec.get("timeZone") or ""),
        suspended=spec.get("suspend") is True,
        template_suspended=job_spec.get("suspend") is True,
        concurrency_policy=str(spec.get("concurrencyPolicy") or "Allow"),
        images=tuple(images),
    )


def may_be_pruned_within(cronjob: Json, seconds: float) -> bool:
    """Whether a Job of `cronjob` can have ended and been deleted within `seconds` of its creation."""
    spec = cronjob["spec"]
    time_to_live = (spec["jobTemplate"].get("spec") or {}).get("ttlSecondsAfterFinished")
    limits = [spec.get("successfulJobsHistoryLimit"), spec.get("failedJobsHistoryLimit")]
    return 0 in limits or (time_to_live is not None and time_to_live <= seconds)


def will_be_pruned(cronjob: Json) -> str:
    """When a failed Job of `cronjob` will be deleted, as the end of a sentence; empty if that is not soon."""
    spec = cronjob["spec"]
    time_to_live = (spec["jobTemplate"].get("spec") or {}).get("ttlSecondsAfterFinished")
    limit = spec.get("failedJobsHistoryLimit", 1)
    if limit == 0 or time_to_live == 0:
        setting = "failedJobsHistoryLimit" if limit == 0 else "ttlSecondsAfterFinished"
        return f"at once (the CronJob's `{setting}` is 0)"
    if time_to_live is not None and time_to_live <= _SOON_SECONDS:
        return f"{time_to_live} seconds after its end (the CronJob's `ttlSecondsAfterFinished`)"
    if limit == 1:
        return "as soon as another one fails (the CronJob's `failedJobsHistoryLimit` is 1)"
    return ""


def env_values(cronjob: Json) -> frozenset[str]:
    """The literal values of all containers' environment variables. They may be passwords, so they are never shown."""
    job_spec = cronjob["spec"]["jobTemplate"].get("spec") or {}
    return frozenset(
        str(variable["value"])
        for container in _containers(job_spec)
        for variable in container.get("env") or []
        if variable.get("value")
    )


def without_env_values(manifest: Json, secrets: frozenset[str], known: tuple[str, ...]) -> Json:
    """`manifest` to show to people: without env values, and without texts that repeat one."""
    shown = copy.deepcopy(manifest)
    for container in _containers(shown.get("spec") or {}):
        for variable in container.get("env") or []:
            if "value" in variable:
                variable["value"] = "***"
    return {key: _redacted(value, secrets, known) for key, value in shown.items()}


def _redacted(value: Any, secrets: frozenset[str], known: tuple[str, ...]) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, str):
        return redact(value, secrets, known=known)
    if isinstance(value, list):
        return [_redacted(each, secrets, known) for each in value]
    if isinstance(value, dict):
        return {key: _redacted(each, secrets, known) for key, each in value.items()}
    return value


def _containers(job_spec: Json) -> Iterator[Json]:
    pod_spec = (job_spec.get("template") or {}).get("spec") or {}
    for kind in ("initContainers", "containers"):
        yield from pod_spec.get(kind) or []
