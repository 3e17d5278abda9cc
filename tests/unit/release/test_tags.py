"""A release's tags, made by real git against a real remote: what is out never changes, whatever fails halfway."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from release import CannotRelease, check, notes, publish
from release.pin import pin
from release.repository import Repository
from release.version import Version, parse, requested

ROOT = Path(__file__).resolve().parents[3]
ACTION = (ROOT / "action.yml").read_bytes()
IMAGE = "ghcr.io/acme/run-cronjob@sha256:" + "a" * 64
OTHER = "ghcr.io/acme/run-cronjob@sha256:" + "b" * 64


@pytest.fixture(autouse=True)
def _no_configuration(tmp_path, monkeypatch):
    """Git as it is on a fresh runner, which knows no name and no address."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for variable in ("GIT_DIR", "GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "EMAIL", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)


class Project:
    """A project on a server, a maintainer's clone of it, and what the workflow has checked out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = folder / "server.git"
        self.maintainer = folder / "maintainer"
        self.run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.server), cwd=folder)
        self.run("git", "clone", "--quiet", str(self.server), str(self.maintainer), cwd=folder)
        self.run("git", "checkout", "--quiet", "-B", "main")

    def run(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(command, cwd=cwd or self.maintainer, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def merge(self, version: str, **files: str) -> str:
        """A commit on main that has that version everywhere."""
        texts = {
            "action.yml": ACTION.decode(),
            "pyproject.toml": f'[project]\nname = "run-cronjob"\nversion = "{version}"\n',
            "src/run_cronjob/__init__.py": f'"""x"""\n\n__version__ = "{version}"\n',
            "CHANGELOG.md": f"# Changelog\n\n## [Unreleased]\n\n## [{version}] - 2026-11-26\n\n- Version {version}.\n",
            ".github/workflows/ci.yml": "on: push\n",
        } | files
        for name, text in texts.items():
            path = self.maintainer / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=M", "-c", "user.email=m@example.org", "commit", "--quiet", "-m", version)
        self.run("git", "push", "--quiet", "origin", "HEAD:main")
        return self.run("git", "rev-parse", "HEAD")

    def ask(self, version: str, commit: str = "HEAD") -> Repository:
        """Push the tag that asks for a release; the workflow's clone, at that tag."""
        name = f"release/v{version}"
        self.run("git", "-c", "user.name=M", "-c", "user.email=m@example.org", "tag", "-f", "-m", name, name, commit)
        self.run("git", "push", "--quiet", "--force", "origin", f"refs/tags/{name}")
        return self.checkout(name)

    def checkout(self, name: str) -> Repository:
        clone = self.folder / f"runner-{len(list(self.folder.glob('runner-*')))}"
        self.run("git", "clone", "--quiet", str(self.server), str(clone), cwd=self.folder)
        self.run("git", "checkout", "--quiet", name, cwd=clone)
        return Repository(clone)

    def release(self, version: str, image: str = IMAGE) -> str:
        """One release, from the merge to its end."""
        self.merge(version)
        runner = self.ask(version)
        publish.tag(runner, parse(version), image)
        publish.finish(runner, parse(version))
        return self.tags()[f"v{version}"]

    def tags(self) -> dict[str, str]:
        lines = self.run(
            "git", "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags", cwd=self.server
        )
        return dict(line.split(" ") for line in lines.splitlines())

    def show(self, what: str, *options: str) -> str:
        return self.run("git", "show", *options, what, cwd=self.server)


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


# --- the release commit ---------------------------------------------------------------------------------------


def test_the_release_is_mains_commit_with_the_image_and_nothing_else_changed(project):
    commit = project.merge("1.2.3")
    publish.tag(project.ask("1.2.3"), parse("1.2.3"), IMAGE)

    assert project.show("v1.2.3", "--no-patch", "--format=%P") == commit
    assert project.run("git", "diff", "--name-status", f"{commit}..v1.2.3", cwd=project.server) == "M\taction.yml"
    released = subprocess.run(
        ["git", "show", "v1.2.3:action.yml"], cwd=project.server, capture_output=True, check=True
    ).stdout
    assert released == pin(ACTION, IMAGE)


