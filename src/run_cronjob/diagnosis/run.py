"""Pure: explains failures of the run itself: inputs, files, the guard, creating, following and cancelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from run_cronjob.core.errors import UnusableKubeconfig
from run_cronjob.core.models import Concerns, Outcome, Problem, RunningJob, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import duration, kubectl, quoted
from run_cronjob.diagnosis import snippets


def invalid_inputs(complaints: Sequence[str]) -> Problem:
    """One or more inputs can't be used; `complaints` has a sentence for each."""
    listed = complaints[0] if len(complaints) == 1 else "\n".join(f"- {complaint}" for complaint in complaints)
    return developer_problem(
        reason=Reason.INVALID_INPUT,
        what=listed,
        why="The values come from the form and from `with:` in the workflow file; an unset variable arrives "
        "as an empty one. Nothing was asked of AWS or the cluster yet.",
        fix="Correct the form's value and run the workflow again; what the form does not offer is set in the "
        "workflow file or in the repository's or environment's variables.",
    )


def no_id_token_permission() -> Problem:
    """The runner offers the job no OIDC token."""
    return Problem(
        reason=Reason.NO_ID_TOKEN_PERMISSION,
        what="This job may not ask GitHub for an OIDC token.",
        why="`role-to-assume` needs one, and GitHub offers it only to jobs with `id-token: write`. A workflow "
        "started from a fork never gets it.",
        fix="Add this to the job in the workflow file (naming any permission takes away all others, hence `contents`):",
        paste="permissions:\n  id-token: write\n  contents: read",
        paste_language="yaml",
    )


def kubeconfig_unreadable(why: str) -> Problem:
    """The file that the input `kubeconfig` names can't be read; `why` is the operating system's text."""
    return Problem(
        reason=Reason.KUBECONFIG_UNREADABLE,
        what="The file that `kubeconfig` names can't be read.",
        why="The action runs in a container: it sees the workspace and `${{ runner.temp }}`, but neither the "
        "runner's home folder nor its `/tmp`.",
        fix="Write the file to `${{ runner.temp }}` and give that path, or pass its text from a secret: as it is, with "
        "its line breaks, not encoded.",
        said=why,
    )


def kubeconfig_unusable(error: UnusableKubeconfig) -> Problem:
    """The kubernetes package can't load what the kubeconfig holds or names."""
    return Problem(
        reason=Reason.INVALID_KUBECONFIG,
        what="The kubeconfig's certificates, keys or files can't be loaded.",
        why="One of them is missing, or is not base64 of PEM as it should be; the message names it. Files are looked "
        "for beside the kubeconfig, and only in places that the action's container sees.",
        fix="Make the kubeconfig again, with its certificates and keys inside (`kubectl config view --flatten`).",
        said=error.detail,
    )


def ca_bundle_unreadable(path: str, why: str) -> Problem:
    """The file that AWS_CA_BUNDLE or a similar variable names can't be read as PEM certificates."""
    return Problem(
        reason=Reason.CA_BUNDLE_UNREADABLE,
        what=f"The certificates in {quoted(path)} can't be read.",
        why="AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or SSL_CERT_FILE names that file, and the action's container "
        "sees only the workspace and `${{ runner.temp }}`.",
        fix="Put the PEM file there and let the variable name it by that path, or unset the variable.",
        said=why,
    )


# --- the guard and the rights


def already_running(cronjob: str, namespace: str, running: Sequence[RunningJob], why: str) -> Problem:
    """The guard refuses another run; `why` names the setting that says so."""
    return developer_problem(
        reason=Reason.ALREADY_RUNNING,
        what=f"{quoted(cronjob)} is running already: {', '.join(map(running_job, running))}.",
        why=f"{why} Nothing was started.",
        fix="Wait until it has finished, and run the workflow again. This shows how it is doing:",
        paste=kubectl(namespace, "get job", running[0].name),
    )


def running_job(job: RunningJob) -> str:
    """An unfinished Job, for the middle of a sentence."""
    since = f" since {quoted(job.since)}" if job.since else ""
    return f"{quoted(job.name)}{since}{f', started by {quoted(job.by)}' if job.by else ''}"


