"""`make lint` refuses the words of .github/plain-words.txt, in whatever form and place they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFUSED = [line.partition("->")[0] for line in (ROOT / ".github/plain-words.txt").read_text().splitlines()]
LISTED = ["house", "road", "station", "stranger", "patience", "attend", "mend", "heal", "anew", "unheard", "obstacle"]
"""The words that design decisions name; room, the twelfth, is tried below in each place where it may stand."""


def refusals(folder: Path, text: str) -> str:
    """What the check of `make lint` prints for a file that holds `text`."""
    (folder / "page.md").write_text(text)
    options = re.search(r"^PLAIN_WORDS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert options
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *shlex.split(options[1].replace("\\\n", " ")), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == bool(done.stdout), done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "The room of the kubernetes package.",
        "# Rooms",
        "def leave_room(self): ...",
        "class ChatRoom: ...",
        "ROOM_SECONDS = 5",
        'x = "no room"',
    ],
)
def test_a_refused_word_is_found_in_prose_headings_and_names(tmp_path: Path, text: str):
    assert refusals(tmp_path, text)


@pytest.mark.parametrize("word", [*LISTED, "attended", "mends", "healing", "obstacles"])
def test_a_listed_word_and_its_inflections_are_refused(tmp_path: Path, word: str):
    assert word in REFUSED
    assert word in refusals(tmp_path, f"It is {word}.")


@pytest.mark.parametrize("word", ["roommate", "healthy", "recommend", "amended", "attention", "broadcast", "warehouse"])
def test_words_that_only_contain_a_refused_one_are_allowed(tmp_path: Path, word: str):
    assert not refusals(tmp_path, f"It is {word}, and {word.upper()}, and {word}_x.")


def test_lint_runs_the_check_over_the_whole_project():
    makefile = (ROOT / "Makefile").read_text()
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)

    assert lint
    assert "codespell $(PLAIN_WORDS) .\n" in lint[1]
