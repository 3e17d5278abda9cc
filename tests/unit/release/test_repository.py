"""Commits and tags, made by real git on a real remote."""

from __future__ import annotations

import pytest

from release import publish
from release.check import release_commit
from release.command import ReleaseError
from release.pin import pin
from release.version import parse
from tests.unit.release.project import ACTION, IMAGE, OTHER_IMAGE


def test_files_keep_their_modes(project):
    (project.maintainer / "entrypoint.py").write_text("#!/usr/bin/python3 -I\n")
    (project.maintainer / "entrypoint.py").chmod(0o755)
    project.merge("1.2.3")
    publish.tag(project.request("1.2.3"), parse("1.2.3"), IMAGE)

    modes = project.run("git", "ls-tree", "v1.2.3", "entrypoint.py", "action.yml", cwd=project.server).splitlines()
    assert [mode[:6] for mode in modes] == ["100644", "100755"]


def test_two_runs_at_once_make_one_release(project):
    """Both runs have seen no tag. The server refuses the second push."""
    project.merge("1.2.3")
    first, second = project.request("1.2.3"), project.checkout("release/v1.2.3")
    commit = first.commit("HEAD")
    late = release_commit(second, commit, pin(ACTION, OTHER_IMAGE), OTHER_IMAGE)
    publish.tag(first, parse("1.2.3"), IMAGE)
    out = project.tags()["v1.2.3"]

    with pytest.raises(ReleaseError, match="git push failed"):
        second.push_new_tag("v1.2.3", late)
    assert project.tags()["v1.2.3"] == out


def test_a_tag_that_has_moved_in_the_meantime_is_not_moved(project):
    first = project.release("1.2.3")
    second = project.release("1.2.4")
    runner = project.checkout("v1.2.4")

    with pytest.raises(ReleaseError, match="git push failed"):
        runner.move_tag("v1", before=first, commit=first)  # its view of v1 is outdated
    assert project.tags()["v1"] == second
