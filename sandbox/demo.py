"""`make demo`: runs the action in the sandbox and shows form, log, outputs, summary and Job."""

from __future__ import annotations

import getpass
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console
from rich.markdown import Markdown
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from sandbox.environment import Sandbox
from sandbox.github.oidc_provider import GitHub
from sandbox.github.runner import start_step
from sandbox.job_script import JobScript
from sandbox.names import ENTRYPOINT, ENVIRONMENT, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.github.runner import Step, StepResult
    from sandbox.job_script import Pod

AWS_VARIABLES = ("AWS_", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "SSL_CERT_")


@dataclass(frozen=True)
class Story:
    """A scenario: `prepare` changes the sandbox, the action runs with `inputs`, and `play` updates its Job."""

    title: str
    inputs: Mapping[str, str]
    prepare: Callable[[Sandbox], object] = lambda _: None
    play: Callable[[JobScript, Step], object] | None = None

    def run(self, sandbox: Sandbox) -> StepResult:
        """Run the action and update its Job."""
        step = sandbox.start(self.inputs)
        if self.play:
            self.play(JobScript(sandbox.cluster, NAMESPACE, step=step), step)
        return step.finish()


FOLLOW = {"wait-for": "completed", "timeout": "50m"}
"""The inputs of the README's workflow."""


def _succeed(script: JobScript, _: Step) -> None:
    pod = _start(script)
    for day in ("orders", "invoices", "returns"):
        pod.log(f"{day}: 100 %\n".encode())
        time.sleep(_PAUSE_SECONDS)
    pod.log(b"report written")
    pod.end(0)
    script.complete()


def _fail(script: JobScript, _: Step) -> None:
    for _attempt in range(3):
        pod = _start(script)
        pod.log(b"reading orders ...\n")
        time.sleep(_PAUSE_SECONDS)
        pod.log(b'Traceback (most recent call last):\n  File "report.py", line 41, in <module>\n')
        pod.log(b'psycopg.OperationalError: connection to "db.batch" failed: password expired\n')
        pod.end(3)
    script.fail(message="Job has reached the specified backoff limit")


def _never_pull(script: JobScript, _: Step) -> None:
    pod = script.pod()
    image = "registry.example/reports/nightly:2.7.1"
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        error = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
        pod.wait(reason, f'Back-off pulling image "{image}": ErrImagePull: {error}')
        script.event(pod.raw, "Failed", f'Failed to pull image "{image}": {error}', count=4)
        time.sleep(_PAUSE_SECONDS)


def _run_on(script: JobScript, _: Step) -> None:
    pod = _start(script)
    pod.log(b"row 1 of 4000000\n")


def _cancel(script: JobScript, step: Step) -> None:
    _run_on(script, step)
    time.sleep(1)
    step.process.send_signal(signal.SIGINT)


def _start(script: JobScript) -> Pod:
    pod = script.pod()
    time.sleep(_PAUSE_SECONDS)
    pod.wait("ContainerCreating")
    time.sleep(_PAUSE_SECONDS)
    pod.run()
    return pod


_PAUSE_SECONDS = 0.3
"""In seconds: shows the log's lines one after the other."""


def _press_from_a_branch(sandbox: Sandbox) -> None:
    sandbox.github.event = replace(sandbox.github.event, ref="refs/heads/my-feature")


def _take_the_binding_away(sandbox: Sandbox) -> None:
    sandbox.cluster.delete("RoleBinding", NAMESPACE, "run-cronjob")


def _press_before(sandbox: Sandbox) -> None:
    sandbox.github.event = replace(sandbox.github.event, triggering_actor="hubot")
    sandbox.run()
    sandbox.github.event = replace(sandbox.github.event, triggering_actor="octocat")


