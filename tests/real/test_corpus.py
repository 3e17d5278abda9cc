"""`make test-real CORPUS=folder` compares our Jobs with kubectl's, for the CronJobs in a folder.

Each file that mentions a CronJob is one test. Other objects in it are left aside.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real import corpus
from tests.real.api_server import RefusedError
from tests.real.kubectl import KubectlError

if TYPE_CHECKING:
    from tests.real.api_server import ApiServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "file" in metafunc.fixturenames:
        found = corpus.files(Path(metafunc.config.getoption("--corpus")))
        metafunc.parametrize("file", found, ids=lambda path: path.name)


def test_our_jobs_are_kubectls(api_server: ApiServer, file: Path):
    problem = ""
    try:
        objects, unknown = api_server.kubectls[0].read(file)
        stored = api_server.store(each for each in objects if each["kind"] == "CronJob")
    except KubectlError as error:
        problem = f"kubectl can't read it: {error}"
    except RefusedError as error:
        problem = f"Kubernetes 1.{api_server.minor} refuses it: {error}"
    if problem:
        pytest.fail(f"{file}: {problem}", pytrace=False)
    left = unknown + [each["kind"] for each in objects if each["kind"] != "CronJob"]
    if left:
        print(f"{file}: left aside: {', '.join(left)}")  # noqa: T201  pytest -rP shows it
    if not stored:
        pytest.skip(f"{file} holds no CronJob, it only speaks of one")

    found = {each["metadata"]["name"]: api_server.differences(each, api_server.kubectls) for each in stored}

    differences = [f"{file}: from the CronJob {name}, {text}" for name, text in found.items() if text]
    if differences:
        pytest.fail("\n\n".join(differences), pytrace=False)
