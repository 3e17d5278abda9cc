"""HTTP requests to one Kubernetes API server; the only user of the kubernetes package.

`KubeApi` says which requests there are. Objects pass as raw JSON, never through the package's models, which drop
fields that they do not know.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError

from run_cronjob.clients import http
from run_cronjob.clients.chunked import iter_body
from run_cronjob.clients.kubernetes_parts import ApiClient, ApiException, Configuration, config
from run_cronjob.clients.token_refresh import TokenRefresh
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ApiError, Cause, NoAnswer, UnusableKubeconfig
from run_cronjob.core.models import Access, Json
from run_cronjob.core.retry import Budget, retry
from run_cronjob.core.timeouts import Timeouts

if TYPE_CHECKING:
    Query = Sequence[tuple[str, str]]

SERVICE = "the Kubernetes API"
PAGE_SIZE = 500  # objects in one answer to a LIST, as with kubectl (`--chunk-size`)
_TRANSIENT_STATUS = {429, 500, 502, 503, 504}
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""The one warn-code that the API server sends (k8s.io/apimachinery pkg/util/net, NewWarningHeader)."""


class KubeTransport:
    """Connections to one API server with the credentials of one user. Its methods raise ApiError or NoAnswer."""

    def __init__(
        self, access: Access, clock: Clock, timeouts: Timeouts, new_token: Callable[[], str] | None = None
    ) -> None:
        """Load the kubeconfig; no request is sent. Raises UnusableKubeconfig or NoAnswer.

        `new_token` makes another bearer token; None if there is only one.
        """
        self._clock = clock
        self.timeouts = timeouts
        configuration = Configuration()
        try:
            context = _load(access, configuration)
        except (config.ConfigException, OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UnusableKubeconfig(str(error)) from error
        configuration.proxy = None
        configuration.refresh_api_key_hook = None  # the loader's would put the first token back before every request
        self._api = ApiClient(configuration)
        # The package's own pool ignores NO_PROXY, lets HTTP_PROXY beat HTTPS_PROXY and has no switch for
        # VERIFY_X509_STRICT (field by field: kubernetes-client/python#2460, #2394).
        self.host: str = configuration.host
        options = {"proxy": access.proxy_url, "server_name": configuration.tls_server_name or ""}
        self._api.rest_client.pool_manager = http.pool(self.host, context, timeouts, **options)
        self._token_refresh = None
        if new_token:
            intervals = (timeouts.token_refresh, timeouts.token_refresh_retry)
            self._token_refresh = TokenRefresh(new_token, self._set_bearer, clock, *intervals)

    @property
    def bearer(self) -> str:
        """The bearer token in use, empty with a client certificate."""
        return str(self._api.configuration.api_key.get("authorization", "")).removeprefix("Bearer ")

    def _set_bearer(self, token: str) -> None:
        self._api.configuration.api_key["authorization"] = f"Bearer {token}"

    def read(self, path: str, query: Query = ()) -> Json:
        """GET one object or list. Transient errors are retried."""
        return self.retry(lambda: self.request_json("GET", path, query)[0])

    def read_all(self, path: str) -> list[Json]:
        """GET all objects of a list, page by page. Transient errors are retried."""
        items: list[Json] = []
        query = limit = [("limit", str(PAGE_SIZE))]
        try:
            while query:
                page = self.read(path, query)
                items += page.get("items") or []
                token = page["metadata"].get("continue")
                query = [*limit, ("continue", token)] if token else []
        except ApiError as error:
            if error.status != 410:
                raise
            # The list changed too much between two pages: read it again, in one page.
            return list(self.read(path).get("items") or [])
        return items

    def retry(self, attempt: Callable[[], Json]) -> Json:
        """Call `attempt` again after transient errors, for the time that one read may take."""
        budget = Budget(self.timeouts.kube_read, self._clock)
        return retry(attempt, budget, _is_transient, lambda error: getattr(error, "retry_after", None))

    def stream(self, path: str, query: Query, *, silence: float) -> Iterator[bytes]:
        """GET a watch or a log, and yield its body as it arrives. The request is sent by the call, and once.

        Raises NoAnswer with READ_TIMEOUT if no byte arrives for `silence` seconds.
        """
        return self._iter_stream(self.request("GET", path, query, read_timeout=silence))

    def _iter_stream(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            yield from iter_body(response)
        except TimeoutError as error:  # of the socket itself
            raise NoAnswer(SERVICE, urlsplit(self.host).netloc, Cause.READ_TIMEOUT, str(error)) from error
        except (HTTPError, SSLError, OSError) as error:
            raise http.no_answer(SERVICE, self.host, error) from error
        finally:
            response.close()

    def request_json(
        self, method: str, path: str, query: Query = (), body: Json | None = None
    ) -> tuple[Json, tuple[str, ...]]:
        """Send one request; the object in its answer, and the API server's warnings. Nothing is retried."""
        response = self.request(method, path, query, body)
        try:
            content = response.data
        except (HTTPError, SSLError) as error:
            raise http.no_answer(SERVICE, self.host, error) from error
        return self._parse_object(content), _parse_warnings(response.headers.getlist("Warning"))

    def request(
        self, method: str, path: str, query: Query = (), body: Json | None = None, read_timeout: float | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send one request; its answer, with the body still unread.

        After a 401 the request is sent a second time, if a new bearer token could be made.
        """
        seconds = self.timeouts.read if read_timeout is None else read_timeout
        if self._token_refresh:
            self._token_refresh.refresh_if_due()
        try:
            return self._send(method, path, query, body, seconds)
        except ApiError as error:
            if error.status != 401 or not self._token_refresh or not self._token_refresh.refresh_after_401():
                raise
        return self._send(method, path, query, body, seconds)

    def _send(
        self, method: str, path: str, query: Query, body: Json | None, read_timeout: float
    ) -> urllib3.BaseHTTPResponse:
        try:
            response: urllib3.BaseHTTPResponse = self._api.call_api(
                path,
                method,
                query_params=list(query),
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=(self.timeouts.connect, read_timeout),
            )
        except ApiException as error:
            # The package wraps TLS failures in an ApiException of status 0.
            if not error.status:
                raise http.no_answer(SERVICE, self.host, error.__context__ or error) from error
            raise _api_error(error) from error
        except (HTTPError, SSLError) as error:
            raise http.no_answer(SERVICE, self.host, error) from error
        return response

    def _parse_object(self, body: bytes) -> Json:
        answer = http.json_object(body)
        if isinstance(answer.get("metadata"), dict) and answer.get("kind") != "Status":
            return answer
        host = urlsplit(self.host).netloc
        if body.lstrip().startswith(b"<"):
            raise NoAnswer(SERVICE, host, Cause.FOREIGN, body[:500].decode(errors="replace"))
        # The body is not shown: it may be part of an object, with env values.
        raise NoAnswer(SERVICE, host, Cause.BROKEN, "the answer is no object of the Kubernetes API")


def _load(access: Access, configuration: Configuration) -> ssl.SSLContext:
    """Fill `configuration` by the package's own loader; the TLS context with the kubeconfig's certificates."""
    # The loader writes certificates to files. They are read at once and deleted with the folder.
    with tempfile.TemporaryDirectory(prefix="run-cronjob-") as folder:
        config.load_kube_config_from_dict(
            access.kubeconfig, client_configuration=configuration, persist_config=False, temp_file_path=folder
        )
        context = http.ssl_context(configuration.ssl_ca_cert)
        if configuration.cert_file:
            # An empty password keeps OpenSSL from asking for one.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
        return context


def _is_transient(error: Exception) -> bool:
    if isinstance(error, ApiError):
        return error.status in _TRANSIENT_STATUS
    return isinstance(error, NoAnswer) and not error.cause.is_final


def _api_error(error: ApiException) -> ApiError:
    text = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    body = http.json_object(text)
    is_status = body.get("kind") == "Status"
    status = body if is_status else {"message": text}
    seconds = (error.headers or {}).get("Retry-After") or ""
    return ApiError(
        status=int(error.status),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or ""),
        is_status=is_status,
        retry_after=float(seconds) if seconds.isascii() and seconds.isdigit() else None,
    )


def _parse_warnings(headers: list[str]) -> tuple[str, ...]:
    found = [match for header in headers for match in _WARNING.findall(header)]
    return tuple(re.sub(r"\\(.)", r"\1", warning) for warning in found)