def test_main_goes_on_building_its_dockerfile(project):
    commit = project.merge("1.2.3")
    publish.tag(project.ask("1.2.3"), parse("1.2.3"), IMAGE)

    assert project.run("git", "rev-parse", "main", cwd=project.server) == commit


def test_files_keep_their_modes(project):
    (project.maintainer / "entrypoint.py").write_text("#!/usr/bin/python3 -I\n")
    (project.maintainer / "entrypoint.py").chmod(0o755)
    project.merge("1.2.3")
    publish.tag(project.ask("1.2.3"), parse("1.2.3"), IMAGE)

    modes = project.run("git", "ls-tree", "v1.2.3", "entrypoint.py", "action.yml", cwd=project.server).splitlines()
    assert [mode[:6] for mode in modes] == ["100644", "100755"]


def test_whoever_makes_the_release_commit_and_whenever_it_is_the_same_commit(project, monkeypatch):
    project.merge("1.2.3")
    first, second = project.ask("1.2.3"), project.checkout("release/v1.2.3")
    commit = first.commit("HEAD")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")

    assert check.release_commit(first, commit, b"x", IMAGE) == check.release_commit(second, commit, b"x", IMAGE)


# --- vX.Y.Z never changes -------------------------------------------------------------------------------------


def test_a_version_that_is_out_stays_as_it_is(project):
    project.merge("1.2.3")
    runner = project.ask("1.2.3")
    publish.tag(runner, parse("1.2.3"), IMAGE)
    before = project.tags()

    with pytest.raises(CannotRelease, match=r"v1\.2\.3 is out, with another commit or image, and never changes"):
        publish.tag(runner, parse("1.2.3"), OTHER)
    project.merge("1.2.3", README="more\n")
    with pytest.raises(CannotRelease, match="never changes"):
        publish.tag(project.ask("1.2.3"), parse("1.2.3"), IMAGE)
    assert project.tags()["v1.2.3"] == before["v1.2.3"]


def test_two_runs_at_once_make_one_release(project):
    """Both see no tag; the second to push is refused by the server, not by a look before."""
    project.merge("1.2.3")
    first, second = project.ask("1.2.3"), project.checkout("release/v1.2.3")
    commit = first.commit("HEAD")
    late = check.release_commit(second, commit, pin(ACTION, OTHER), OTHER)
    publish.tag(first, parse("1.2.3"), IMAGE)
    out = project.tags()["v1.2.3"]

    with pytest.raises(CannotRelease, match="git push failed"):
        second.push_new_tag("v1.2.3", late)
    assert project.tags()["v1.2.3"] == out


# --- again, after a failure in the middle ---------------------------------------------------------------------


def test_a_run_that_stopped_after_the_tag_is_finished_by_the_next(project):
    project.merge("1.2.3")
    runner = project.ask("1.2.3")
    publish.tag(runner, parse("1.2.3"), IMAGE)
    out = project.tags()["v1.2.3"]

    again = project.checkout("release/v1.2.3")  # knows nothing of the first run
    plan = check.check(again, "release/v1.2.3")
    assert plan["image"] == IMAGE, "it must not build a second image"
    assert "out already" in publish.tag(again, parse("1.2.3"), plan["image"])
    publish.finish(again, parse("1.2.3"))
    assert project.tags() == {"v1.2.3": out, "v1": out}


def test_everything_can_be_repeated_when_all_is_done(project):
    out = project.release("1.2.3")
    commit = project.run("git", "rev-parse", "main", cwd=project.server)
    again = project.ask("1.2.3", commit)

    publish.tag(again, parse("1.2.3"), IMAGE)
    publish.finish(again, parse("1.2.3"))
    publish.finish(again, parse("1.2.3"))
    assert project.tags() == {"v1.2.3": out, "v1": out}


def test_nothing_is_finished_before_the_version_is_out(project):
    project.merge("1.2.3")
    runner = project.ask("1.2.3")

    with pytest.raises(CannotRelease, match=r"v1\.2\.3 is not out yet"):
        publish.finish(runner, parse("1.2.3"))
    assert list(project.tags()) == ["release/v1.2.3"]


# --- vX moves forwards ----------------------------------------------------------------------------------------


def test_the_major_version_moves_with_each_release(project):
    for version in ("1.2.3", "1.2.4", "1.10.0"):
        out = project.release(version)
        assert project.tags()["v1"] == out


