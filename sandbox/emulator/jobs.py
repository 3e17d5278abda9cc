"""A Job before it is stored: defaults, generated labels and validation.

Follows Kubernetes' pkg/apis/batch (v1/defaults.go, validation/validation.go) and
pkg/registry/batch/job/strategy.go. The pod template's defaults and validation are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.emulator import validation
from sandbox.emulator.validation import invalid, required

if TYPE_CHECKING:
    from sandbox.emulator.errors import FieldError, Object

MAX_INT32 = 2**31 - 1
_NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
_COUNTERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)


def set_cronjob_defaults(cronjob: Object) -> None:
    """Set the defaults of a CronJob."""
    spec = cronjob.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)


def prepare(job: Object) -> None:
    """Set the defaults, labels and selector of a Job that has its name and UID."""
    spec = job.setdefault("spec", {})
    if spec.get("parallelism") is None and spec.get("completions") is None:
        spec["completions"] = 1
    _default(spec, "parallelism", 1)
    _default(spec, "backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else MAX_INT32)
    _default(spec, "completionMode", "NonIndexed")
    _default(spec, "suspend", False)
    _default(spec, "podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    _default(spec, "manualSelector", False)
    if not spec["manualSelector"]:
        _generate_selector(job)
    labels = (spec.get("template", {}).get("metadata") or {}).get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


def validate(job: Object) -> list[FieldError]:
    """Return all errors, in the API server's order."""
    metadata, spec = job["metadata"], job["spec"]
    name: str = metadata.get("name", "")
    if name:
        errors = [invalid("metadata.name", name, detail) for detail in validation.dns_subdomain(name)]
    else:
        errors = [required("metadata.name", "name or generateName is required")]
    errors += validation.label_set(metadata.get("labels") or {}, "metadata.labels")
    errors += validation.annotation_set(metadata.get("annotations") or {}, "metadata.annotations")
    errors += _owners(metadata.get("ownerReferences") or ())
    template = spec.get("template", {})
    template_metadata = template.get("metadata") or {}
    labels = template_metadata.get("labels") or {}
    if not spec["manualSelector"]:
        errors += _generated_labels(labels, name, metadata["uid"])
    errors += [
        invalid(f"spec.{counter}", spec[counter], "must be greater than or equal to 0")
        for counter in _COUNTERS
        if (spec.get(counter) or 0) < 0
    ]
    indexed = spec["completionMode"] == "Indexed"
    if indexed and spec.get("completions") is None:
        errors.append(required("spec.completions", "when completion mode is Indexed"))
    errors += validation.label_set(labels, "spec.template.labels")
    errors += validation.annotation_set(template_metadata.get("annotations") or {}, "spec.template.annotations")
    if template.get("spec", {}).get("restartPolicy", "Always") == "Always":
        errors.append(required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
    if not spec.get("selector"):
        errors.append(required("spec.selector"))
    # The pods of an Indexed Job have the host name NAME-INDEX.
    last_pod = f"{name}-{(spec.get('completions') or 0) - 1}"
    if indexed and (spec.get("completions") or 0) > 0 and validation.dns_label(last_pod):
        detail = f"will not able to create pod with invalid DNS label: {last_pod}"
        errors.append(invalid("metadata.name", name, detail))
    return errors


def warnings(job: Object) -> list[str]:
    """Return the warnings for a valid Job."""
    errors = validation.dns_label(job["metadata"]["name"])
    advice = (
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior;"
        f" a DNS label is recommended: [{' '.join(errors)}]"
    )
    return [advice] if errors else []


def _default(spec: Object, field: str, value: object) -> None:
    # An explicit null counts as absent.
    if spec.get(field) is None:
        spec[field] = value


def _generate_selector(job: Object) -> None:
    metadata, spec = job["metadata"], job["spec"]
    template = spec.setdefault("template", {})
    template_metadata = template["metadata"] = template.get("metadata") or {}
    labels = template_metadata["labels"] = dict(template_metadata.get("labels") or {})
    for label in _NAME_LABELS:
        labels.setdefault(label, metadata.get("name", ""))
    for label in _UID_LABELS:
        labels.setdefault(label, metadata["uid"])
    spec["selector"] = spec.get("selector") or {}
    matched = spec["selector"].setdefault("matchLabels", {})
    matched.setdefault("batch.kubernetes.io/controller-uid", metadata["uid"])


def _generated_labels(labels: Object, name: str, uid: str) -> list[FieldError]:
    expected = [(_UID_LABELS[0], uid), (_NAME_LABELS[0], name), (_UID_LABELS[1], uid), (_NAME_LABELS[1], name)]
    return [
        invalid(f"spec.template.metadata.labels[{label}]", labels, f"must be '{value}'")
        for label, value in expected
        if labels.get(label) != value
    ]


def _owners(references: list[Object] | tuple[()]) -> list[FieldError]:
    field = "metadata.ownerReferences"
    errors = [
        required(f"{field}[{index}].{key}", "must not be empty")
        for index, reference in enumerate(references)
        for key in ("apiVersion", "kind", "name", "uid")
        if not reference.get(key)
    ]
    first, *others = [f"{r.get('kind')}/{r.get('name')}" for r in references if r.get("controller")] or [""]
    errors += [
        invalid(
            field,
            references,
            f'Only one reference can have Controller set to true. Found "true" in references for {first} and {other}',
        )
        for other in others
    ]
    return errors
