"""The parts of the kubernetes package that kube_api.py uses, without the rest.

Importing the package imports 800 modules of models and API groups, which take longer than all our requests together.
We use none: objects pass as raw JSON. Its `__init__` modules import them, so these are not run: the packages are put
in place bare, and their modules are imported from there as they are.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def _bare(name: str) -> ModuleType:
    """The package `name`, known by its place: its modules can be imported, its `__init__` is not run."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)
    return package


_bare("kubernetes")
_client = _bare("kubernetes.client")
_bare("kubernetes.client.models")

from kubernetes.client.api_client import ApiClient  # noqa: E402  out of the bare packages above
from kubernetes.client.configuration import Configuration  # noqa: E402  likewise
from kubernetes.client.exceptions import ApiException  # noqa: E402  likewise

# The names that `kubernetes.config` takes from the package itself.
vars(_client).update(ApiClient=ApiClient, Configuration=Configuration)

from kubernetes import config  # noqa: E402  only now can it find them

__all__ = ["ApiClient", "ApiException", "Configuration", "config"]
