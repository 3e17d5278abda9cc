"""The costs of starting, as counts over a whole run: modules, clients, files read. No test here measures time."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import ENTRYPOINT

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

WITNESS = """
import gc, json, os, runpy, ssl, sys
import botocore.httpsession, botocore.loaders, botocore.session

seen = {"authorities": [], "clients": [], "data": [], "modules": [], "sent by botocore": []}


def watch(owner, name, note):
    real = getattr(owner, name)

    def watched(*args, **kwargs):
        note(*args)
        return real(*args, **kwargs)

    setattr(owner, name, watched)


def leave(status):
    seen["modules"] = list(sys.modules)
    seen["searches for garbage"] = gc.get_stats()[2]["collections"]
    with open(os.environ["WITNESS_REPORT"], "w") as report:
        json.dump(seen, report)
    leave_for_real(status)


watch(ssl.SSLContext, "load_default_certs", lambda context, *_: seen["authorities"].append("the system's"))
watch(botocore.session.Session, "create_client", lambda session, service, *_: seen["clients"].append(service))
watch(botocore.loaders.JSONFileLoader, "load_file", lambda loader, path: seen["data"].append(path))
watch(botocore.httpsession.URLLib3Session, "send", lambda _, request: seen["sent by botocore"].append(request.url))
leave_for_real, os._exit = os._exit, leave
runpy.run_path(os.environ["WITNESS_ENTRYPOINT"], run_name="__main__")
"""


@pytest.fixture
def seen(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Counts from the process of a successful run."""
    witness, report, entrypoint = tmp_path / "witness.py", tmp_path / "report.json", ENTRYPOINT
    witness.write_text(WITNESS)
    shutil.copy(entrypoint.with_name("action.yml"), tmp_path)
    monkeypatch.setattr("sandbox.environment.ENTRYPOINT", witness)
    sandbox.launch = None  # the image has no witness
    run = sandbox.run(environ={"WITNESS_ENTRYPOINT": str(entrypoint), "WITNESS_REPORT": str(report)})
    assert run.succeeded
    counts: dict[str, Any] = json.loads(report.read_text())
    return counts


def test_the_kubernetes_package_comes_without_its_models_and_api_groups(seen: dict[str, Any]):
    loaded = [name for name in seen["modules"] if re.match(r"kubernetes\b", name)]

    assert "kubernetes.client.api_client" in loaded
    assert "kubernetes.config.kube_config" in loaded
    assert not [name for name in loaded if name.startswith(("kubernetes.client.models.", "kubernetes.client.api."))]
    assert len(loaded) < 20


def test_no_more_is_imported_than_there_is_a_reason_for(seen: dict[str, Any]):
    """A hundred modules take about 30 ms. Raise the bound only for something that is worth that."""
    count = len(seen["modules"])

    assert count < 700, Counter(name.partition(".")[0] for name in seen["modules"]).most_common(20)


def test_all_objects_are_never_searched_for_garbage(seen: dict[str, Any]):
    assert seen["searches for garbage"] == 0


def test_the_systems_authorities_are_loaded_once(seen: dict[str, Any]):
    assert seen["authorities"] == ["the system's"]
    assert seen["sent by botocore"] == [], "each of its clients would load them again"


def test_botocore_reads_each_of_its_files_once(seen: dict[str, Any]):
    read = [path for path, times in Counter(seen["data"]).items() if times > 1]

    assert not [path for path in read if "/data/" in path]


def test_there_is_one_client_for_each_thing_asked_of_aws(seen: dict[str, Any]):
    assert seen["clients"] == ["sts", "eks", "sts"]  # the role, the cluster, the presigned token