def cannot_list_jobs(namespace: str, setting: str) -> Problem:
    """`if-running` must refuse a second run, but the role may not list Jobs."""
    return Problem(
        reason=Reason.CANNOT_LIST_JOBS,
        what=f"Whether a run is unfinished can't be seen: listing Jobs in {quoted(namespace)} is not allowed.",
        why=f"`if-running: {setting}` must be certain before it starts another run, and the CronJob's own "
        "status does not list the runs that people started. Nothing was started.",
        fix="Bind this rule there, or set `if-running` to `warn` or `allow`:",
        paste=snippets.rule("jobs.batch", "list"),
        paste_language="yaml",
    )


def cannot_follow(namespace: str, verbs: Sequence[str], setting: str) -> Problem:
    """`wait-for` needs rights on Jobs that the role lacks; checked before the Job is created."""
    return Problem(
        reason=Reason.CANNOT_FOLLOW,
        what=f"The Job could not be followed: this role may not {', '.join(verbs)} Jobs in {quoted(namespace)}.",
        why=f"`wait-for: {setting}` has to see the Job until it is decided. Nothing was started: a run whose end "
        "nobody sees is not what was asked for.",
        fix="Add this rule to the role that is bound there, or set `wait-for: created`:",
        paste=snippets.rule("jobs.batch", *verbs),
        paste_language="yaml",
    )


# --- creating the Job


def name_taken(namespace: str, name: str, *, fixed: bool) -> Problem:
    """Another Job has the name; `fixed` if `job-name` allows no other."""
    return developer_problem(
        reason=Reason.NAME_TAKEN,
        what=f"A Job called {quoted(name)} exists already in {quoted(namespace)}.",
        why="`job-name` leaves no space for another name." if fixed else "So did each further name tried.",
        fix="Let `job-name` contain `{timestamp}`, or `{run-id}` and `{run-attempt}`, or leave it out; if it does, run "
        "the workflow again."
        if fixed
        else "Run the workflow again.",
    )


def creation_uncertain(namespace: str, name: str, said: str = "", *, may_be_gone: bool = False) -> Problem:
    """The answer to the POST was lost, and a GET did not find out whether the Job exists.

    `may_be_gone` if Jobs of this CronJob are removed as soon as they end.
    """
    gone = (
        " Jobs of this CronJob are removed as soon as they end, so that not finding it proves nothing; that is why the "
        "request was not repeated."
    )
    return Problem(
        reason=Reason.CREATION_UNCERTAIN,
        what=f"It is not certain whether the Job {quoted(name)} was started.",
        why=f"The cluster was asked to create it, and no answer told whether it did.{gone if may_be_gone else ''}",
        first="Don't run the workflow again yet: if the Job was started, a second one would do its work twice. "
        "Show this page to your platform team.",
        fix="If this finds the Job, it was started. If not, look for what a finished run leaves behind:",
        said=said,
        paste=kubectl(namespace, "get job", name),
    )


# --- following the Job


def lost_sight(namespace: str, name: str, cause: Problem) -> Problem:
    """The Job was created, but the cluster no longer answers requests for it; `cause` says why."""
    command = kubectl(namespace, "get job", name)
    return replace(
        cause,
        reason=Reason.LOST_SIGHT,
        what=f"The Job {quoted(name)} was created, but can't be seen any more. {cause.what}",
        first="Don't run the workflow again before you know how the Job is doing: it may well be running.",
        fix=f"{cause.fix} Who may, sees the Job by:{f' {quoted(command)}.' if cause.paste else ''}",
        paste=cause.paste or command,
    )


