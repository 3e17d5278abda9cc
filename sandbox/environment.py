"""GitHub, AWS and a cluster that trust one another as after a finished set-up, and the button to press.

The names are those of the demo's story: team acme runs `nightly-report` in the namespace `batch` of `staging`.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import yaml

from sandbox.aws.account import ACCOUNT_ID
from sandbox.aws.server import AWS
from sandbox.emulator.server import EmulatedCluster
from sandbox.github import runner
from sandbox.github.oidc_provider import GitHub
from sandbox.names import CLUSTER, CRONJOB, CRONJOB_MANIFEST, ENTRYPOINT, EXAMPLES, NAMESPACE, REGION, ROLE
from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from sandbox.tools.processes import process_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.control_plane.cluster import RealCluster
    from sandbox.github.runner import Launcher, Step, StepResult

Opened = TypeVar("Opened", bound=AbstractContextManager[Any])


@cache
def example(name: str) -> list[Any]:
    """The YAML documents of a file in examples/, not to be changed."""
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def emulated(authority: Authority, aws: AWS) -> EmulatedCluster:
    """A cluster that takes this account's tokens."""
    return EmulatedCluster(authority, lambda token: aws.authenticate(token, CLUSTER))


class Sandbox:
    """One of everything, on loopback, until closed.

    Trust policy, role mapping and rights are the files in examples/, which docs/setup.md tells people to paste.
    """

    def __init__(self, kind_of_cluster: Callable[[Authority, AWS], EmulatedCluster | RealCluster] = emulated) -> None:
        self._open = ExitStack()
        try:
            self._set_up(kind_of_cluster)
        except BaseException:
            # What was opened before would stand in the way of the next one.
            self.close()
            raise

    def _set_up(self, kind_of_cluster: Callable[[Authority, AWS], EmulatedCluster | RealCluster]) -> None:
        self.folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(dir=process_manager().folder)))
        self.authority = Authority()
        self.github = self._open.enter_context(GitHub())
        self.aws = self._open.enter_context(AWS(self.github.jwks))
        self.launch: Launcher | None = None
        """How the steps' program is started, where not as a process."""
        self.sts_url: str = self.aws.sts.url
        self.eks_url: str = self.aws.eks.url

        self.aws.create_oidc_provider(self.github.issuer, ["sts.amazonaws.com"])
        self.trust(*json.loads((EXAMPLES / "trust-policy-environment.json").read_text())["Statement"])
        for line in example("aws-auth.yaml")[0]:
            self.aws.map_identity(line["rolearn"], line["username"], line["groups"])
        self.cluster = self.keep(kind_of_cluster(self.authority, self.aws))
        self.expose(self.cluster.url)
        self.cluster.apply({"kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for manifest in example("rbac.yaml"):
            self.cluster.apply(manifest)
        self.cluster.apply(CRONJOB_MANIFEST)

    def trust(self, *statements: Mapping[str, Any], describe_clusters: Iterable[str] = ("*",)) -> None:
        """The role, in place of the former one: whom it trusts, and which clusters it may describe."""
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        self.role = self.aws.create_role(ROLE, policy, describe_clusters=describe_clusters)

    def trust_statement(self, **claims: str) -> dict[str, Any]:
        """A statement that asks for exactly these claims."""
        host = self.github.issuer.removeprefix("https://")
        return {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{host}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{host}:{name}": value for name, value in claims.items()}},
        }

    def expose(self, endpoint: str, **properties: str) -> None:
        """Let EKS tell of the cluster at `endpoint`."""
        self.aws.create_cluster(CLUSTER, REGION, endpoint, self.cluster.ca_pem, **properties)

    @property
    def form(self) -> dict[str, str]:
        """The workflow's `with:`, as the form and the environment's variables fill it in."""
        return {
            "role-to-assume": self.role,
            "aws-region": REGION,
            "cluster": CLUSTER,
            "namespace": NAMESPACE,
            "cronjob": CRONJOB,
        }

    def run(self, inputs: Mapping[str, str] | None = None, **options: Any) -> StepResult:  # noqa: ANN401  runner.run_step's
        """Press the button and wait for the step's end; `inputs` change the form."""
        return self.start(inputs, **options).finish()

    def start(self, inputs: Mapping[str, str] | None = None, **options: Any) -> Step:  # noqa: ANN401  likewise
        """Press the button."""
        given = {**self.form, **(inputs or {})}
        environ = {
            "AWS_ENDPOINT_URL_STS": self.sts_url,
            "AWS_ENDPOINT_URL_EKS": self.eks_url,
            **options.pop("environ", {}),
        }
        return runner.start_step(
            entrypoint=options.pop("entrypoint", ENTRYPOINT),
            inputs={name: value for name, value in given.items() if value},
            github=self.github,
            folder=Path(tempfile.mkdtemp(dir=self.folder)),
            environ=environ,
            launch=self.launch,
            **options,
        )

    def run_post(self, run: StepResult, inputs: Mapping[str, str] | None = None, **options: Any) -> StepResult:  # noqa: ANN401  likewise
        """The step's post-entrypoint after `run`, with what that left in its state file."""
        state = {f"STATE_{name}": value for name, value in runner.saved_state(run).items()}
        environ = state | options.pop("environ", {})
        return self.start(inputs, entrypoint=ENTRYPOINT.with_name("post.py"), environ=environ, **options).finish()

    def keep(self, opened: Opened) -> Opened:
        """Close `opened` with the sandbox."""
        self._open.enter_context(opened)
        return opened

    def before_cluster(self) -> FaultProxy:
        """A fault proxy before the cluster's API."""
        proxy = self.keep(FaultProxy(self.cluster.url, authority=self.authority, upstream_ca=self.cluster.ca_pem))
        self.expose(proxy.url)
        return proxy

    def before_sts(self) -> FaultProxy:
        """A fault proxy before STS."""
        proxy = self.keep(FaultProxy(self.sts_url, preserve_host=True))
        self.sts_url = proxy.url
        return proxy

    def before_eks(self) -> FaultProxy:
        """A fault proxy before EKS."""
        proxy = self.keep(FaultProxy(self.eks_url, preserve_host=True))
        self.eks_url = proxy.url
        return proxy

    def close(self) -> None:
        """Stop everything."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
