"""AWS STS and EKS: assumes the role, finds the cluster, makes the bearer token; the only user of boto3.

Service models are never read from HOME, and with a role to assume nothing is: another step may have written files
there, and a profile can name programs to run.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NoReturn

import boto3
import botocore.session
from botocore import exceptions
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.loaders import Loader
from urllib3.exceptions import HTTPError

from run_cronjob import __version__
from run_cronjob.clients import http
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import AwsError, NoAnswer
from run_cronjob.core.models import Endpoint
from run_cronjob.core.retry import Budget, retry
from run_cronjob.core.timeouts import Timeouts

TOKEN_LIFETIME = timedelta(minutes=15)
TOKEN_PREFIX = "k8s-aws-v1."  # noqa: S105  aws-iam-authenticator's scheme, no secret
CLUSTER_HEADER = "x-k8s-aws-id"
NO_CREDENTIALS = "NoCredentials"  # this module's own AwsError code: botocore found no credentials

_TRANSIENT = {
    "IDPCommunicationError",
    "InternalFailure",
    "InternalServerError",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_KEYS_NOT_FETCHED = "Couldn't retrieve verification key"
"""A transient error of STS under the code InvalidIdentityToken, which otherwise is final."""


class Aws:
    """STS and EKS in one region, with the environment's credentials until `assume_role`.

    If `isolated`, it reads no configuration files and ignores AWS_PROFILE.
    """

    def __init__(self, region: str, clock: Clock, timeouts: Timeouts, *, isolated: bool) -> None:
        self._region = region
        self._clock = clock
        self._timeouts = timeouts
        self._expires: datetime | None = None
        self._isolated = isolated

    @cached_property
    def _core(self) -> botocore.session.Session:
        """The session of all clients, which reads each of botocore's data files once."""
        no_files = {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        core = botocore.session.Session(session_vars=no_files if self._isolated else None)
        models = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
        core.register_component("data_loader", models)
        return core

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(botocore_session=self._core, region_name=self._region)

    @property
    def credentials_outlast_token(self) -> bool:
        """Whether the role's credentials are valid for as long as a bearer token made now."""
        return self._expires is not None and self._expires - self._clock.now() >= TOKEN_LIFETIME

    def assume_role(
        self, role: str, session_name: str, seconds: int, get_id_token: Callable[[], str]
    ) -> tuple[str, ...]:
        """Exchange an OIDC token for credentials of `role`, valid for `seconds`, and use them from now on.

        Returns the parts of the credentials, which are to be masked. Each attempt gets a new token, because one would
        expire during the retries. Raises AwsError, NoAnswer, and the errors of `get_id_token`.
        """
        client = self._client("sts", signature_version=botocore.UNSIGNED)
        request = {"RoleArn": role, "RoleSessionName": session_name, "DurationSeconds": seconds}
        answer = retry(
            lambda: _call(client, "assume_role_with_web_identity", **request, WebIdentityToken=get_id_token()),
            Budget(self._timeouts.sts, self._clock),
            _is_transient,
        )
        given = _member(answer, "Credentials")
        self._expires = given["Expiration"]
        credentials = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        self._core.set_credentials(*credentials)
        return credentials

    def secrets(self) -> tuple[str, ...]:
        """The parts of the credentials in use that messages of AWS may quote, as SigV4's do. Raises AwsError."""
        try:
            held = self._core.get_credentials()
            frozen = held.get_frozen_credentials() if held else None
        except exceptions.ClientError as error:
            _raise_translated("", None, error)
        except (exceptions.BotoCoreError, OSError) as error:
            raise AwsError("GetCredentials", NO_CREDENTIALS, str(error), 0) from error
        return tuple(filter(None, (frozen.secret_key, frozen.token))) if frozen else ()

    def describe_cluster(self, name: str) -> Endpoint:
        """The endpoint of the EKS cluster `name`, with empty fields while the cluster is being created.

        Raises AwsError, NoAnswer.
        """
        client = self._client("eks")
        budget = Budget(self._timeouts.eks, self._clock)
        answer = retry(lambda: _call(client, "describe_cluster", name=name), budget, _is_transient)
        cluster = _member(answer, "cluster")
        return Endpoint(
            server=cluster.get("endpoint") or "",
            ca_data=(cluster.get("certificateAuthority") or {}).get("data") or "",
            version=cluster.get("version") or "",
            status=cluster.get("status") or "",
        )

    def bearer_token(self, cluster: str) -> str:
        """A bearer token for the EKS cluster's API server, valid for 15 minutes. No request is sent.

        The token is a presigned URL of GetCallerIdentity. The cluster's verifier sends it to STS, and accepts only
        the host of the region (aws-iam-authenticator pkg/token/token.go). So endpoints from the environment, such as
        a VPC endpoint, are ignored. Raises AwsError without credentials.
        """
        client = self._client("sts", ignore_configured_endpoint_urls=True)

        def sign_header(request: Any, **_: object) -> None:  # noqa: ANN401  botocore's AWSRequest
            request.headers[CLUSTER_HEADER] = cluster

        client.meta.events.register("before-sign.sts.GetCallerIdentity", sign_header)
        try:
            # 60 s as in awscli. The verifier ignores them: a token is valid for 15 minutes from X-Amz-Date.
            url: str = client.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
        except exceptions.BotoCoreError as error:
            _raise_translated("GetCallerIdentity", client, error)
        return TOKEN_PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")

    def caller_arn(self) -> str:
        """The ARN of the credentials in use, from GetCallerIdentity. Raises AwsError, NoAnswer."""
        return str(_call(self._client("sts"), "get_caller_identity").get("Arn", ""))

    def _client(self, service: str, **options: Any) -> Any:  # noqa: ANN401  botocore's, made at run time
        config = Config(
            connect_timeout=self._timeouts.connect,
            read_timeout=self._timeouts.read,
            retries={"total_max_attempts": 1},
            user_agent_extra=f"run-cronjob/{__version__}",
            **options,
        )
        try:
            client = self._session.client(service, config=config)
        except (exceptions.BotoCoreError, ValueError) as error:  # an invalid AWS_* variable
            raise AwsError("Configuration", type(error).__name__, str(error), 0) from error
        client.meta.events.register("before-send", self._send)
        return client

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send instead of botocore, whose clients would each read the CA bundle again."""
        pool = http.pool(request.url, http.public_ssl_context(), self._timeouts)
        sent = {"body": request.body, "headers": request.headers}
        answer = pool.request(request.method, request.url, redirect=False, preload_content=False, **sent)
        response = AWSResponse(request.url, answer.status, answer.headers, answer)
        response.content  # noqa: B018  reads the body here, where errors are caught
        return response


def _call(client: Any, method: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  botocore's
    operation = client.meta.method_to_api_mapping[method]
    try:
        answer: dict[str, Any] = getattr(client, method)(**arguments)
    except (exceptions.ClientError, exceptions.BotoCoreError, HTTPError) as error:
        _raise_translated(operation, client, error)
    return answer


def _member(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """The object `name` in `answer`. It is missing if a login page answered with HTTP 200 instead of AWS."""
    if not isinstance(answer.get(name), dict):
        raise AwsError("the request", "NotFromAws", f"the answer holds no {name}", 200)
    member: dict[str, Any] = answer[name]
    return member


_CONNECTION_ERRORS = (HTTPError, exceptions.HTTPClientError, exceptions.ConnectionError)
_CREDENTIAL_ERRORS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.TokenRetrievalError,
)


def _raise_translated(operation: str, client: Any, error: Exception) -> NoReturn:  # noqa: ANN401  botocore's
    if isinstance(error, exceptions.ClientError):
        body = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise AwsError(error.operation_name, str(body.get("Code", "")), str(body.get("Message", "")), status) from error
    if isinstance(error, _CREDENTIAL_ERRORS):
        raise AwsError(operation, NO_CREDENTIALS, str(error), 0) from error
    if isinstance(error, _CONNECTION_ERRORS):
        service = client.meta.service_model.service_id.upper()
        raise http.no_answer(f"AWS {service}", client.meta.endpoint_url, error) from error
    raise AwsError(operation, type(error).__name__, str(error), 0) from error


def _is_transient(error: Exception) -> bool:
    if isinstance(error, AwsError):
        return error.code in _TRANSIENT or error.status >= 500 or _KEYS_NOT_FETCHED in error.message
    # A NoAnswer of GitHub's OIDC endpoint has already been retried, with a budget of its own.
    return isinstance(error, NoAnswer) and not error.cause.is_final and error.service.startswith("AWS")
