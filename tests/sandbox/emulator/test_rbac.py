"""RBAC: roles and bindings grant what they say, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.emulator.rbac import Decision, User, authorize, refusal, rule_allows
from sandbox.emulator.resources import RequestInfo, parse_request
from tests.sandbox.emulator.client import CRONJOBS, JOBS, REVIEWS, Client, job
from tests.sandbox.emulator.client import LOG as POD_LOG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.emulator.errors import Object

OCTOCAT = User("octocat", ("deployers", "system:authenticated"))
GET_CRONJOB = parse_request("GET", "/apis/batch/v1/namespaces/staging/cronjobs/nightly", {})
CREATE_JOB = parse_request("POST", "/apis/batch/v1/namespaces/staging/jobs", {})
READ_CRONJOBS = {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list"]}


def role(kind: str, name: str, namespace: str, *rules: Object) -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": list(rules)}


def binding(scope: str, role_kind: str, role_name: str, **subject: str) -> Object:
    return {
        "kind": "RoleBinding" if scope else "ClusterRoleBinding",
        "metadata": {"name": "bound", "namespace": scope},
        "roleRef": {"kind": role_kind, "name": role_name},
        "subjects": [subject],
    }


def decide(request: RequestInfo, *objects: Object, user: User = OCTOCAT) -> Decision:
    def select(kind: str, namespace: str) -> Sequence[Object]:
        return [o for o in objects if (o["kind"], o["metadata"]["namespace"]) == (kind, namespace)]

    return authorize(user, request, select)


def test_nothing_is_allowed_without_a_binding() -> None:
    assert decide(GET_CRONJOB, role("Role", "reader", "staging", READ_CRONJOBS)) == Decision(allowed=False)


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "User", "name": "octocat"},
        {"kind": "Group", "name": "deployers"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
)
def test_a_binding_grants_its_role_to_its_user_or_group(subject: Object) -> None:
    decision = decide(
        GET_CRONJOB,
        role("Role", "reader", "staging", READ_CRONJOBS),
        binding("staging", "Role", "reader", **subject),
    )

    assert decision.allowed
    assert decision.reason == (
        f'RBAC: allowed by RoleBinding "bound/staging" of Role "reader" to {subject["kind"]} "{subject["name"]}"'
    )


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "User", "name": "hubot"},
        {"kind": "User", "name": "deployers"},
        {"kind": "Group", "name": "octocat"},
        {"kind": "ServiceAccount", "name": "octocat", "namespace": "staging"},
    ],
)
def test_a_binding_means_nobody_else(subject: Object) -> None:
    assert not decide(
        GET_CRONJOB,
        role("Role", "reader", "staging", READ_CRONJOBS),
        binding("staging", "Role", "reader", **subject),
    ).allowed


def test_a_service_account_is_meant_by_its_namespace_and_name() -> None:
    user = User("system:serviceaccount:staging:runner")

    assert decide(
        GET_CRONJOB,
        role("Role", "reader", "staging", READ_CRONJOBS),
        binding("staging", "Role", "reader", kind="ServiceAccount", name="runner"),
        user=user,
    ).allowed


def test_a_cluster_role_bound_in_a_namespace_counts_there_alone() -> None:
    objects = (
        role("ClusterRole", "reader", "", READ_CRONJOBS),
        binding("staging", "ClusterRole", "reader", kind="User", name="octocat"),
    )
    elsewhere = parse_request("GET", "/apis/batch/v1/namespaces/production/cronjobs/nightly", {})
    everywhere = parse_request("GET", "/apis/batch/v1/cronjobs", {})

    assert decide(GET_CRONJOB, *objects).allowed
    assert not decide(elsewhere, *objects).allowed
    assert not decide(everywhere, *objects).allowed


def test_a_cluster_role_binding_counts_everywhere() -> None:
    objects = (
        role("ClusterRole", "reader", "", READ_CRONJOBS),
        binding("", "ClusterRole", "reader", kind="User", name="octocat"),
    )

    assert decide(GET_CRONJOB, *objects).allowed
    assert decide(parse_request("GET", "/apis/batch/v1/cronjobs", {}), *objects).allowed


def test_one_right_is_not_another() -> None:
    objects = (
        role("Role", "reader", "staging", READ_CRONJOBS),
        binding("staging", "Role", "reader", kind="User", name="octocat"),
    )

    assert not decide(CREATE_JOB, *objects).allowed


def test_a_binding_to_a_missing_role_is_named_in_the_refusal() -> None:
    decision = decide(GET_CRONJOB, binding("staging", "Role", "reader", kind="User", name="octocat"))

    assert decision == Decision(allowed=False, reason='RBAC: role.rbac.authorization.k8s.io "reader" not found')


def test_system_masters_may_do_anything() -> None:
    assert decide(CREATE_JOB, user=User("root", ("system:masters",))).allowed


LOG = "/api/v1/namespaces/staging/pods/nightly-x/log"


@pytest.mark.parametrize(
    ("rule", "path", "allowed"),
    [
        ({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}, LOG, True),
        ({"apiGroups": [""], "resources": ["*/log"], "verbs": ["get"]}, LOG, True),
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, LOG, True),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}, LOG, False),
        ({"apiGroups": ["batch"], "resources": ["pods/log"], "verbs": ["get"]}, LOG, False),
        ({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["list"]}, LOG, False),
        ({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}, LOG.removesuffix("/log"), False),
    ],
)
def test_a_rule_covers_a_subresource_only_by_its_name(rule: Object, path: str, *, allowed: bool) -> None:
    assert rule_allows(rule, parse_request("GET", path, {})) is allowed


@pytest.mark.parametrize(
    ("path", "query", "allowed"),
    [
        ("cronjobs/nightly", {}, True),
        ("cronjobs/weekly", {}, False),
        ("cronjobs", {}, False),
        ("cronjobs", {"fieldSelector": "metadata.name=nightly"}, True),
        ("cronjobs", {"fieldSelector": "metadata.name=nightly", "watch": "true"}, False),
    ],
)
def test_resource_names_narrow_a_rule(path: str, query: Object, *, allowed: bool) -> None:
    rule = {**READ_CRONJOBS, "resourceNames": ["nightly"]}

    assert rule_allows(rule, parse_request("GET", f"/apis/batch/v1/namespaces/s/{path}", query)) is allowed


def test_names_do_not_grant_creation_because_the_request_names_none() -> None:
    rule = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"], "resourceNames": ["nightly-1"]}

    assert not rule_allows(rule, CREATE_JOB)


@pytest.mark.parametrize(
    ("method", "path", "query", "verb"),
    [
        ("GET", "/api/v1/namespaces/s/pods", {}, "list"),
        ("GET", "/api/v1/namespaces/s/pods", {"watch": "true"}, "watch"),
        ("GET", "/api/v1/namespaces/s/pods", {"watch": "0"}, "list"),
        ("GET", "/api/v1/namespaces/s/pods/p", {}, "get"),
        ("PATCH", "/api/v1/namespaces/s/pods/p", {}, "patch"),
        ("DELETE", "/api/v1/namespaces/s/pods/p", {}, "delete"),
        ("DELETE", "/api/v1/namespaces/s/pods", {}, "deletecollection"),
    ],
)
def test_a_method_and_its_path_make_a_verb(method: str, path: str, query: Object, verb: str) -> None:
    assert parse_request(method, path, query).verb == verb


@pytest.mark.parametrize(
    ("request_", "reason", "message"),
    [
        (
            GET_CRONJOB,
            "",
            (
                'cronjobs.batch "nightly" is forbidden: User "octocat" cannot get resource "cronjobs"'
                ' in API group "batch" in the namespace "staging"'
            ),
        ),
        (
            CREATE_JOB,
            "RBAC: no",
            (
                'jobs.batch is forbidden: User "octocat" cannot create resource "jobs"'
                ' in API group "batch" in the namespace "staging": RBAC: no'
            ),
        ),
        (
            parse_request("GET", LOG, {}),
            "",
            (
                'pods "nightly-x" is forbidden: User "octocat" cannot get resource "pods/log"'
                ' in API group "" in the namespace "staging"'
            ),
        ),
        (
            parse_request("GET", "/api/v1/namespaces", {}),
            "",
            (
                'namespaces is forbidden: User "octocat" cannot list resource "namespaces"'
                ' in API group "" at the cluster scope'
            ),
        ),
        (
            parse_request("GET", "/api/v1/namespaces/staging", {}),
            "",
            (
                'namespaces "staging" is forbidden: User "octocat" cannot get resource "namespaces"'
                ' in API group "" in the namespace "staging"'
            ),
        ),
        (parse_request("GET", "/version", {}), "", 'forbidden: User "octocat" cannot get path "/version"'),
    ],
)
def test_a_refusal_reads_like_the_real_one(request_: RequestInfo, reason: str, message: str) -> None:
    refused = refusal(OCTOCAT, request_, reason)

    assert refused.body["message"] == message
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")


def test_a_refusal_can_not_look_like_html() -> None:
    assert "<b>" not in str(refusal(User("<b>&"), GET_CRONJOB, ""))
    assert "&lt;b&gt;&amp;" in str(refusal(User("<b>&"), GET_CRONJOB, ""))


def test_a_role_opens_what_it_names(runner: Client) -> None:
    assert runner.get(f"{CRONJOBS}/nightly").status == 200
    assert runner.create(job()).status == 201


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", JOBS, 'jobs.batch is forbidden: User "octocat" cannot list resource "jobs"'),
        ("GET", POD_LOG, 'pods "nightly-1-abcde" is forbidden: User "octocat" cannot get resource "pods/log"'),
        ("DELETE", f"{JOBS}/x", 'jobs.batch "x" is forbidden: User "octocat" cannot delete resource "jobs"'),
    ],
)
def test_everything_else_is_forbidden(runner: Client, method: str, path: str, message: str) -> None:
    answer = runner(method, path)

    assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
    assert answer.json["message"].startswith(message)


def test_a_refusal_tells_its_details(runner: Client) -> None:
    answer = runner.get("/apis/batch/v1/namespaces/default/cronjobs/nightly")

    assert answer.json["details"] == {"name": "nightly", "group": "batch", "kind": "cronjobs"}


def test_access_is_decided_before_existence(runner: Client) -> None:
    assert runner.get("/apis/batch/v1/namespaces/nowhere/cronjobs/nightly").status == 403


@pytest.mark.parametrize(("verb", "allowed"), [("create", True), ("delete", False)])
def test_anyone_may_ask_what_he_may_do(runner: Client, verb: str, *, allowed: bool) -> None:
    asked = {"namespace": "staging", "verb": verb, "group": "batch", "resource": "jobs"}

    answer = runner("POST", REVIEWS, {"spec": {"resourceAttributes": asked}})

    assert answer.status == 201
    assert answer.json["status"]["allowed"] is allowed