STORIES = {
    "success": Story("the button is pressed, the Job runs and succeeds", FOLLOW, play=_succeed),
    "failure": Story("the program fails, three times", FOLLOW, play=_fail),
    "no-image": Story("the image can't be pulled, and the timeout ends", FOLLOW | {"timeout": "8s"}, play=_never_pull),
    "timed-out": Story("the Job takes longer than we wait", FOLLOW | {"timeout": "5s"}, play=_run_on),
    "cancelled": Story("the workflow is cancelled while the Job runs", FOLLOW, play=_cancel),
    "created": Story("the Job is created, and not followed", {}),
    "dry-run": Story("everything is checked, nothing is created", {"dry-run": "true"}),
    "wrong-name": Story("the CronJob's name is misspelt", {"cronjob": "nightly-reprot"}),
    "trust-refused": Story("pressed from a branch that the role does not trust", {}, _press_from_a_branch),
    "missing-rbac": Story("the namespace has no RoleBinding", {}, _take_the_binding_away),
    "already-running": Story("a run is unfinished, and if-running is refuse", {"if-running": "refuse"}, _press_before),
}


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Show one story; return the action's exit status."""
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    if environ.get("CRONJOB") or environ.get("CLUSTER"):
        return _on_a_real_cluster(environ, console)
    name = " ".join(arguments) or "success"
    if name not in STORIES:
        if name != "list":
            console.print(f"There is no story called {name!r}. There are:\n")
        _list(console)
        return 0 if name == "list" else 2
    story = STORIES[name]
    console.print(f"[bold]run-cronjob[/]: {story.title}\n")
    console.print("A local GitHub, AWS and Kubernetes API are starting; the action is real, they are stand-ins.\n")
    with Sandbox() as sandbox:
        story.prepare(sandbox)
        before = {job["metadata"]["name"] for job in sandbox.cluster.list("Job", NAMESPACE)}
        _form(console, {"environment": ENVIRONMENT, **sandbox.form, **story.inputs})
        run = story.run(sandbox)
        _show(console, run)
        created = [job for job in sandbox.cluster.list("Job", NAMESPACE) if job["metadata"]["name"] not in before]
        _jobs(console, created)
    if name == "success":
        console.print("\nOther stories: [bold]make demo ARGS=list[/]")
    if run.exit_status:
        console.print(
            "\nThis ends with the action's exit status, so that `make` calls it an error: the story is meant so."
        )
    return run.exit_status


def _on_a_real_cluster(environ: Mapping[str, str], console: Console) -> int:
    """Run the action on the user's own cluster, as a dry run unless CREATE=1."""
    inputs = {"cronjob": environ.get("CRONJOB", ""), "dry-run": "false" if environ.get("CREATE") == "1" else "true"}
    if not inputs["cronjob"]:
        console.print("Say which CronJob, too: CRONJOB=namespace/name.")
        return 2
    if environ.get("CLUSTER"):
        inputs |= {"cluster": environ["CLUSTER"]}
    elif environ.get("KUBECONFIG"):
        inputs |= {"kubeconfig": str(Path(environ["KUBECONFIG"]).expanduser().resolve())}
    else:
        console.print("Beside CRONJOB=namespace/name, give CLUSTER=name AWS_REGION=region, or KUBECONFIG=path.")
        return 2
    _form(console, inputs)
    passed_on = {name: value for name, value in environ.items() if name.startswith(AWS_VARIABLES)}
    # The Job's annotations must be true, and there is no workflow run here.
    no_run = dict.fromkeys(("REPOSITORY", "REF", "SHA", "RUN_ID", "RUN_ATTEMPT"), "")
    true = no_run | dict.fromkeys(("ACTOR", "TRIGGERING_ACTOR"), getpass.getuser()) | {"WORKFLOW": "make demo"}
    passed_on |= {f"GITHUB_{name}": value for name, value in true.items()}
    with GitHub() as github, tempfile.TemporaryDirectory(prefix="run-cronjob-demo-") as folder:
        step = start_step(
            entrypoint=ENTRYPOINT,
            inputs=inputs,
            github=github,
            folder=Path(folder),
            environ=passed_on,
            home=Path.home(),
            id_token_permission=False,
            timeout=150,
        )
        run = step.finish()
    _show(console, run)
    return run.exit_status


def _list(console: Console) -> None:
    table = Table("command", "what happens", box=None, padding=(0, 3, 0, 0))
    for name, story in STORIES.items():
        table.add_row(Text(f"make demo ARGS={name}"), story.title)
    console.print(table)


def _form(console: Console, values: Mapping[str, str]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    for name, value in values.items():
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(Panel(table, title="1. The form, and what the workflow adds", title_align="left"))


def _show(console: Console, run: StepResult) -> None:
    log = Text("\n".join(run.log.shown))
    status = f"exit status {run.exit_status}"
    console.print(Panel(log, title="2. The action's log, as GitHub shows it", title_align="left", subtitle=status))

    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    for name, value in run.outputs.items():
        table.add_row(Text(name, style="bold"), Text(value or "(empty)", style="" if value else "dim"))
    console.print(Panel(table, title="3. The outputs, for later steps", title_align="left"))
    console.print(Panel(Markdown(_unfolded(run.summary)), title="4. The job summary", title_align="left"))


def _unfolded(summary: str) -> str:
    """Replace each <details> element by its title and content: a terminal can't fold it."""
    return summary.replace("<details><summary>", "**▾ ").replace("</summary>", "**").replace("</details>", "")


def _jobs(console: Console, jobs: list[dict[str, Any]]) -> None:
    title = "5. The Job, as the cluster has it"
    if not jobs:
        console.print(Panel("none: nothing was created", title=title, title_align="left"))
    for job in jobs:
        shown = yaml.safe_dump(json.loads(json.dumps(job)), sort_keys=False, allow_unicode=True)
        console.print(Panel(Syntax(shown, "yaml", background_color="default"), title=title, title_align="left"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
