"""The action creates the same Job as `kubectl create job --from=cronjob/X`.

The CronJobs in cronjobs/ use, together, every field that a Job and its pods can have. Comments there give the first
minor version of Kubernetes that knows a file's fields, and the feature gates that they require.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client.models.v1_job_spec import V1JobSpec  # noqa: TID251  the test needs fields that it doesn't know
from kubernetes.client.models.v1_pod_spec import V1PodSpec  # noqa: TID251  likewise

from tests.real.api_server import RefusedError
from tests.real.manifests import FOLDER, MANIFESTS, Manifest
from tests.real.schema import Field, Schema

if TYPE_CHECKING:
    from tests.real.api_server import ApiServer, Object

NEWEST_MINOR = 37
"""The minor version of Kubernetes whose fields the manifests use."""

REFUSED: dict[Field, tuple[str, dict[str, Any]]] = {
    ("JobSpec", "selector"): (
        "a CronJob's Jobs get a selector of their own",
        {"selector": {"matchLabels": {"app": "mine"}}},
    ),
    ("PodSpec", "ephemeralContainers"): (
        "they are added to pods that run, never to templates",
        {"template": {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example/debug"}]}}},
    ),
}
"""Fields that no CronJob can have: the reason, and a Job's spec with the field."""


@pytest.fixture(scope="session")
def schema(api_server: ApiServer) -> Schema:
    document = api_server.plane.ask("GET", "/openapi/v3/apis/batch/v1").json()
    return Schema(document, "io.k8s.api.batch.v1.JobTemplateSpec")


@pytest.mark.parametrize("manifest", MANIFESTS, ids=str)
def test_our_job_is_kubectls(api_server: ApiServer, cronjobs: dict[Manifest, Object], manifest: Manifest):
    if manifest.since > api_server.minor:
        pytest.skip(f"Kubernetes 1.{api_server.minor} keeps only a part of it")
    # An older kubectl drops fields that it doesn't know; see below.
    kubectls = [each for each in api_server.kubectls if each.minor >= manifest.since]
    assert kubectls

    assert not (found := api_server.differences(cronjobs[manifest], kubectls)), found


def test_we_are_compared_with_the_newest_kubectl_and_with_one_minor_version_older(api_server: ApiServer):
    assert [each.minor for each in api_server.kubectls] == [NEWEST_MINOR, NEWEST_MINOR - 1]


def test_the_manifests_use_every_field(api_server: ApiServer, cronjobs: dict[Manifest, Object], schema: Schema):
    if api_server.minor != NEWEST_MINOR:
        pytest.skip(f"what they use is measured by Kubernetes 1.{NEWEST_MINOR}")
    assert len(cronjobs) >= 40

    used = set().union(*(schema.used(each["spec"]["jobTemplate"]) for each in cronjobs.values()))

    left = {field for field in schema.fields() - used if field[0] != "EphemeralContainer"}
    assert left == REFUSED.keys()


@pytest.mark.parametrize("field", REFUSED, ids=".".join)
def test_a_field_that_they_do_not_use_is_refused(api_server: ApiServer, cronjobs: dict[Manifest, Object], field: Field):
    valid = cronjobs[Manifest(FOLDER / "minimal.yaml")]
    _, extra = REFUSED[field]
    spec = merged(valid["spec"], {"jobTemplate": {"spec": extra}})

    with pytest.raises(RefusedError, match=rf"{field[1]}: (Invalid value|Forbidden)"):
        api_server.store([{"kind": "CronJob", "metadata": {"name": "refused"}, "spec": spec}])


def test_a_field_that_kubectl_does_not_know_is_lost_by_it_but_not_by_us(
    api_server: ApiServer, cronjobs: dict[Manifest, Object]
):
    _, previous = api_server.kubectls
    manifest = Manifest(FOLDER / "gated-1-37.yaml")
    if manifest.since > api_server.minor:
        pytest.skip("the API server doesn't know such a field either")
    cronjob = cronjobs[manifest]
    responders = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["evictionResponders"]

    ours, theirs = api_server.our_job(cronjob), api_server.kubectl_job(previous, cronjob)

    assert "evictionResponders" not in theirs["spec"]["template"]["spec"]
    assert ours["spec"]["template"]["spec"]["evictionResponders"] == responders


@pytest.mark.parametrize(
    ("model", "field", "manifest"),
    [(V1PodSpec, "evictionResponders", "gated-1-37"), (V1JobSpec, "scheduling", "gated-gang")],
)
def test_a_field_that_the_python_client_does_not_know_survives(
    api_server: ApiServer, cronjobs: dict[Manifest, Object], model: Any, field: str, manifest: str
):
    found = Manifest(FOLDER / f"{manifest}.yaml")
    if found.since > api_server.minor:
        pytest.skip("the API server doesn't know it either")

    job = api_server.our_job(cronjobs[found])

    assert field not in model.attribute_map.values(), "the client knows it now: choose a newer field"
    assert job["spec"].get(field) or job["spec"]["template"]["spec"].get(field)


def test_the_indexed_manifests_have_the_longest_names_that_there_are(cronjobs: dict[Manifest, Object]):
    found = set()
    for manifest, cronjob in cronjobs.items():
        if str(manifest).startswith("indexed-"):
            name = cronjob["metadata"]["name"]
            found.add((len(name), "." in name, cronjob["spec"]["jobTemplate"]["spec"]["completions"]))

    assert found == {(52, dots, completions) for dots in (False, True) for completions in (1, 10, 100_000)}


def merged(base: Any, changes: Any) -> Any:
    """`base`, updated recursively with `changes`."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}
