"""The tags of a release, pushed by real git to a real remote. A published version never changes."""

from __future__ import annotations

import subprocess

import pytest

from release import publish
from release.check import plan
from release.command import ReleaseError
from release.pin import pin
from release.version import parse
from tests.unit.release.project import ACTION, IMAGE, OTHER_IMAGE


def test_the_release_is_mains_commit_with_the_image_and_nothing_else_changed(project):
    commit = project.merge("1.2.3")
    publish.tag(project.request("1.2.3"), parse("1.2.3"), IMAGE)

    assert project.show("v1.2.3", "--no-patch", "--format=%P") == commit
    assert project.run("git", "diff", "--name-status", f"{commit}..v1.2.3", cwd=project.server) == "M\taction.yml"
    released = subprocess.run(
        ["git", "show", "v1.2.3:action.yml"], cwd=project.server, capture_output=True, check=True
    ).stdout
    assert released == pin(ACTION, IMAGE)


def test_main_goes_on_building_its_dockerfile(project):
    commit = project.merge("1.2.3")
    publish.tag(project.request("1.2.3"), parse("1.2.3"), IMAGE)

    assert project.run("git", "rev-parse", "main", cwd=project.server) == commit


# --- vX.Y.Z never changes ------------------------------------------------------------------------------------


def test_a_version_that_is_out_does_not_change(project):
    project.merge("1.2.3")
    runner = project.request("1.2.3")
    publish.tag(runner, parse("1.2.3"), IMAGE)
    before = project.tags()

    with pytest.raises(ReleaseError, match=r"v1\.2\.3 is out, with another commit or image, and never changes"):
        publish.tag(runner, parse("1.2.3"), OTHER_IMAGE)
    project.merge("1.2.3", README="more\n")
    with pytest.raises(ReleaseError, match="never changes"):
        publish.tag(project.request("1.2.3"), parse("1.2.3"), IMAGE)
    assert project.tags()["v1.2.3"] == before["v1.2.3"]


# --- a run that failed is repeated ---------------------------------------------------------------------------


def test_a_run_that_stopped_after_the_tag_is_finished_by_the_next_run(project):
    project.merge("1.2.3")
    runner = project.request("1.2.3")
    publish.tag(runner, parse("1.2.3"), IMAGE)
    out = project.tags()["v1.2.3"]

    again = project.checkout("release/v1.2.3")  # a new clone
    planned = plan(again, "release/v1.2.3")
    assert planned["image"] == IMAGE, "it must not build a second image"
    assert "out already" in publish.tag(again, parse("1.2.3"), planned["image"])
    publish.finish(again, parse("1.2.3"))
    assert project.tags() == {"v1.2.3": out, "v1": out}


def test_everything_can_be_repeated_when_all_is_done(project):
    out = project.release("1.2.3")
    commit = project.run("git", "rev-parse", "main", cwd=project.server)
    again = project.request("1.2.3", commit)

    publish.tag(again, parse("1.2.3"), IMAGE)
    publish.finish(again, parse("1.2.3"))
    publish.finish(again, parse("1.2.3"))
    assert project.tags() == {"v1.2.3": out, "v1": out}


def test_finish_before_the_version_is_out_is_refused(project):
    project.merge("1.2.3")
    runner = project.request("1.2.3")

    with pytest.raises(ReleaseError, match=r"v1\.2\.3 is not out yet"):
        publish.finish(runner, parse("1.2.3"))
    assert list(project.tags()) == ["release/v1.2.3"]


# --- vX moves forwards ---------------------------------------------------------------------------------------


def test_the_major_version_moves_with_each_release(project):
    for version in ("1.2.3", "1.2.4", "1.10.0"):
        out = project.release(version)
        assert project.tags()["v1"] == out


def test_major_versions_move_each_for_itself(project):
    one, two = project.release("1.9.0"), project.release("2.0.0")

    assert (project.tags()["v1"], project.tags()["v2"]) == (one, two)


def test_an_older_version_does_not_move_it_back(project):
    project.release("1.9.0")
    newest = project.release("1.10.0", OTHER_IMAGE)
    project.merge("1.9.1")
    runner = project.request("1.9.1")
    publish.tag(runner, parse("1.9.1"), IMAGE)

    assert "v1 stays where it is: v1.10.0 is newer than v1.9.1" in publish.finish(runner, parse("1.9.1"))
    assert project.tags()["v1"] == newest
    assert plan(runner, "release/v1.9.1")["latest"] == "false"


def test_a_pre_release_does_not_move_it(project):
    stable = project.release("1.2.3")
    project.release("1.3.0-rc.1", OTHER_IMAGE)

    assert project.tags()["v1"] == stable


def test_a_pre_release_is_not_newer_than_a_version(project):
    project.release("1.3.0-rc.1")
    out = project.release("1.2.4")

    assert project.tags()["v1"] == out


def test_the_first_of_a_major_version_may_be_a_pre_release(project):
    project.release("1.0.0-rc.1")

    assert "v1" not in project.tags()


def test_the_requesting_tag_is_removed(project):
    project.release("1.2.3")

    assert sorted(project.tags()) == ["v1", "v1.2.3"]
