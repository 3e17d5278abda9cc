"""Tests of following the Job: the rights that are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import NAMESPACE
from sandbox.names import ROOT
from sandbox.tools.wait import until
from tests.integration.follow import COMPLETED, PODS, follow, log_text

if TYPE_CHECKING:
    from sandbox import Sandbox


def without(sandbox: Sandbox, resource: str, *verbs: str) -> None:
    """Take these verbs (or all) on a resource out of the role."""

    def take(role: dict[str, Any]) -> None:
        for rule in role["rules"]:
            if rule["resources"] == [resource]:
                rule["verbs"] = [verb for verb in rule["verbs"] if verbs and verb not in verbs]
        role["rules"] = [rule for rule in role["rules"] if rule["verbs"]]

    sandbox.cluster.patch("ClusterRole", "", "run-cronjob", take)


def requested(sandbox: Sandbox) -> list[str]:
    """The paths of the requests so far, followed by `watch` where they are one."""
    return [f"{each.path}{' watch' if each.query.get('watch') else ''}" for each in sandbox.cluster.journal]


@pytest.mark.parametrize("verb", ["get", "list", "watch"])
@pytest.mark.parametrize("wait_for", ["started", "completed"])
def test_without_the_right_to_see_the_job_nothing_is_started(sandbox: Sandbox, wait_for: str, verb: str):
    without(sandbox, "jobs", verb)

    run = sandbox.run({"wait-for": wait_for})

    assert (run.outputs["result"], run.outputs["reason"]) == ("error", "CannotFollow")
    assert not sandbox.cluster.list("Job", NAMESPACE)
    assert f'- {{apiGroups: ["batch"], resources: [jobs], verbs: [{verb}]}}' in run.summary


@pytest.mark.parametrize(
    ("resource", "verbs", "rule"),
    [
        ("pods", "list", '- {apiGroups: [""], resources: [pods], verbs: [list, watch]}'),
        ("pods", "watch", '- {apiGroups: [""], resources: [pods], verbs: [list, watch]}'),
        ("pods/log", "get", '- {apiGroups: [""], resources: [pods/log], verbs: [get]}'),
        ("events", "list", '- {apiGroups: [""], resources: [events], verbs: [list]}'),
    ],
)
def test_any_other_missing_right_takes_that_part_only_with_one_notice(
    sandbox: Sandbox, resource: str, verbs: str, rule: str
):
    without(sandbox, resource, verbs)
    step, script = follow(sandbox)
    pod = script.pod()
    pod.run()
    # The second attempt comes after the first refusal has arrived.
    wanted = {"list": PODS, "watch": f"{PODS} watch"}.get(verbs) if resource == "pods" else None
    until(lambda: wanted is None or requested(sandbox).count(wanted) > 1)
    pod.end(3)
    script.fail()

    run = step.finish()

    assert run.outputs["result"] == "failed"
    assert sum(rule in each.message for each in run.log.annotations) == 1, log_text(run)
    assert rule in run.summary


def test_the_minimal_role_is_enough_for_created(sandbox: Sandbox):
    sandbox.cluster.apply((ROOT / "examples/rbac-created.yaml").read_text())

    assert sandbox.run().outputs["result"] == "created"


def test_a_dry_run_asks_for_the_rights_too(sandbox: Sandbox):
    without(sandbox, "jobs", "watch")

    run = sandbox.run(COMPLETED | {"dry-run": "true"})

    assert run.outputs["reason"] == "CannotFollow"
