"""LIST in pages, and WATCH from a resourceVersion on.

Texts follow apiserver's pkg/storage (continue.go, etcd3/errors.go, cacher/watch_cache_history.go).
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.emulator.errors import Object, bad_request, expired
from sandbox.emulator.selectors import field_selector, label_selector
from sandbox.emulator.store import Change, CompactedError, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.emulator.resources import RequestInfo, Resource
    from sandbox.emulator.selectors import Predicate

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new"
    " list without the continue parameter, or use the continue token in this response to retrieve the"
    " remainder of the results. Continuing with the provided token results in an inconsistent list - objects"
    " that were created, modified, or deleted between the time the first chunk was returned and now may show"
    " up in the list."
)
_NEWEST = -1
_FOREVER = 24 * 3600.0


def list_page(store: Store, resource: Resource, info: RequestInfo, query: Mapping[str, str]) -> Object:
    """Return one page of a resource's objects, or all of them without `limit`. Raises StatusError (400, 410)."""
    matches = _predicate(resource, query)
    version, start = _read_token(query["continue"]) if query.get("continue") else (_NEWEST, "")
    with store.changed:
        version = store.version if version == _NEWEST else version
        try:
            found = store.as_of(version, resource, info.namespace)
        except CompactedError:
            raise expired(_TOO_OLD, _write_token(_NEWEST, start)) from None
    found = [candidate for candidate in found if _key(candidate) >= start and matches(candidate)]
    limit = number(query, "limit") or len(found)
    metadata: Object = {"resourceVersion": str(version)}
    if len(found) > limit:
        # The next page begins right after the last key of this one.
        metadata["continue"] = _write_token(version, _key(found[limit - 1]) + "\0")
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(found) - limit
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version,
        "metadata": metadata,
        # The items of a list have no kind and apiVersion of their own.
        "items": [
            {key: value for key, value in candidate.items() if key not in {"kind", "apiVersion"}}
            for candidate in found[:limit]
        ],
    }


def watch(
    store: Store,
    resource: Resource,
    info: RequestInfo,
    query: Mapping[str, str],
    bookmark_interval: float,
) -> Iterator[bytes]:
    """Stream events as lines of JSON until `timeoutSeconds` or until the store is closed; intervals in seconds."""
    # Parsed before the generator starts, so that a wrong parameter is a 400 and not a broken stream.
    return _Watch(
        store=store,
        resource=resource,
        namespace=info.namespace,
        matches=_predicate(resource, query),
        version=number(query, "resourceVersion"),
        deadline=time.monotonic() + (number(query, "timeoutSeconds") or _FOREVER),
        bookmark_interval=bookmark_interval if query.get("allowWatchBookmarks") in {"true", "1"} else _FOREVER,
    ).events()


@dataclass(frozen=True)
class _Watch:
    store: Store
    resource: Resource
    namespace: str
    matches: Predicate
    version: int
    deadline: float
    bookmark_interval: float

    def events(self) -> Iterator[bytes]:
        # An empty chunk makes the server send the headers before the first event.
        yield b""
        version = self.version
        if not version:
            with self.store.changed:
                version = self.store.version
                present = self.store.select(self.resource, self.namespace)
            for candidate in filter(self.matches, present):
                yield _event("ADDED", candidate)
        while not self.store.closed and (left := self.deadline - time.monotonic()) > 0:
            try:
                changes = self.store.wait_for_changes(version, min(left, self.bookmark_interval))
            except CompactedError as error:
                yield _event("ERROR", expired(str(error)).body)
                return
            for change in changes:
                version = change.version
                if change.key[0] == self.resource and self.namespace in {"", change.key[1]}:
                    yield from _events_of(self.matches, change)
            if not changes and self.bookmark_interval < left:
                yield self._bookmark(version)

    def _bookmark(self, version: int) -> bytes:
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        kind = {"kind": self.resource.kind, "apiVersion": self.resource.api_version}
        return _event("BOOKMARK", {**kind, "metadata": metadata})


def _events_of(matches: Predicate, change: Change) -> Iterator[bytes]:
    """Yield ADDED for an object that begins to match, DELETED for one that ceases to."""
    was = change.before if change.before and matches(change.before) else None
    now = change.after if change.after and matches(change.after) else None
    if now:
        yield _event("MODIFIED" if was else "ADDED", now)
    elif was:
        last = change.after or was
        metadata = {**last["metadata"], "resourceVersion": str(change.version)}
        yield _event("DELETED", {**last, "metadata": metadata})


def number(query: Mapping[str, str], name: str) -> int:
    """Parse a whole number in the query, 0 if absent. Raises StatusError (400)."""
    text = query.get(name, "")
    if text and not text.isdecimal():
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})')
    return int(text or 0)


def _predicate(resource: Resource, query: Mapping[str, str]) -> Predicate:
    by_label = label_selector(query.get("labelSelector", ""))
    by_field = field_selector(query.get("fieldSelector", ""), resource)
    return lambda candidate: by_label(candidate) and by_field(candidate)


def _key(candidate: Object) -> str:
    return f"{candidate['metadata'].get('namespace', '')}/{candidate['metadata']['name']}"


def _event(kind: str, subject: Object) -> bytes:
    return json.dumps({"type": kind, "object": subject}, ensure_ascii=False).encode(errors="replace") + b"\n"


def _write_token(version: int, start: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": version, "start": start}
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(read["rv"]), str(read["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from None
