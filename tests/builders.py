"""What the unit tests are about, ready made: honest inputs, a CronJob, an Outcome, and hostile texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from run_cronjob.core.models import CronJobFacts, IfRunning, Inputs, Logs, OnCancel, Outcome, Trigger, WaitFor
from run_cronjob.report import publish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from run_cronjob.clients.workflow_commands import Actions

ROLE = "arn:aws:iam::123456789012:role/ci/run-cronjob"

TRIGGER = Trigger(
    actor="hubot",
    triggering_actor="octocat",
    repository="acme/batch",
    workflow="Run CronJob",
    ref="refs/heads/main",
    sha="0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
    run_id="4711",
    run_attempt="2",
)

CLAIMS = {
    "iss": "https://token.actions.githubusercontent.com",
    "sub": "repo:acme/batch:ref:refs/heads/main",
    "aud": "sts.amazonaws.com",
    "repository": "acme/batch",
    "ref": "refs/heads/main",
    "job_workflow_ref": "acme/batch/.github/workflows/run.yml@refs/heads/main",
}

HOSTILE = [
    "`closed` **bold** <b>html</b>",
    "``` \n```\n# heading",
    "a | b \\| c",
    "[link](https://evil.example) ![image](https://evil.example/x.png)",
    "</details><script>alert(1)</script><!--",
    "https://evil.example www.evil.example mail@evil.example",
    "@octocat #1 acme/batch#1 :tada:",
    "line one\nline two\r\nline three\rline four\n\n> quote\n\n- list",
    "::error::no\n::add-mask::a\n  ::set-output name=result::created",
    "see ##[error]no ##[add-mask]a",
    "\N{ZERO WIDTH SPACE}::error::no #\N{WORD JOINER}#[error]no",
    "\u2028::error::no\x85::error::no\x0b::error::no",
    "left \N{RIGHT-TO-LEFT OVERRIDE}thgir\N{POP DIRECTIONAL FORMATTING}",
    "\x1b[31mred\x1b[0m \x00 \x07",
    "$(id) `id` ; id && id # '\"",
    "&lt;b&gt; &#96; \\` \\",
    "\ud800 half a pair",
    "",
    " ",
    "x" * 5000,
]
"""What a stranger may write into a name, a message or a claim."""


INPUT_NAMES: list[str] = list(
    yaml.safe_load((Path(__file__).resolve().parents[1] / "action.yml").read_text())["inputs"]
)


def cronjob(*, name: str = "nightly-report", spec: dict[str, Any] | None = None, **job_spec: Any) -> dict[str, Any]:
    """As the API server answers it; `spec` goes over the CronJob's, `job_spec` over the Job template's."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "report", "image": "registry.example/r:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": "staging", "uid": "0c5a8c9e-cron"},
        "spec": {
            "schedule": "5 4 * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"metadata": {}, "spec": {"template": template} | job_spec},
        }
        | (spec or {}),
    }


def inputs(**changes: Any) -> Inputs:
    """An honest form, filled in."""
    given: dict[str, Any] = {
        "cronjob": "nightly-report",
        "namespace": "staging",
        "cluster": "blue",
        "aws_region": "eu-central-1",
        "role_to_assume": ROLE,
        "role_session_name": "octocat-4711-2",
        "role_duration_seconds": 3600,
        "audience": "sts.amazonaws.com",
        "kubeconfig": "",
        "context": "",
        "job_name": "{cronjob}-by-gha-{timestamp}",
        "wait_for": WaitFor.CREATED,
        "timeout": None,
        "logs": Logs.TRUE,
        "if_running": IfRunning.WARN,
        "on_cancel": OnCancel.LEAVE,
        "dry_run": False,
        "token_request": None,
        "trigger": TRIGGER,
        "docs_url": "https://github.com/acme/run-cronjob/blob/v1/docs",
    }
    return Inputs(**(given | changes))


def outcome(**changes: Any) -> Outcome:
    """What is known before the Job is asked for."""
    known: dict[str, Any] = {
        "cronjob": "nightly-report",
        "namespace": "staging",
        "cluster": "blue",
        "trigger": TRIGGER,
        "docs_url": "https://github.com/acme/run-cronjob/blob/v1/docs",
        "facts": CronJobFacts(
            schedule="5 4 * * *",
            time_zone="Europe/Berlin",
            suspended=False,
            template_suspended=False,
            concurrency_policy="Forbid",
            images=("registry.example/r:1",),
        ),
    }
    return Outcome(**(known | changes))


class FakeClock:
    """Time passes only by sleeping, and where a test says so; chance always falls on the same side."""

    def __init__(self, chance: float = 0.5) -> None:
        self.elapsed = 0.0
        self.chance = chance
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds

    def random(self) -> float:
        return self.chance


class Heard:
    """Stands in for the writer and remembers."""

    def __init__(self) -> None:
        self.written: dict[str, str] = {}
        self.annotations: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.markdown = ""

    def outputs(self, values: Mapping[str, str]) -> None:
        self.written.update(values)

    def summary(self, markdown: str) -> None:
        self.markdown = markdown

    def line(self, text: str) -> None:
        self.lines.append(text)

    def group(self, title: str, text: str) -> None:
        self.lines += [title, text]

    def notice(self, title: str, _: str) -> None:
        self.annotations.append(("notice", title))

    def error(self, title: str, _: str) -> None:
        self.annotations.append(("error", title))


def tell(known: Outcome) -> tuple[int, Heard]:
    """The exit status, and all that was written."""
    heard = Heard()
    return publish.tell(known, cast("Actions", heard)), heard
