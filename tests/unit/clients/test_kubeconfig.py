"""Of a kubeconfig, only allowed keys of the chosen context are loaded; programs and unverified TLS are refused."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.clients import kubeconfig
from run_cronjob.core.errors import ActionError
from run_cronjob.core.models import Access, Endpoint
from tests.builders import HOSTILE

FOLDER = PurePosixPath("/github/workspace/deploy")
TOKEN = "t0ken-of-the-robot"
CLUSTER = {"server": "https://api.example:6443", "certificate-authority-data": "Q0E="}
USER = {"token": TOKEN}


def document(
    cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "blue",
        "contexts": [{"name": "blue", "context": {"cluster": "c", "user": "u", "namespace": "staging"}}],
        "clusters": [{"name": "c", "cluster": CLUSTER if cluster is None else cluster}],
        "users": [{"name": "u", "user": USER if user is None else user}],
    } | changes


def parse(config: object, context: str = "") -> Access:
    text = config if isinstance(config, str) else yaml.safe_dump(config)
    return kubeconfig.parse(text, context, FOLDER)


def refusal(config: object, context: str = "") -> str:
    with pytest.raises(ActionError) as caught:
        parse(config, context)
    problem = caught.value.problem
    assert problem.reason == "InvalidKubeconfig"
    assert problem.fix
    return f"{problem.what} {problem.fix}"


def loaded(access: Access) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one cluster and the one user in the reduced kubeconfig."""
    config = access.kubeconfig
    ((name,),) = [[each["name"] for each in config["contexts"]]]
    assert config["current-context"] == name
    (cluster,) = config["clusters"]
    (user,) = config["users"]
    assert config["contexts"][0]["context"] == {"cluster": cluster["name"], "user": user["name"]}
    return cluster["cluster"], user["user"]


# --- the reduced kubeconfig ---------------------------------------------------------------------------------


def test_a_kubeconfig_for_eks_holds_the_endpoint_its_ca_and_the_token() -> None:
    endpoint = Endpoint("https://abc.gr7.eu-central-1.eks.amazonaws.com", "Q0E=", "1.34", "ACTIVE")

    access = kubeconfig.for_eks(endpoint, TOKEN, "blue")

    assert loaded(access) == ({"server": endpoint.server, "certificate-authority-data": "Q0E="}, {"token": TOKEN})
    assert (access.cluster, access.namespace, access.secrets) == ("blue", "", (TOKEN,))


def test_the_chosen_context_and_its_namespace() -> None:
    access = parse(document())

    assert loaded(access) == (CLUSTER, USER)
    assert (access.cluster, access.namespace) == ("blue", "staging")


def test_another_context_can_be_chosen() -> None:
    contexts = [
        {"name": "blue", "context": {"cluster": "missing", "user": "missing"}},
        {"name": "green", "context": {"cluster": "c", "user": "u"}},
    ]

    access = parse(document(contexts=contexts), "green")

    assert (access.cluster, access.namespace) == ("green", "")


def test_json_is_yaml() -> None:
    assert loaded(parse(json.dumps(document()))) == (CLUSTER, USER)


def test_a_client_certificate_is_taken_instead_of_a_token() -> None:
    user = {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}

    access = parse(document(user=user))

    assert loaded(access)[1] == user
    assert access.secrets == ("S0VZ",)


def test_relative_paths_start_from_the_kubeconfigs_folder_and_absolute_ones_stay() -> None:
    cluster = CLUSTER | {"certificate-authority": "ca.pem"}
    user = {"tokenFile": "../token", "client-certificate": "/certs/me.pem", "client-key": "me.key"}

    seen_cluster, seen_user = loaded(parse(document(cluster, user)))

    assert seen_cluster["certificate-authority"] == "/github/workspace/deploy/ca.pem"
    assert seen_user == {
        "tokenFile": "/github/workspace/deploy/../token",
        "client-certificate": "/certs/me.pem",
        "client-key": "/github/workspace/deploy/me.key",
    }


def test_a_proxy_and_a_server_name_of_its_own_are_kept() -> None:
    access = parse(document(CLUSTER | {"proxy-url": "http://proxy.example:3128", "tls-server-name": "api.internal"}))

    assert access.proxy_url == "http://proxy.example:3128"
    assert loaded(access)[0]["tls-server-name"] == "api.internal"


def test_keys_that_are_not_allowed_are_left_out() -> None:
    access = parse(document(CLUSTER | {"extensions": [], "novel": 1}, USER | {"extensions": [], "novel": {"run": "x"}}))

    assert loaded(access) == (CLUSTER, USER)