def test_major_versions_move_each_for_itself(project):
    one, two = project.release("1.9.0"), project.release("2.0.0")

    assert (project.tags()["v1"], project.tags()["v2"]) == (one, two)


def test_an_older_version_does_not_move_it_back(project):
    project.release("1.9.0")
    newest = project.release("1.10.0", OTHER)
    project.merge("1.9.1")
    runner = project.ask("1.9.1")
    publish.tag(runner, parse("1.9.1"), IMAGE)

    assert "v1 stays where it is: v1.10.0 is newer than v1.9.1" in publish.finish(runner, parse("1.9.1"))
    assert project.tags()["v1"] == newest
    assert check.check(runner, "release/v1.9.1")["latest"] == "false"


def test_a_pre_release_does_not_move_it(project):
    stable = project.release("1.2.3")
    project.release("1.3.0-rc.1", OTHER)

    assert project.tags()["v1"] == stable


def test_a_pre_release_is_not_newer_than_a_version(project):
    project.release("1.3.0-rc.1")
    out = project.release("1.2.4")

    assert project.tags()["v1"] == out


def test_the_first_of_a_major_version_may_be_a_pre_release(project):
    project.release("1.0.0-rc.1")

    assert "v1" not in project.tags()


def test_it_does_not_move_over_what_somebody_else_has_moved_meanwhile(project):
    first = project.release("1.2.3")
    second = project.release("1.2.4")
    runner = project.checkout("v1.2.4")

    with pytest.raises(CannotRelease, match="git push failed"):
        runner.move_tag("v1", before=first, commit=first)  # it thinks that v1 is still where it was
    assert project.tags()["v1"] == second


def test_the_tag_that_asked_is_gone_in_the_end(project):
    project.release("1.2.3")

    assert sorted(project.tags()) == ["v1", "v1.2.3"]


# --- what is in the way of a release --------------------------------------------------------------------------


def test_a_commit_on_main_that_agrees_with_the_tag_may_be_released(project):
    project.merge("1.2.3")

    assert check.check(project.ask("1.2.3"), "release/v1.2.3") == {
        "version": "1.2.3",
        "prerelease": "false",
        "latest": "true",
        "image": "",
    }


def test_a_pre_release_is_never_the_latest(project):
    project.merge("1.2.3-rc.1")
    plan = check.check(project.ask("1.2.3-rc.1"), "release/v1.2.3-rc.1")

    assert (plan["prerelease"], plan["latest"]) == ("true", "false")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pyproject.toml": '[project]\nversion = "1.2.2"\n'}, "pyproject.toml has version '1.2.2'"),
        ({"src/run_cronjob/__init__.py": '__version__ = "1.2.2"\n'}, "__init__.py has version '1.2.2'"),
        ({"CHANGELOG.md": "## [Unreleased]\n"}, "holds it 0 times"),
        ({"CHANGELOG.md": "## [1.2.3] - 2026-11-26\n\n## [1.2.2] - 2026-11-25\n\n- x\n"}, "says nothing about 1.2.3"),
    ],
)
def test_a_version_that_is_not_everywhere_is_not_released(project, files, said):
    project.merge("1.2.3", **files)

    with pytest.raises(CannotRelease) as caught:
        check.check(project.ask("1.2.3"), "release/v1.2.3")
    assert said in str(caught.value)


def test_all_that_is_in_the_way_is_said_at_once(project):
    project.merge("1.2.2")

    with pytest.raises(CannotRelease) as caught:
        check.check(project.ask("1.2.3"), "release/v1.2.3")
    assert len(str(caught.value).splitlines()) == 3


def test_a_commit_that_is_not_on_main_is_not_released(project):
    project.merge("1.2.2")
    main = project.run("git", "rev-parse", "HEAD")
    project.merge("1.2.3")
    project.run("git", "push", "--quiet", "--force", "origin", f"{main}:main")

    with pytest.raises(CannotRelease, match="is not on main"):
        check.check(project.ask("1.2.3"), "release/v1.2.3")


