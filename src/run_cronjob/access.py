"""Gets access to the cluster: from a kubeconfig, or as an IAM role to an EKS cluster.

boto3 takes longer to import than to use. It is imported here only once the inputs are known to be valid.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from run_cronjob.clients import http, kubeconfig, oidc
from run_cronjob.context import RunContext
from run_cronjob.core.errors import ActionError
from run_cronjob.core.models import Access
from run_cronjob.core.prefetch import Prefetch
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import run
from run_cronjob.diagnosis.aws import cluster_not_ready

if TYPE_CHECKING:
    from run_cronjob.clients.aws import Aws

_READY = {"ACTIVE", "UPDATING"}  # the statuses of an EKS cluster that serves requests (EKS API reference, Cluster)


class KubeconfigAccess:
    """Access by the input `kubeconfig`, which is a path or the content itself."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.renew: Callable[[], str] | None = None
        """Reads the bearer token's file again; None if the kubeconfig names no such file."""

    def connect(self) -> Access:
        """The kubeconfig's context. Raises ActionError."""
        inputs = self._context.inputs
        with self._context.stage("Access", "reading the kubeconfig") as stage:
            text, folder = inputs.kubeconfig, Path.cwd()
            if "\n" not in text and not text.lstrip().startswith("{"):
                path = Path(text)
                try:
                    with path.open("rb") as file:
                        text = file.read(1_000_000).decode(errors="replace")
                except OSError as error:
                    raise ActionError(run.kubeconfig_unreadable(error.strerror or type(error).__name__)) from error
                folder = path.resolve().parent
            access = kubeconfig.parse(text, inputs.context, folder)
            if access.token_file:
                self.renew = partial(self._read_token, Path(access.token_file))
            stage.found = f"kubeconfig, context {quoted(access.cluster)}"
            return access

    def _read_token(self, file: Path) -> str:
        token = file.read_text(encoding="utf-8").strip()
        self._context.actions.mask(token)
        return token

    def caller(self) -> str:
        """Empty: AWS is not involved."""
        return ""


class EksAccess:
    """Access to an EKS cluster, as the input `role-to-assume` or with credentials of the environment."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._inputs = context.inputs
        self._aws: Aws

    def connect(self) -> Access:
        """The cluster's endpoint and a bearer token. Raises ActionError."""
        inputs, context = self._inputs, self._context
        # Neither reading the CA certificates nor waiting for GitHub holds Python's lock: boto3 is imported meanwhile.
        id_token = Prefetch(self._id_token) if inputs.role_to_assume else None
        ca_bundle = Prefetch(self._check_ca_bundle) if not id_token else None
        from run_cronjob.clients.aws import Aws  # noqa: PLC0415  see the module's docstring

        self._aws = Aws(inputs.aws_region, context.clock, context.timeouts, isolated=bool(id_token))
        if ca_bundle:
            ca_bundle()
        if id_token:
            with context.stage("AWS role", "assuming the AWS role") as stage:
                self._assume_role(id_token)
                stage.found = f"{quoted(inputs.role_to_assume)} as {quoted(inputs.role_session_name)}"
        with context.stage("Cluster", "finding the EKS cluster") as stage:
            context.actions.add_secrets(*self._aws.secrets())
            endpoint = self._aws.describe_cluster(inputs.cluster)
            if endpoint.status not in _READY or not endpoint.server or not endpoint.ca_data:
                raise ActionError(cluster_not_ready(context.error_context, endpoint.status))
            access = kubeconfig.for_eks(endpoint, self._aws.bearer_token(inputs.cluster), inputs.cluster)
            stage.found = f"{quoted(inputs.cluster)} in {quoted(inputs.aws_region)}, Kubernetes {endpoint.version}"
        return access

    def renew(self) -> str:
        """A new bearer token. The role is assumed again if its credentials would end before that token."""
        if self._inputs.role_to_assume and not self._aws.credentials_outlast_token:
            self._assume_role(self._id_token)
        self._context.actions.add_secrets(*self._aws.secrets())
        token = self._aws.bearer_token(self._inputs.cluster)
        self._context.actions.mask(token)
        return token

    def caller(self) -> str:
        """The ARN that AWS knows the credentials by. Raises AwsError and NoAnswer."""
        return self._aws.caller_arn()

    def _assume_role(self, id_token: Callable[[], str]) -> None:
        inputs = self._inputs
        credentials = self._aws.assume_role(
            inputs.role_to_assume, inputs.role_session_name, inputs.role_duration_seconds, id_token
        )
        self._context.actions.mask(*credentials)

    def _id_token(self) -> str:
        self._check_ca_bundle()
        request = self._inputs.token_request
        if not request:
            raise ActionError(run.no_id_token_permission())
        self._context.actions.add_secrets(request.bearer)
        token = oidc.get_id_token(request, self._inputs.audience, self._context.clock, self._context.timeouts)
        self._context.actions.mask(token)
        self._context.add_facts(claims=oidc.unverified_claims(token))
        return token

    def _check_ca_bundle(self) -> None:
        try:
            http.public_ssl_context()
        except (OSError, ssl.SSLError) as error:
            path = http.ca_bundle() or ""
            raise ActionError(run.ca_bundle_unreadable(path, error.strerror or str(error))) from error
