"""`make test-real CORPUS=folder`: from anyone's CronJobs we make the Jobs that kubectl makes.

Each file that holds CronJobs is a test of its own. What else it holds is left aside.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real import corpus
from tests.real.kubectl import KubectlError
from tests.real.laboratory import RefusedError

if TYPE_CHECKING:
    from tests.real.laboratory import Laboratory


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "file" in metafunc.fixturenames:
        found = corpus.files(Path(metafunc.config.getoption("--corpus")))
        metafunc.parametrize("file", found, ids=lambda path: path.name)


def test_our_jobs_are_kubectls(laboratory: Laboratory, file: Path):
    problem = ""
    try:
        objects, unknown = laboratory.kubectls[0].read(file)
        stored = laboratory.store(each for each in objects if each["kind"] == "CronJob")
    except KubectlError as error:
        problem = f"kubectl can't read it: {error}"
    except RefusedError as error:
        problem = f"Kubernetes 1.{laboratory.minor} refuses it: {error}"
    if problem:
        pytest.fail(f"{file}: {problem}", pytrace=False)
    left = unknown + [each["kind"] for each in objects if each["kind"] != "CronJob"]
    if left:
        print(f"{file}: left aside: {', '.join(left)}")  # noqa: T201  for people; pytest -rP shows it
    if not stored:
        pytest.skip(f"{file} holds no CronJob, it only speaks of one")

    found = {each["metadata"]["name"]: laboratory.differences(each, laboratory.kubectls) for each in stored}

    told = [f"{file}: from the CronJob {name}, {text}" for name, text in found.items() if text]
    if told:
        pytest.fail("\n\n".join(told), pytrace=False)
