"""Pure: a kubeconfig reduced to what this action loads, or the reason why it won't.

A kubeconfig can name programs to run and certificates not to check. Only the chosen context is looked at,
only the keys listed here go on to the kubernetes package's loader, and the rest is refused before anything
is loaded (Config in k8s.io/client-go/tools/clientcmd/api/v1 lists what there may be).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from run_cronjob.core.errors import ActionError
from run_cronjob.core.models import Access, Concerns, Problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import quoted

if TYPE_CHECKING:
    from pathlib import PurePath

    from run_cronjob.core.models import Endpoint, Json

_CLUSTER_KEYS = (
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "tls-server-name",
)
_USER_KEYS = (
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
)
_PATH_KEYS = {"certificate-authority", "tokenFile", "client-certificate", "client-key"}
_SECRET_KEYS = ("token", "client-key-data")

_REFUSED_FOR_USER = {
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
    """Access to the EKS cluster at `endpoint` with the bearer token `bearer`."""
    config = _document({"server": endpoint.server, "certificate-authority-data": endpoint.ca_data}, {"token": bearer})
    return Access(config, cluster, namespace="", secrets=(bearer,))


def parse(text: str, context: str, folder: PurePath) -> Access:
    """Access as the kubeconfig `text` tells; relative paths in it start from `folder`.

    Raises ActionError where it can't be read, or asks for what this action refuses.
    """
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a date or number that is none is a bare ValueError
        # The parser's own message quotes the text, which may be a secret.
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
    chosen = _named(config, "contexts", "context", name)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster"))
    user = _named(config, "users", "user", chosen.get("user"))
    _refuse(cluster, user)

    access = _document(
        {key: _located(key, cluster[key], folder) for key in _CLUSTER_KEYS if cluster.get(key)},
        {key: _located(key, user[key], folder) for key in _USER_KEYS if user.get(key)},
    )
    return Access(
        access,
        cluster=str(name),
        namespace=str(chosen.get("namespace") or ""),
        proxy_url=str(cluster.get("proxy-url") or ""),
        secrets=tuple(str(user[key]) for key in _SECRET_KEYS if user.get(key)),
        # A token beside it goes first, as in client-go.
        token_file="" if user.get("token") else str(access["users"][0]["user"].get("tokenFile", "")),
    )


def _refuse(cluster: Json, user: Json) -> None:
    if cluster.get("insecure-skip-tls-verify"):
        raise _invalid(
            "sets insecure-skip-tls-verify, which would hand the token to whoever answers",
            "Remove it and put the cluster's CA into `certificate-authority-data`.",
        )
    if not _is_https(str(cluster.get("server") or "")):
        raise _invalid("names a server that is not an `https://` URL", "Correct `server` of the cluster.")
    for key, (what, fix) in _REFUSED_FOR_USER.items():
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
    except ValueError:  # brackets or a port that can't be
        return False


def _named(config: Json, listed: str, kind: str, name: object) -> Json:
    found = config.get(listed)
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    for entry in entries:
        if entry.get("name") == name and isinstance(entry.get(kind), dict):
            return dict(entry[kind])
    known = ", ".join(quoted(str(entry.get("name"))) for entry in entries) or "none"
    raise _invalid(f"has no {kind} called {quoted(str(name))}; it has {known}", f"Correct the {kind}'s name.")


def _located(key: str, value: object, folder: PurePath) -> str:
    return str(folder / str(value)) if key in _PATH_KEYS else str(value).strip()  # `|` leaves a line end


def _document(cluster: Json, user: Json) -> dict[str, Any]:
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
            concerns=Concerns.PLATFORM,
        )
    )
