"""The Sandbox: a GitHub, an AWS account and a cluster, set up as docs/setup.md says, and the action that runs in it."""

from __future__ import annotations

import json
import tempfile
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from sandbox.aws.account import ACCOUNT_ID
from sandbox.aws.server import AWS
from sandbox.emulator.server import EmulatedCluster
from sandbox.github import runner
from sandbox.github.oidc_provider import GitHub
from sandbox.names import CLUSTER, CRONJOB, CRONJOB_MANIFEST, ENTRYPOINT, EXAMPLES, NAMESPACE, REGION, ROLE
from sandbox.net.certificates import Authority
from sandbox.net.fault_proxy import FaultProxy
from sandbox.net.server import Closeable
from sandbox.tools.processes import process_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.control_plane.cluster import RealCluster
    from sandbox.github.runner import Launcher, Step, StepResult

    StartCluster = Callable[[Authority, AWS], EmulatedCluster | RealCluster]

Opened = TypeVar("Opened", bound=AbstractContextManager[Any])


@cache
def example(name: str) -> list[Any]:
    """Return the YAML documents of a file in examples/; callers must not change them."""
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def emulated_cluster(authority: Authority, aws: AWS) -> EmulatedCluster:
    """Start an emulated cluster that accepts the EKS tokens of this account."""
    return EmulatedCluster(authority, lambda token: aws.authenticate(token, CLUSTER))


class Sandbox(Closeable):
    """A GitHub, an AWS account and a cluster on loopback, which run until `close`.

    The trust policy, role mapping and RBAC are the files in examples/, which docs/setup.md says to paste.
    """

    def __init__(self, start_cluster: StartCluster = emulated_cluster) -> None:
        self._open = ExitStack()
        try:
            self._set_up(start_cluster)
        except BaseException:
            # A server that stays would block the next sandbox.
            self.close()
            raise

    def _set_up(self, start_cluster: StartCluster) -> None:
        self.folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(dir=process_manager().folder)))
        self.authority = Authority()
        self.github = self._open.enter_context(GitHub())
        self.aws = self._open.enter_context(AWS(self.github.jwks))
        self.launch: Launcher | None = None
        """Starts a step's program; None starts a process."""
        self.sts_url: str = self.aws.sts.url
        self.eks_url: str = self.aws.eks.url

        self.aws.create_oidc_provider(self.github.issuer, ["sts.amazonaws.com"])
        self.trust(*json.loads((EXAMPLES / "trust-policy-environment.json").read_text())["Statement"])
        for line in example("aws-auth.yaml")[0]:
            self.aws.map_identity(line["rolearn"], line["username"], line["groups"])
        self.cluster = self.keep(start_cluster(self.authority, self.aws))
        self.expose(self.cluster.url)
        self.cluster.apply({"kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for manifest in example("rbac.yaml"):
            self.cluster.apply(manifest)
        self.cluster.apply(CRONJOB_MANIFEST)

    def trust(self, *statements: Mapping[str, Any], describe_clusters: Iterable[str] = ("*",)) -> None:
        """Replace the role by one with these trust policy statements that may describe these clusters."""
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        self.role = self.aws.create_role(ROLE, policy, describe_clusters=describe_clusters)

    def trust_statement(self, **claims: str) -> dict[str, Any]:
        """Return a trust policy statement that requires exactly these claims."""
        host = self.github.issuer.removeprefix("https://")
        return {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/{host}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{host}:{name}": value for name, value in claims.items()}},
        }

    def expose(self, endpoint: str, **properties: str) -> None:
        """Set `endpoint` as the cluster's endpoint in EKS."""
        self.aws.create_cluster(CLUSTER, REGION, endpoint, self.cluster.ca_pem, **properties)

    @property
    def form(self) -> dict[str, str]:
        """The action's inputs, as the form and the environment's variables give them."""
        return {
            "role-to-assume": self.role,
            "aws-region": REGION,
            "cluster": CLUSTER,
            "namespace": NAMESPACE,
            "cronjob": CRONJOB,
        }

    def run(self, inputs: Mapping[str, str] | None = None, **options: Any) -> StepResult:  # noqa: ANN401  runner.run_step's
        """Run the action as a step and wait for its end; `inputs` override those of `form`."""
        return self.start(inputs, **options).finish()

    def start(self, inputs: Mapping[str, str] | None = None, **options: Any) -> Step:  # noqa: ANN401  likewise
        """Start the action as a step; see `run`."""
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
        """Run the step's post-entrypoint after `run`, with the state that `run` saved."""
        state = {f"STATE_{name}": value for name, value in runner.saved_state(run).items()}
        environ = state | options.pop("environ", {})
        return self.start(inputs, entrypoint=ENTRYPOINT.with_name("post.py"), environ=environ, **options).finish()

    def keep(self, opened: Opened) -> Opened:
        """Close `opened` together with the sandbox, and return it."""
        self._open.enter_context(opened)
        return opened

    def before_cluster(self) -> FaultProxy:
        """Put a fault proxy in front of the cluster's API."""
        proxy = self.keep(FaultProxy(self.cluster.url, authority=self.authority, upstream_ca=self.cluster.ca_pem))
        self.expose(proxy.url)
        return proxy

    def before_sts(self) -> FaultProxy:
        """Put a fault proxy in front of STS."""
        proxy = self.keep(FaultProxy(self.sts_url, preserve_host=True))
        self.sts_url = proxy.url
        return proxy

    def before_eks(self) -> FaultProxy:
        """Put a fault proxy in front of EKS."""
        proxy = self.keep(FaultProxy(self.eks_url, preserve_host=True))
        self.eks_url = proxy.url
        return proxy

    def close(self) -> None:
        """Stop all servers and remove the folder."""
        self._open.close()
