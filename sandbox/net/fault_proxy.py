"""A proxy that injects network faults in front of a server.

proxy.on(method="POST", path_contains="/jobs").lose_answer()
"""

from __future__ import annotations

import ssl
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit

from sandbox.net.proxy import Client, Listener, Origin, end_to_end
from sandbox.net.server import RecordedRequest, normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from http.client import HTTPResponse

    from sandbox.net.certificates import Authority

    Forward: TypeAlias = Callable[[], HTTPResponse]
    Effect: TypeAlias = Callable[[Client, Forward], None]


@dataclass
class Rule:
    """Selects requests by method and path; calling a method chooses the fault for them.

    The first `skip` matching requests pass, the next `times` (None: all) meet the fault.
    """

    faults: list[Fault]
    method: str | None
    path_contains: str
    times: int | None
    skip: int

    def matches(self, method: str, target: str) -> bool:
        """Whether a request meets the fault; counts the request."""
        if self.times == 0 or self.method not in {None, method} or self.path_contains not in target:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def reset(self) -> None:
        """Abort the connection (RST) before the server gets the request."""
        self._add("reset", lambda client, _: client.reset())

    def close(self) -> None:
        """Close the connection (FIN) before the server gets the request."""
        self._add("close", lambda client, _: client.close())

    def hang(self) -> None:
        """Send no answer until the proxy is closed; the server does not get the request."""
        self._add("hang", lambda client, _: client.wait())

    def status(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer instead of the server, which does not get the request."""
        self._add("status", lambda client, _: client.reply(code, body, (headers or {}).items()))

    def delay(self, seconds: float) -> None:
        """Forward the request late, even if its client has given up by then, as a network does."""

        def effect(client: Client, forward: Forward) -> None:
            client.wait(seconds)
            client.relay(forward())

        self._add("delay", effect)

    def delay_answer(self, seconds: float) -> None:
        """Forward the request at once, and its answer late."""

        def effect(client: Client, forward: Forward) -> None:
            answer = forward()
            client.wait(seconds)
            client.relay(answer)

        self._add("delay_answer", effect)

    def lose_answer(self) -> None:
        """Let the server answer, and abort the connection (RST) without a byte to the client."""

        def effect(client: Client, forward: Forward) -> None:
            forward().read()
            client.reset()

        self._add("lose_answer", effect)

    def status_after(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Let the server answer, and send another answer to the client, as a load balancer does with 502 and 504."""

        def effect(client: Client, forward: Forward) -> None:
            forward().read()
            client.reply(code, body, (headers or {}).items())

        self._add("status_after", effect)

    def truncate(self, n_bytes: int) -> None:
        """Announce the complete answer (`Content-Length`), and close the connection after `n_bytes` of its body."""

        def effect(client: Client, forward: Forward) -> None:
            answer = forward()
            client.reply(answer.status, answer.read(), end_to_end(answer.getheaders()), cut_after=n_bytes)

        self._add("truncate", effect)

    def cut_stream(self, after_bytes: int) -> None:
        """Relay the answer as it arrives, and close the connection after `after_bytes` of its body."""
        self._add("cut_stream", lambda client, forward: client.relay(forward(), cut_after=after_bytes))

    def stall_stream(self, after_bytes: int) -> None:
        """Relay the answer up to `after_bytes` of its body, and then send nothing on the open connection."""
        self._add("stall_stream", lambda client, forward: client.relay(forward(), cut_after=after_bytes, stall=True))

    def _add(self, name: str, effect: Effect) -> None:
        self.faults.append(Fault(self, name, effect))


class Fault(NamedTuple):
    """The effect on the requests that match a rule."""

    rule: Rule
    name: str
    effect: Effect


class FaultProxy(Listener):
    """Forwards requests to the server at `upstream_url` (scheme, host and port) until `close`.

    With `authority` it serves TLS. An `https` upstream is verified against the PEM `upstream_ca`, by default against
    the system's authorities. `preserve_host` is for servers that check a signature over the Host header. `on_request`
    is called with each request before its fault; `on_answer` with the server's status before the client gets a byte.
    If the server is unreachable, the client gets 502.
    """

    def __init__(
        self,
        upstream_url: str,
        *,
        authority: Authority | None = None,
        upstream_ca: str | None = None,
        preserve_host: bool = False,
    ) -> None:
        url = urlsplit(upstream_url)
        tls = ssl.create_default_context(cadata=upstream_ca) if url.scheme == "https" else None
        self._origin = Origin(url.hostname or "", url.port or (443 if tls else 80), tls)
        self._preserve_host = preserve_host
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.journal: list[RecordedRequest] = []
        self.on_request: Callable[[RecordedRequest], None] | None = None
        self.on_answer: Callable[[RecordedRequest, int], None] | None = None
        super().__init__(authority.server_context() if authority else None)

    def on(self, *, method: str | None = None, path_contains: str = "", times: int | None = 1, skip: int = 0) -> Rule:
        """Select the requests for a fault, which is the next method called.

        `path_contains` is compared with path and query as they were sent. A request meets the first rule that matches;
        later rules do not count it.
        """
        return Rule(self._faults, method, path_contains, times, skip)

    def answer(self, client: Client) -> None:
        """Record the request and apply the first matching fault to it."""
        body = client.receive()
        target = urlsplit(client.path)
        query, headers = normalized(target.query, client.headers.items())
        with self._lock:
            fault = next((fault for fault in self._faults if fault.rule.matches(client.command, client.path)), None)
            request = RecordedRequest(
                client.command, unquote(target.path), query, headers, body, fault.name if fault else None
            )
            self.journal.append(request)
        if self.on_request:
            self.on_request(request)
        host = headers.get("host") if self._preserve_host else None

        def forward() -> HTTPResponse:
            answer = stack.enter_context(client.forward(self._origin, client.path, body, host))
            if self.on_answer:
                self.on_answer(request, answer.status)
            return answer

        with ExitStack() as stack:
            if fault:
                fault.effect(client, forward)
            else:
                client.relay(forward())
