"""A step gets the variables and files of the real runner, and its result is read as the runner does."""

from __future__ import annotations

import json
import os
import select
import signal
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from sandbox.github.oidc_provider import GitHub
from sandbox.github.runner import run_step, start_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.github.runner import StepResult

    RunScript: TypeAlias = Callable[..., StepResult]

ACTION = """
inputs:
  cronjob: {required: true}
  dry-run: {default: false}
  role-duration-seconds: {default: 3600}
  two words: {default: "  as written "}
"""
PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as github:
        yield github


@pytest.fixture
def step(tmp_path: Path, github: GitHub) -> Callable[[str], dict[str, Any]]:
    """The arguments of start_step for a step whose action runs a script."""

    def make(script: str) -> dict[str, Any]:
        action = tmp_path / "action"
        action.mkdir(exist_ok=True)
        (action / "action.yml").write_text(ACTION)
        (action / "entrypoint.py").write_text(textwrap.dedent(script))
        folder = tmp_path / "step"
        folder.mkdir()
        return {"entrypoint": action / "entrypoint.py", "inputs": {}, "github": github, "folder": folder}

    return make


@pytest.fixture
def run(step: Callable[[str], dict[str, Any]]) -> RunScript:
    return lambda script, **options: run_step(**{**step(script), **options})


def environment(run: StepResult) -> dict[str, str]:
    variables: dict[str, str] = json.loads(run.stdout)
    return variables


def test_the_exit_status_and_both_streams_are_kept(run: RunScript):
    ended = run("import sys; print('out'); print('::notice::err', file=sys.stderr); sys.exit(3)")

    assert (ended.exit_status, ended.stdout, ended.stderr) == (3, b"out\n", b"::notice::err\n")
    assert ended.log.shown == ("out", "##[notice]err")
    assert not ended.succeeded


def test_inputs_arrive_in_capitals_with_hyphens_and_with_underscores_for_spaces(run: RunScript):
    variables = environment(run(PRINT_ENVIRONMENT, inputs={"cronjob": "nightly", "dry-run": ""}))

    assert {name: value for name, value in variables.items() if name.startswith("INPUT_")} == {
        "INPUT_CRONJOB": "nightly",
        "INPUT_DRY-RUN": "",
        "INPUT_ROLE-DURATION-SECONDS": "3600",
        "INPUT_TWO_WORDS": "  as written ",
    }


def test_an_input_that_is_not_given_has_its_default_as_written_or_is_empty(run: RunScript):
    variables = environment(run(PRINT_ENVIRONMENT))

    assert variables["INPUT_DRY-RUN"] == "false"
    assert variables["INPUT_CRONJOB"] == ""


def test_the_variables_and_the_payload_describe_the_event(run: RunScript, github: GitHub):
    github.event = replace(github.event, actor="ann", triggering_actor="bob", run_attempt=2, visibility="public")

    ended = run(PRINT_ENVIRONMENT + "; print(open(os.environ['GITHUB_EVENT_PATH']).read())")

    first, second = ended.stdout.splitlines()
    variables, payload = json.loads(first), json.loads(second)
    expected = {
        "GITHUB_ACTOR": "ann",
        "GITHUB_TRIGGERING_ACTOR": "bob",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_REPOSITORY": "acme/batch",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REF_NAME": "main",
        "GITHUB_EVENT_NAME": "workflow_dispatch",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_ACTION_REPOSITORY": "acme/run-cronjob",
        "GITHUB_ACTION_REF": "v1",
        "GITHUB_ACTIONS": "true",
        "CI": "true",
    }
    assert variables | expected == variables
    assert payload["repository"]["visibility"] == "public"


def test_the_variables_hold_the_urls_of_an_enterprise_server(step: Callable[[str], dict[str, Any]]):
    with GitHub("https://ghes.example") as enterprise:
        variables = environment(run_step(**{**step(PRINT_ENVIRONMENT), "github": enterprise}))

    assert variables["GITHUB_SERVER_URL"] == "https://ghes.example"
    assert variables["GITHUB_API_URL"] == "https://ghes.example/api/v3"


def test_only_path_of_the_tests_environment_reaches_the_action(run: RunScript, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "production")

    variables = environment(run(PRINT_ENVIRONMENT))

    assert variables["PATH"] == os.environ["PATH"]
    assert "AWS_PROFILE" not in variables
    prefixes = ("GITHUB_", "RUNNER_", "ACTIONS_", "INPUT_")
    assert {name for name in variables if not name.startswith(prefixes)} <= {"PATH", "HOME", "CI", "LC_CTYPE"}


def test_variables_can_be_added_overridden_and_removed(run: RunScript):
    variables = environment(
        run(PRINT_ENVIRONMENT, environ={"GITHUB_ACTOR": "eve", "AWS_REGION": "x"}, unset=["GITHUB_SHA", "AWS_REGION"])
    )

    assert variables["GITHUB_ACTOR"] == "eve"
    assert not variables.keys() & {"GITHUB_SHA", "AWS_REGION"}


def test_with_the_permission_a_token_can_be_requested(run: RunScript, github: GitHub):
    ended = run(
        """
        import json, os, urllib.request
        headers = {"Authorization": "Bearer " + os.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]}
        url = os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&audience=x"
        print("value" in json.load(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20)))
        """
    )

    assert ended.stdout == b"True\n"
    assert len(github.journal) == 1


