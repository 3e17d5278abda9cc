"""The check whether a commit can be released as a version."""

from __future__ import annotations

import pytest

from release.check import plan, release_commit, versions
from release.command import ReleaseError
from release.pin import pin
from tests.unit.release.project import ACTION, IMAGE, ROOT


def test_a_commit_on_main_that_agrees_with_the_tag_may_be_released(project):
    project.merge("1.2.3")

    assert plan(project.request("1.2.3"), "release/v1.2.3") == {
        "version": "1.2.3",
        "prerelease": "false",
        "latest": "true",
        "image": "",
    }


def test_a_pre_release_is_never_the_latest(project):
    project.merge("1.2.3-rc.1")
    planned = plan(project.request("1.2.3-rc.1"), "release/v1.2.3-rc.1")

    assert (planned["prerelease"], planned["latest"]) == ("true", "false")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"pyproject.toml": '[project]\nversion = "1.2.2"\n'}, "pyproject.toml has version '1.2.2'"),
        ({"src/run_cronjob/__init__.py": '__version__ = "1.2.2"\n'}, "__init__.py has version '1.2.2'"),
        ({"CHANGELOG.md": "## [Unreleased]\n"}, "holds it 0 times"),
        ({"CHANGELOG.md": "## [1.2.3] - 2026-11-26\n\n## [1.2.2] - 2026-11-25\n\n- x\n"}, "says nothing about 1.2.3"),
    ],
)
def test_a_version_that_is_not_everywhere_is_not_released(project, files, message):
    project.merge("1.2.3", **files)

    with pytest.raises(ReleaseError) as caught:
        plan(project.request("1.2.3"), "release/v1.2.3")
    assert message in str(caught.value)


def test_all_problems_are_reported_at_once(project):
    project.merge("1.2.2")

    with pytest.raises(ReleaseError) as caught:
        plan(project.request("1.2.3"), "release/v1.2.3")
    assert len(str(caught.value).splitlines()) == 3


def test_a_commit_that_is_not_on_main_is_not_released(project):
    project.merge("1.2.2")
    main = project.run("git", "rev-parse", "HEAD")
    project.merge("1.2.3")
    project.run("git", "push", "--quiet", "--force", "origin", f"{main}:main")

    with pytest.raises(ReleaseError, match="is not on main"):
        plan(project.request("1.2.3"), "release/v1.2.3")


def test_an_older_commit_of_main_may_be_released_as_long_as_a_token_may_tag_it(project):
    commit = project.merge("1.2.3")
    project.merge("1.2.4")
    assert plan(project.request("1.2.3", commit), "release/v1.2.3")["version"] == "1.2.3"

    project.merge("1.2.4", **{".github/workflows/ci.yml": "on: pull_request\n"})
    with pytest.raises(ReleaseError, match="workflow files have changed"):
        plan(project.request("1.2.3", commit), "release/v1.2.3")


def test_a_version_that_is_out_is_not_made_again_of_another_commit(project):
    project.release("1.2.3")
    project.merge("1.2.3", README="more\n")

    with pytest.raises(ReleaseError, match=r"v1\.2\.3 is out, made of another commit"):
        plan(project.request("1.2.3"), "release/v1.2.3")


def test_a_tag_that_somebody_made_by_hand_is_no_release(project):
    project.merge("1.2.3")
    project.run("git", "push", "--quiet", "origin", "HEAD:refs/tags/v1.2.3")

    with pytest.raises(ReleaseError, match="made of another commit"):
        plan(project.request("1.2.3"), "release/v1.2.3")


def test_a_release_commit_that_changed_more_than_the_image_is_no_release(project):
    project.merge("1.2.3")
    runner = project.request("1.2.3")
    forged = runner.create_commit(
        runner.commit("HEAD"), "action.yml", pin(ACTION, IMAGE) + b"  pre-entrypoint: /x\n", "Use the published image"
    )
    runner.push_new_tag("v1.2.3", forged)

    with pytest.raises(ReleaseError, match="made of another commit"):
        plan(project.checkout("release/v1.2.3"), "release/v1.2.3")


def test_the_release_commit_has_the_same_hash_wherever_and_whenever_it_is_made(project, monkeypatch):
    project.merge("1.2.3")
    first, second = project.request("1.2.3"), project.checkout("release/v1.2.3")
    commit = first.commit("HEAD")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")

    assert release_commit(first, commit, b"x", IMAGE) == release_commit(second, commit, b"x", IMAGE)


def test_the_project_has_one_version():
    def read(file: str) -> bytes:
        return (ROOT / file).read_bytes()

    assert len(set(versions(read).values())) == 1
