"""Imports the parts of the kubernetes package that `kube_transport` uses, without the rest.

The `__init__` modules of the package import 800 modules of models and API groups. That takes longer than all requests
of a run together, and none of them is used. So the packages are registered without running their `__init__`, and only
the modules named here are imported from them.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


def _register(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package = sys.modules[name] = importlib.util.module_from_spec(spec)
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)
    return package


_register("kubernetes")
_client = _register("kubernetes.client")
_register("kubernetes.client.models")

from kubernetes.client.api_client import ApiClient  # noqa: E402  needs the packages registered above
from kubernetes.client.configuration import Configuration  # noqa: E402  likewise
from kubernetes.client.exceptions import ApiException  # noqa: E402  likewise

# `kubernetes.config` imports these names from the package itself.
vars(_client).update(ApiClient=ApiClient, Configuration=Configuration)

from kubernetes import config  # noqa: E402  needs the line above

__all__ = ["ApiClient", "ApiException", "Configuration", "config"]
