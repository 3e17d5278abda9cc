"""Builds the texts of a report from an Outcome: job summary, headline, annotation, first and last lines of the log.

Pure: no I/O. The reader is the developer who started the workflow run. Untrusted names stand in code spans
(`text.quoted`), untrusted texts in fenced blocks, so that neither can be markup.
"""

from __future__ import annotations

from typing import NamedTuple

from run_cronjob.core.models import Concerns, Creation, Deletion, JobRef, Outcome, Output, Problem, Result
from run_cronjob.core.text import clean, cut, duration, fenced, quoted
from run_cronjob.diagnosis import snippets

# Both in characters. GitHub takes up to 1 MiB for the summary of a step.
_MESSAGE_LENGTH, _MANIFEST_LENGTH = 4000, 200_000

MANIFEST_TITLE = "The Job it would create (values of environment variables hidden)"

_SIGNS = {
    Result.CREATED: "▶️",
    Result.STARTED: "▶️",
    Result.SUCCEEDED: "✅",
    Result.DRY_RUN: "🧪",
    Result.FAILED: "❌",
    Result.TIMED_OUT: "⏳",
    Result.CANCELLED: "⏹️",
    Result.DELETED: "❔",
    Result.REFUSED: "✋",
    Result.ERROR: "❌",
}


def headline(outcome: Outcome) -> str:
    """Return the result in one sentence."""
    run = quoted(outcome.cronjob) if outcome.cronjob else "The CronJob"
    place = _place(outcome)
    if outcome.result is Result.CREATED and outcome.facts and outcome.facts.template_suspended:
        return f"{run} waits{place}: its Job was created by {quoted(outcome.trigger.person)}, but is suspended"
    if outcome.result is Result.CREATED:
        return f"{run} was started{place}, by {quoted(outcome.trigger.person)}"
    if outcome.result is Result.TIMED_OUT and outcome.trouble:
        return f"{run} is STILL WAITING{place} and can't get on: don't start it again"
    if outcome.result in _FOLLOWED:
        return f"{run} {_FOLLOWED[outcome.result].format(place=place, took=_took(outcome))}"
    if outcome.result is Result.DRY_RUN:
        return f"Dry run: {run} could be started{place}; nothing was created"
    not_started = f"{run} was not started{place}"
    if outcome.dry_run:
        not_started = f"Dry run: {run} could not be started{place}"
    if outcome.result is Result.REFUSED:
        return f"{not_started}: it is running already"
    if outcome.creation is Creation.DONE and outcome.result is Result.ERROR:
        return f"{run} was started{place}, but can't be seen any more: don't start it again yet"
    if outcome.creation is Creation.DONE:
        return f"Cancelled{_DELETION[outcome.deletion].headline.format(run=run, place=place)}"
    lead = "Cancelled: " if outcome.result is Result.CANCELLED else ""
    if outcome.creation is Creation.OPEN:
        whether = f"{'it' if lead else 'It'} is not certain whether {run} was started{place}"
        return f"{lead}{whether}: don't start it again yet"
    return f"{lead}{not_started}"


_FOLLOWED = {
    Result.STARTED: "runs{place}",
    Result.SUCCEEDED: "succeeded{place}{took}",
    Result.FAILED: "failed{place}{took}",
    Result.TIMED_OUT: "is STILL RUNNING{place}: don't start it again",
    Result.DELETED: "was deleted{place} before its end was seen",
}


class _DeletionWords(NamedTuple):
    """The wordings for one value of Deletion.

    `headline` completes "Cancelled", `post` completes "the Job `name`" in the summary of `post-entrypoint`.
    `note` stands above the commands to watch and stop the Job. Without a note, the commands are left out.
    """

    headline: str
    post: str
    note: str = ""


_DELETION = {
    Deletion.NONE: _DeletionWords(
        headline=" too late: {run} was started{place} and goes on running",
        post="is as it was",
        note="Cancelling the workflow does not stop the Job: **it goes on running, and how it ends is not "
        "known here**.",
    ),
    Deletion.BEGUN: _DeletionWords(
        headline=": the Job of {run}{place} is to be deleted; the cluster's answer is not in yet",
        post="is to be deleted",
        note="`on-cancel: delete`: the cluster is being asked to delete the Job with its pods. If no answer "
        "comes before this step ends, its last step (Post) asks again, and its log says what came of it.",
    ),
    Deletion.DONE: _DeletionWords(
        headline=": the Job of {run}{place} is being deleted, with its pods",
        post="is being deleted, with its pods",
        note="`on-cancel: delete`: the cluster has accepted the Job's deletion. Its pods are told to end now, "
        "and are killed after their grace period (30 seconds unless the template says otherwise).",
    ),
    Deletion.ENDED: _DeletionWords(" too late: {run} had ended{place}", "had ended already, and stays"),
    Deletion.GONE: _DeletionWords(": the Job of {run}{place} is gone", "is gone, or never was"),
    Deletion.FAILED: _DeletionWords(
        headline=", but {run} could not be stopped{place} and goes on running",
        post="could not be deleted",
        note="`on-cancel: delete`: the cluster did not delete the Job. The last step (Post) asks once more, "
        "and its log says what came of it.",
    ),
}


