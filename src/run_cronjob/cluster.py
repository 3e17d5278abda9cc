"""The few API requests we make; the only user of the kubernetes package.

Objects pass as raw JSON, never through the package's models: those drop fields they don't know.
"""

from __future__ import annotations

import json
import re
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from urllib3.exceptions import HTTPError, SSLError

from run_cronjob import network
from run_cronjob.errors import ApiError, Cause, NoAnswer, UnusableKubeconfig
from run_cronjob.kubernetes_parts import ApiClient, ApiException, Configuration, config
from run_cronjob.patience import Budget, persist

if TYPE_CHECKING:
    import ssl

    from run_cronjob.clock import Clock
    from run_cronjob.model import Access, Json

READ_BUDGET_SECONDS = 20
SERVICE = "the Kubernetes API"
FIELD_MANAGER = "run-cronjob"
_SHOWN_BYTES = 500
_PAGE = 500
"""What kubectl asks for at a time."""
_TIMEOUT = (network.CONNECT_SECONDS, network.READ_SECONDS)
_PASSING_STATUS = {429, 500, 502, 503, 504}
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""The one warn-code that the API server sends (k8s.io/apimachinery pkg/util/net, NewWarningHeader)."""


class Cluster:
    """One API server, as one user; to make it asks nothing yet, but raises UnusableKubeconfig and NoAnswer.

    Every method raises ApiError or NoAnswer.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._clock = clock
        configuration = Configuration()
        try:
            context = _load(access, configuration)
        except (config.ConfigException, OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UnusableKubeconfig(str(error)) from error
        configuration.proxy = None
        self._api = ApiClient(configuration)
        # The package's own pool ignores NO_PROXY, lets HTTP_PROXY beat HTTPS_PROXY and has no switch for
        # VERIFY_X509_STRICT (field by field: kubernetes-client/python#2460, #2394).
        self._api.rest_client.pool_manager = network.pool(
            configuration.host,
            context,
            proxy=access.proxy_url,
            server_name=configuration.tls_server_name or "",
        )
        self.host: str = configuration.host
        self.bearer: str = configuration.api_key.get("authorization", "").removeprefix("Bearer ")

    def get_cronjob(self, namespace: str, name: str) -> Json:
        """The CronJob."""
        return self._read(_path(namespace, "cronjobs", name))

    def get_job(self, namespace: str, name: str) -> Json:
        """The Job."""
        return self._read(_path(namespace, "jobs", name))

    def list_jobs(self, namespace: str) -> list[Json]:
        """All Jobs of the namespace."""
        return self._list(_path(namespace, "jobs"))

    def cronjob_names(self, namespace: str) -> list[str]:
        """The names of the namespace's CronJobs."""
        return [str(each["metadata"]["name"]) for each in self._list(_path(namespace, "cronjobs"))]

    def has_namespace(self, name: str) -> bool:
        """Whether the namespace exists."""
        try:
            self._read(f"/api/v1/namespaces/{quote(name, safe='')}")
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def create_job(self, manifest: Json, *, dry_run: bool) -> tuple[Json, tuple[str, ...]]:
        """Ask once for the Job; the answer and the API server's warnings.

        Never repeated here: whether it may be is for the caller to know.
        """
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        if dry_run:
            query.append(("dryRun", "All"))
        return self._ask("POST", _path(manifest["metadata"]["namespace"], "jobs"), query, manifest)

    def _list(self, path: str) -> list[Json]:
        try:
            return self._pages(path)
        except ApiError as error:
            if error.status != 410:
                raise
            # The list changed too much between two pages; from the start, then, and in one piece.
            return list(self._read(path).get("items") or [])

    def _pages(self, path: str) -> list[Json]:
        items: list[Json] = []
        after = ""
        while True:
            page = self._read(path, [("limit", str(_PAGE)), *([("continue", after)] if after else [])])
            items += page.get("items") or []
            after = (page.get("metadata") or {}).get("continue") or ""
            if not after:
                return items

    def _read(self, path: str, query: list[tuple[str, str]] | None = None) -> Json:
        return persist(
            lambda: self._ask("GET", path, query or [])[0],
            Budget(READ_BUDGET_SECONDS, self._clock),
            _is_passing,
            lambda error: error.retry_after if isinstance(error, ApiError) else None,
        )

    def _ask(
        self, method: str, path: str, query: list[tuple[str, str]], body: Json | None = None
    ) -> tuple[Json, tuple[str, ...]]:
        """One request, one answer."""
        try:
            response = self._api.call_api(
                path,
                method,
                query_params=query,
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
            content = response.data
        except ApiException as error:
            # The package wraps TLS failures in an ApiException of status 0.
            if not error.status:
                raise network.no_answer(SERVICE, self.host, error.__context__ or error) from error
            raise _api_error(error) from error
        except (HTTPError, SSLError) as error:
            raise network.no_answer(SERVICE, self.host, error) from error
        return self._object(content), _warnings(response.headers.getlist("Warning"))

    def _object(self, body: bytes) -> Json:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("metadata"), dict) and answer.get("kind") != "Status":
            return answer
        host = urlsplit(self.host).netloc
        if body.lstrip().startswith(b"<"):
            raise NoAnswer(SERVICE, host, Cause.FOREIGN, body[:_SHOWN_BYTES].decode(errors="replace"))
        # Half an object, perhaps: it may hold env values, so it is not shown.
        raise NoAnswer(SERVICE, host, Cause.BROKEN, "the answer is no object of the Kubernetes API")


def _load(access: Access, configuration: Configuration) -> ssl.SSLContext:
    """Fill `configuration` by the package's own loader; the TLS context that its certificates make."""
    # The loader writes certificates to files; they are read at once and must not outlive us.
    with tempfile.TemporaryDirectory(prefix="run-cronjob-") as folder:
        config.load_kube_config_from_dict(
            access.kubeconfig, client_configuration=configuration, persist_config=False, temp_file_path=folder
        )
        context = network.trust(configuration.ssl_ca_cert)
        if configuration.cert_file:
            # An empty password keeps OpenSSL from asking for one.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
        return context


def _path(namespace: str, resource: str, name: str = "") -> str:
    path = f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/{resource}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _is_passing(error: Exception) -> bool:
    """Whether a read that failed so is worth repeating."""
    if isinstance(error, ApiError):
        return error.status in _PASSING_STATUS
    return isinstance(error, NoAnswer) and not error.cause.is_final


def _api_error(error: ApiException) -> ApiError:
    text = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        told: Any = json.loads(text)
    except ValueError:
        told = None
    is_status = isinstance(told, dict) and told.get("kind") == "Status"
    status: dict[str, Any] = told if is_status else {}
    return ApiError(
        status=int(error.status),
        reason=str(status.get("reason") or ""),
        message=str(status.get("message") or (text if not is_status else "")),
        is_status=is_status,
        retry_after=_seconds((error.headers or {}).get("Retry-After")),
    )


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() else None


def _warnings(headers: list[str]) -> tuple[str, ...]:
    found = [match for header in headers for match in _WARNING.findall(header)]
    return tuple(re.sub(r"\\(.)", r"\1", warning) for warning in found)
