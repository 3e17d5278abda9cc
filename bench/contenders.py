"""The contenders, and what they are compared with. To add a comparison to the benchmark, add it to `comparisons`."""

from __future__ import annotations

import base64
import subprocess
import uuid
from typing import TYPE_CHECKING

import yaml

from bench.log_stream import POD_SUFFIX, RUNNING_FILE
from bench.models import Comparison, Contender
from sandbox import CRONJOB, NAMESPACE
from sandbox.github import runner
from sandbox.names import CLUSTER, ENTRYPOINT, REGION, ROOT
from sandbox.net.server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.environment import Environment
    from bench.models import Start
    from sandbox.github.runner import Launcher

    Variables = Callable[[Environment, Path], Mapping[str, str]]
    """Environment variables or inputs for a run in a folder."""

TOOLS = ROOT / ".venv-bench" / "bin"
"""awscli and kubectl, apart from the project's own packages."""

# Takes the place of configure-aws-credentials, without Node: with the token in a file, awscli assumes the role itself
# and caches the credentials for its next process.
_SIGN_IN = """\
curl --silent --fail --header "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
  "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" \
  | sed 's/.*"value": *"\\([^"]*\\)".*/\\1/' > "$AWS_WEB_IDENTITY_TOKEN_FILE"
"""
_UPDATE_KUBECONFIG = f"aws eks update-kubeconfig --name {CLUSTER}\n"
_CREATE = f'kubectl --namespace {NAMESPACE} create job "$JOB" --from=cronjob/{CRONJOB}\n'
_WAIT = f'exec kubectl --namespace {NAMESPACE} wait --for=condition=complete --timeout=5m "job/$JOB"\n'
# If the pod has no node yet, `kubectl logs` prints nothing and exits.
_UNTIL_RUNNING = f"until [ -e {RUNNING_FILE} ]; do sleep 0.02; done\n"
_LOGS = f'{_UNTIL_RUNNING}exec kubectl --namespace {NAMESPACE} logs --follow "$JOB-{POD_SUFFIX}"'
_RAW_LOG = f"""\
{_UNTIL_RUNNING}exec curl --silent --no-buffer --fail --header "Authorization: Bearer $TOKEN" \
  "$SERVER/api/v1/namespaces/{NAMESPACE}/pods/$JOB-{POD_SUFFIX}/log?follow=true&timestamps=true"
"""


def _role_variables(environment: Environment, folder: Path) -> dict[str, str]:
    """The variables with which awscli and run-cronjob assume the role."""
    return {
        "ACTIONS_ID_TOKEN_REQUEST_URL": environment.endpoints.token_url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": environment.sandbox.github.request_token,
        "AWS_ROLE_ARN": environment.sandbox.role,
        "AWS_ROLE_SESSION_NAME": "bench",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
    }


def _key_variables(environment: Environment, _folder: Path) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": environment.key_id, "AWS_SECRET_ACCESS_KEY": environment.secret_key}


def _no_variables(_environment: Environment, _folder: Path) -> dict[str, str]:
    return {}


