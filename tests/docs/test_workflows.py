"""The project's own workflows: their permissions, pinned versions, scripts, and the order of a release."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {file.stem: yaml.load(file.read_text(), yaml.BaseLoader) for file in FILES}
CI, RELEASE = WORKFLOWS["ci"]["jobs"], WORKFLOWS["release"]["jobs"]
JOBS = [(f"{name}/{job}", content) for name, flow in WORKFLOWS.items() for job, content in flow["jobs"].items()]
STEPS = [(where, step) for where, job in JOBS for step in job["steps"]]


def script(job: dict[str, Any], name: str) -> str:
    (found,) = [step["run"] for step in job["steps"] if step.get("name") == name]
    return str(found)


# --- permissions ----------------------------------------------------------------------------------------------


def test_a_workflow_has_only_the_permissions_of_its_jobs():
    assert {name: flow["permissions"] for name, flow in WORKFLOWS.items()} == {"ci": {}, "release": {}}


def test_the_permissions_to_write():
    writing = {
        where: {right for right, level in job["permissions"].items() if level != "read"}
        for where, job in JOBS
        if "write" in job["permissions"].values()
    }
    assert writing == {
        "release/image": {"attestations", "id-token", "packages"},
        "release/publish": {"contents"},
    }


def test_tags_and_the_release_wait_for_the_reviewers_of_the_environment():
    assert [where for where, job in JOBS if "environment" in job] == ["release/publish"]
    assert RELEASE["publish"]["environment"] == "release"


def test_every_job_has_a_timeout():
    assert [where for where, job in JOBS if not int(job.get("timeout-minutes", 0))] == []


def test_a_release_starts_by_its_tag_alone_and_ci_never_runs_code_of_forks_with_permissions():
    assert WORKFLOWS["release"]["on"] == {"push": {"tags": ["release/v*"]}}
    assert set(WORKFLOWS["ci"]["on"]) == {"push", "pull_request"}


# --- pinned versions -----------------------------------------------------------------------------------------


def test_every_action_is_pinned_by_the_same_commit_everywhere_with_its_version():
    lines = [line.strip() for file in FILES for line in file.read_text().splitlines() if "uses:" in line]
    foreign = [line.removeprefix("- ") for line in lines if " ./" not in line]

    assert foreign
    assert [line for line in foreign if not re.fullmatch(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    pins = {tuple(line.split("@", 1)) for line in foreign}
    assert len(pins) == len({name for name, _ in pins})


def test_every_image_that_the_build_uses_is_pinned_by_digest():
    named = [
        value
        for step in RELEASE["image"]["steps"]
        for key, value in step.get("with", {}).items()
        if key in ("image", "driver-opts", "sbom")
    ]
    assert len(named) == 3
    assert all(re.search(r"(?:^|=)docker\.io/[\w./-]+:v?[\w.-]+@sha256:[0-9a-f]{64}$", value) for value in named)


def test_no_checkout_persists_its_token():
    checkouts = [step["with"] for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]

    assert len(checkouts) >= len(JOBS) - 1
    assert all(options["persist-credentials"] == "false" for options in checkouts)


def test_no_script_contains_an_expression():
    assert [where for where, step in STEPS if "${{" in step.get("run", "")] == []


def test_a_release_uses_no_cache():
    text = (ROOT / ".github/workflows/release.yml").read_text()

    assert "actions/cache" not in text
    assert "cache-from" not in text
    assert ("cache-image: false" in text, "cache-binary: false" in text) == (True, True)


# --- scripts --------------------------------------------------------------------------------------------------


def test_the_release_calls_modules_that_exist_and_need_python_alone():
    called = {name for _, step in STEPS for name in re.findall(r"python3 -m ([\w.]+)", step.get("run", ""))}

    assert called == {"release.check", "release.image", "release.pin", "release.notes", "release.publish"}
    assert all(importlib.util.find_spec(name) for name in called)
    subprocess.run(
        ["python3", "-I", "-S", "-c", f"import sys; sys.path.append('.'); import {', '.join(sorted(called))}"],
        cwd=ROOT,
        check=True,
    )


def test_ci_runs_the_documented_commands():
    runs = [step["run"] for job in CI.values() for step in job["steps"] if "run" in step]

    assert ".ci/run" in runs
    assert "make test" in runs


def test_the_oldest_python_is_that_of_pyproject_toml():
    (setup,) = [
        s["with"] for s in CI["oldest-python"]["steps"] if s.get("uses", "").startswith("actions/setup-python@")
    ]

    assert f'requires-python = ">={setup["python-version"]}"' in (ROOT / "pyproject.toml").read_text()


def test_both_architectures_of_a_release_are_tested():
    assert CI["cluster"]["strategy"]["matrix"] == RELEASE["try"]["strategy"]["matrix"]
    assert CI["cluster"]["strategy"]["matrix"]["runner"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    (platforms,) = [s["with"]["platforms"] for s in RELEASE["image"]["steps"] if s.get("id") == "build"]
    assert platforms == "linux/amd64,linux/arm64"


def test_the_kind_cluster_is_set_up_as_in_the_docs():
    documented = (ROOT / "docs/setup.md").read_text()
    commands = script(CI["cluster"], "A ServiceAccount, as docs/setup.md tells")

    assert commands in documented
    assert "kubectl create token run-cronjob --namespace batch" in documented
    assert "kubectl create token run-cronjob --namespace batch" in script(CI["cluster"], "A kubeconfig with its token")


def test_the_verification_in_security_md_is_done_before_the_tags():
    documented = re.search(r"gh attestation verify (?:[^\\\n]|\\\n)*", (ROOT / "SECURITY.md").read_text())
    assert documented
    command = script(RELEASE["try"], "It comes from here, as SECURITY.md tells to verify")

    filled_in = documented[0].replace("oci://ghcr.io/OWNER/run-cronjob@sha256:DIGEST", '"oci://$IMAGE"')
    filled_in = re.sub(r"OWNER/run-cronjob(\S*)", r'"$GITHUB_REPOSITORY\1"', filled_in)
    assert command.split() == filled_in.split()


# --- the required check ----------------------------------------------------------------------------------------


def test_the_required_check_waits_for_every_job():
    assert set(CI["required"]["needs"]) == set(CI) - {"required"}
    assert CI["required"]["if"] == "always()"


@pytest.mark.parametrize(
    ("results", "passes"),
    [
        ("success success success", True),
        ("success failure success", False),
        ("success success skipped", False),
        ("cancelled success success", False),
        ("", False),
    ],
)
def test_the_required_check_passes_if_all_have_passed(results, passes):
    (step,) = CI["required"]["steps"]

    # The runner's default shell for a step without `shell:`.
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env={"RESULTS": results}, check=False)
    assert (done.returncode == 0) == passes


# --- the order of a release ------------------------------------------------------------------------------------


def test_if_the_tag_is_out_its_image_is_not_built_again():
    assert RELEASE["image"]["if"] == "needs.check.outputs.image == ''"
    for job in ("try", "publish"):
        assert RELEASE[job]["env"]["IMAGE"] == "${{ needs.check.outputs.image || needs.image.outputs.image }}"


def test_an_image_is_tagged_only_after_a_job_without_credentials_has_run_it():
    assert RELEASE["publish"]["needs"] == ["check", "image", "try"]
    assert RELEASE["publish"]["if"] == "${{ !cancelled() && needs.try.result == 'success' }}"


def test_the_order_of_publishing():
    """A published tag never changes. The release comes after it, and vX last."""
    names = [step["name"] for step in RELEASE["publish"]["steps"] if "name" in step]

    assert names == ["The release commit and its tag", "The release", "The major version, and the request"]
    release = script(RELEASE["publish"], "The release")
    assert release.index("gh release create") < release.index("gh release edit")
    assert "--draft --verify-tag" in release


def test_one_release_runs_at_a_time_and_none_is_cancelled():
    assert WORKFLOWS["release"]["concurrency"] == {"group": "release", "cancel-in-progress": "false"}
