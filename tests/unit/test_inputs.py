"""Reading the inputs: one complaint for each wrong input, all at once; an empty input means its default."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob import inputs
from run_cronjob.core.models import IfRunning, Inputs, TokenRequest
from tests.builders import HOSTILE, INPUT_NAMES, ROLE

if TYPE_CHECKING:
    from collections.abc import Mapping

FORM = {
    "cronjob": "nightly-report",
    "namespace": "staging",
    "cluster": "blue",
    "aws-region": "eu-central-1",
    "role-to-assume": ROLE,
}
WORKFLOW = {
    "GITHUB_ACTOR": "hubot",
    "GITHUB_TRIGGERING_ACTOR": "octocat",
    "GITHUB_REPOSITORY": "acme/batch",
    "GITHUB_WORKFLOW": "Run CronJob",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": "0f1e2d3c",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_SERVER_URL": "https://github.com",
}


def environ(extra: Mapping[str, str] | None = None, /, **form: str) -> dict[str, str]:
    """Return a step's environment with `FORM` as its inputs; keywords change inputs, with `_` for `-`."""
    given_inputs = FORM | {name.replace("_", "-"): value for name, value in form.items()}
    as_variables = {f"INPUT_{name.upper()}": value for name, value in given_inputs.items()}
    return WORKFLOW | as_variables | dict(extra or {})


def complaints(extra: Mapping[str, str] | None = None, /, **form: str) -> list[str]:
    with pytest.raises(inputs.InvalidInputs) as caught:
        inputs.read(environ(extra, **form))
    return caught.value.complaints


def about(name: str, found: list[str]) -> str:
    """Return the one complaint about the input `name`."""
    (one,) = [each for each in found if each.startswith(f"Input `{name}` ")]
    return one


# --- valid inputs -------------------------------------------------------------------------------------------


def test_each_input_has_its_field_of_the_type_that_is_read() -> None:
    asked = inputs.read(environ())

    context = ["token_request", "trigger", "docs_url"]
    assert sorted([each.field for each in inputs.INPUTS] + context) == sorted(field.name for field in fields(Inputs))
    for name, kind in get_type_hints(Inputs).items():
        assert isinstance(getattr(asked, name), kind), name


def test_the_inputs_given_are_read() -> None:
    asked = inputs.read(environ())

    assert (asked.cronjob, asked.namespace, asked.cluster) == ("nightly-report", "staging", "blue")
    assert (asked.aws_region, asked.role_to_assume) == ("eu-central-1", ROLE)


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_input_means_its_default_as_a_variable_that_is_not_set_arrives_empty(empty: str) -> None:
    asked = inputs.read(environ(**{each.field: empty for each in inputs.INPUTS if each.default}))

    assert asked.role_duration_seconds == 3600
    assert asked.audience == "sts.amazonaws.com"
    assert asked.job_name == "{cronjob}-by-gha-{timestamp}"
    assert asked.if_running is IfRunning.WARN
    assert asked.dry_run is False


def test_an_input_left_out_means_the_same_as_an_empty_one() -> None:
    left_out = {name: value for name, value in environ().items() if "INPUT" not in name or name == "INPUT_CRONJOB"}

    assert inputs.read(left_out | {"INPUT_CLUSTER": "blue", "AWS_REGION": "eu-central-1"}).namespace == "default"


def test_spaces_around_a_value_are_removed() -> None:
    assert inputs.read(environ(cronjob=" nightly-report\n")).cronjob == "nightly-report"


def test_the_cronjob_may_name_its_namespace() -> None:
    asked = inputs.read(environ(cronjob="batch/nightly-report", namespace=""))

    assert (asked.namespace, asked.cronjob) == ("batch", "nightly-report")


def test_cronjob_and_namespace_may_agree() -> None:
    assert inputs.read(environ(cronjob="staging/nightly-report")).namespace == "staging"


def test_without_a_namespace_it_is_default_or_with_a_kubeconfig_its_contexts() -> None:
    assert inputs.read(environ(namespace="")).namespace == "default"
    assert inputs.read(environ(namespace="", cluster="", role_to_assume="", kubeconfig="k.yaml")).namespace == ""


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_may_come_from_the_environment(variable: str) -> None:
    assert inputs.read(environ({variable: "cn-north-1"}, aws_region="")).aws_region == "cn-north-1"