def _took(outcome: Outcome) -> str:
    return f" after {duration(outcome.seconds)}" if outcome.seconds is not None else ""


def _place(outcome: Outcome) -> str:
    namespace = f" in {quoted(outcome.namespace)}" if outcome.namespace else ""
    return namespace + (f" on {quoted(outcome.cluster)}" if outcome.cluster else "")


def markdown(outcome: Outcome) -> str:
    """Return the job summary of a run, as GitHub Flavored Markdown."""
    blocks = [f"### {_SIGNS[outcome.result]} {headline(outcome)}"]
    if outcome.problem:
        blocks += _problem_blocks(outcome.problem, outcome.docs_url, outcome.output)
    if outcome.result is Result.TIMED_OUT and outcome.trouble:
        blocks.append(_docs_line(outcome.trouble, outcome.docs_url))
    blocks += [f"> ⚠️ {remark}" for remark in outcome.remarks]
    blocks.append(_table(outcome))
    blocks += _next_steps(outcome)
    if outcome.manifest:
        block = fenced(cut(outcome.manifest, _MANIFEST_LENGTH), "yaml")
        blocks.append(_collapsed(MANIFEST_TITLE, block))
    blocks.append(_collapsed("Details", _details_table(outcome)))
    return "\n\n".join(blocks) + "\n"


def _docs_link(problem: Problem, docs_url: str) -> str:
    return f"{docs_url}/troubleshooting.md#{problem.reason.lower()}"


def _problem_blocks(problem: Problem, docs_url: str, output: Output | None = None) -> list[str]:
    blocks = [problem.what, problem.why, *(_output_blocks(output) if output else [])]
    if problem.first:
        blocks.append(f"**{_ADVICE[Concerns.DEVELOPER]}** {problem.first}")
    blocks.append(f"**{_ADVICE[problem.concerns]}** {problem.fix}")
    if problem.paste:
        blocks.append(fenced(problem.paste, problem.paste_language))
    if problem.said:
        blocks.append(_collapsed("The message as it came", fenced(_beginning(problem.said), "text")))
    blocks.append(_docs_line(problem, docs_url))
    return blocks


def _docs_line(problem: Problem, docs_url: str) -> str:
    return f"[More about {problem.reason}]({_docs_link(problem, docs_url)})"


def _output_blocks(output: Output) -> list[str]:
    whose = f"{quoted(output.container)} in the pod {quoted(output.pod)}"
    if not output.lines:
        return [f"The output of {whose} is not shown here: {output.withheld}."] if output.withheld else []
    return [f"**The last lines of {whose}:**", fenced("\n".join(output.lines), "text")]


_ADVICE = {
    Concerns.DEVELOPER: "What you can do:",
    Concerns.PLATFORM: "What your platform team can do (show them this page):",
}


def _table(outcome: Outcome) -> str:
    rows = [("CronJob", quoted(outcome.cronjob) if outcome.cronjob else "not given")]
    if outcome.facts:
        zone = f" ({quoted(outcome.facts.time_zone)})" if outcome.facts.time_zone else ""
        suspended = ", suspended" if outcome.facts.suspended else ""
        rows.append(("Schedule", f"{quoted(outcome.facts.schedule)}{zone}{suspended}"))
    if outcome.creation is Creation.DONE:
        rows.append(("Job", quoted(outcome.job_name)))
    if outcome.seconds is not None:
        rows.append(("Took" if outcome.result.is_an_end else "Followed for", duration(outcome.seconds)))
    if outcome.exit_code is not None:
        rows.append(("Exit code", f"`{outcome.exit_code}`"))
    rows += [
        ("Namespace", quoted(outcome.namespace) if outcome.namespace else "not known"),
        ("Cluster", quoted(outcome.cluster) if outcome.cluster else "not known"),
    ]
    if outcome.facts:
        images, shown = outcome.facts.images, outcome.facts.images[:10]
        more = f" and {len(images) - len(shown)} more" if len(images) > len(shown) else ""
        rows.append(("Image" if len(images) == 1 else "Images", ", ".join(map(quoted, shown)) + more))
    rows.append(("Asked for by", quoted(outcome.trigger.person)))
    if outcome.trigger.run_url:
        label = f"{quoted(outcome.trigger.workflow)} {quoted(outcome.trigger.run_id)}"
        attempt = f", attempt {quoted(outcome.trigger.run_attempt)}" if outcome.trigger.run_attempt else ""
        rows.append(("Workflow run", f"[{label}]({outcome.trigger.run_url}){attempt}"))
    return _rows(rows)


