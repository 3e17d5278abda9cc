"""The part of a kubelet that an API server asks for a container's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from sandbox.podlogs import ContainerLogs, parse_options
from sandbox.serving import Server
from sandbox.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Request

    from sandbox.certificates import Authority
    from sandbox.status import Object


class Kubelet:
    """Serves the logs that tests write, until closed; `pod` gives the pod of a namespace and a name."""

    def __init__(self, authority: Authority, pod: Callable[[str, str], Object]) -> None:
        self._pod = pod
        self.logs = ContainerLogs()
        self._server = Server(self._answer, tls=authority.server_context())
        self.port = self._server.port

    def close(self) -> None:
        """Stop serving."""
        self.logs.forget()
        self._server.close()

    def _answer(self, request: Request) -> Response:
        match request.path.strip("/").split("/"):
            case ["containerLogs", namespace, pod, container]:
                options = parse_options(request.args.to_dict(), pod)
                try:
                    log = self.logs.asked(self._pod(namespace, pod), container, previous=options.previous)
                except StatusError as error:
                    return Response(str(error), error.code, mimetype="text/plain")
                return Response(log.read(options), mimetype="text/plain")
        return Response("not found\n", 404)
