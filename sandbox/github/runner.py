"""Runs one step of a container action as the runner does, by default as a process instead of a container.

After actions/runner v2.336: ContainerActionHandler.cs, Handler.cs, GitHubContext.cs, FileCommandManager.cs.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from sandbox.github import workflow_commands
from sandbox.github.oidc_provider import SERVER_URL

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sandbox.github.oidc_provider import GitHub
    from sandbox.github.workflow_commands import Interpretation

_ACTION_REPOSITORY = "acme/run-cronjob"
_ACTION_REF = "v1"
_MAX_SUMMARY_BYTES = 1024 * 1024

_FILES = {
    "output": "set_output",
    "env": "set_env",
    "path": "add_path",
    "state": "save_state",
    "step_summary": "step_summary",
}
"""The runner's files for a step: the name of the GITHUB_ variable, and the prefix of the file name."""
_WITH_PAIRS = ("env", "state", "output")

Launcher = Callable[["Path", Mapping[str, str], "RunnerFolders"], "subprocess.Popen[bytes]"]
"""Starts a step's entrypoint with environment variables and the runner's folders."""


@dataclass(frozen=True)
class StepResult:
    """The result of a step that has ended.

    `outputs` are those that other jobs can use: the runner drops an output that holds a masked value. `files` holds
    the unparsed files output, env, path, state and step_summary. `errors` are the runner's, about those files.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes
    log: Interpretation
    outputs: Mapping[str, str]
    summary: str
    files: Mapping[str, bytes]
    errors: tuple[str, ...]
    succeeded: bool
    workspace: Path
    home: Path


@dataclass(frozen=True)
class RunnerFolders:
    """The folders that the runner creates for a step; all but the workspace are within `temp`."""

    workspace: Path
    home: Path
    temp: Path
    file_commands: Path
    workflow: Path


@dataclass(frozen=True)
class Step:
    """A running step: tests can send signals to `process`; `finish` waits for its end, once."""

    process: subprocess.Popen[bytes]
    workspace: Path
    home: Path
    _timeout: float
    _files: Mapping[str, Path]

    def finish(self) -> StepResult:
        """Wait for the process and read its log and files, as the runner does.

        If the process does not end in time, kills it and raises TimeoutError, which holds the log.
        """
        try:
            stdout, stderr = self.process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            log = (stdout + stderr).decode("utf-8", "replace")
            raise TimeoutError(f"the step did not end within {self._timeout} s; its log:\n{log}") from error
        return self._read(stdout, stderr)

    def _read(self, stdout: bytes, stderr: bytes) -> StepResult:
        log = workflow_commands.interpret(stdout, stderr)
        files = {name: path.read_bytes() for name, path in self._files.items()}
        errors: list[str] = []
        pairs = {name: _pairs(name, files[name], errors) for name in _WITH_PAIRS}
        unreadable = bool(errors)
        summary = files["step_summary"]
        if len(summary) > _MAX_SUMMARY_BYTES:
            errors.append(
                f"$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of {_MAX_SUMMARY_BYTES // 1024}k, "
                f"got {len(summary) // 1024}k."
            )
            summary = b""
        set_by_log = {
            command.properties["name"]: command.data
            for command in log.commands
            if command.name == "set-output" and "name" in command.properties
        }
        outputs = set_by_log | pairs["output"]
        return StepResult(
            exit_status=self.process.returncode,
            stdout=stdout,
            stderr=stderr,
            log=log,
            outputs={
                name: value for name, value in outputs.items() if workflow_commands.mask(value, log.masks) == value
            },
            summary="".join(
                f"{workflow_commands.mask(line, log.masks)}\n" for line in workflow_commands.lines(summary)
            ),
            files=files,
            errors=tuple(errors),
            succeeded=not (self.process.returncode or log.failed or unreadable),
            workspace=self.workspace,
            home=self.home,
        )


def start_step(  # noqa: PLR0913  the options of a step
    *,
    entrypoint: Path,
    inputs: Mapping[str, str],
    github: GitHub,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    unset: Collection[str] = (),
    workspace: Path | None = None,
    home: Path | None = None,
    id_token_permission: bool = True,
    launch: Launcher | None = None,
    timeout: float = 90,
) -> Step:
    """Start the action whose action.yml is beside `entrypoint`, with `launch` or else as a process.

    The step's folders are created in `folder`, which must be new for each step; the caller deletes it. `environ`
    overrides the runner's variables, and `unset` removes variables of both. `timeout` is in seconds.
    """
    temp = _new(folder / "temp")
    folders = RunnerFolders(
        workspace=workspace or _new(folder / "workspace"),
        home=home or _new(temp / "_github_home"),
        temp=temp,
        file_commands=_new(temp / "_runner_file_commands"),
        workflow=_new(temp / "_github_workflow"),
    )
    (folders.workflow / "event.json").write_text(json.dumps(github.event.payload(github.server_url)))
    files = {name: folders.file_commands / f"{prefix}_{uuid.uuid4()}" for name, prefix in _FILES.items()}
    for path in files.values():
        path.touch()
    variables = {
        "CI": "true",
        **_input_variables(entrypoint, inputs),
        **_github_variables(github),
        **{f"GITHUB_{name.upper()}": str(path) for name, path in files.items()},
        **_folder_variables(folders),
        **_service_variables(github, id_token_permission=id_token_permission),
        **(environ or {}),
    }
    remaining = {name: value for name, value in variables.items() if name not in unset}
    process = (launch or _launch_process)(entrypoint, remaining, folders)
    return Step(process, folders.workspace, folders.home, timeout, files)


def run_step(**options: Any) -> StepResult:  # noqa: ANN401  those of start_step
    """Start a step and wait for its end."""
    return start_step(**options).finish()


def start_process(
    command: Sequence[str], variables: Mapping[str, str], folders: RunnerFolders
) -> subprocess.Popen[bytes]:
    """Start a step's process in the workspace, with the variables as its complete environment."""
    return subprocess.Popen(
        command,
        cwd=folders.workspace,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _launch_process(entrypoint: Path, variables: Mapping[str, str], folders: RunnerFolders) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-I", str(entrypoint))
    return start_process(command, {"PATH": os.environ["PATH"], **variables}, folders)


def saved_state(result: StepResult) -> dict[str, str]:
    """The state that a step saved for its post-entrypoint, which gets it in STATE_ variables."""
    return dict(workflow_commands.key_value_pairs(result.files["state"]))


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _input_variables(entrypoint: Path, given: Mapping[str, str]) -> dict[str, str]:
    """INPUT_*: an input that is given, even as an empty string, does not get its default."""
    declared = metadata(entrypoint).get("inputs") or {}
    defaults = {name: (properties or {}).get("default", "") for name, properties in declared.items()}
    return {_input_variable(name): value for inputs in (defaults, given) for name, value in inputs.items()}


def metadata(entrypoint: Path) -> dict[str, Any]:
    """The content of the action.yml beside an entrypoint; it is shared, so don't change it."""
    return _parsed(entrypoint.with_name("action.yml").read_text())


@functools.cache
def _parsed(action: str) -> dict[str, Any]:
    # BaseLoader reads every scalar as a string, as the runner does: 3600 and true are strings.
    parsed: dict[str, Any] = yaml.load(action, Loader=yaml.BaseLoader)  # noqa: S506  it creates only strings
    return parsed


def _input_variable(name: str) -> str:
    return f"INPUT_{name.replace(' ', '_').upper()}"


def _github_variables(github: GitHub) -> dict[str, str]:
    event, server = github.event, github.server_url
    on_github_com = server == SERVER_URL
    variables = {
        "ACTION": "run",
        "ACTIONS": "true",
        "ACTION_REF": _ACTION_REF,
        "ACTION_REPOSITORY": _ACTION_REPOSITORY,
        "ACTOR": event.actor,
        "ACTOR_ID": event.actor_id,
        "API_URL": "https://api.github.com" if on_github_com else f"{server}/api/v3",
        "BASE_REF": "",
        "EVENT_NAME": event.event_name,
        "GRAPHQL_URL": "https://api.github.com/graphql" if on_github_com else f"{server}/api/graphql",
        "HEAD_REF": "",
        "JOB": "run",
        "REF": event.ref,
        "REF_NAME": event.ref_name,
        "REF_PROTECTED": "true",
        "REF_TYPE": event.ref_type,
        "REPOSITORY": event.repository,
        "REPOSITORY_ID": event.repository_id,
        "REPOSITORY_OWNER": event.repository_owner,
        "REPOSITORY_OWNER_ID": event.repository_owner_id,
        "RETENTION_DAYS": 90,
        "RUN_ATTEMPT": event.run_attempt,
        "RUN_ID": event.run_id,
        "RUN_NUMBER": event.run_number,
        "SERVER_URL": server,
        "SHA": event.sha,
        "TRIGGERING_ACTOR": event.triggering_actor,
        "WORKFLOW": event.workflow,
        "WORKFLOW_REF": event.workflow_ref,
        "WORKFLOW_SHA": event.sha,
    }
    return {f"GITHUB_{name}": str(value) for name, value in variables.items()}


def _folder_variables(folders: RunnerFolders) -> dict[str, str]:
    return {
        "HOME": str(folders.home),
        "GITHUB_EVENT_PATH": str(folders.workflow / "event.json"),
        "GITHUB_WORKSPACE": str(folders.workspace),
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "GitHub Actions 1",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(folders.temp),
        "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
        "RUNNER_WORKSPACE": str(folders.workspace.parent),
    }


def _service_variables(github: GitHub, *, id_token_permission: bool) -> dict[str, str]:
    """The URLs of GitHub's own services; one token is valid for all of them."""
    variables = {
        "ACTIONS_RUNTIME_URL": f"{github.url}/",
        "ACTIONS_RUNTIME_TOKEN": github.request_token,
        "ACTIONS_RESULTS_URL": f"{github.url}/",
    }
    if id_token_permission:
        variables["ACTIONS_ID_TOKEN_REQUEST_URL"] = github.request_url
        variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = github.request_token
    return variables


def _pairs(name: str, content: bytes, errors: list[str]) -> dict[str, str]:
    """The pairs in a file, up to the first error, which is added to `errors`."""
    pairs: dict[str, str] = {}
    try:
        pairs.update(workflow_commands.key_value_pairs(content))
    except workflow_commands.FileCommandError as error:
        errors += [f"Unable to process file command '{name}' successfully.", str(error)]
    return pairs
