"""Who runs, and against whom: the one place to add a comparison."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from sandbox import CRONJOB, NAMESPACE, runner
from sandbox.serving import HOST
from sandbox.world import CLUSTER, ENTRYPOINT, REGION, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.course import Course

    Start = Callable[[Course, Path], subprocess.Popen[bytes]]

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


@dataclass(frozen=True)
class Contender:
    """One way to a Job. `start` gives the process, which ends by itself unless it `stays`."""

    name: str
    does: str
    start: Start
    stays: bool = False


@dataclass(frozen=True)
class Comparison:
    """How many times longer `other` takes than `ours`; `name` stands in the ratio's line."""

    name: str
    other: Contender
    ours: Contender


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


def _network(course: Course) -> dict[str, str]:
    """AWS under its real names, behind a proxy that knows where the sandbox's is."""
    return {
        "HTTPS_PROXY": course.way.proxy_url,
        "NO_PROXY": HOST,
        "AWS_CA_BUNDLE": str(course.authorities),
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


def _shell(script: str, environ: Callable[[Course, Path], Mapping[str, str]], *, ready: bool = False) -> Start:
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
                **_network(course),
                **environ(course, folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    return start


def _ours(
    inputs: Callable[[Course, Path], Mapping[str, str]], environ: Callable[[Course, Path], Mapping[str, str]]
) -> Start:
    def start(course: Course, folder: Path) -> subprocess.Popen[bytes]:
        return runner.start_step(
            entrypoint=ENTRYPOINT,
            inputs={"cronjob": CRONJOB, "namespace": NAMESPACE, **inputs(course, folder)},
            github=course.world.github,
            folder=folder,
            environ={**_network(course), **environ(course, folder)},
        ).process

    return start


def _eks(_course: Course, _folder: Path) -> dict[str, str]:
    return {"cluster": CLUSTER}


def _eks_with_role(course: Course, _folder: Path) -> dict[str, str]:
    return {"cluster": CLUSTER, "role-to-assume": course.world.role}


def _with_kubeconfig(course: Course, folder: Path) -> dict[str, str]:
    return {"kubeconfig": str(_kubeconfig(course, folder))}


OURS = Contender("run-cronjob", "role, EKS cluster, Job", _ours(_eks_with_role, _role))
OURS_WITH_KEYS = Contender("run-cronjob, given credentials", "EKS cluster, Job", _ours(_eks, _keys))
OURS_WITH_KUBECONFIG = Contender("run-cronjob, given a kubeconfig", "Job", _ours(_with_kubeconfig, _nothing))

COMPARISONS = [
    Comparison(
        "seed-flow",
        Contender("aws eks, kubectl", "role, EKS cluster, Job", _shell(_SIGN_IN + _UPDATE + _CREATE, _role)),
        OURS,
    ),
    Comparison(
        "seed-flow-given-credentials",
        Contender("aws eks, kubectl, given credentials", "EKS cluster, Job", _shell(_UPDATE + _CREATE, _keys)),
        OURS_WITH_KEYS,
    ),
    Comparison(
        "kubectl",
        Contender("kubectl, given a kubeconfig", "Job", _shell(f"exec {_CREATE}", _nothing, ready=True)),
        OURS_WITH_KUBECONFIG,
    ),
]

CRONJOB_RUNNER = os.environ.get("CRONJOB_RUNNER") and Path(os.environ["CRONJOB_RUNNER"]).resolve()
if CRONJOB_RUNNER:
    COMPARISONS.append(
        Comparison(
            "cronjob-runner",
            Contender(
                "cronjob-runner, given a kubeconfig",
                "Job",
                _shell(
                    f"exec '{CRONJOB_RUNNER}' --namespace {NAMESPACE} --cronjob-name {CRONJOB}", _nothing, ready=True
                ),
                stays=True,
            ),
            OURS_WITH_KUBECONFIG,
        )
    )