def test_without_the_permission_the_variables_for_tokens_are_missing(run: RunScript):
    variables = environment(run(PRINT_ENVIRONMENT, id_token_permission=False))

    assert not [name for name in variables if name.startswith("ACTIONS_ID_TOKEN")]
    assert "ACTIONS_RUNTIME_TOKEN" in variables


def test_python_is_isolated_from_the_workspace_it_starts_in(run: RunScript, tmp_path: Path):
    workspace = tmp_path / "checkout"
    workspace.mkdir()
    (workspace / "json.py").write_text("raise SystemExit('poisoned')")

    ended = run(
        "import json, os; print(os.getcwd(), os.environ['GITHUB_WORKSPACE'], os.environ['HOME'])",
        workspace=workspace,
        environ={"PYTHONPATH": str(workspace)},
    )

    assert ended.stdout.decode().split() == [str(workspace), str(workspace), str(ended.home)]
    assert ended.workspace == workspace


def test_home_can_be_shared_with_other_steps(run: RunScript, tmp_path: Path):
    assert run("", home=tmp_path).home == tmp_path


def test_a_new_home_and_workspace_are_empty(run: RunScript):
    ended = run("")

    assert ended.home != ended.workspace
    assert [*ended.home.iterdir(), *ended.workspace.iterdir()] == []


def write(variable: str, text: str) -> str:
    return f"import os; open(os.environ[{variable!r}], 'a', encoding='utf-8', newline='').write({text!r})"


def test_outputs_are_read_from_their_file_and_from_the_log(run: RunScript):
    ended = run(
        write("GITHUB_OUTPUT", "result=created\nreason<<EOF\none\ntwo\nEOF\n")
        + "; print('::set-output name=result::old'); print('::set-output name=old::kept')"
    )

    assert ended.outputs == {"result": "created", "reason": "one\ntwo", "old": "kept"}
    assert ended.succeeded


def test_an_output_that_holds_a_masked_value_is_dropped(run: RunScript):
    ended = run(write("GITHUB_OUTPUT", "job-name=nightly-x1\nresult=created\n") + "; print('::add-mask::x')")

    assert ended.outputs == {"result": "created"}
    assert b"nightly-x1" in ended.files["output"]


def test_a_missing_delimiter_fails_a_step_that_itself_succeeded(run: RunScript):
    ended = run(write("GITHUB_OUTPUT", "result=created\nreason<<EOF\none\n"))

    assert ended.exit_status == 0
    assert not ended.succeeded
    assert ended.outputs == {"result": "created"}
    assert ended.errors == (
        "Unable to process file command 'output' successfully.",
        "Invalid value. Matching delimiter not found 'EOF'",
    )


@pytest.mark.parametrize("command", ["::add-path::/evil", "::set-output::no name"])
def test_a_command_that_the_runner_refuses_fails_a_step_that_itself_succeeded(run: RunScript, command: str):
    ended = run(f"print({command!r})")

    assert ended.exit_status == 0
    assert not ended.succeeded


def test_the_summary_is_shown_masked(run: RunScript):
    ended = run(write("GITHUB_STEP_SUMMARY", "# Done\r\nhush now") + "; print('::add-mask::hush')")

    assert ended.summary == "# Done\n*** now\n"
    assert ended.files["step_summary"] == b"# Done\r\nhush now"


@pytest.mark.parametrize(("size", "kept"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
def test_a_summary_of_more_than_a_mebibyte_is_dropped_with_an_error(run: RunScript, size: int, kept: bool):
    ended = run(f"import os; open(os.environ['GITHUB_STEP_SUMMARY'], 'w').write('x' * {size})")

    assert bool(ended.summary) is kept
    assert (ended.errors == ()) is kept
    assert ended.succeeded


@pytest.mark.parametrize(
    ("variable", "name"), [("GITHUB_ENV", "env"), ("GITHUB_STATE", "state"), ("GITHUB_PATH", "path")]
)
def test_the_other_files_are_kept_as_written(run: RunScript, variable: str, name: str):
    assert run(write(variable, "a=b\n")).files[name] == b"a=b\n"


def test_files_that_the_action_does_not_write_are_empty(run: RunScript):
    ended = run("")

    assert set(ended.files) == {"output", "env", "path", "state", "step_summary"}
    assert set(ended.files.values()) == {b""}
    assert ended.summary == ""


WAIT = "import time; print('::notice::waiting', flush=True); time.sleep(600)"


def test_a_started_step_can_be_sent_signals(step: Callable[[str], dict[str, Any]]):
    started = start_step(**step(WAIT))

    started.process.send_signal(signal.SIGKILL)

    assert started.finish().exit_status == -signal.SIGKILL


def test_a_step_that_does_not_end_is_killed_and_its_log_reported(step: Callable[[str], dict[str, Any]]):
    started = start_step(**step(WAIT), timeout=0.01)
    assert started.process.stdout
    select.select([started.process.stdout], [], [], 60)

    with pytest.raises(TimeoutError, match="::notice::waiting"):
        started.finish()

    assert started.process.returncode == -signal.SIGKILL
