"""The results of `make test-real CORPUS=folder` for each kind of file."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

import pytest

from tests.real import corpus
from tests.real.manifests import FOLDER
from tests.real.test_corpus import test_our_jobs_are_kubectls as compare

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.api_server import ApiServer, Object
    from tests.real.kubectl import Kubectl

CRONJOB = (FOLDER / "minimal.yaml").read_text()
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "anyones.yaml"


def test_other_objects_beside_a_cronjob_are_left_aside_and_listed(
    api_server: ApiServer, file: Path, capsys: pytest.CaptureFixture[str]
):
    file.write_text(f"{CRONJOB}\n---\n{SERVICE}")

    compare(api_server, file)

    assert capsys.readouterr().out == f"{file}: left aside: Service\n"


def test_a_file_that_only_mentions_a_cronjob_is_skipped(api_server: ApiServer, file: Path):
    file.write_text(f"# not a kind: CronJob\n{SERVICE}")

    with pytest.raises(pytest.skip.Exception, match="holds no CronJob, it only speaks of one"):
        compare(api_server, file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: CronJob\n  metadata: [", "kubectl can't read it: .*anyones.yaml"),
        (CRONJOB.replace("schedule:", "schedule: never #"), r"Kubernetes 1\.\d+ refuses it: .*spec.schedule"),
    ],
)
def test_a_file_that_can_not_be_used_fails_with_the_reason(api_server: ApiServer, file: Path, text: str, message: str):
    file.write_text(text)

    with pytest.raises(pytest.fail.Exception, match=message):
        compare(api_server, file)


def test_a_job_that_differs_fails_with_the_fields(api_server: ApiServer, file: Path, monkeypatch: pytest.MonkeyPatch):
    kubectl_job = api_server.kubectl_job
    file.write_text(CRONJOB)

    def changed(kubectl: Kubectl, cronjob: Object) -> Object:
        job = kubectl_job(kubectl, cronjob)
        return job | {"spec": job["spec"] | {"backoffLimit": 5}}

    monkeypatch.setattr(api_server, "kubectl_job", changed)

    with pytest.raises(pytest.fail.Exception, match="backoffLimit"):
        compare(api_server, file)


def test_a_folder_is_searched_and_must_hold_one(tmp_path: Path):
    with pytest.raises(ArgumentTypeError, match="holds no CronJob: no such folder"):
        corpus.folder_with_cronjobs(str(tmp_path / "nowhere"))
    (tmp_path / "web.yaml").write_text(SERVICE)
    with pytest.raises(ArgumentTypeError, match=r"holds no CronJob: 1 files \(.yaml, .yml, .json\)"):
        corpus.folder_with_cronjobs(str(tmp_path))

    (tmp_path / "deeper").mkdir()
    for name in ("b.json", "a.yml", "c.txt"):
        (tmp_path / "deeper" / name).write_text('{"items": [{"kind": "CronJob"}]}')

    assert corpus.folder_with_cronjobs(str(tmp_path)) == str(tmp_path)
    assert corpus.files(tmp_path) == [tmp_path / "deeper/a.yml", tmp_path / "deeper/b.json"]
