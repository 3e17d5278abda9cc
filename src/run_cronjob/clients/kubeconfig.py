"""Reduces a kubeconfig to the keys that this action loads, or refuses it. No I/O.

A kubeconfig can name programs to run, and turn off the verification of certificates. So only the chosen context is
used, and only the keys allowed here are passed to the kubernetes package's loader. All possible keys are in
k8s.io/client-go/tools/clientcmd/api/v1, type Config.
"""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import urlsplit

import yaml

from run_cronjob.core.errors import ActionError
from run_cronjob.core.models import Access, Endpoint, Json, Problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import quoted

_ALLOWED_CLUSTER_KEYS = ("server", "certificate-authority", "certificate-authority-data", "tls-server-name")
_CERTIFICATE_KEYS = ("client-certificate", "client-certificate-data", "client-key", "client-key-data")
_ALLOWED_USER_KEYS = ("token", "tokenFile", *_CERTIFICATE_KEYS)
_PATH_KEYS = {"certificate-authority", "tokenFile", "client-certificate", "client-key"}
_SECRET_KEYS = ("token", "client-key-data")

_REFUSED_USER_KEYS = {
    "exec": (
        "names a program to run for a token",
        "Put a token or a client certificate there; for EKS, give `cluster` and no kubeconfig at all.",
    ),
    "auth-provider": (
        "uses an auth-provider, which Kubernetes removed and which may run a program",
        "Put a token or a client certificate there.",
    ),
    "password": ("uses a password, which Kubernetes no longer accepts", "Put a token there."),
    "as": (
        "impersonates another user, which this action does not do",
        "Put a token there that belongs to the user that is meant.",
    ),
}


def for_eks(endpoint: Endpoint, bearer: str, cluster: str) -> Access:
    """Access to the EKS cluster `cluster` at `endpoint`, with the bearer token `bearer`."""
    config = _kubeconfig({"server": endpoint.server, "certificate-authority-data": endpoint.ca_data}, {"token": bearer})
    return Access(config, cluster, namespace="", secrets=(bearer,))


def parse(text: str, context: str, folder: PurePath) -> Access:
    """Access to the cluster of a context in the kubeconfig `text`, which is YAML or JSON.

    An empty `context` means the kubeconfig's `current-context`. Relative paths in the text start from `folder`. Raises
    ActionError if the text is no kubeconfig, or holds something that this action refuses.
    """
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # PyYAML raises a bare ValueError for invalid dates and numbers
        # The parser's own message is not shown: it quotes the text, which may be a secret.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise _invalid(f"is not YAML{where}", "Check how the file or the secret was made.") from None
    if not isinstance(config, dict):
        raise _invalid(
            "is not a kubeconfig",
            "Give the path of a kubeconfig file, or its text from a secret. A path must be one that the "
            "container can see: in the workspace, or under `${{ runner.temp }}`.",
        )

    name = context or config.get("current-context") or ""
    if not name:
        raise _invalid("has no current-context", "Set the input `context`.")
    chosen = _find(config, "contexts", "context", name)
    cluster = _find(config, "clusters", "cluster", chosen.get("cluster"))
    user = _find(config, "users", "user", chosen.get("user"))
    _check(cluster, user)

    reduced = _kubeconfig(
        {key: _resolved(key, cluster[key], folder) for key in _ALLOWED_CLUSTER_KEYS if cluster.get(key)},
        {key: _resolved(key, user[key], folder) for key in _ALLOWED_USER_KEYS if user.get(key)},
    )
    return Access(
        reduced,
        cluster=str(name),
        namespace=str(chosen.get("namespace") or ""),
        proxy_url=str(cluster.get("proxy-url") or ""),
        secrets=tuple(str(user[key]) for key in _SECRET_KEYS if user.get(key)),
        # As in client-go, `token` has priority over `tokenFile`.
        token_file="" if user.get("token") else str(reduced["users"][0]["user"].get("tokenFile", "")),
    )


def _check(cluster: Json, user: Json) -> None:
    if cluster.get("insecure-skip-tls-verify"):
        raise _invalid(
            "sets insecure-skip-tls-verify, which would hand the token to whoever answers",
            "Remove it and put the cluster's CA into `certificate-authority-data`.",
        )
    if not _is_https(str(cluster.get("server") or "")):
        raise _invalid("names a server that is not an `https://` URL", "Correct `server` of the cluster.")
    for key, (what, fix) in _REFUSED_USER_KEYS.items():
        if user.get(key):
            raise _invalid(f"{what} (`{key}`)", fix)
    certificate = user.get("client-certificate") or user.get("client-certificate-data")
    certificate_key = user.get("client-key") or user.get("client-key-data")
    if not (user.get("token") or user.get("tokenFile") or (certificate and certificate_key)):
        raise _invalid(
            "holds neither a token nor a client certificate with its key",
            "Without one the cluster would see an anonymous user. Put one there.",
        )


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # invalid brackets or port
        return False


def _find(config: Json, plural: str, kind: str, name: object) -> Json:
    listed = config.get(plural)
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    for entry in entries:
        if entry.get("name") == name and isinstance(entry.get(kind), dict):
            return dict(entry[kind])
    names = ", ".join(quoted(str(entry.get("name"))) for entry in entries) or "none"
    raise _invalid(f"has no {kind} called {quoted(str(name))}; it has {names}", f"Correct the {kind}'s name.")


def _resolved(key: str, value: object, folder: PurePath) -> str:
    # A YAML block (`|`) ends in a line end.
    return str(folder / str(value)) if key in _PATH_KEYS else str(value).strip()


def _kubeconfig(cluster: Json, user: Json) -> Json:
    name = "run-cronjob"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _invalid(what: str, fix: str) -> ActionError:
    return ActionError(
        Problem(
            reason=Reason.INVALID_KUBECONFIG,
            what=f"The kubeconfig {what}.",
            why="This action reads a kubeconfig with a token or a client certificate and checks the cluster's "
            "certificate. It runs no program that a kubeconfig names.",
            fix=fix,
        )
    )
