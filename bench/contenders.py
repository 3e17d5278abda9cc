"""Who runs, and against whom: the one place to add a comparison, in `comparisons`."""

from __future__ import annotations

import base64
import subprocess
import uuid
from typing import TYPE_CHECKING

import yaml

from bench.following import POD, RUNS
from bench.models import Comparison, Contender
from sandbox import CRONJOB, NAMESPACE
from sandbox.github import runner
from sandbox.names import CLUSTER, ENTRYPOINT, REGION, ROOT
from sandbox.net.server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.course import Course
    from bench.models import Start
    from sandbox.github.runner import Launcher

    Variables = Callable[[Course, Path], Mapping[str, str]]

TOOLS = ROOT / ".venv-bench" / "bin"
"""awscli and kubectl, out of reach of our own packages."""

# In place of configure-aws-credentials, without Node: with the token at hand, awscli assumes the role by itself, and
# keeps the credentials for its next process.
_SIGN_IN = """\
curl --silent --fail --header "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
  "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" \
  | sed 's/.*"value": *"\\([^"]*\\)".*/\\1/' > "$AWS_WEB_IDENTITY_TOKEN_FILE"
"""
_UPDATE = f"aws eks update-kubeconfig --name {CLUSTER}\n"
_CREATE = f'kubectl --namespace {NAMESPACE} create job "$JOB" --from=cronjob/{CRONJOB}\n'
_WAIT = f'exec kubectl --namespace {NAMESPACE} wait --for=condition=complete --timeout=5m "job/$JOB"\n'
# kubectl shows nothing of a pod without a node, and ends.
_RUNS = f"until [ -e {RUNS} ]; do sleep 0.02; done\n"
_LOGS = f'{_RUNS}exec kubectl --namespace {NAMESPACE} logs --follow "$JOB-{POD}"'
_RAW_LOG = f"""\
{_RUNS}exec curl --silent --no-buffer --fail --header "Authorization: Bearer $TOKEN" \
  "$SERVER/api/v1/namespaces/{NAMESPACE}/pods/$JOB-{POD}/log?follow=true&timestamps=true"
"""


def _role(course: Course, folder: Path) -> dict[str, str]:
    return {
        "ACTIONS_ID_TOKEN_REQUEST_URL": course.way.token_url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": course.world.github.request_token,
        "AWS_ROLE_ARN": course.world.role,
        "AWS_ROLE_SESSION_NAME": "bench",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
    }


def _keys(course: Course, _folder: Path) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": course.key_id, "AWS_SECRET_ACCESS_KEY": course.secret_key}


def _nothing(_course: Course, _folder: Path) -> dict[str, str]:
    return {}