def test_the_regions_input_takes_precedence_over_the_environment() -> None:
    assert inputs.read(environ({"AWS_REGION": "us-east-1"})).aws_region == "eu-central-1"


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-northwest-1", "eu-isoe-west-1", "ap-southeast-7"])
def test_regions_of_every_partition_are_taken(region: str) -> None:
    assert inputs.read(environ(aws_region=region)).aws_region == region


@pytest.mark.parametrize("setting", list(IfRunning))
def test_each_setting_of_if_running_is_taken(setting: IfRunning) -> None:
    assert inputs.read(environ(if_running=setting.value)).if_running is setting


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("True", True), ("TRUE", True), ("false", False)])
def test_dry_run_is_a_boolean_as_the_runners_own_toolkit_reads_it(written: str, *, meant: bool) -> None:
    assert inputs.read(environ(dry_run=written)).dry_run is meant


# --- wrong inputs -------------------------------------------------------------------------------------------


def test_every_wrong_input_is_named_in_one_go() -> None:
    found = complaints(
        cronjob="Nightly",
        namespace="no.dots",
        cluster="arn:aws:eks",
        aws_region="mars",
        role_to_assume="admin",
        role_session_name="x",
        role_duration_seconds="1h",
        audience="two words",
        job_name="Job!",
        wait_for="ready",
        timeout="soon",
        logs="some",
        if_running="maybe",
        on_cancel="kill",
        dry_run="yes",
        context="blue",
    )

    wrong = {re.findall("`([^`]*)`", each)[0] for each in found}
    assert wrong == set(INPUT_NAMES) - {"kubeconfig"}


def test_complaints_about_two_inputs_stand_behind_those_about_one() -> None:
    found = complaints(cronjob="a/b", cluster="arn:x", kubeconfig="k.yaml", job_name="Job!", wait_for="ready")

    names = [re.findall("`([^`]*)`", each)[0] for each in found]
    assert names == ["cronjob", "cluster", "job-name", "cluster", "role-to-assume", "wait-for"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cronjob", "Nightly"),
        ("cronjob", "nightly_report"),
        ("cronjob", "-nightly"),
        ("cronjob", "nightly."),
        ("cronjob", "x" * 53),
        ("cronjob", "staging/"),
        ("cronjob", "/nightly"),
        ("cronjob", "nightly?watch=1"),
        ("namespace", "no.dots"),
        ("namespace", "x" * 64),
        ("namespace", "kube-system/x"),
        ("cluster", "https://blue.example"),
        ("cluster", "arn:aws:eks:eu-central-1:123456789012:cluster/blue"),
        ("cluster", "x" * 101),
        ("aws-region", "Frankfurt"),
        ("aws-region", "eu-central"),
        ("aws-region", "eu-central-1.evil.example"),
        ("role-to-assume", "run-cronjob"),
        ("role-to-assume", "arn:aws:iam::123:role/x"),
        ("role-to-assume", "arn:aws:iam::123456789012:user/x"),
        ("role-session-name", "a"),
        ("role-session-name", "a b"),
        ("role-session-name", "x" * 65),
        ("role-duration-seconds", "899"),
        ("role-duration-seconds", "43201"),
        ("role-duration-seconds", "3600.0"),
        ("role-duration-seconds", "-3600"),
        ("role-duration-seconds", "٣٦٠٠"),
        ("role-duration-seconds", "9" * 5000),
        ("audience", "a b"),
        ("audience", "x&role=admin"),
        ("job-name", "Nightly"),
        ("job-name", "{name}"),
        ("if-running", "cancel"),
        ("dry-run", "1"),
    ],
)
def test_a_wrong_value_is_refused_and_repeated(name: str, value: str) -> None:
    complaint = about(name, complaints(**{name.replace("-", "_"): value}))

    assert "must be" in complaint
    assert value[:40] in complaint
    assert len(complaint) < 1000


