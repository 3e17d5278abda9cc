"""One step with a container action, as the runner starts it and reads what it leaves, but without the container.

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
from typing import TYPE_CHECKING, Any, ParamSpec

import yaml

from sandbox.github import workflow_commands
from sandbox.github.oidc_provider import SERVER_URL

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sandbox.github.oidc_provider import GitHub
    from sandbox.github.workflow_commands import Interpretation

ACTION_REPOSITORY = "acme/run-cronjob"
ACTION_REF = "v1"
LARGEST_SUMMARY = 1024 * 1024

_FILES = {
    "output": "set_output",
    "env": "set_env",
    "path": "add_path",
    "state": "save_state",
    "step_summary": "step_summary",
}
"""Files by which a step speaks to the runner: the GITHUB_ variable, and the runner's prefix of the name."""
_WITH_PAIRS = ("env", "state", "output")

Launch = Callable[["Path", Mapping[str, str], "Places"], "subprocess.Popen[bytes]"]
"""How a step's entrypoint is started: with these variables, and these folders."""


@dataclass(frozen=True)
class Run:
    """A step that ended.

    `outputs` are those that other jobs can get: one that holds a masked value vanishes. `files` are the raw ones, by
    output, env, path, state and step_summary. `errors` are the runner's own, about those files.
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
class Places:
    """The folders that the runner lends to a step; all but the workspace are within `temp`."""

    workspace: Path
    home: Path
    temp: Path
    file_commands: Path
    workflow: Path


@dataclass(frozen=True)
class Step:
    """A step that was started: `process` may be sent signals; `finish` waits for its end, once."""

    process: subprocess.Popen[bytes]
    workspace: Path
    home: Path
    _timeout: float
    _files: Mapping[str, Path]

    def finish(self) -> Run:
        """Wait for the process and read what it left, as the runner does.

        Raises TimeoutError, with the log so far, after killing a process that doesn't end.
        """
        try:
            stdout, stderr = self.process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            said = (stdout + stderr).decode("utf-8", "replace")
            raise TimeoutError(f"the step did not end within {self._timeout} s; it said:\n{said}") from error
        return self._read(stdout, stderr)

    def _read(self, stdout: bytes, stderr: bytes) -> Run:
        log = workflow_commands.interpret(stdout, stderr)
        files = {name: path.read_bytes() for name, path in self._files.items()}
        errors: list[str] = []
        pairs = {name: _pairs(name, files[name], errors) for name in _WITH_PAIRS}
        unreadable = bool(errors)
        summary = files["step_summary"]
        if len(summary) > LARGEST_SUMMARY:
            errors.append(
                f"$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of {LARGEST_SUMMARY // 1024}k, "
                f"got {len(summary) // 1024}k."
            )
            summary = b""
        set_by_log = {
            command.properties["name"]: command.data
            for command in log.commands
            if command.name == "set-output" and "name" in command.properties
        }
        outputs = set_by_log | pairs["output"]
        return Run(
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


def start_step(  # noqa: PLR0913  the knobs of a step
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
    launch: Launch | None = None,
    on_start: Callable[[subprocess.Popen[bytes]], None] | None = None,
    timeout: float = 90,
) -> Step:
    """Start the action whose action.yml is beside `entrypoint`, as a process or as `launch` does it.

    What the step needs is made in `folder`, one for each step, that the caller deletes. `environ` has the last word
    over the runner's own variables, and `unset` over both.
    """
    temp = _new(folder / "temp")
    places = Places(
        workspace=workspace or _new(folder / "workspace"),
        home=home or _new(temp / "_github_home"),
        temp=temp,
        file_commands=_new(temp / "_runner_file_commands"),
        workflow=_new(temp / "_github_workflow"),
    )
    event_path = places.workflow / "event.json"
    files = {name: places.file_commands / f"{prefix}_{uuid.uuid4()}" for name, prefix in _FILES.items()}
    for path in files.values():
        path.touch()
    event_path.write_text(json.dumps(github.event.payload(github.server_url)))

    variables = {
        "HOME": str(places.home),
        "CI": "true",
        **_input_variables(entrypoint, inputs),
        **_github_variables(github),
        **{f"GITHUB_{name.upper()}": str(path) for name, path in files.items()},
        "GITHUB_EVENT_PATH": str(event_path),
        "GITHUB_WORKSPACE": str(places.workspace),
        **_runner_variables(places),
        **_services(github, id_token_permission=id_token_permission),
        **(environ or {}),
    }
    left = {name: value for name, value in variables.items() if name not in unset}
    process = launch(entrypoint, left, places) if launch else _as_process(entrypoint, left, places)
    if on_start:
        on_start(process)
    return Step(process, places.workspace, places.home, timeout, files)


def _as_process(entrypoint: Path, variables: Mapping[str, str], places: Places) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", str(entrypoint)],
        cwd=places.workspace,
        env={"PATH": os.environ["PATH"], **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def state_of(run: Run) -> dict[str, str]:
    """What a step left for its post-entrypoint, which gets it as STATE_ variables."""
    return dict(workflow_commands.key_value_pairs(run.files["state"]))


_Knobs = ParamSpec("_Knobs")


def _to_its_end(start: Callable[_Knobs, Step]) -> Callable[_Knobs, Run]:
    @functools.wraps(start)
    def run(*args: _Knobs.args, **kwargs: _Knobs.kwargs) -> Run:
        return start(*args, **kwargs).finish()

    return run


run_step = _to_its_end(start_step)
"""Start a step and wait for its end."""


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _input_variables(entrypoint: Path, given: Mapping[str, str]) -> dict[str, str]:
    """INPUT_*; a default never reaches an input that was given, be it as an empty string."""
    declared = metadata(entrypoint).get("inputs") or {}
    defaults = {name: (properties or {}).get("default", "") for name, properties in declared.items()}
    return {_input_variable(name): value for inputs in (defaults, given) for name, value in inputs.items()}


def metadata(entrypoint: Path) -> dict[str, Any]:
    """What the action.yml beside an entrypoint says, not to be changed."""
    return _parsed(entrypoint.with_name("action.yml").read_text())


@functools.cache
def _parsed(action: str) -> dict[str, Any]:
    # BaseLoader takes every scalar as it is written, as the runner does: 3600 and true are strings.
    parsed: dict[str, Any] = yaml.load(action, Loader=yaml.BaseLoader)  # noqa: S506  makes strings only
    return parsed


def _input_variable(name: str) -> str:
    return f"INPUT_{name.replace(' ', '_').upper()}"


def _github_variables(github: GitHub) -> dict[str, str]:
    event, server = github.event, github.server_url
    on_github_com = server == SERVER_URL
    variables = {
        "ACTION": "run",
        "ACTIONS": "true",
        "ACTION_REF": ACTION_REF,
        "ACTION_REPOSITORY": ACTION_REPOSITORY,
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


def _runner_variables(places: Places) -> dict[str, str]:
    return {
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "GitHub Actions 1",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(places.temp),
        "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
        "RUNNER_WORKSPACE": str(places.workspace.parent),
    }


def _services(github: GitHub, *, id_token_permission: bool) -> dict[str, str]:
    """GitHub's own services; one token opens all of them."""
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
    """What a file sets, up to its first mistake."""
    pairs: dict[str, str] = {}
    try:
        pairs.update(workflow_commands.key_value_pairs(content))
    except workflow_commands.FileCommandError as error:
        errors += [f"Unable to process file command '{name}' successfully.", str(error)]
    return pairs