def test_a_token_is_not_in_the_repr() -> None:
    assert TOKEN not in repr(parse(document()))


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ({"exec": {"command": "aws", "args": ["eks", "get-token"]}}, "`exec`"),
        (USER | {"exec": {"command": "sh"}}, "`exec`"),
        (USER | {"auth-provider": {"name": "gcp", "config": {"cmd-path": "sh"}}}, "`auth-provider`"),
        ({"username": "admin", "password": "admin"}, "`password`"),
        (USER | {"as": "system:admin"}, "`as`"),
        ({}, "anonymous"),
        ({"token": ""}, "anonymous"),
        ({"client-certificate-data": "Q0VSVA=="}, "anonymous"),
        ({"client-key-data": "S0VZ"}, "anonymous"),
    ],
)
def test_a_user_with_a_program_a_password_an_impersonation_or_no_credentials_is_refused(
    user: dict[str, Any], named: str
) -> None:
    assert named in refusal(document(user=user))


@pytest.mark.parametrize(
    "server",
    ["", None, "http://api.example", "api.example", "file:///etc", "https://", "https://[::1", "https://api.example:x"],
)
def test_a_server_must_be_an_https_url(server: str | None) -> None:
    assert "`https://` URL" in refusal(document({"server": server}))


def test_unverified_tls_is_refused() -> None:
    for value in (True, "true", 1):
        assert "insecure-skip-tls-verify" in refusal(document(CLUSTER | {"insecure-skip-tls-verify": value}))
    assert loaded(parse(document(CLUSTER | {"insecure-skip-tls-verify": False}))) == (CLUSTER, USER)


def test_contexts_that_are_not_chosen_may_hold_refused_keys() -> None:
    config = document()
    config["users"].append({"name": "v", "user": {"exec": {"command": "sh"}}})
    config["contexts"].append({"name": "green", "context": {"cluster": "c", "user": "v"}})

    assert loaded(parse(config)) == (CLUSTER, USER)
    assert "`exec`" in refusal(config, "green")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (document() | {"current-context": ""}, "current-context"),
        (document() | {"current-context": "green"}, "no context called `green`; it has `blue`"),
        (document(clusters=[]), "no cluster called `c`; it has none"),
        (document(users=None), "no user called `u`; it has none"),
        (document(contexts=5), "no context called `blue`; it has none"),
        (document(contexts={"blue": {}}), "no context called `blue`; it has none"),
        (document(contexts=[{"name": "blue", "context": None}]), "no context called `blue`"),
    ],
)
def test_a_missing_name_is_reported_with_the_existing_ones(config: dict[str, Any], named: str) -> None:
    assert named in refusal(config)


@pytest.mark.parametrize("text", ["", "deploy/kubeconfig.yaml", "- a\n- b", "null", "42"])
def test_text_that_is_no_mapping_is_no_kubeconfig(text: str) -> None:
    assert "is not a kubeconfig" in refusal(text)


@pytest.mark.parametrize(
    "broken",
    [
        f"token: '{TOKEN}",
        f"{{token: {TOKEN}",
        f"a: {TOKEN}\n b: c: d",
        f"? {TOKEN}\n: !!python/object:os.system {TOKEN}",
    ],
)
def test_invalid_yaml_is_not_quoted_because_it_may_be_a_secret(broken: str) -> None:
    assert TOKEN not in refusal(broken)


@pytest.mark.parametrize("value", ["2026-99-99", "0o9", "!!int x", "&a [*a]", "\x00"])
def test_yaml_with_invalid_values_is_refused(value: str) -> None:
    with pytest.raises(ActionError):
        parse(f"current-context: {value}\nwhen: {value}")


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text.strip()])
def test_hostile_names_are_quoted(hostile: str) -> None:
    config = document(contexts=[{"name": hostile, "context": {}}])

    for message in (refusal(config, "blue"), refusal(config, hostile)):
        spans = message.split("`")
        assert len(spans) % 2 == 1
        assert len(message.splitlines()) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["blue", "c", "u", "https://x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "context", "cluster", "user", "server", "token", "exec", "as", "namespace"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(list(document())), VALUES), st.sampled_from(["", "blue"]))
def test_any_document_is_loaded_or_refused(changes: dict[str, Any], context: str) -> None:
    try:
        access = parse(document() | changes, context)
    except ActionError:
        return
    cluster, user = loaded(access)
    assert cluster["server"].startswith("https://")
    assert user


@given(st.text())
def test_any_text_that_is_no_kubeconfig_is_refused(text: str) -> None:
    with pytest.raises(ActionError):
        kubeconfig.parse(text, "", FOLDER)
