"""action.yml, the declarations in the code, README.md and the Dockerfile agree."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from run_cronjob import REPOSITORY, inputs
from run_cronjob.core.models import Result
from run_cronjob.inputs import INPUTS
from tests.builders import outcome
from tests.fakes import published

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "run_cronjob"
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
README = (ROOT / "README.md").read_text()


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table under a heading of README.md, by the name in their first column."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`"): row[1:] for row in rows}


# --- action.yml and the code --------------------------------------------------------------------------------


def test_the_inputs_are_those_that_the_code_declares() -> None:
    assert [each.name for each in INPUTS] == list(ACTION["inputs"])


def test_the_defaults_are_those_of_the_code() -> None:
    declared = {name: given["default"] for name, given in ACTION["inputs"].items() if "default" in given}

    assert declared == {each.name: each.default for each in INPUTS if each.default}


def test_the_defaults_are_strings_as_the_runner_wants_them() -> None:
    assert all(isinstance(given.get("default", ""), str) for given in ACTION["inputs"].values())


def test_an_input_that_is_required_has_no_default_and_the_code_asks_for_it() -> None:
    required = {name for name, given in ACTION["inputs"].items() if given.get("required")}

    assert required == {"cronjob"} == {each.name for each in INPUTS if each.required}
    assert not any(each.default for each in INPUTS if each.required)
    with pytest.raises(inputs.InvalidInputs) as caught:
        inputs.read({})
    assert "Input `cronjob` is missing" in caught.value.complaints[0]


def test_the_outputs_are_those_that_are_written_on_every_path() -> None:
    for result in Result:
        _, actions = published(outcome(result=result))
        assert list(actions.written) == list(ACTION["outputs"])


def test_everything_is_described() -> None:
    for described in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert re.fullmatch(r"\S.*[.]", described["description"].strip(), re.DOTALL)


def test_the_descriptions_name_every_choice() -> None:
    for each in INPUTS:
        assert set(re.findall(r"\w+", ACTION["inputs"][each.name]["description"])) >= set(each.choices)
    assert all(result.value in ACTION["outputs"]["result"]["description"] for result in Result)


def test_the_entrypoint_is_where_the_image_has_it() -> None:
    entrypoint = ACTION["runs"]["entrypoint"]
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert ACTION["runs"]["using"] == "docker"
    assert (ROOT / ACTION["runs"]["image"]).is_file()
    assert re.search(rf"^COPY .*\bentrypoint\.py /root-fs{entrypoint}$", dockerfile, re.MULTILINE)
    assert f'ENTRYPOINT ["{entrypoint}"]' in dockerfile
    assert re.search(r"^COPY src/run_cronjob /root-fs/app/src/run_cronjob$", dockerfile, re.MULTILINE)
    assert "FROM scratch\nCOPY --from=build /root-fs /\n" in dockerfile


def test_the_job_of_a_cancelled_run_is_cleaned_up_by_an_executable_of_its_own() -> None:
    post = ACTION["runs"]["post-entrypoint"]
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert ACTION["runs"]["post-if"] == "cancelled()"
    assert re.search(rf"^COPY .*\bpost\.py /root-fs{post}$", dockerfile, re.MULTILINE)
    assert (ROOT / "post.py").stat().st_mode & 0o111
    assert re.fullmatch(r"#!/\S+/python3 -I", (ROOT / "post.py").read_text().splitlines()[0])


LATE = [
    *("wait", "core.status"),
    *(f"jobs.{name}" for name in ("follow", "watch", "events", "tail", "log_resume")),
    *(
        f"clients.{name}"
        for name in ("aws", "kube_api", "kube_transport", "kubernetes_parts", "token_refresh", "chunked")
    ),
    *(f"diagnosis.{name}" for name in ("view", "blocker", "pod_creation", "scheduling", "image_pull", "startup")),
    *(f"diagnosis.{name}" for name in ("pod_state", "job_state", "pod_failure", "job_failure")),
]
"""The modules that are imported only once the step needs them."""


def test_a_run_that_does_not_follow_the_job_does_not_import_the_modules_for_it() -> None:
    code = "import sys, run_cronjob.main, run_cronjob.steps; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    modules = {f"run_cronjob.{name}" for name in LATE}
    assert all(importlib.util.find_spec(name) for name in modules)
    assert not loaded & modules
    assert not {"boto3", "kubernetes"} & loaded


def test_the_image_keeps_to_githubs_rules_for_actions() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert not re.search(r"^(USER|WORKDIR)\b", dockerfile, re.MULTILINE)


def test_python_runs_isolated_from_the_jobs_environment() -> None:
    first, *_ = (ROOT / "entrypoint.py").read_text().splitlines()

    assert re.fullmatch(r"#!/\S+/python3 -I", first)


# --- README.md and docs ---------------------------------------------------------------------------------------


def test_the_readme_lists_the_inputs_with_their_defaults() -> None:
    rows = table("Inputs")

    assert list(rows) == list(ACTION["inputs"])
    for each in INPUTS:
        if each.default:
            assert rows[each.name][0] == f"`{each.default}`"
        if each.fallbacks:
            assert rows[each.name][0] == ", ".join(f"`{variable}`" for variable in each.fallbacks)
        assert (rows[each.name][0] == "required") == each.required


def test_the_readme_lists_the_outputs() -> None:
    assert list(table("Outputs")) == list(ACTION["outputs"])


def test_the_readme_names_every_choice_and_every_result() -> None:
    for each in INPUTS:
        assert all(f"`{choice}`" in table("Inputs")[each.name][1] for choice in each.choices)
    assert all(f"`{result.value}`" in table("Outputs")["result"][0] for result in Result)


def test_the_workflow_to_paste_uses_this_action_and_inputs_that_exist() -> None:
    (workflow,) = re.findall(r"```yaml\n(name: .*?)```", README, re.DOTALL)
    (job,) = yaml.safe_load(workflow)["jobs"].values()
    (step,) = [step for step in job["steps"] if "uses" in step]

    assert step["uses"].partition("@")[0] == REPOSITORY
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert job["permissions"]["id-token"] == "write"


def test_the_repository_of_the_action_is_named_in_one_module_only() -> None:
    naming_it = [path.name for path in SOURCE.rglob("*.py") if REPOSITORY in path.read_text()]

    assert naming_it == ["__init__.py"]


def test_every_relative_link_leads_to_a_file() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
