"""The job summary reports the result in plain words, and no untrusted text becomes markup in it.

The tests render it as GitHub does, with cmark and GitHub's extensions, and compare elements and text.
"""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlsplit

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from run_cronjob.core.errors import ApiError
from run_cronjob.core.models import (
    Creation,
    CronJobFacts,
    Deletion,
    ErrorContext,
    Outcome,
    Output,
    Problem,
    Result,
    RunningJob,
    Trigger,
)
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import aws, run
from run_cronjob.diagnosis.explain import explain
from run_cronjob.report import summary
from tests.builders import HOSTILE, inputs, outcome


class Page(HTMLParser):
    """The rendered summary: its elements, the hosts of its links, its text outside and inside code."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.prose: list[str] = []
        self.code: list[str] = []
        self._open: list[str] = []
        # GitHub renders raw HTML and sanitizes it afterwards. Here, all HTML that gets through must be visible.
        self.feed(cmarkgfm.github_flavored_markdown_to_html(markdown, options=Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = urlsplit(dict(attrs).get("href") or "")
        others = sorted(f"{name}={value}" for name, value in attrs if name != "href")
        self.elements.append(" ".join([tag, f"{link.scheme}://{link.netloc}" if link.scheme else "", *others]))
        if tag not in {"br", "hr", "img", "input"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(f"/{tag}")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        (self.code if "code" in self._open else self.prose).append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.elements.append(f"<!{decl}")


def every_outcome(foreign: str) -> dict[str, Outcome]:
    """Return an Outcome for every way a run can end, with `foreign` in place of all untrusted text."""
    actor, presser, repository, workflow, ref, sha, run_id, attempt = [foreign] * 8
    trigger = Trigger(actor, presser, repository, workflow, ref, sha, run_id, attempt)
    known = outcome(
        cronjob=foreign,
        namespace=foreign,
        cluster=foreign,
        trigger=trigger,
        facts=CronJobFacts(foreign, foreign, True, True, foreign, (foreign, "two", foreign)),
        job_name=foreign,
        job_uid=foreign,
        remarks=(f"The API server warns: {quoted(foreign)}.",),
    )
    refused = explain(ApiError(422, foreign, foreign), ErrorContext(inputs(), namespace=foreign, cluster=foreign))
    claims = dict.fromkeys(aws.SHOWN_CLAIMS, foreign)
    statement = Problem(Reason.ROLE_REFUSED, aws.shown_claims(claims), "Why.", "Fix:", paste=foreign, said=foreign)
    return {
        **_while_creating(foreign, known, refused, statement),
        **_after_creation(foreign, known, refused, statement),
    }


def _while_creating(foreign: str, known: Outcome, refused: Problem, statement: Problem) -> dict[str, Outcome]:
    running = [RunningJob(foreign, foreign, foreign)]
    return {
        "created": replace(known, result=Result.CREATED, creation=Creation.DONE),
        "created, of an unknown kind": replace(known, result=Result.CREATED, creation=Creation.DONE, facts=None),
        "dry run": replace(known, result=Result.DRY_RUN, dry_run=True, manifest=f"kind: Job\nname: {foreign}\n"),
        "refused": replace(known, result=Result.REFUSED, problem=run.already_running(foreign, foreign, running, "So.")),
        "cancelled": replace(known, result=Result.CANCELLED, problem=run.cancelled()),
        "cancelled too late": replace(known, result=Result.CANCELLED, creation=Creation.DONE),
        "cancelled in between": replace(
            known,
            result=Result.CANCELLED,
            creation=Creation.OPEN,
            problem=run.creation_uncertain(foreign, foreign, foreign),
        ),
        "refused by the API": replace(known, problem=refused),
        "refused by AWS": replace(known, problem=statement),
        "invalid": Outcome(cronjob=foreign, problem=run.invalid_inputs([f"It is {quoted(foreign)}."])),
        "nothing known": Outcome(problem=run.cancelled()),
    }


def _after_creation(foreign: str, known: Outcome, refused: Problem, statement: Problem) -> dict[str, Outcome]:
    held_up = replace(known, result=Result.TIMED_OUT, creation=Creation.DONE, timeout=60, trouble=refused)
    return {
        "started": replace(known, result=Result.STARTED, creation=Creation.DONE, seconds=3),
        "succeeded": replace(known, result=Result.SUCCEEDED, creation=Creation.DONE, seconds=3700, exit_code=0),
        "failed": replace(
            known,
            result=Result.FAILED,
            creation=Creation.DONE,
            seconds=75,
            exit_code=3,
            problem=statement,
            output=Output(foreign, foreign, (foreign, "second line", foreign)),
        ),
        "failed, its output withheld": replace(
            known,
            result=Result.FAILED,
            creation=Creation.DONE,
            problem=statement,
            output=Output(foreign, foreign, withheld="`logs: false`"),
        ),
        "timed out": replace(
            known,
            result=Result.TIMED_OUT,
            creation=Creation.DONE,
            problem=run.timed_out(replace(known, timeout=60, state=f"It waits for {quoted(foreign)}.")),
        ),
        "timed out, held up": replace(held_up, problem=run.timed_out(held_up)),
        "deleted": replace(
            known, result=Result.DELETED, creation=Creation.DONE, problem=run.job_deleted(foreign, foreign)
        ),
        "lost sight of": replace(known, creation=Creation.DONE, problem=run.lost_sight(foreign, foreign, refused)),
        **{
            f"cancelled, deletion {deletion.name}": replace(
                known, result=Result.CANCELLED, creation=Creation.DONE, deletion=deletion
            )
            for deletion in Deletion
        },
    }


HARMLESS = every_outcome("honest name")
ENDS = pytest.mark.parametrize("end", HARMLESS)
VISIBLE = [text for text in HOSTILE if text.strip()]


# --- no untrusted text is markup ----------------------------------------------------------------------------


@ENDS
@pytest.mark.parametrize("hostile", VISIBLE, ids=range(len(VISIBLE)))
def test_no_name_or_message_makes_an_element_or_prose_that_a_harmless_one_would_not(end: str, hostile: str) -> None:
    page, expected = Page(summary.markdown(every_outcome(hostile)[end])), Page(summary.markdown(HARMLESS[end]))

    assert page.elements == expected.elements
    assert page.prose == expected.prose


NASTY = st.text(alphabet="ab `~|<>[]()*_#:\\&\n\r\t@!\"'-.=+1\u200b\u202e", min_size=1, max_size=30).filter(str.strip)


@given(NASTY, st.sampled_from(["created", "dry run", "refused", "refused by the API", "refused by AWS"]))
def test_no_combination_of_special_characters_makes_an_element_or_prose_either(foreign: str, end: str) -> None:
    page, expected = Page(summary.markdown(every_outcome(f"x{foreign}x")[end])), Page(summary.markdown(HARMLESS[end]))

    assert page.elements == expected.elements
    assert page.prose == expected.prose


@ENDS
@pytest.mark.parametrize("hostile", ["", " ", "\n", "\u200b"], ids=repr)
def test_names_that_are_empty_leave_no_open_markup(end: str, hostile: str) -> None:
    page = Page(summary.markdown(every_outcome(hostile)[end]))

    assert "`" not in "".join(page.prose)
    assert "|" not in "".join(page.prose)


@ENDS
def test_the_rendered_page_shows_elements_and_prose_that_are_added(end: str) -> None:
    broken = summary.markdown(HARMLESS[end]) + "\n\n<b>x</b> [l](https://evil.example) @octocat\n"

    assert Page(broken).elements != Page(summary.markdown(HARMLESS[end])).elements
    assert Page(broken).prose != Page(summary.markdown(HARMLESS[end])).prose


def test_text_to_copy_and_messages_of_others_are_complete() -> None:
    problem = Problem(Reason.JOB_REFUSED, "What.", "Why.", "Fix:", said="```\n</details>\n@all", paste="``` a\n<b> | c")

    page = Page(summary.markdown(outcome(problem=problem)))

    assert "```\n</details>\n@all\n" in page.code
    assert "``` a\n<b> | c\n" in page.code


# --- wording ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (
            outcome(result=Result.CREATED, creation=Creation.DONE),
            "`nightly-report` was started in `staging` on `blue`, by `octocat`",
        ),
        (
            outcome(result=Result.DRY_RUN),
            "Dry run: `nightly-report` could be started in `staging` on `blue`; nothing was created",
        ),
        (
            outcome(result=Result.REFUSED),
            "`nightly-report` was not started in `staging` on `blue`: it is running already",
        ),
        (outcome(), "`nightly-report` was not started in `staging` on `blue`"),
        (outcome(result=Result.CANCELLED), "Cancelled: `nightly-report` was not started in `staging` on `blue`"),
        (
            outcome(result=Result.CANCELLED, creation=Creation.DONE),
            "Cancelled too late: `nightly-report` was started in `staging` on `blue` and goes on running",
        ),
        (
            outcome(result=Result.CANCELLED, creation=Creation.OPEN),
            (
                "Cancelled: it is not certain whether `nightly-report` was started in `staging` on `blue`: "
                "don't start it again yet"
            ),
        ),
        (
            outcome(creation=Creation.OPEN),
            "It is not certain whether `nightly-report` was started in `staging` on `blue`: don't start it again yet",
        ),
        (Outcome(), "The CronJob was not started"),
        (outcome(result=Result.STARTED, creation=Creation.DONE), "`nightly-report` runs in `staging` on `blue`"),
        (
            outcome(result=Result.SUCCEEDED, creation=Creation.DONE, seconds=3700),
            "`nightly-report` succeeded in `staging` on `blue` after 1 h 1 min",
        ),
        (
            outcome(result=Result.FAILED, creation=Creation.DONE, seconds=75),
            "`nightly-report` failed in `staging` on `blue` after 1 min 15 s",
        ),
        (
            outcome(result=Result.TIMED_OUT, creation=Creation.DONE, seconds=60),
            "`nightly-report` is STILL RUNNING in `staging` on `blue`: don't start it again",
        ),
        (
            outcome(
                result=Result.TIMED_OUT,
                creation=Creation.DONE,
                seconds=60,
                trouble=Problem(Reason.UNSCHEDULABLE, "B.", "C.", "D."),
            ),
            "`nightly-report` is STILL WAITING in `staging` on `blue` and can't get on: don't start it again",
        ),
        (
            outcome(result=Result.DELETED, creation=Creation.DONE),
            "`nightly-report` was deleted in `staging` on `blue` before its end was seen",
        ),
        (
            outcome(creation=Creation.DONE),
            "`nightly-report` was started in `staging` on `blue`, but can't be seen any more: don't start it again yet",
        ),
        (
            outcome(result=Result.CANCELLED, creation=Creation.DONE, deletion=Deletion.DONE),
            "Cancelled: the Job of `nightly-report` in `staging` on `blue` is being deleted, with its pods",
        ),
        (
            outcome(result=Result.CANCELLED, creation=Creation.DONE, deletion=Deletion.FAILED),
            "Cancelled, but `nightly-report` could not be stopped in `staging` on `blue` and goes on running",
        ),
    ],
)
def test_the_first_line_is_the_headline(known: Outcome, words: str) -> None:
    assert summary.headline(known) == words
    first = summary.markdown(known).splitlines()[0]
    assert first.startswith("### ")
    assert first.endswith(words)


def test_the_table_names_job_cluster_image_person_and_workflow_run() -> None:
    text = summary.markdown(outcome(result=Result.CREATED, creation=Creation.DONE, job_name="nightly-report-1"))

    for row in (
        "| CronJob | `nightly-report` |",
        "| Schedule | `5 4 * * *` (`Europe/Berlin`) |",
        "| Job | `nightly-report-1` |",
        "| Namespace | `staging` |",
        "| Cluster | `blue` |",
        "| Image | `registry.example/r:1` |",
        "| Asked for by | `octocat` |",
        "| Workflow run | [`Run CronJob` `4711`](https://github.com/acme/batch/actions/runs/4711), attempt `2` |",
    ):
        assert row in text


def test_a_created_job_comes_with_the_commands_to_watch_and_to_stop_it() -> None:
    text = summary.markdown(outcome(result=Result.CREATED, creation=Creation.DONE, job_name="nightly-report-1"))

    for command in ("get job nightly-report-1", "logs --all-containers --follow job/nightly-report-1", "delete job"):
        assert f"kubectl --namespace staging {command}" in text


@pytest.mark.parametrize("creation", [Creation.NONE, Creation.OPEN])
def test_the_last_lines_of_a_failure_stand_in_a_block_that_none_of_them_can_close(creation: Creation) -> None:
    lines = ("```", "</details>", "~~~~", "@all", "    ")
    problem = Problem(Reason.CONTAINER_FAILED, "What.", "Why.", "Fix.")
    page = Page(summary.markdown(outcome(creation=creation, problem=problem, output=Output("pod", "report", lines))))

    assert any("```\n</details>\n~~~~\n@all\n" in code for code in page.code)


@pytest.mark.parametrize("creation", [Creation.NONE, Creation.OPEN])
def test_without_a_job_no_job_is_named_as_one(creation: Creation) -> None:
    text = summary.markdown(outcome(creation=creation, job_name="a-name-that-was-tried"))

    assert "a-name-that-was-tried" not in text
    assert "delete job" not in text


def test_a_failure_shows_cause_fix_text_to_copy_the_clusters_message_and_a_link() -> None:
    problem = Problem(
        Reason.JOB_REFUSED, "What happened.", "The cause.", "The fix:", said="their words", paste="paste me"
    )

    text = summary.markdown(outcome(problem=problem))

    for part in ("What happened.", "The cause.", "The fix:", "their words", "paste me"):
        assert part in text
    link = "https://github.com/acme/run-cronjob/blob/v1/docs/troubleshooting.md#jobrefused"
    assert f"[More about JobRefused]({link})" in text
    # The log ends with the annotation.
    log = [*summary.last_log_lines(outcome(problem=problem)), summary.annotation(outcome(problem=problem))]
    for part in ("What happened.", "The cause.", "The fix:", "their words", "paste me", link):
        assert part in "\n".join(log)


def test_log_and_annotation_agree_with_the_summary() -> None:
    known = outcome(result=Result.CREATED, creation=Creation.DONE, job_name="nightly-report-1")

    assert summary.last_log_lines(known)[0] == summary.headline(known)
    assert "nightly-report-1" in summary.annotation(known)
    assert summary.first_log_line(known) == "A run of `nightly-report`, asked for by `octocat`"
    assert summary.first_log_line(replace(known, dry_run=True)).startswith("A dry run of ")


def test_of_many_images_only_the_first_ten_are_named() -> None:
    known = outcome()
    assert known.facts
    facts = replace(known.facts, images=tuple(f"image-{number}" for number in range(15)))

    assert "`image-9` and 5 more |" in summary.markdown(replace(known, facts=facts))


def test_a_suspended_schedule_is_shown_as_such() -> None:
    known = outcome()
    assert known.facts
    text = summary.markdown(replace(known, facts=replace(known.facts, suspended=True)))

    assert ", suspended |" in text


def test_an_env_value_that_the_api_quotes_is_redacted() -> None:
    at = ErrorContext(inputs(), namespace="staging", cluster="blue", env_values=frozenset({"hunter2&more"}))
    problem = explain(ApiError(422, "Invalid", r'denied: {"value":"hunter2\u0026more"}'), at)
    known = outcome(problem=problem)

    for text in (summary.markdown(known), "\n".join(summary.last_log_lines(known)), summary.annotation(known)):
        assert "hunter2" not in text


def test_long_messages_and_manifests_fit_into_the_summary() -> None:
    problem = Problem(Reason.JOB_REFUSED, "What.", "Why.", "Fix.", said="x" * 2_000_000)
    known = outcome(problem=problem, manifest="y" * 2_000_000)

    assert len(summary.markdown(known).encode()) < 1_000_000


def test_the_cause_that_blocks_a_job_at_its_timeout_has_its_own_link() -> None:
    trouble = Problem(Reason.IMAGE_NOT_FOUND, "What.", "Why.", "Fix.")
    held_up = outcome(result=Result.TIMED_OUT, creation=Creation.DONE, timeout=60, trouble=trouble)

    text = summary.markdown(replace(held_up, problem=run.timed_out(held_up)))

    assert "troubleshooting.md#timedout" in text
    assert "troubleshooting.md#imagenotfound" in text