def timed_out(known: Outcome) -> Problem:
    """`timeout` elapsed before the Job ended; `known.trouble` is the cause if the Job can't run."""
    limit = duration(known.timeout or 0)
    waited = f"this workflow waited for {limit} (`timeout`) and then stopped waiting, not the Job."
    running = developer_problem(
        reason=Reason.TIMED_OUT,
        what=f"The Job {quoted(known.job_name)} is STILL RUNNING: {waited}",
        why=f"When it was last seen: {known.state}" if known.state else "Nothing was seen of it yet.",
        fix="Don't start it again: it would run twice. Go on watching it, or stop it, as below; or give it more "
        "`timeout` next time.",
        paste="\n".join(snippets.job_commands(known.namespace, known.job_name)),
    )
    if not known.trouble:
        return running
    cause = known.trouble
    again = "Don't start it again: a second one would meet the same."
    for_developer = cause.concerns is Concerns.DEVELOPER
    return replace(
        running,
        what=f"The Job {quoted(known.job_name)} is STILL WAITING and can't get on: {waited}",
        why=f"{cause.what} {cause.why}",
        first="" if for_developer else f"{again} {cause.first}".strip(),
        fix=" ".join(filter(None, [again, cause.first, cause.fix])) if for_developer else cause.fix,
        concerns=cause.concerns,
        said=cause.said,
        paste=cause.paste or running.paste,
        paste_language=cause.paste_language,
    )


def job_deleted(namespace: str, name: str) -> Problem:
    """The Job vanished before its end was seen."""
    limits = "SUCCESSFUL:.spec.successfulJobsHistoryLimit,FAILED:.spec.failedJobsHistoryLimit"
    columns = f"custom-columns=KIND:.kind,NAME:.metadata.name,{limits}"
    return Problem(
        reason=Reason.JOB_DELETED,
        what=f"The Job {quoted(name)} was deleted before its end was seen.",
        why="Someone deleted it, or its CronJob, or the cluster removed it as soon as it had ended (a history limit or "
        "a `ttlSecondsAfterFinished` of 0). Whether it did its work is not known.",
        first="Don't run the workflow again before you know: look for what a finished run leaves behind.",
        fix="If Jobs of this CronJob are removed at once, let its `successfulJobsHistoryLimit` and "
        "`failedJobsHistoryLimit` be at least 1, and `ttlSecondsAfterFinished` some minutes. This shows what is set:",
        paste=kubectl(namespace, "get job,cronjob --output", columns),
    )


# --- the end of the run


def cancelled() -> Problem:
    """The workflow run was cancelled before the Job was created."""
    return developer_problem(
        reason=Reason.CANCELLED,
        what="The workflow run was cancelled before a Job was created.",
        why="Someone cancelled it, or its `timeout-minutes` ended.",
        fix="Nothing was started, nothing is left behind. Run the workflow again if you still want it to run.",
    )


def not_deleted(namespace: str, name: str) -> Problem:
    """`on-cancel: delete` could not delete the Job."""
    return Problem(
        reason=Reason.NOT_DELETED,
        what=f"The Job {quoted(name)} of the cancelled run could not be deleted.",
        why="The cluster refused, or did not answer: the role may lack the right to delete Jobs. The Job goes on.",
        fix="Stop it by hand, as below. For the next time, add the rule "
        f"{quoted(snippets.rule('jobs.batch', 'delete'))} to the role, or leave `on-cancel` out.",
        paste=kubectl(namespace, "delete job", name),
    )


def took_too_long(stage: str, seconds: float) -> Problem:
    """The time for all steps up to the Job's creation elapsed; `stage` completes "while ..."."""
    return Problem(
        reason=Reason.TOOK_TOO_LONG,
        what=f"After {seconds:g} seconds there was still no Job: it stopped while {stage}.",
        why="Something on the way answers too slowly; no single step may take that long.",
        fix="Run the workflow again. If it stays so, the log's last line names the place to look at.",
    )


def unexpected(error: BaseException) -> Problem:
    """An exception that nothing handles: its type and traceback, without values, which may be secrets."""
    frames = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return Problem(
        reason=Reason.UNEXPECTED,
        what=f"This action met an error that it does not know: {quoted(type(error).__name__)}.",
        why="That is a defect in the action itself.",
        fix="Please report it, with the text below, which holds no values of yours.",
        paste="\n".join(frames[-8:]),
        paste_language="",
    )
