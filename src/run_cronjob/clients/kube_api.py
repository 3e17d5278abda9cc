"""The few API requests we make; the only user of the kubernetes package.

Objects pass as raw JSON, never through the package's models: those drop fields they don't know.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from urllib3.exceptions import HTTPError, SSLError

from run_cronjob.clients import http
from run_cronjob.clients.chunked import arrived
from run_cronjob.clients.kubernetes_parts import ApiClient, ApiException, Configuration, config
from run_cronjob.clients.token_refresh import Renewal
from run_cronjob.core.errors import ApiError, Cause, NoAnswer, UnusableKubeconfig
from run_cronjob.core.retry import Budget, retry

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    import urllib3

    from run_cronjob.core.clock import Clock
    from run_cronjob.core.models import Access, Json

READ_BUDGET_SECONDS = 20
WATCH_SECONDS = 50
"""The server ends a watch after this, which costs one request and proves that the stream is alive."""
STALLED_SECONDS = 60
"""A stream that is silent for longer is dead, whatever the connection says."""
SILENT_SECONDS = 30
"""After so long without a line of a log it is asked for anew: the connection may be dead."""
SERVICE = "the Kubernetes API"
FIELD_MANAGER = "run-cronjob"
_SHOWN_BYTES = 500
_PAGE = 500
"""What kubectl asks for at a time."""
_TIMEOUT = (http.CONNECT_SECONDS, http.READ_SECONDS)
_TRANSIENT_STATUS = {429, 500, 502, 503, 504}
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
"""The one warn-code that the API server sends (k8s.io/apimachinery pkg/util/net, NewWarningHeader)."""


@dataclass(frozen=True)
class Selection:
    """Which objects to list and to watch."""

    path: str
    query: tuple[tuple[str, str], ...]


class KubeApi:
    """One API server, as one user; to make it asks nothing yet, but raises UnusableKubeconfig and NoAnswer.

    Every method raises ApiError or NoAnswer.
    """

    def __init__(self, access: Access, clock: Clock, renew: Callable[[], str] | None = None) -> None:
        """`renew` makes a newer bearer token, where there can be one."""
        self._clock = clock
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
        self._api.rest_client.pool_manager = http.pool(
            configuration.host,
            context,
            proxy=access.proxy_url,
            server_name=configuration.tls_server_name or "",
        )
        self.host: str = configuration.host
        self._renewal = Renewal(renew, self._take, clock) if renew else None

    @property
    def bearer(self) -> str:
        """The bearer token in use, empty with a client certificate."""
        return str(self._api.configuration.api_key.get("authorization", "")).removeprefix("Bearer ")

    def _take(self, token: str) -> None:
        self._api.configuration.api_key["authorization"] = f"Bearer {token}"

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

    def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Ask once for the Job's deletion, with its pods; only if it is still the one with this `uid`."""
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": uid},
        }
        self._send("DELETE", _path(namespace, "jobs", name), [], options).release_conn()

    def may(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether we have a right, such as `list` on `jobs.batch` or `get` on `pods/log`."""
        plural, _, group = resource.partition(".")
        plural, _, subresource = plural.partition("/")
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": {"resourceAttributes": asked},
        }
        answer = self._retry(lambda: self._ask("POST", _REVIEWS, [], review)[0])
        return (answer.get("status") or {}).get("allowed") is True

    def the_job(self, namespace: str, name: str) -> Selection:
        """The one Job of that name."""
        return Selection(_path(namespace, "jobs"), (("fieldSelector", f"metadata.name={name}"),))

    def the_pods(self, namespace: str, labels: str) -> Selection:
        """The pods that a label selector finds."""
        return Selection(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods", (("labelSelector", labels),))

    def snapshot(self, selection: Selection) -> tuple[list[Json], str]:
        """What there is now, and the version to watch from. Asked once: whoever follows has its own patience."""
        answer, _ = self._ask("GET", selection.path, list(selection.query))
        return list(answer.get("items") or []), str(answer["metadata"].get("resourceVersion") or "")

    def changes(self, selection: Selection, version: str) -> Iterator[Json]:
        """The watch events after `version`, until the server ends the stream. Close it to leave early."""
        query = [
            *selection.query,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(WATCH_SECONDS)),
        ]
        response = self._send("GET", selection.path, query, timeout=(http.CONNECT_SECONDS, STALLED_SECONDS))
        unread = b""
        for chunk in self._stream(response):
            *lines, unread = (unread + chunk).split(b"\n")
            for line in lines:
                yield self._event(line)

    def pod_log(  # noqa: PLR0913  the API's own options
        self, namespace: str, pod: str, container: str, *, since: str, previous: bool, follow: bool
    ) -> Iterator[bytes]:
        """A container's log with timestamps, as it arrives; `since` is a time, empty for all there is.

        A container may be silent for as long as it likes, a connection not: then NoAnswer says READ_TIMEOUT.
        """
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log"
        query = [("container", container), ("timestamps", "true")]
        query += [("sinceTime", since)] if since else []
        query += [(name, "true") for name, wanted in (("previous", previous), ("follow", follow)) if wanted]
        response = self._send("GET", path, query, timeout=(http.CONNECT_SECONDS, SILENT_SECONDS))
        return self._stream(response)

    def _stream(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            yield from arrived(response)
        except TimeoutError as error:  # of the socket itself
            raise NoAnswer(SERVICE, urlsplit(self.host).netloc, Cause.READ_TIMEOUT, str(error)) from error
        except (HTTPError, SSLError, OSError) as error:
            raise http.no_answer(SERVICE, self.host, error) from error
        finally:
            response.close()

    def events_about(self, namespace: str, uid: str) -> list[Json]:
        """The newest events about the object with this `uid`, in one bounded answer."""
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/events"
        query = [("fieldSelector", f"involvedObject.uid={uid}"), ("limit", str(_PAGE))]
        return list(self._ask("GET", path, query)[0].get("items") or [])

    def _event(self, line: bytes) -> Json:
        try:
            event = json.loads(line)
            kind, subject = event["type"], event["object"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise NoAnswer(SERVICE, self.host, Cause.BROKEN, "the stream holds what is no event") from error
        if not isinstance(subject, dict):
            raise NoAnswer(SERVICE, self.host, Cause.BROKEN, "the stream holds what is no event")
        if kind == "ERROR":
            raise ApiError(int(subject.get("code") or 500), str(subject.get("reason")), str(subject.get("message")))
        return {"type": kind, "object": subject}

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
        return self._retry(lambda: self._ask("GET", path, query or [])[0])

    def _retry(self, attempt: Callable[[], Json]) -> Json:
        return retry(
            attempt,
            Budget(READ_BUDGET_SECONDS, self._clock),
            _is_transient,
            lambda error: error.retry_after if isinstance(error, ApiError) else None,
        )

    def _ask(
        self, method: str, path: str, query: list[tuple[str, str]], body: Json | None = None
    ) -> tuple[Json, tuple[str, ...]]:
        """One request, one answer."""
        response = self._send(method, path, query, body)
        try:
            content = response.data
        except (HTTPError, SSLError) as error:
            raise http.no_answer(SERVICE, self.host, error) from error
        return self._object(content), _warnings(response.headers.getlist("Warning"))

    def _send(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Json | None = None,
        timeout: tuple[float, float] = _TIMEOUT,
    ) -> urllib3.BaseHTTPResponse:
        """One request; its answer, of which only the head is read so far."""
        if self._renewal:
            self._renewal.keep_young()
        try:
            return self._send_once(method, path, query, body, timeout)
        except ApiError as error:
            if error.status != 401 or not self._renewal or not self._renewal.after_refusal():
                raise
        return self._send_once(method, path, query, body, timeout)

    def _send_once(
        self, method: str, path: str, query: list[tuple[str, str]], body: Json | None, timeout: tuple[float, float]
    ) -> urllib3.BaseHTTPResponse:
        try:
            response: urllib3.BaseHTTPResponse = self._api.call_api(
                path,
                method,
                query_params=query,
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=timeout,
            )
        except ApiException as error:
            # The package wraps TLS failures in an ApiException of status 0.
            if not error.status:
                raise http.no_answer(SERVICE, self.host, error.__context__ or error) from error
            raise _api_error(error) from error
        except (HTTPError, SSLError) as error:
            raise http.no_answer(SERVICE, self.host, error) from error
        return response

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
        context = http.trust(configuration.ssl_ca_cert)
        if configuration.cert_file:
            # An empty password keeps OpenSSL from asking for one.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
        return context


def _path(namespace: str, resource: str, name: str = "") -> str:
    path = f"/apis/batch/v1/namespaces/{quote(namespace, safe='')}/{resource}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _is_transient(error: Exception) -> bool:
    """Whether a read that failed so is worth repeating."""
    if isinstance(error, ApiError):
        return error.status in _TRANSIENT_STATUS
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
