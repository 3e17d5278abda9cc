"""Tests of jobs/naming: names follow the pattern, are valid, and differ between runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from run_cronjob.jobs import naming
from run_cronjob.jobs.naming import NameRule
from tests.builders import cronjob

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

SUFFIXES = st.sampled_from(["", "-x7k2p"])
# Short and long names, with dots and hyphens anywhere, also where a name is cut.
CRONJOBS = (st.text("ab0-.", max_size=52) | st.text("ab0-.", min_size=35, max_size=52)).map(
    lambda text: re.sub(r"[-.]*\.[-.]*", ".", text).strip("-.") or "a"
)
PATTERNS = st.lists(
    st.sampled_from(["{cronjob}", "{timestamp}", "{run-id}", "{run-attempt}", "-", ".", "a", "by-gha", "x" * 30]),
    min_size=1,
    max_size=6,
).map("".join)


def name(pattern: str, cronjob_name: str, rule: NameRule | None = None, suffix: str = "", attempt: str = "1") -> str:
    values = naming.placeholder_values(cronjob_name, NOW, "4711", attempt)
    return naming.job_name(pattern, values, rule or NameRule(), suffix)


def test_the_default_name_tells_the_cronjob_and_the_second() -> None:
    assert name(naming.DEFAULT_PATTERN, "nightly-report") == "nightly-report-by-gha-20261123040506"


def test_a_pattern_may_name_run_and_attempt() -> None:
    assert name("{run-id}-{run-attempt}-{cronjob}", "sync") == "4711-1-sync"


def test_outside_a_workflow_run_and_attempt_are_zero() -> None:
    values = naming.placeholder_values("sync", NOW, "", "")

    assert naming.job_name("{cronjob}-{run-id}-{run-attempt}", values, NameRule()) == "sync-0-0"


@pytest.mark.parametrize("length", [1, 40, 41])
def test_a_name_that_fits_is_not_cut(length: int) -> None:
    assert name(naming.DEFAULT_PATTERN, "x" * length) == "x" * length + "-by-gha-20261123040506"


@pytest.mark.parametrize("length", [42, 52])
def test_a_name_that_is_too_long_loses_the_end_of_the_cronjobs_not_the_time(length: int) -> None:
    made = name(naming.DEFAULT_PATTERN, "x" * length)

    assert re.fullmatch(r"x{35}-[0-9a-f]{5}-by-gha-20261123040506", made)
    assert len(made) == 63


def test_two_cronjobs_that_differ_only_where_the_name_is_cut_have_different_names() -> None:
    names = {name(naming.DEFAULT_PATTERN, "x" * 45 + end) for end in ("-blue", "-green")}

    assert len(names) == 2


def test_two_names_that_are_cut_after_all_still_differ_by_their_hash() -> None:
    long = "x" * 70
    names = {name(f"{long}-{{run-id}}-{{run-attempt}}", "sync", attempt=attempt) for attempt in ("1", "2")}

    assert len(names) == 2


def test_an_indexed_job_leaves_space_for_its_last_index_and_has_no_dots() -> None:
    rule = naming.rule_for({"completionMode": "Indexed", "completions": 1000})

    made = name(naming.DEFAULT_PATTERN, "monthly.report." + "x" * 37, rule)

    assert LABEL.fullmatch(f"{made}-999")
    assert len(f"{made}-999") == 63


@pytest.mark.parametrize(
    ("job_spec", "rule"),
    [
        ({}, NameRule(63, dots=True)),
        ({"completionMode": "NonIndexed", "completions": 1000}, NameRule(63, dots=True)),
        ({"completionMode": "Indexed", "completions": 1}, NameRule(61, dots=False)),
        ({"completionMode": "Indexed", "completions": 10}, NameRule(61, dots=False)),
        ({"completionMode": "Indexed", "completions": 11}, NameRule(60, dots=False)),
        ({"completionMode": "Indexed", "completions": 0}, NameRule(61, dots=False)),
        ({"completionMode": "Indexed", "completions": None}, NameRule(61, dots=False)),
    ],
)
def test_the_rule_follows_from_the_template(job_spec: dict[str, Any], rule: NameRule) -> None:
    template = cronjob(**job_spec)["spec"]["jobTemplate"]["spec"]

    assert naming.rule_for(template) == rule


@given(PATTERNS, CRONJOBS, st.booleans(), st.integers(0, 10_000), SUFFIXES)
@example(naming.DEFAULT_PATTERN, "x" * 34 + ".cut-at-the-dot", False, 1, "")
def test_whatever_the_cronjob_is_called_the_name_is_valid(
    pattern: str, cronjob_name: str, indexed: bool, completions: int, suffix: str
) -> None:
    assume(naming.is_pattern(pattern))
    mode = "Indexed" if indexed else "NonIndexed"
    rule = naming.rule_for({"completionMode": mode, "completions": completions})

    made = name(pattern, cronjob_name, rule, suffix)

    assert SUBDOMAIN.fullmatch(made)
    assert len(made) <= 63
    assert made.endswith(suffix)
    if indexed:
        assert LABEL.fullmatch(f"{made}-{max(completions - 1, 0)}")


@given(CRONJOBS, CRONJOBS, SUFFIXES)
def test_different_cronjobs_never_get_the_same_default_name(one: str, other: str, suffix: str) -> None:
    assume(one != other)

    assert name(naming.DEFAULT_PATTERN, one, suffix=suffix) != name(naming.DEFAULT_PATTERN, other, suffix=suffix)


@pytest.mark.parametrize("pattern", [naming.DEFAULT_PATTERN, "a", "{run-id}", "a.b-{cronjob}", "x" * 200])
def test_a_pattern_of_the_required_form_is_accepted(pattern: str) -> None:
    assert naming.is_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["", "-a", "a-", "a..b", "a.-b", "A", "a_b", "{cronjob", "{unknown}", "{CronJob}", "a b", "a\n", "ä", "%s"],
)
def test_any_other_pattern_is_refused(pattern: str) -> None:
    assert not naming.is_pattern(pattern)
