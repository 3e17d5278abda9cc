"""The kubelet's log endpoint, which the API server calls for pods/log."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import urllib3
from werkzeug.wrappers import Response

from sandbox.emulator.errors import StatusError
from sandbox.emulator.pod_logs import ContainerLogs, parse_options
from sandbox.net.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Request

    from sandbox.emulator.errors import Object
    from sandbox.emulator.pod_logs import ContainerLog
    from sandbox.net.certificates import Authority

KWOK = "kwok"
"""The name of the node whose pods kwok runs."""
_PRINTS = "sandbox/prints"
_POLL_SECONDS = 0.1


class Kubelet:
    """Serves the logs that tests write; `pod` reads a pod by namespace and name.

    The log of a container that kwok runs is its pod's annotation sandbox/prints, and ends with the container.
    """

    def __init__(self, authority: Authority, pod: Callable[[str, str], Object]) -> None:
        self._pod = pod
        self.logs = ContainerLogs()
        self._played: set[tuple[str, str]] = set()
        self._lock, self._is_closed = threading.Lock(), threading.Event()
        self._server = Server(self._answer, tls=authority.server_context())
        self.port = self._server.port

    def close(self) -> None:
        """End all logs and stop the server."""
        self._is_closed.set()
        self.logs.clear()
        self._server.close()

    def _answer(self, request: Request) -> Response:
        match request.path.strip("/").split("/"):
            case ["containerLogs", namespace, pod, container]:
                options = parse_options(request.args.to_dict(), pod)
                found = self._found(namespace, pod)
                if found["kind"] != "Pod":
                    return Response(f'pod "{pod}" not found\n', 404, mimetype="text/plain")
                try:
                    log = self.logs.requested(found, container, previous=options.previous)
                except StatusError as error:
                    return Response(str(error), error.code, mimetype="text/plain")
                if found["spec"].get("nodeName") == KWOK:
                    self._play(found, container, log)
                return Response(log.read(options), mimetype="text/plain")
        return Response("not found\n", 404)

    def _play(self, pod: Object, container: str, log: ContainerLog) -> None:
        key = (pod["metadata"]["uid"], container)
        with self._lock:
            if key in self._played:
                return
            self._played.add(key)
            log.write((pod["metadata"].get("annotations") or {}).get(_PRINTS, ""))
        threading.Thread(target=self._end_with, args=(pod, container, log), daemon=True).start()

    def _end_with(self, pod: Object, container: str, log: ContainerLog) -> None:
        metadata = pod["metadata"]
        while _is_running(pod, container) and not self._is_closed.wait(_POLL_SECONDS):
            pod = self._found(metadata["namespace"], metadata["name"])
        log.end()

    def _found(self, namespace: str, name: str) -> Object:
        """Return the pod or a 404 Status; retry while the API server restarts."""
        while True:
            try:
                found = self._pod(namespace, name)
            except urllib3.exceptions.HTTPError:
                if self._is_closed.is_set():
                    raise
            else:
                if found["kind"] == "Pod" or found["code"] == 404 or self._is_closed.is_set():
                    return found
            self._is_closed.wait(_POLL_SECONDS)


def _is_running(pod: Object, container: str) -> bool:
    """Whether the container runs; not if `pod` is the Status for a missing one."""
    status = pod["status"] if pod["kind"] == "Pod" else {}
    each_kind = (status.get(kind) or () for kind in ("initContainerStatuses", "containerStatuses"))
    return any(each["name"] == container and "running" in each["state"] for kind in each_kind for each in kind)
