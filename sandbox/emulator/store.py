"""The cluster's memory: objects by name, and every change since the last compaction, as in etcd."""

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
    """One write; without `before` a creation, without `after` a deletion."""

    version: int
    key: Key
    before: Object | None
    after: Object | None


class CompactedError(Exception):
    """What happened after the version asked for is partly forgotten."""

    def __init__(self, wanted: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {wanted} ({oldest})")


class Store:
    """Objects handed out are the stored ones: look, don't touch, and `put` a changed copy."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        """Hold it to read and write as one step."""
        self.closed = False
        self._objects: dict[Key, Object] = {}
        self._history: list[Change] = []
        self._compacted = 0

    @property
    def version(self) -> int:
        """The resourceVersion of the newest write."""
        return self._compacted + len(self._history)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, if there is one."""
        with self.changed:
            return self._objects.get((resource, namespace, name))

    def select(self, resource: Resource, namespace: str = "") -> list[Object]:
        """All objects of a kind, of all namespaces or one, in the order of their names."""
        return self.as_of(self.version, resource, namespace)

    def as_of(self, version: int, resource: Resource, namespace: str = "") -> list[Object]:
        """The same as it was at `version`."""
        with self.changed:
            objects = dict(self._objects)
            for change in reversed(self._after(version)):
                if change.before is None:
                    del objects[change.key]
                else:
                    objects[change.key] = change.before
        return [
            objects[key]
            # In etcd's order, which is that of NAMESPACE/NAME as text: pages follow it.
            for key in sorted(objects, key=lambda key: f"{key[1]}/{key[2]}")
            if key[0] == resource and (not namespace or key[1] == namespace)
        ]

    def put(self, resource: Resource, new: Object) -> Object:
        """Create or replace; identity and birth of what is replaced stay."""
        new = copy.deepcopy(new)
        metadata = new["metadata"]
        with self.changed:
            key = (resource, metadata.get("namespace", ""), metadata["name"])
            before = self._objects.get(key)
            born = before["metadata"] if before else {**birth(), **metadata}
            metadata.update({field: born[field] for field in ("uid", "creationTimestamp")})
            metadata["resourceVersion"] = str(self.version + 1)
            self._objects[key] = new
            self._write(Change(self.version + 1, key, before, new))
        return new

    def delete(self, resource: Resource, gone: Object) -> None:
        """Remove the object, then whatever it owns."""
        key = (resource, gone["metadata"].get("namespace", ""), gone["metadata"]["name"])
        with self.changed:
            before = self._objects.pop(key)
            self._write(Change(self.version + 1, key, before, None))
        self.delete_owned(gone["metadata"]["uid"])

    def delete_owned(self, uid: str) -> None:
        """Collect the garbage that the owner `uid` leaves."""
        with self.changed:
            owned = [
                (key[0], candidate)
                for key, candidate in self._objects.items()
                if any(owner.get("uid") == uid for owner in candidate["metadata"].get("ownerReferences") or ())
            ]
            for resource, candidate in owned:
                self.delete(resource, candidate)

    def wait_for_changes(self, version: int, timeout: float) -> list[Change]:
        """What happened after `version`, waiting for it; nothing when time is up or all is closed."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed or self.version > version, timeout)
            return [] if self.closed else self._after(version)

    def compact(self) -> None:
        """Forget the past: older versions can't be listed or watched from any more."""
        with self.changed:
            self._compacted = self.version
            self._history.clear()

    def close(self) -> None:
        """Let everyone who waits go home."""
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


def birth() -> Object:
    """The metadata that only the server gives."""
    return {
        "uid": str(uuid.uuid4()),
        "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
