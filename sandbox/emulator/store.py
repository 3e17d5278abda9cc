"""Object storage like etcd: the objects by name, and all changes since the last compaction."""

from __future__ import annotations

import copy
import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.emulator.errors import Object
    from sandbox.emulator.resources import Resource

Key = tuple["Resource", str, str]


@dataclass(frozen=True)
class Change:
    """One write: a creation if `before` is None, a deletion if `after` is None."""

    version: int
    key: Key
    before: Object | None
    after: Object | None


class CompactedError(Exception):
    """The requested version is older than the last compaction."""

    def __init__(self, wanted: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {wanted} ({oldest})")


class Store:
    """Returns the stored objects themselves: to change one, `put` a changed copy."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        """Hold this lock to read and write atomically."""
        self.closed = False
        self._objects: dict[Key, Object] = {}
        self._history: list[Change] = []
        self._compacted = 0

    @property
    def version(self) -> int:
        """The resourceVersion of the last write."""
        return self._compacted + len(self._history)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return the object, or None."""
        with self.changed:
            return self._objects.get((resource, namespace, name))

    def select(self, resource: Resource, namespace: str = "") -> list[Object]:
        """Return a resource's objects in one namespace or in all, ordered by name."""
        return self.as_of(self.version, resource, namespace)

    def as_of(self, version: int, resource: Resource, namespace: str = "") -> list[Object]:
        """Return the objects as of `version`. Raises CompactedError."""
        with self.changed:
            objects = dict(self._objects)
            for change in reversed(self._after(version)):
                if change.before is None:
                    del objects[change.key]
                else:
                    objects[change.key] = change.before
        return [
            objects[key]
            # Pages follow etcd's order, which is that of NAMESPACE/NAME as text.
            for key in sorted(objects, key=lambda key: f"{key[1]}/{key[2]}")
            if key[0] == resource and (not namespace or key[1] == namespace)
        ]

    def put(self, resource: Resource, new: Object) -> Object:
        """Create or replace an object; a replaced one keeps its uid and creationTimestamp."""
        new = copy.deepcopy(new)
        metadata = new["metadata"]
        with self.changed:
            key = (resource, metadata.get("namespace", ""), metadata["name"])
            before = self._objects.get(key)
            kept = before["metadata"] if before else {**system_metadata(), **metadata}
            metadata.update({field: kept[field] for field in ("uid", "creationTimestamp")})
            metadata["resourceVersion"] = str(self.version + 1)
            self._objects[key] = new
            self._write(Change(self.version + 1, key, before, new))
        return new

    def delete(self, resource: Resource, gone: Object) -> None:
        """Delete the object, then its dependents."""
        key = (resource, gone["metadata"].get("namespace", ""), gone["metadata"]["name"])
        with self.changed:
            before = self._objects.pop(key)
            self._write(Change(self.version + 1, key, before, None))
        self.delete_owned(gone["metadata"]["uid"])

    def delete_owned(self, uid: str) -> None:
        """Delete the dependents of the owner `uid`."""
        with self.changed:
            owned = [
                (key[0], candidate)
                for key, candidate in self._objects.items()
                if any(owner.get("uid") == uid for owner in candidate["metadata"].get("ownerReferences") or ())
            ]
            for resource, candidate in owned:
                self.delete(resource, candidate)

    def wait_for_changes(self, version: int, timeout: float) -> list[Change]:
        """Wait up to `timeout` seconds for changes after `version`; empty on timeout or if the store is closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self.version > version, timeout)
            return [] if self.closed else self._after(version)

    def compact(self) -> None:
        """Drop the history: older versions can't be listed or watched from."""
        with self.changed:
            self._compacted = self.version
            self._history.clear()

    def close(self) -> None:
        """End all waits for changes."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _after(self, version: int) -> list[Change]:
        if version < self._compacted:
            raise CompactedError(version, self._compacted)
        return self._history[version - self._compacted :]

    def _write(self, change: Change) -> None:
        self._history.append(change)
        self.changed.notify_all()


def system_metadata() -> Object:
    """Return the metadata that the API server sets: uid and creationTimestamp."""
    return {
        "uid": str(uuid.uuid4()),
        "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