def _workspace(folder: Path) -> Path:
    """What a container sees, too."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    return workspace


def _network(course: Course, folder: Path) -> dict[str, str]:
    """AWS under its real names, behind a proxy that knows where the sandbox's is."""
    authorities = _workspace(folder) / "authorities.pem"
    authorities.write_text(course.authorities)
    return {
        "HTTPS_PROXY": course.way.proxy_url,
        "NO_PROXY": HOST,
        "AWS_CA_BUNDLE": str(authorities),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _kubeconfig(course: Course, folder: Path) -> Path:
    """A ready one, with a token."""
    ca = base64.b64encode(course.way.ca_pem.encode()).decode()
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": NAMESPACE}}],
        "clusters": [{"name": "it", "cluster": {"server": course.way.server, "certificate-authority-data": ca}}],
        "users": [{"name": "it", "user": {"token": course.token}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(told))
    return path


def _shell(script: str, environ: Variables, *, ready: bool = False) -> Start:
    def start(course: Course, folder: Path) -> subprocess.Popen[bytes]:
        kubeconfig = _kubeconfig(course, folder) if ready else folder / "kubeconfig"
        return subprocess.Popen(
            ["/bin/sh", "-ec", script],
            cwd=folder,
            env={
                "PATH": f"{TOOLS}:/usr/bin:/bin",
                "HOME": str(folder),
                "KUBECONFIG": str(kubeconfig),
                "JOB": f"bench-{uuid.uuid4()}",
                **_network(course, folder),
                **environ(course, folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


def _ours(inputs: Variables, environ: Variables, launch: Launcher) -> Start:
    def start(course: Course, folder: Path) -> subprocess.Popen[bytes]:
        return runner.start_step(
            entrypoint=ENTRYPOINT,
            inputs={"cronjob": CRONJOB, "namespace": NAMESPACE, **inputs(course, folder)},
            github=course.world.github,
            folder=folder,
            environ={**_network(course, folder), **environ(course, folder)},
            workspace=_workspace(folder),
            launch=launch,
        ).process

    return start


def _eks(_course: Course, _folder: Path) -> dict[str, str]:
    return {"cluster": CLUSTER}


def _eks_with_role(course: Course, _folder: Path) -> dict[str, str]:
    return {"cluster": CLUSTER, "role-to-assume": course.world.role}


def _completed(course: Course, folder: Path) -> dict[str, str]:
    return {**_with_kubeconfig(course, folder), "wait-for": "completed", "logs": "true"}


def _raw(course: Course, folder: Path) -> dict[str, str]:
    """What curl needs to read a log with."""
    authority = folder / "authority.pem"
    authority.write_text(course.way.ca_pem)
    return {"SERVER": course.way.server, "TOKEN": course.token, "CURL_CA_BUNDLE": str(authority)}


def _with_kubeconfig(course: Course, folder: Path) -> dict[str, str]:
    return {"kubeconfig": str(_kubeconfig(course, folder))}


def _peer(cronjob_runner: Path) -> str:
    return f"'{cronjob_runner}' --namespace {NAMESPACE} --cronjob-name {CRONJOB}"


def comparisons(process: Launcher, images: Mapping[str, Launcher], cronjob_runner: Path | None) -> list[Comparison]:
    """All of them. `process` starts ours; `images` start a step in the image of that name, ours and the plain one."""
    ours = Contender("run-cronjob", "role, EKS cluster, Job", _ours(_eks_with_role, _role, process))
    with_keys = Contender("run-cronjob, given credentials", "EKS cluster, Job", _ours(_eks, _keys, process))
    with_kubeconfig = Contender("run-cronjob, given a kubeconfig", "Job", _ours(_with_kubeconfig, _nothing, process))

    def in_image(name: str) -> Contender:
        start = _ours(_eks_with_role, _role, images[name])
        return Contender(f"the image {name}", "container, role, EKS cluster, Job", start, in_container=True)

    def seed(script: str, environ: Variables) -> Start:
        return _shell(script + _UPDATE + _CREATE, environ)

    found = [
        Comparison("seed-flow", Contender("aws eks, kubectl", ours.does, seed(_SIGN_IN, _role)), ours),
        Comparison(
            "seed-flow-given-credentials",
            Contender("aws eks, kubectl, given credentials", with_keys.does, seed("", _keys)),
            with_keys,
        ),
        Comparison(
            "kubectl",
            Contender("kubectl, given a kubeconfig", "Job", _shell(f"exec {_CREATE}", _nothing, ready=True)),
            with_kubeconfig,
        ),
        Comparison("plain-image", in_image("plain"), in_image("run-cronjob")),
    ]
    if cronjob_runner:
        start = _shell(f"exec {_peer(cronjob_runner)}", _nothing, ready=True)
        peer = Contender("cronjob-runner, given a kubeconfig", "Job", start, stays=True)
        found.append(Comparison("cronjob-runner", peer, with_kubeconfig))
    return found


def completions(process: Launcher, cronjob_runner: Path | None) -> tuple[Mapping[Contender, str], list[Comparison]]:
    """Who waits for a Job's completion, with the words that tell of it, and how they compare."""
    ours = Contender("run-cronjob", "wait-for: completed", _ours(_completed, _nothing, process))
    kubectl = Contender("kubectl wait", "--for=condition=complete", _shell(_CREATE + _WAIT, _nothing, ready=True))
    verdicts, found = {kubectl: "condition met", ours: "✓ End"}, [Comparison("completion", kubectl, ours)]
    if cronjob_runner:
        script = f"exec {_peer(cronjob_runner)} 2>&1"
        peer = Contender("cronjob-runner", "", _shell(script, _nothing, ready=True))
        verdicts[peer] = "Job is completed"
        found.append(Comparison("completion-cronjob-runner", peer, ours))
    return verdicts, found


def streams(process: Launcher) -> tuple[list[Contender], list[Comparison]]:
    """Who shows a container's log, and how they compare."""
    ours = Contender("run-cronjob", "wait-for: completed, logs: true", _ours(_completed, _nothing, process))

    def script(name: str, does: str, text: str) -> Contender:
        return Contender(name, does, _shell(_CREATE + text, _raw, ready=True))

    bare = script("kubectl logs --follow", "without timestamps", _LOGS)
    same = script("kubectl logs --follow --timestamps", "the stream that run-cronjob reads", f"{_LOGS} --timestamps")
    raw = script("curl", "the stream that run-cronjob reads, and nothing else", _RAW_LOG)
    compared = [Comparison("logs", bare, ours), Comparison("logs-same-stream", same, ours)]
    return [bare, same, ours, raw], compared
