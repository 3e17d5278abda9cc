"""The one fault proxy, before any server of the sandbox or a real API server: what can go wrong on the way, on demand.

proxy.on(method="POST", path_contains="/jobs").lose_answer()
"""

from __future__ import annotations

import ssl
import threading
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.net.proxy import Client, Listener, Origin, end_to_end
from sandbox.net.server import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.client import HTTPResponse

    from sandbox.net.certificates import Authority

    Deliver: TypeAlias = Callable[[], AbstractContextManager[HTTPResponse]]
    Act: TypeAlias = Callable[[Client, Deliver], None]


@dataclass(frozen=True)
class Received(Request):
    """One request as it reached the proxy; `fault` is what was done to it, None if it was just passed on."""

    fault: str | None


class Rule:
    """Which requests meet a fault; the method that is called on it says which fault.

    The first `skip` matching requests are spared, the next `times` (None: all) meet it.
    """

    def __init__(
        self, faults: list[Fault], *, method: str | None, path_contains: str, times: int | None, skip: int
    ) -> None:
        self._faults = faults
        self._method = method
        self._path_contains = path_contains
        self._times = times
        self._skip = skip

    def takes(self, method: str, target: str) -> bool:
        """Whether this request meets the fault; counts it."""
        if self._times == 0 or self._method not in {None, method} or self._path_contains not in target:
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._times is not None:
            self._times -= 1
        return True

    def reset(self) -> None:
        """Abort the connection (RST); the server never sees the request."""
        self._add("reset", lambda client, _: client.reset())

    def close(self) -> None:
        """Close the connection in order, without an answer; the server never sees the request."""
        self._add("close", lambda client, _: client.close())

    def hang(self) -> None:
        """Never answer, until the proxy is closed; the server never sees the request."""
        self._add("hang", lambda client, _: client.wait())

    def status(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer in the server's stead, which never sees the request."""
        self._add("status", lambda client, _: client.reply(code, body, (headers or {}).items()))

    def delay(self, seconds: float) -> None:
        """Deliver the request late: also one whose client has given up by then, as a network does."""

        def act(client: Client, deliver: Deliver) -> None:
            client.wait(seconds)
            with deliver() as answer:
                client.relay(answer)

        self._add("delay", act)

    def delay_answer(self, seconds: float) -> None:
        """Deliver the request at once, and its answer late."""

        def act(client: Client, deliver: Deliver) -> None:
            with deliver() as answer:
                client.wait(seconds)
                client.relay(answer)

        self._add("delay_answer", act)

    def lose_answer(self) -> None:
        """Let the server act and answer; abort the connection without a byte to the client."""

        def act(client: Client, deliver: Deliver) -> None:
            with deliver() as answer:
                answer.read()
            client.reset()

        self._add("lose_answer", act)

    def status_after(self, code: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Let the server act and answer; tell the client something else, as a load balancer does with 502 and 504."""

        def act(client: Client, deliver: Deliver) -> None:
            with deliver() as answer:
                answer.read()
            client.reply(code, body, (headers or {}).items())

        self._add("status_after", act)

    def truncate(self, n_bytes: int) -> None:
        """Announce the whole answer (`Content-Length`), send so many bytes of its body, and close the connection."""

        def act(client: Client, deliver: Deliver) -> None:
            with deliver() as answer:
                client.reply(answer.status, answer.read(), end_to_end(answer.getheaders()), cut_after=n_bytes)

        self._add("truncate", act)

    def cut_stream(self, after_bytes: int) -> None:
        """Pass the answer on as it comes, and close the connection after so many bytes of its body."""

        def act(client: Client, deliver: Deliver) -> None:
            with deliver() as answer:
                client.relay(answer, cut_after=after_bytes)

        self._add("cut_stream", act)

    def stall_stream(self, after_bytes: int) -> None:
        """Pass the answer's head on and so many bytes of its body, and then nothing, though the connection stays."""

        def act(client: Client, deliver: Deliver) -> None:
            with deliver() as answer:
                client.relay(answer, cut_after=after_bytes, stall=True)

        self._add("stall_stream", act)

    def _add(self, name: str, act: Act) -> None:
        self._faults.append(Fault(self, name, act))


class Fault(NamedTuple):
    """What happens to the requests that a rule takes."""

    rule: Rule
    name: str
    act: Act


class FaultProxy(Listener):
    """Stands before the server at `upstream_url` (scheme, host and port) until `close`.

    With `authority` it speaks TLS to its clients; an `https` upstream is verified against the PEM `upstream_ca`, else
    against the system's authorities. `preserve_host` is for servers that check a signature over the Host header.
    `on_request` is called with each request as it arrives, before its fault; `on_answer` with the status that the
    server gave, before the client sees a byte. An unreachable server is a 502.
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
        self.journal: list[Received] = []
        self.on_request: Callable[[Received], None] | None = None
        self.on_answer: Callable[[Received, int], None] | None = None
        super().__init__(authority.server_context() if authority else None)

    def on(self, *, method: str | None = None, path_contains: str = "", times: int | None = 1, skip: int = 0) -> Rule:
        """Say which requests the fault named next is for.

        `path_contains` looks at path and query as they were sent. A request meets the first rule that takes it; the
        later ones don't count it.
        """
        return Rule(self._faults, method=method, path_contains=path_contains, times=times, skip=skip)

    def answer(self, client: Client) -> None:
        """Write the request down, then do to it what the rules say."""
        body = client.receive()
        target = urlsplit(client.path)
        with self._lock:
            fault = next((fault for fault in self._faults if fault.rule.takes(client.command, client.path)), None)
            received = Received(
                method=client.command,
                path=unquote(target.path),
                query=dict(parse_qsl(target.query, keep_blank_values=True)),
                headers={name.lower(): value for name, value in client.headers.items()},
                body=body,
                fault=fault.name if fault else None,
            )
            self.journal.append(received)
        if self.on_request:
            self.on_request(received)

        @contextmanager
        def deliver() -> Iterator[HTTPResponse]:
            host = client.headers.get("Host") if self._preserve_host else None
            with client.deliver(self._origin, client.path, body, host) as answer:
                if self.on_answer:
                    self.on_answer(received, answer.status)
                yield answer

        if fault:
            fault.act(client, deliver)
            return
        with deliver() as answer:
            client.relay(answer)