def _workspace(folder: Path) -> Path:
    """The workspace, which a container mounts."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    return workspace


def _network_variables(environment: Environment, folder: Path) -> dict[str, str]:
    """The variables for AWS under its real names, behind a proxy that connects to the sandbox's."""
    ca_bundle = _workspace(folder) / "authorities.pem"
    ca_bundle.write_text(environment.ca_bundle)
    return {
        "HTTPS_PROXY": environment.endpoints.proxy_url,
        "NO_PROXY": HOST,
        "AWS_CA_BUNDLE": str(ca_bundle),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _kubeconfig(environment: Environment, folder: Path) -> Path:
    """Write a kubeconfig with a token."""
    ca = base64.b64encode(environment.endpoints.ca_pem.encode()).decode()
    server = environment.endpoints.server
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": NAMESPACE}}],
        "clusters": [{"name": "it", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "it", "user": {"token": environment.token}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def _shell(script: str, variables: Variables, *, with_kubeconfig: bool = False) -> Start:
    """Run a script by /bin/sh, with the tools on PATH; the kubeconfig is ready or for the script to write."""

    def start(environment: Environment, folder: Path) -> subprocess.Popen[bytes]:
        kubeconfig = _kubeconfig(environment, folder) if with_kubeconfig else folder / "kubeconfig"
        return subprocess.Popen(
            ["/bin/sh", "-ec", script],
            cwd=folder,
            env={
                "PATH": f"{TOOLS}:/usr/bin:/bin",
                "HOME": str(folder),
                "KUBECONFIG": str(kubeconfig),
                "JOB": f"bench-{uuid.uuid4()}",
                **_network_variables(environment, folder),
                **variables(environment, folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


def _action(inputs: Variables, variables: Variables, launch: Launcher) -> Start:
    """Run the action as a step."""

    def start(environment: Environment, folder: Path) -> subprocess.Popen[bytes]:
        return runner.start_step(
            entrypoint=ENTRYPOINT,
            inputs={"cronjob": CRONJOB, "namespace": NAMESPACE, **inputs(environment, folder)},
            github=environment.sandbox.github,
            folder=folder,
            environ={**_network_variables(environment, folder), **variables(environment, folder)},
            workspace=_workspace(folder),
            launch=launch,
        ).process

    return start


def _cluster_inputs(_environment: Environment, _folder: Path) -> dict[str, str]:
    return {"cluster": CLUSTER}


def _role_inputs(environment: Environment, _folder: Path) -> dict[str, str]:
    return {"cluster": CLUSTER, "role-to-assume": environment.sandbox.role}


def _kubeconfig_inputs(environment: Environment, folder: Path) -> dict[str, str]:
    return {"kubeconfig": str(_kubeconfig(environment, folder))}


def _completed_inputs(environment: Environment, folder: Path) -> dict[str, str]:
    return {**_kubeconfig_inputs(environment, folder), "wait-for": "completed", "logs": "true"}


def _curl_variables(environment: Environment, folder: Path) -> dict[str, str]:
    """The variables with which `_RAW_LOG` reads a log."""
    ca = folder / "authority.pem"
    ca.write_text(environment.endpoints.ca_pem)
    return {"SERVER": environment.endpoints.server, "TOKEN": environment.token, "CURL_CA_BUNDLE": str(ca)}


def _cronjob_runner(program: Path) -> str:
    return f"exec '{program}' --namespace {NAMESPACE} --cronjob-name {CRONJOB}"


def comparisons(process: Launcher, images: Mapping[str, Launcher], cronjob_runner: Path | None) -> list[Comparison]:
    """All comparisons of the time to the Job.

    `process` starts the action without a container; `images` start it in an image, by the image's name.
    `cronjob_runner` is the program to measure, if there is one.
    """
    ours = Contender("run-cronjob", "role, EKS cluster, Job", _action(_role_inputs, _role_variables, process))
    with_keys = Contender(
        "run-cronjob, given credentials", "EKS cluster, Job", _action(_cluster_inputs, _key_variables, process)
    )
    with_kubeconfig = Contender(
        "run-cronjob, given a kubeconfig", "Job", _action(_kubeconfig_inputs, _no_variables, process)
    )

    def in_image(name: str) -> Contender:
        start = _action(_role_inputs, _role_variables, images[name])
        return Contender(f"the image {name}", "container, role, EKS cluster, Job", start, in_container=True)

    def aws_eks_kubectl(script: str, variables: Variables) -> Start:
        return _shell(script + _UPDATE_KUBECONFIG + _CREATE, variables)

    found = [
        Comparison(
            "aws-eks-kubectl",
            Contender("aws eks, kubectl", ours.description, aws_eks_kubectl(_SIGN_IN, _role_variables)),
            ours,
        ),
        Comparison(
            "aws-eks-kubectl-given-credentials",
            Contender(
                "aws eks, kubectl, given credentials", with_keys.description, aws_eks_kubectl("", _key_variables)
            ),
            with_keys,
        ),
        Comparison(
            "kubectl",
            Contender(
                "kubectl, given a kubeconfig", "Job", _shell(f"exec {_CREATE}", _no_variables, with_kubeconfig=True)
            ),
            with_kubeconfig,
        ),
        Comparison("plain-image", in_image("plain"), in_image("run-cronjob")),
    ]
    if cronjob_runner:
        start = _shell(_cronjob_runner(cronjob_runner), _no_variables, with_kubeconfig=True)
        other = Contender("cronjob-runner, given a kubeconfig", "Job", start, kill_once_created=True)
        found.append(Comparison("cronjob-runner", other, with_kubeconfig))
    return found


def completions(process: Launcher, cronjob_runner: Path | None) -> tuple[Mapping[Contender, str], list[Comparison]]:
    """The contenders that wait for completion, each with the message that reports it, and their comparisons."""
    ours = Contender("run-cronjob", "wait-for: completed", _action(_completed_inputs, _no_variables, process))
    kubectl = Contender(
        "kubectl wait", "--for=condition=complete", _shell(_CREATE + _WAIT, _no_variables, with_kubeconfig=True)
    )
    messages, found = {kubectl: "condition met", ours: "✓ End"}, [Comparison("completion", kubectl, ours)]
    if cronjob_runner:
        script = f"{_cronjob_runner(cronjob_runner)} 2>&1"
        other = Contender("cronjob-runner", "", _shell(script, _no_variables, with_kubeconfig=True))
        messages[other] = "Job is completed"
        found.append(Comparison("completion-cronjob-runner", other, ours))
    return messages, found


def log_streams(process: Launcher) -> tuple[list[Contender], list[Comparison]]:
    """The contenders that print a container's log, and their comparisons."""
    ours = Contender(
        "run-cronjob", "wait-for: completed, logs: true", _action(_completed_inputs, _no_variables, process)
    )

    def script(name: str, description: str, text: str) -> Contender:
        return Contender(name, description, _shell(_CREATE + text, _curl_variables, with_kubeconfig=True))

    bare = script("kubectl logs --follow", "without timestamps", _LOGS)
    same = script("kubectl logs --follow --timestamps", "the stream that run-cronjob reads", f"{_LOGS} --timestamps")
    raw = script("curl", "the stream that run-cronjob reads, and nothing else", _RAW_LOG)
    compared = [Comparison("logs", bare, ours), Comparison("logs-same-stream", same, ours)]
    return [bare, same, ours, raw], compared
