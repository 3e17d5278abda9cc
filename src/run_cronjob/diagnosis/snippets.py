"""Pure: the policies, entries and rules that let this action in, as text to paste.

docs/setup.md shows the same with placeholders; here they are filled in for the case at hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import yaml

from run_cronjob.core.models import Inputs, Json
from run_cronjob.core.text import command_line, kubectl

GROUP = "run-cronjob"
"""The Kubernetes group of docs/setup.md: what the role is mapped to, and the rights are bound to."""

_GITHUB_COM = "token.actions.githubusercontent.com"

CREATE_RULES: list[Json] = [
    {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list"]},
]
"""The rights that `wait-for: created` needs, and those that make its messages better."""

FOLLOW_RULES: list[Json] = [
    {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
]
"""The same, and what it takes to follow a Job to its end."""


def rule(resource: str, *verbs: str) -> str:
    """One rule on one line, to be added to a role; `resource` is such as `jobs.batch` or `pods/log`."""
    plural, _, group = resource.partition(".")
    return f'- {{apiGroups: ["{group}"], resources: [{plural}], verbs: [{", ".join(verbs)}]}}'


def rbac(namespace: str, *, user: str = "", follow: bool = True) -> str:
    """The ClusterRole, and its binding in one namespace to `user`, or else to the group, as YAML."""
    role: Json = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": GROUP},
        "rules": FOLLOW_RULES if follow else CREATE_RULES,
    }
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User" if user else "Group", "name": user or GROUP}
    binding: Json = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": GROUP, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": GROUP},
        "subjects": [subject],
    }
    return yaml.safe_dump_all([role, binding], sort_keys=False).strip()


def issuer(claims: Mapping[str, object]) -> str:
    """The issuer as IAM writes it, without the scheme; GitHub.com's where the token can't be read."""
    return str(claims.get("iss") or _GITHUB_COM).removeprefix("https://")


def provider_arn(role: str, issuer_name: str) -> str:
    """The ARN of the issuer's OIDC provider, in the account of `role`."""
    return f"{role.partition(':role/')[0]}:oidc-provider/{issuer_name}"


def trust_statement(role: str, claims: Mapping[str, object]) -> str:
    """The trust policy statement that lets in runs with this token's `sub`, in the form that it has.

    A `sub` that names an environment says nothing of the branch, so `ref` is asked for beside it where STS knows that
    key: for GitHub.com's own issuer, not for an Enterprise Server's.
    """
    host = issuer(claims)
    names = ["aud", "sub"]
    if ":environment:" in str(claims.get("sub", "")) and host == _GITHUB_COM:
        names.append("ref")
    # A claim that can't be read must not widen the statement: then it lets nobody in.
    condition = {f"{host}:{name}": str(claims.get(name) or f"THE-TOKENS-{name.upper()}") for name in names}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn(role, host)},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": condition},
    }
    return json.dumps(statement, indent=2)


def describe_cluster_statement(inputs: Inputs) -> str:
    """The identity policy statement for eks:DescribeCluster of the cluster asked for."""
    arn = re.match(r"arn:(?P<partition>[\w-]+):iam::(?P<account>\d+):", inputs.role_to_assume)
    partition, account = (arn["partition"], arn["account"]) if arn else ("aws", "*")
    resource = f"arn:{partition}:eks:{inputs.aws_region}:{account}:cluster/{inputs.cluster}"
    statement = {"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": resource}
    return json.dumps(statement, indent=2)


def cluster_entry(inputs: Inputs, caller: str) -> str:
    """Both ways to let an AWS identity into an EKS cluster; `caller` is a role's or a session's ARN."""
    role = role_of(caller) or "ARN-OF-THE-ROLE"
    pathless = re.sub(r":role/(?:.*/)?", ":role/", role)
    entry = [{"rolearn": pathless, "username": f"{GROUP}:{{{{SessionName}}}}", "groups": [GROUP]}]
    return (
        "# an access entry:\n"
        f"aws eks create-access-entry --region {inputs.aws_region} --cluster-name {inputs.cluster} \\\n"
        f"  --principal-arn {role} --kubernetes-groups {GROUP}\n"
        "\n"
        "# or, in the ConfigMap kube-system/aws-auth, under mapRoles (which takes no role path):\n"
        + yaml.safe_dump(entry, sort_keys=False).strip()
    )


def role_of(caller: str) -> str:
    """The role's ARN behind a session's, which does not carry the role's path; other ARNs as they are."""
    session = re.fullmatch(r"(arn:[\w-]+:)sts(::\d+:)assumed-role/([^/]+)/.*", caller)
    return f"{session[1]}iam{session[2]}role/{session[3]}" if session else caller


def describe_cluster(inputs: Inputs, query: str) -> str:
    """The AWS CLI command that shows `query` of the EKS cluster; empty without one."""
    if not inputs.cluster:
        return ""
    where = command_line("aws eks describe-cluster", "--region", inputs.aws_region, "--name", inputs.cluster)
    return f"{where} {query}"


def job_commands(namespace: str, name: str) -> list[str]:
    """The kubectl commands to watch or stop a Job, each after a comment."""
    return [
        "# how is it doing?",
        kubectl(namespace, "get job", name),
        "# what does it say?",
        kubectl(namespace, "logs --all-containers --follow", f"job/{name}"),
        "# stop it, with its pods:",
        kubectl(namespace, "delete job", name),
    ]