def test_an_older_commit_of_main_may_be_released_as_long_as_a_token_may_tag_it(project):
    commit = project.merge("1.2.3")
    project.merge("1.2.4")
    assert check.check(project.ask("1.2.3", commit), "release/v1.2.3")["version"] == "1.2.3"

    project.merge("1.2.4", **{".github/workflows/ci.yml": "on: pull_request\n"})
    with pytest.raises(CannotRelease, match="workflow files have changed"):
        check.check(project.ask("1.2.3", commit), "release/v1.2.3")


def test_a_version_that_is_out_is_not_made_again_of_another_commit(project):
    project.release("1.2.3")
    project.merge("1.2.3", README="more\n")

    with pytest.raises(CannotRelease, match=r"v1\.2\.3 is out, made of another commit"):
        check.check(project.ask("1.2.3"), "release/v1.2.3")


def test_a_tag_that_somebody_made_by_hand_is_no_release(project):
    project.merge("1.2.3")
    project.run("git", "push", "--quiet", "origin", "HEAD:refs/tags/v1.2.3")

    with pytest.raises(CannotRelease, match="made of another commit"):
        check.check(project.ask("1.2.3"), "release/v1.2.3")


def test_a_release_commit_that_changed_more_than_the_image_is_no_release(project):
    project.merge("1.2.3")
    runner = project.ask("1.2.3")
    forged = runner.commit_of(
        runner.commit("HEAD"), "action.yml", pin(ACTION, IMAGE) + b"  pre-entrypoint: /x\n", "Use the published image"
    )
    runner.push_new_tag("v1.2.3", forged)

    with pytest.raises(CannotRelease, match="made of another commit"):
        check.check(project.checkout("release/v1.2.3"), "release/v1.2.3")


# --- versions, notes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["1.2.3", "0.1.0", "10.20.30", "1.0.0-rc.1", "1.0.0-beta"])
def test_a_version_is_written_as_it_was_read(text):
    assert str(parse(text)) == text
    assert requested(f"release/v{text}") == parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3+x", "1.2.3 ", "1.2.3\n", "1.2.3-$(id)", "1.2.३"],
)
def test_what_is_no_version_is_refused(text):
    with pytest.raises(CannotRelease, match="is no version"):
        parse(text)


@pytest.mark.parametrize("tag", ["v1.2.3", "release/1.2.3", "refs/tags/release/v1.2.3", "Release/v1.2.3", ""])
def test_other_tags_ask_for_no_release(tag):
    with pytest.raises(CannotRelease, match="asks for no release"):
        requested(tag)


def test_versions_are_compared_by_number():
    assert Version(1, 10, 0) > Version(1, 9, 9)


CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.3] - 2026-11-26

### Added

- A thing, see [docs](docs).

### Fixed

- Another.

## [1.2.2] - 2026-11-25

- Old.

[Unreleased]: https://example.com/compare
"""


def test_the_notes_are_that_versions_part_of_the_changelog():
    assert (
        notes.notes(CHANGELOG, parse("1.2.3"))
        == "### Added\n\n- A thing, see [docs](docs).\n\n### Fixed\n\n- Another.\n"
    )


def test_the_notes_of_the_oldest_version_end_before_the_links():
    assert notes.notes(CHANGELOG, parse("1.2.2")) == "- Old.\n"


def test_links_to_files_lead_to_that_versions_files():
    text = "## [1.2.3] - 2026-11-26\n\n[a](docs/a.md#b) [c](https://example.com) [d](#e) (f)\n"
    told = notes.notes(text, parse("1.2.3"), "https://github.com/acme/x/blob/v1.2.3")

    assert told == "[a](https://github.com/acme/x/blob/v1.2.3/docs/a.md#b) [c](https://example.com) [d](#e) (f)\n"


def test_a_version_is_not_mistaken_for_another_that_looks_alike():
    with pytest.raises(CannotRelease, match="holds it 0 times"):
        notes.notes("## [1a2b3] - 2026-11-26\n\n- x\n", parse("1.2.3"))


# --- the project itself ---------------------------------------------------------------------------------------


def test_the_project_has_one_version():
    def read(file: str) -> bytes:
        return (ROOT / file).read_bytes()

    assert len(set(check.written(read).values())) == 1


def test_the_projects_action_can_be_released():
    assert pin(ACTION, IMAGE) != ACTION
