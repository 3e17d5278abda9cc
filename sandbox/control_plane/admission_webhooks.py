"""Admission webhooks and warnings of a real API server, with the interface of the emulated one: two lists."""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import TYPE_CHECKING, Self, TypeVar

from werkzeug.wrappers import Response

from sandbox.control_plane.control_plane import free_port
from sandbox.emulator.admission import Webhook, WebhookFailure
from sandbox.net.server import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from werkzeug.wrappers import Request

    from sandbox.control_plane.control_plane import ControlPlane
    from sandbox.emulator.errors import Object
    from sandbox.net.certificates import Authority

_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
_NAME = "sandbox"
_PROBE = "does-the-api-server-know-its-webhooks"
"""The name of the Job that shows which webhooks the API server calls."""
Member = TypeVar("Member")


class Webhooks:
    """Registers what a test appends to `registered` and `warnings`; returns when the API server uses it."""

    def __init__(self, plane: ControlPlane, authority: Authority) -> None:
        self.registered = _ObservedList[Webhook](self._register)
        self.warnings = _ObservedList[str](self._register)
        self._plane, self._authority = plane, authority
        self._server = Server(self._admit, tls=authority.server_context())

    def close(self) -> None:
        """Remove the webhooks from the API server and stop serving them."""
        if self.warnings or self.registered:
            list.clear(self.warnings)
            self.registered.clear()
        self._server.close()

    def _register(self) -> None:
        """Register `_admit` for all new Jobs, and wait until the API server calls it."""
        self._plane.ask("DELETE", f"{_CONFIGURATIONS}/{_NAME}")
        webhooks = list(self.registered) or ([Webhook("warns.example", lambda _: None)] if self.warnings else [])
        generation = f"generation-{secrets.token_hex(8)}"
        if webhooks:
            configured = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": _NAME},
                "webhooks": [self._configured(generation, index, webhook) for index, webhook in enumerate(webhooks)],
            }
            answer = self._plane.ask("POST", _CONFIGURATIONS, configured)
            if answer.status != 201:
                raise RuntimeError(f"the webhooks were refused: {answer.data.decode()}")
        self._plane.wait_for(
            "the API server to know its webhooks", lambda: self._called() == (generation if webhooks else "")
        )

    def _configured(self, generation: str, index: int, webhook: Webhook) -> Object:
        failing = isinstance(webhook.decide({"spec": {}}), WebhookFailure)
        server = f"https://{HOST}:{free_port()}" if failing else self._server.url
        bundle = base64.b64encode(self._authority.pem.encode()).decode()
        rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
        return {
            "name": webhook.name if webhook.name.count(".") > 1 else f"sandbox.{webhook.name}",
            "clientConfig": {"url": f"{server}/{generation}/{index}", "caBundle": bundle},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 2,
        }

    def _called(self) -> str:
        """Return the generation of webhooks that the API server calls now, "" for none."""
        container = {"name": "probe", "image": "probe"}
        probe = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": _PROBE},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
        }
        answer = self._plane.ask("POST", "/apis/batch/v1/namespaces/default/jobs?dryRun=All", probe)
        # A webhook that responds sends its path as a warning; for one that fails, the API server names the URL.
        text = f"{answer.headers.get('Warning', '')} {answer.json().get('message', '')}"
        found = re.search(r"generation-[0-9a-f]+", text)
        return found[0] if found else ""

    def _admit(self, request: Request) -> Response:
        review = json.loads(request.get_data())["request"]
        answer: Object = {"uid": review["uid"], "allowed": True, "warnings": [*self.warnings]}
        if review["object"]["metadata"].get("name") == _PROBE:
            answer["warnings"] = [request.path]
        elif self.registered:
            webhook = self.registered[int(request.path.rpartition("/")[2])]
            denial = webhook.decide(review["object"])
            if denial is not None:
                answer |= {"allowed": False, "status": {"message": str(denial), "code": webhook.code}}
        reviewed = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        return Response(json.dumps(reviewed), content_type="application/json")


class _ObservedList(list[Member]):
    """A list that calls `changed` after each change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def append(self, member: Member) -> None:
        super().append(member)
        self._changed()

    def clear(self) -> None:
        super().clear()
        self._changed()

    def __iadd__(self, members: Iterable[Member]) -> Self:  # type: ignore[misc,override]  # list's own returns a list
        super().extend(members)
        self._changed()
        return self