@pytest.mark.parametrize("cronjob", ["a/b/c", "../secrets", "Staging/nightly"])
def test_a_namespace_before_the_cronjob_must_be_one(cronjob: str) -> None:
    complaint = about("cronjob", complaints(cronjob=cronjob, namespace=""))

    assert f"`{cronjob.rpartition('/')[0]}`, which can't be one" in complaint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cronjob", "x" * 52),
        ("cronjob", "1.2.3"),
        ("namespace", "x" * 63),
        ("cluster", "x" * 100),
        ("role-to-assume", "arn:aws-cn:iam::123456789012:role/a/b/c+=,.@-_"),
        ("role-to-assume", "arn:aws-us-gov:iam::123456789012:role/x"),
        ("role-session-name", "x" * 64),
        ("role-duration-seconds", "900"),
        ("role-duration-seconds", "43200"),
        ("audience", "https://github.com/acme"),
    ],
)
def test_the_longest_and_most_unusual_valid_values_are_accepted(name: str, value: str) -> None:
    inputs.read(environ(**{name.replace("-", "_"): value}))


@pytest.mark.parametrize("name", ["cronjob", "cluster", "aws-region"])
def test_a_missing_input_is_reported_as_missing(name: str) -> None:
    assert "is missing" in about(name, complaints(**{name.replace("-", "_"): ""}))


def test_a_misspelt_choice_is_answered_with_the_nearest_one() -> None:
    assert "did you mean `refuse`?" in about("if-running", complaints(if_running="Refused"))


def test_two_namespaces_that_disagree_are_shown_beside_each_other() -> None:
    complaint = about("cronjob", complaints(cronjob="batch/nightly-report", namespace="staging"))

    assert "`batch`" in complaint
    assert "`staging`" in complaint


@pytest.mark.parametrize("name", ["cluster", "role-to-assume"])
def test_a_kubeconfig_excludes_the_inputs_for_eks(name: str) -> None:
    form = {"cluster": "", "role_to_assume": "", "kubeconfig": "k.yaml", name.replace("-", "_"): FORM[name]}

    assert "together with `kubeconfig`" in about(name, complaints(**form))


def test_a_context_needs_a_kubeconfig() -> None:
    assert "`kubeconfig`, which is missing" in about("context", complaints(context="blue"))


def test_with_a_kubeconfig_no_region_is_required() -> None:
    asked = inputs.read(environ(cluster="", aws_region="", role_to_assume="", kubeconfig="k.yaml", context="blue"))

    assert (asked.kubeconfig, asked.context, asked.aws_region) == ("k.yaml", "blue", "")


def test_wrong_inputs_still_give_person_cronjob_and_cluster() -> None:
    with pytest.raises(inputs.InvalidInputs) as caught:
        inputs.read(environ(dry_run="maybe"))

    known = caught.value.outcome
    assert (known.cronjob, known.namespace, known.cluster) == ("nightly-report", "staging", "blue")
    assert known.trigger.person == "octocat"
    assert known.docs_url


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if text.strip()])
def test_a_hostile_value_stands_quoted_in_its_complaint(hostile: str) -> None:
    for complaint in complaints(**{name.replace("-", "_"): hostile for name in INPUT_NAMES if name != "kubeconfig"}):
        assert len(complaint.splitlines()) == 1
        spans = complaint.split("`")
        assert len(spans) % 2 == 1
        assert not re.search(r"[<>|*@\[\]#:]", "".join(spans[::2]).replace("+=,.@_-", ""))


@given(st.dictionaries(st.sampled_from(INPUT_NAMES), st.text()))
def test_any_inputs_are_either_read_or_complained_about(form: dict[str, str]) -> None:
    variables = {f"INPUT_{name.upper()}": value for name, value in form.items()}
    try:
        asked = inputs.read(variables)
    except inputs.InvalidInputs as invalid:
        found = invalid.complaints
        assert found
    else:
        assert inputs.SUBDOMAIN.fullmatch(asked.cronjob)
        assert asked.cluster or asked.kubeconfig


@given(st.sampled_from(INPUT_NAMES), st.text(min_size=1))
def test_no_accepted_value_can_break_out_of_a_url_or_a_command(name: str, value: str) -> None:
    if name in {"kubeconfig", "context"}:
        return
    try:
        asked = inputs.read(environ(**{name.replace("-", "_"): value}))
    except inputs.InvalidInputs:
        return
    for taken in (asked.cronjob, asked.namespace, asked.cluster, asked.aws_region, asked.role_session_name):
        assert re.fullmatch(r"[\w.+=,@-]*", taken, re.ASCII)


