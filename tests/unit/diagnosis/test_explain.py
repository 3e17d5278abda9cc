"""Each error of a service has one message: what happened, why, the exact fix, and the service's own text."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml

from run_cronjob.core.models import Concerns
from tests.builders import HOSTILE
from tests.unit.diagnosis.examples import HONEST, outside_quotes, problems, sentences

ALL = pytest.mark.parametrize("name", HONEST)


@ALL
def test_every_failure_reports_what_happened_why_and_what_to_do(name: str) -> None:
    problem = HONEST[name]

    assert re.fullmatch(r"([A-Z][a-z]+)+", problem.reason)
    for sentence in sentences(problem):
        assert sentence.strip() == sentence
        assert sentence.endswith((".", ":", "?", ")"))
        assert "\n" not in sentence


@ALL
def test_what_is_announced_for_copying_is_there(name: str) -> None:
    problem = HONEST[name]

    if problem.fix.endswith(":") or "below" in problem.fix:
        assert problem.paste


@ALL
def test_what_is_there_for_copying_is_valid(name: str) -> None:
    problem = HONEST[name]

    match problem.paste_language if problem.paste else "":
        case "json":
            assert json.loads(problem.paste)
        case "yaml":
            assert all(yaml.safe_load_all(problem.paste))
        case "sh":
            commands = problem.paste.partition("\n\n# or")[0]
            assert shlex.split(commands, comments=True)[0] in {"aws", "kubectl"}
        case "":
            assert not problem.paste or problem.reason == "Unexpected"
        case other:
            pytest.fail(other)


@ALL
def test_a_developer_is_not_asked_to_change_the_platform(name: str) -> None:
    problem = HONEST[name]

    if problem.concerns is Concerns.DEVELOPER:
        assert problem.paste_language == "sh" or not problem.paste


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_text_stands_in_quotes_or_nowhere(hostile: str) -> None:
    for name, problem in problems(hostile).items():
        for said, honest in zip(sentences(problem), sentences(HONEST[name]), strict=True):
            if hostile.strip():
                assert outside_quotes(said) == outside_quotes(honest), name
            assert len(said.splitlines()) == 1


def test_what_others_said_is_passed_on() -> None:
    for name in ("github: 500", "aws: trust policy", "api: 422", "api: quota", "api: webhook denies", "uncertain"):
        assert "honest-name" in HONEST[name].said