def _rows(rows: list[tuple[str, str]]) -> str:
    # In a table, GitHub Flavored Markdown splits cells at a pipe even within a code span, unless it is escaped.
    lines = [f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows]
    return "\n".join([lines[0], "| --- | --- |", *lines[1:]])


def _next_steps(outcome: Outcome) -> list[str]:
    note = _job_note(outcome)
    if outcome.creation is not Creation.DONE or not note:
        return []
    return [
        note,
        "**Watch it, or stop it** (or ask your platform team to, with this page):",
        fenced("\n".join(snippets.job_commands(outcome.namespace, outcome.job_name)), "sh"),
    ]


def _job_note(outcome: Outcome) -> str:
    return _DELETION[outcome.deletion].note if outcome.result is Result.CANCELLED else _NOTES.get(outcome.result, "")


_NOTES = {
    Result.CREATED: "The cluster has accepted the Job. **Whether it runs and how it ends is not known here**: this "
    "workflow does not wait for it, and cancelling or re-running the workflow does not stop it.",
    Result.STARTED: "A container of the Job runs. **How it ends is not known here**: this workflow does not wait for "
    "that (`wait-for: started`), and cancelling or re-running it does not stop the Job.",
}


def post_markdown(outcome: Outcome, job: JobRef) -> str:
    """Return the job summary of the step's `post-entrypoint`, which deletes the `job` of a cancelled run."""
    blocks = [f"### {_SIGNS[Result.CANCELLED]} {post_headline(outcome, job)}"]
    if outcome.problem:
        blocks += _problem_blocks(outcome.problem, outcome.docs_url)
    return "\n\n".join(blocks) + "\n"


def post_headline(outcome: Outcome, job: JobRef) -> str:
    """Return in one sentence what the `post-entrypoint` did about the Job."""
    state = "could not be deleted" if outcome.problem else _DELETION[outcome.deletion].post
    return f"After the cancelling: the Job {quoted(job.name)} {state}"


def first_log_line(outcome: Outcome) -> str:
    """Return the first line of the log."""
    kind = "A dry run of" if outcome.dry_run else "A run of"
    return f"{kind} {quoted(outcome.cronjob)}, asked for by {quoted(outcome.trigger.person)}"


def last_log_lines(outcome: Outcome) -> list[str]:
    """Return the last lines of the log. The annotation follows them, so they don't repeat it."""
    lines = [headline(outcome)]
    if outcome.problem:
        if outcome.problem.said:
            lines.append(f"The message as it came: {clean(_beginning(outcome.problem.said))}")
    elif outcome.creation is Creation.DONE and _job_note(outcome):
        lines += [f"    {line}" for line in snippets.job_commands(outcome.namespace, outcome.job_name)]
    return lines


def annotation(outcome: Outcome) -> str:
    """Return the message of the annotation; its title is the headline."""
    if outcome.problem:
        return advice(outcome.problem, outcome.docs_url)
    if outcome.result is Result.SUCCEEDED:
        return f"The Job {quoted(outcome.job_name)} is complete{_took(outcome)}."
    if outcome.creation is Creation.DONE:
        return f"The Job is {quoted(outcome.job_name)}. The summary tells how to watch it and how to stop it."
    return "All that a real run needs would work."


def advice(problem: Problem, docs_url: str) -> str:
    """Return cause and fix of `problem` and the link to the docs, as the message of an annotation."""
    first = problem.first and f"{_ADVICE[Concerns.DEVELOPER]} {problem.first}"
    fix = f"{_ADVICE[problem.concerns]} {problem.fix}"
    more = f"More: {_docs_link(problem, docs_url)}"
    return "\n".join(filter(None, [problem.what, problem.why, first, fix, problem.paste, more]))


def _details_table(outcome: Outcome) -> str:
    trigger = outcome.trigger
    rows = [
        ("Result", f"`{outcome.result.value}`"),
        ("Job UID", quoted(outcome.job_uid)),
        ("Repository", quoted(trigger.repository)),
        ("Ref", quoted(trigger.ref)),
        ("Commit", quoted(trigger.sha)),
        ("First started by", quoted(trigger.actor) if trigger.actor != trigger.person else ""),
        ("Concurrency policy", quoted(outcome.facts.concurrency_policy) if outcome.facts else ""),
    ]
    return _rows([(name, value) for name, value in rows if value not in {"", quoted("")}])


def _beginning(said: str) -> str:
    """Return the beginning of a message. It ends between words: half a token would not be redacted as a secret."""
    if len(said) <= _MESSAGE_LENGTH:
        return said
    words = said[:_MESSAGE_LENGTH].rsplit(maxsplit=1)
    return f"{words[0] if len(words) > 1 else ''} …"


def _collapsed(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