# --- secrets ------------------------------------------------------------------------------------------------


def test_the_repr_of_the_inputs_contains_no_secret() -> None:
    given_token = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer-4711"}
    asked = inputs.read(environ(given_token, cluster="", role_to_assume="", kubeconfig="{token: kubeconfig-4711}"))

    assert "bearer-4711" not in repr(asked)
    assert "kubeconfig-4711" not in repr(asked)


def test_an_oidc_token_can_be_requested_only_with_both_variables_of_the_permission() -> None:
    both = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer-4711"}

    assert inputs.read(environ(both)).token_request == TokenRequest("https://token", "bearer-4711")
    for missing in both:
        assert (
            inputs.read(environ({name: value for name, value in both.items() if name != missing})).token_request is None
        )


# --- the person and the workflow run ------------------------------------------------------------------------


def test_the_person_is_the_one_who_started_this_attempt() -> None:
    trigger = inputs.read(environ()).trigger

    assert (trigger.person, trigger.actor) == ("octocat", "hubot")
    assert trigger.run_url == "https://github.com/acme/batch/actions/runs/4711"


def test_the_session_is_named_for_person_run_and_attempt() -> None:
    assert inputs.read(environ()).role_session_name == "octocat-4711-2"


@given(st.text() | st.text(min_size=40, max_size=100), st.sampled_from(["", "1", "123456789012"]))
def test_a_session_name_is_always_valid_for_sts(person: str, run: str) -> None:
    who = {"GITHUB_TRIGGERING_ACTOR": person, "GITHUB_ACTOR": "", "GITHUB_RUN_ID": run}

    session = inputs.read(environ(who)).role_session_name

    assert inputs.SESSION_NAME.fullmatch(session)
    assert session.endswith(f"-{run or 'local'}-2")


@pytest.mark.parametrize("bot", ["dependabot[bot]", "github-actions[bot]"])
def test_a_bots_name_becomes_a_valid_session_name(bot: str) -> None:
    who = {"GITHUB_TRIGGERING_ACTOR": bot}

    assert inputs.read(environ(who)).role_session_name == bot.replace("[bot]", "-bot-") + "-4711-2"


# --- links --------------------------------------------------------------------------------------------------


def test_links_go_to_the_docs_of_the_version_in_use() -> None:
    used = {"GITHUB_ACTION_REPOSITORY": "fork/run-cronjob", "GITHUB_ACTION_REF": "v1.2"}

    assert inputs.docs_url(used) == "https://github.com/fork/run-cronjob/blob/v1.2/docs"


def test_links_stay_on_the_enterprise_server() -> None:
    used = {"GITHUB_ACTION_REPOSITORY": "acme/run-cronjob", "GITHUB_SERVER_URL": "https://ghes.example:8443"}

    assert inputs.docs_url(used) == "https://ghes.example:8443/acme/run-cronjob/blob/HEAD/docs"


@pytest.mark.parametrize(
    "hostile",
    [
        {"GITHUB_ACTION_REPOSITORY": "x) [y](https://evil.example"},
        {"GITHUB_ACTION_REPOSITORY": "acme/run-cronjob", "GITHUB_ACTION_REF": "v1) <b>"},
        {"GITHUB_ACTION_REPOSITORY": "acme/run-cronjob", "GITHUB_SERVER_URL": "javascript:alert(1)"},
        {"GITHUB_ACTION_REPOSITORY": "acme/run-cronjob", "GITHUB_SERVER_URL": "https://evil.example/)"},
        {"GITHUB_REPOSITORY": "acme/x) [y](https://evil.example", "GITHUB_RUN_ID": "1) <b>"},
    ],
)
def test_no_link_can_be_broken_out_of(hostile: dict[str, str]) -> None:
    asked = inputs.read(environ(hostile))

    for link in (asked.docs_url, asked.trigger.run_url):
        assert re.fullmatch(r"https://github\.com/[\w.%/-]+", link, re.ASCII)
