"""The README's workflow, run by act. action.yml is pinned to the image, as in a release."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from release.pin import pin
from run_cronjob import REPOSITORY
from sandbox import CLUSTER, CRONJOB, NAMESPACE, REGION
from sandbox.names import ENVIRONMENT
from sandbox.tools import images
from tests.real.images import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import Sandbox
    from sandbox.tools.podman import Engine

ACT = Path(sys.executable).with_name("act")
LOCAL = "./.github/run-cronjob"
"""The action's path in the workflow's repository. From the published name act would fetch it."""


@dataclass(frozen=True)
class ActRun:
    """The exit status and the log of act."""

    exit_status: int
    log: str


@pytest.fixture
def docker(engine: Engine) -> Iterator[str]:
    """The value of DOCKER_HOST. Containers and volumes that act leaves are removed afterwards."""
    assert ACT.is_file(), "act is missing: `make test-real` installs it, from requirements/real.txt"
    with engine.service() as url:
        try:
            yield url
        finally:
            engine.remove(engine.containers("name=^act-"))
            for volume in engine.podman("volume", "ls", "--quiet", "--filter=name=^act-").split():
                engine.podman("volume", "rm", "--force", volume)


@pytest.fixture
def repository(tmp_path: Path, image: str) -> Path:
    """A repository with the README's workflow and the action as released."""
    folder = tmp_path / "batch"
    workflows, action = folder / ".github/workflows", folder / LOCAL
    workflows.mkdir(parents=True)
    action.mkdir(parents=True)
    (text,) = re.findall(r"```yaml\n(name: .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    workflow, replaced = re.subn(rf"{REPOSITORY}@\S+", LOCAL, text)
    assert replaced == 1
    (workflows / "run-cronjob.yml").write_text(workflow)
    (action / "action.yml").write_bytes(pin((ROOT / "action.yml").read_bytes(), image))
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=x"),
    ):
        author = ("-c", "user.name=octocat", "-c", "user.email=octocat@users.noreply.github.com")
        subprocess.run(["git", *author, *command], cwd=folder, check=True)
    return folder


def dispatch(sandbox: Sandbox, engine: Engine, docker: str, repository: Path, cronjob: str = CRONJOB) -> ActRun:
    """Run the workflow by a workflow_dispatch event."""
    inputs = {"environment": ENVIRONMENT, "namespace": NAMESPACE, "cronjob": cronjob}
    event = repository.with_name("event.json")
    event.write_text(json.dumps({"inputs": inputs}))
    variables = {"AWS_ASSUME_ROLE_ARN": sandbox.role, "AWS_REGION": REGION, "CLUSTER_NAME": CLUSTER}
    environ = {
        "ACTIONS_ID_TOKEN_REQUEST_URL": sandbox.github.request_url,  # act has no OIDC provider
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": sandbox.github.request_token,
        "AWS_ENDPOINT_URL_STS": sandbox.sts_url,
        "AWS_ENDPOINT_URL_EKS": sandbox.eks_url,
    }
    done = subprocess.run(
        [
            *(ACT, "workflow_dispatch", "--bind", "--rm", "--pull=false", "--eventpath", event),
            *("--platform", f"ubuntu-latest={images.base(engine)}", "--actor", "octocat"),
            *(word for name, value in variables.items() for word in ("--var", f"{name}={value}")),
            *(word for name, value in environ.items() for word in ("--env", f"{name}={value}")),
        ],
        cwd=repository,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(repository.parent),
            "XDG_CACHE_HOME": str(repository.with_name("cache")),
            "DOCKER_HOST": docker,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ActRun(done.returncode, done.stdout)


def test_the_readmes_workflow_follows_the_job_to_its_end_and_its_last_step_names_it(
    sandbox: Sandbox, engine: Engine, docker: str, repository: Path
):
    ran = dispatch(sandbox, engine, docker, repository)

    assert ran.exit_status == 0, ran.log
    (job,) = sandbox.cluster.list("Job", NAMESPACE)
    assert re.search(rf"\| {job['metadata']['name']} succeeded$", ran.log, re.MULTILINE)
    assert "Job succeeded" in ran.log
    headline = f"`{CRONJOB}` succeeded in `{NAMESPACE}` on `{CLUSTER}`"
    assert re.search(rf"Summary - ### \S+ {re.escape(headline)}", ran.log)
    assert job["metadata"]["annotations"]["run-cronjob/workflow"] == "Run CronJob"


def test_a_failure_fails_the_workflow_and_its_summary_says_why(
    sandbox: Sandbox, engine: Engine, docker: str, repository: Path
):
    ran = dispatch(sandbox, engine, docker, repository, "nigthly-report")

    assert ran.exit_status == 1
    assert "::set-output:: reason=CronJobNotFound" in ran.log
    assert "Summary - ### ❌ `nigthly-report` was not started" in ran.log
    assert "succeeded" not in ran.log
