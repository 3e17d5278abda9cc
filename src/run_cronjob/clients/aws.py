"""OIDC token -> role -> cluster endpoint -> bearer token; the only user of boto3.

Nothing is read from HOME with a role to assume: another step may have written it. botocore would look there
for profiles (which can name programs to run) and, in any case, for service models.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import botocore.session
from botocore import exceptions
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.loaders import Loader
from urllib3.exceptions import HTTPError

from run_cronjob import __version__
from run_cronjob.clients import http
from run_cronjob.core.errors import AwsError, NoAnswer
from run_cronjob.core.models import Endpoint
from run_cronjob.core.retry import Budget, retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from run_cronjob.core.clock import Clock

STS_BUDGET_SECONDS = 20
EKS_BUDGET_SECONDS = 15

TOKEN_LIFETIME = timedelta(minutes=15)
TOKEN_PREFIX = "k8s-aws-v1."  # noqa: S105  aws-iam-authenticator's scheme, no secret
CLUSTER_HEADER = "x-k8s-aws-id"
_PRESIGN_SECONDS = 60
"""What awscli signs for; the verifier counts 15 minutes from X-Amz-Date whatever is said here."""

NO_CREDENTIALS = "NoCredentials"
"""Our own AwsError code: no credentials were found where botocore looks."""

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
"""STS says so in passing too, under the code InvalidIdentityToken."""


@dataclass(frozen=True)
class Credentials:
    """What STS gave out, never shown."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires: datetime

    def __repr__(self) -> str:
        return "Credentials(***)"


class Aws:
    """One region of AWS, at first without credentials of ours.

    An `isolated` one reads no configuration files and no AWS_PROFILE.
    """

    def __init__(self, region: str, clock: Clock, *, isolated: bool) -> None:
        self._region = region
        self._clock = clock
        self._expires: datetime | None = None
        self._isolated = isolated

    @cached_property
    def _core(self) -> botocore.session.Session:
        """One for all clients: what it has read of botocore's data it doesn't read again."""
        nothing = {
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        core = botocore.session.Session(session_vars=nothing if self._isolated else None)
        models = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
        core.register_component("data_loader", models)
        return core

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(botocore_session=self._core, region_name=self._region)

    @property
    def outlives_a_token(self) -> bool:
        """Whether the role's credentials last as long as a bearer token made of them would."""
        return self._expires is not None and self._expires - self._clock.now() >= TOKEN_LIFETIME

    def assume_role(self, role: str, session_name: str, seconds: int, fresh_token: Callable[[], str]) -> Credentials:
        """Exchange an OIDC token for `role`'s credentials and use them from now on.

        Each attempt takes a fresh token: one that is held through retries expires. Raises AwsError, NoAnswer,
        and whatever `fresh_token` raises.
        """
        client = self._client("sts", signature_version=botocore.UNSIGNED)

        def attempt() -> dict[str, Any]:
            token = fresh_token()
            return _call(
                client,
                "assume_role_with_web_identity",
                RoleArn=role,
                RoleSessionName=session_name,
                DurationSeconds=seconds,
                WebIdentityToken=token,
            )

        given = _part(retry(attempt, Budget(STS_BUDGET_SECONDS, self._clock), _is_transient), "Credentials")
        credentials = Credentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"]
        )
        self._expires = credentials.expires
        self._core.set_credentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
        return credentials

    def secrets(self) -> tuple[str, ...]:
        """What AWS's messages may quote of the credentials in use: SigV4's do. Raises AwsError."""
        try:
            held = self._core.get_credentials()
            frozen = held.get_frozen_credentials() if held else None
        except exceptions.ClientError as error:
            _raise_known("", None, error)
        except (exceptions.BotoCoreError, OSError) as error:
            raise AwsError("GetCredentials", NO_CREDENTIALS, str(error), 0) from error
        return tuple(filter(None, (frozen.secret_key, frozen.token))) if frozen else ()

    def find_cluster(self, name: str) -> Endpoint:
        """The endpoint of the EKS cluster `name`; its fields are empty while EKS knows none yet.

        Raises AwsError, NoAnswer.
        """
        client = self._client("eks")
        answer = retry(
            lambda: _call(client, "describe_cluster", name=name),
            Budget(EKS_BUDGET_SECONDS, self._clock),
            _is_transient,
        )
        cluster = _part(answer, "cluster")
        return Endpoint(
            server=cluster.get("endpoint") or "",
            ca_data=(cluster.get("certificateAuthority") or {}).get("data") or "",
            version=cluster.get("version") or "",
            status=cluster.get("status") or "",
        )

    def bearer_token(self, cluster: str) -> str:
        """A token for the EKS cluster's API server, valid 15 minutes; made offline.

        It is a presigned GetCallerIdentity that the verifier sends to STS itself, which takes it at the
        region's own host only (aws-iam-authenticator pkg/token/token.go): endpoints configured in the
        environment, such as a VPC endpoint's, are left aside. Raises AwsError without credentials.
        """
        # The client's own region host; a presigned URL is computed, nothing is sent.
        client = self._client("sts", ignore_configured_endpoint_urls=True)

        def sign_header(request: Any, **_: object) -> None:  # noqa: ANN401  botocore's AWSRequest
            request.headers[CLUSTER_HEADER] = cluster

        client.meta.events.register("before-sign.sts.GetCallerIdentity", sign_header)
        try:
            url: str = client.generate_presigned_url(
                "get_caller_identity", ExpiresIn=_PRESIGN_SECONDS, HttpMethod="GET"
            )
        except exceptions.BotoCoreError as error:
            _raise_known("GetCallerIdentity", client, error)
        return TOKEN_PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")

    def caller(self) -> str:
        """The ARN that AWS knows these credentials by. Raises AwsError, NoAnswer."""
        answer = _call(self._client("sts"), "get_caller_identity")
        return str(answer.get("Arn", ""))

    def _client(self, service: str, **options: Any) -> Any:  # noqa: ANN401  botocore's, made at run time
        config = Config(
            connect_timeout=http.CONNECT_SECONDS,
            read_timeout=http.READ_SECONDS,
            retries={"total_max_attempts": 1},
            user_agent_extra=f"run-cronjob/{__version__}",
            **options,
        )
        try:
            client = self._session.client(service, config=config)
        except (exceptions.BotoCoreError, ValueError) as error:  # an AWS_* variable that makes no sense
            raise AwsError("Configuration", type(error).__name__, str(error), 0) from error
        client.meta.events.register("before-send", _send)
        return client


def _send(request: AWSPreparedRequest, **_: object) -> AWSResponse:
    """Send in botocore's place: each of its clients would read the authorities anew."""
    answer = http.pool(request.url, http.outside()).request(
        request.method, request.url, body=request.body, headers=request.headers, redirect=False, preload_content=False
    )
    response = AWSResponse(request.url, answer.status, answer.headers, answer)
    response.content  # noqa: B018  read it here, where it may fail
    return response


def _call(client: Any, method: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  botocore's
    operation = client.meta.method_to_api_mapping[method]
    try:
        answer: dict[str, Any] = getattr(client, method)(**arguments)
    except (exceptions.ClientError, exceptions.BotoCoreError, HTTPError) as error:
        _raise_known(operation, client, error)
    return answer


def _part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """What a log-in page in AWS's place does not have, though it answers with HTTP 200."""
    if not isinstance(answer.get(name), dict):
        raise AwsError("the request", "NotFromAws", f"the answer holds no {name}", 200)
    part: dict[str, Any] = answer[name]
    return part


_UNREACHED = (HTTPError, exceptions.HTTPClientError, exceptions.ConnectionError)
_WITHOUT_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.TokenRetrievalError,
)


def _raise_known(operation: str, client: Any, error: Exception) -> NoReturn:  # noqa: ANN401  botocore's
    if isinstance(error, exceptions.ClientError):
        told = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise AwsError(error.operation_name, str(told.get("Code", "")), str(told.get("Message", "")), status) from error
    if isinstance(error, _WITHOUT_CREDENTIALS):
        raise AwsError(operation, NO_CREDENTIALS, str(error), 0) from error
    if isinstance(error, _UNREACHED):
        service = client.meta.service_model.service_id.upper()
        raise http.no_answer(f"AWS {service}", client.meta.endpoint_url, error) from error
    raise AwsError(operation, type(error).__name__, str(error), 0) from error


def _is_transient(error: Exception) -> bool:
    if isinstance(error, AwsError):
        return error.code in _TRANSIENT or error.status >= 500 or _KEYS_NOT_FETCHED in error.message
    # The token's own endpoint was asked with a budget of its own.
    return isinstance(error, NoAnswer) and not error.cause.is_final and error.service.startswith("AWS")
