"""The steps of a run, one method each: what is requested, and what the log and the summary say about it.

The kubernetes package takes longer to import than to use. It is imported only when the first step needs it.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import yaml

from run_cronjob.access import EksAccess, KubeconfigAccess
from run_cronjob.context import RunContext
from run_cronjob.core.errors import ActionError, ApiError, AwsError, NoAnswer, Refused
from run_cronjob.core.models import (
    Access,
    CreatedJob,
    Creation,
    Deletion,
    IfRunning,
    JobRef,
    Json,
    OnCancel,
    Outcome,
    Result,
    RunningJob,
    WaitFor,
)
from run_cronjob.core.redactor import redact
from run_cronjob.core.text import kubectl, quoted
from run_cronjob.diagnosis import run, snippets
from run_cronjob.inputs import LABEL
from run_cronjob.jobs import create, delete, manifest, naming

if TYPE_CHECKING:
    from run_cronjob.clients.kube_api import KubeApi

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Without vowels and characters that look alike, as in Kubernetes' own generated names."""
_SHOWN_RUNS = 3
_LOOKS, _LOOK_SECONDS = 3, 3.0
"""How often, and how many seconds apart, the `post-entrypoint` looks for a Job whose POST may still be under way."""


class Steps:
    """The steps of one run, in order. Each records its results in the run's state.

    Every step raises ActionError if it fails, and Interrupted once the run has been ended.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._inputs = context.inputs
        self._run_state = context.run_state
        self._actions = context.actions
        self._clock = context.clock
        self._provider = KubeconfigAccess(context) if context.inputs.kubeconfig else EksAccess(context)
        self._api: KubeApi | None = None
        self._request_id = str(uuid.uuid4())

    @property
    def _namespace(self) -> str:
        return self._context.error_context.namespace

    def get_access(self) -> Access:
        """The cluster's address and credentials, from the kubeconfig or from AWS."""
        access = self._provider.connect()
        namespace = self._inputs.namespace or access.namespace or "default"
        if not LABEL.fullmatch(namespace):
            raise ActionError(run.invalid_inputs([f"The kubeconfig's namespace {quoted(namespace)} can't be one."]))
        self._context.add_facts(namespace=namespace, cluster=access.cluster)
        self._run_state.update(namespace=namespace, cluster=access.cluster)
        self._actions.mask(*access.secrets)
        return access

    def connect(self, access: Access) -> KubeApi:
        """A client of the cluster's API; it has sent no request yet."""
        with self._context.stage("Address", "preparing the connection to the cluster") as stage:
            from run_cronjob.clients.kube_api import KubeApi  # noqa: PLC0415  see the module's docstring
            from run_cronjob.clients.kube_transport import KubeTransport  # noqa: PLC0415  likewise

            transport = KubeTransport(access, self._clock, self._context.timeouts, self._provider.renew)
            stage.found = quoted(transport.host)
        self._actions.mask(transport.bearer)
        self._api = KubeApi(transport)
        return self._api

    def read_cronjob(self, api: KubeApi) -> Json:
        """The CronJob, as raw JSON."""
        with self._context.stage("CronJob", "reading the CronJob") as stage:
            try:
                cronjob = api.get_cronjob(self._namespace, self._inputs.cronjob)
            except ApiError as error:
                self._look_for_cause(api, error)
                raise
            facts = manifest.facts(cronjob)
            self._context.add_facts(env_values=manifest.env_values(cronjob))
            self._run_state.update(facts=facts)
            stage.found = f"{quoted(self._inputs.cronjob)}, schedule {quoted(facts.schedule)}"
        if facts.suspended:
            self._context.remark("The CronJob is suspended: its schedule starts nothing. This run starts all the same.")
        return cronjob

    def _look_for_cause(self, api: KubeApi, error: ApiError) -> None:
        """Look up facts that explain why the first request failed, as far as this role has the rights."""
        with contextlib.suppress(ApiError, NoAnswer, AwsError):
            if error.status == 401 and not self._context.error_context.caller:
                self._context.add_facts(caller=self._provider.caller())
            if error.status == 404:
                names = api.list_cronjob_names(self._namespace)
                exists = bool(names) or api.has_namespace(self._namespace)
                self._context.add_facts(cronjob_names=names, namespace_exists=exists)

    def check_rights(self, api: KubeApi) -> None:
        """Check, before the Job is created, that this role may follow and delete it as the inputs ask."""
        inputs = self._inputs
        if inputs.on_cancel is OnCancel.DELETE and not self._may(api, "delete", "jobs.batch"):
            self._context.remark(
                "`on-cancel: delete` has no effect: this role may not delete Jobs. The rule to add: "
                f"{quoted(snippets.rule('jobs.batch', 'delete'))}."
            )
        if inputs.wait_for is WaitFor.CREATED:
            return
        with self._context.stage("Rights", "asking whether the Job may be followed") as stage:
            missing = [verb for verb in ("get", "list", "watch") if not self._may(api, verb, "jobs.batch")]
            if missing:
                raise ActionError(run.cannot_follow(self._namespace, missing, inputs.wait_for.value))
            stage.found = "the Job may be followed"

    def _may(self, api: KubeApi, verb: str, resource: str) -> bool:
        """Whether this role has a right; True where access reviews are not allowed either."""
        try:
            return api.is_allowed(verb, resource, self._namespace)
        except ApiError as error:
            if error.status in {403, 404}:
                return True
            raise

    def check_unfinished(self, api: KubeApi, cronjob: Json) -> tuple[RunningJob, ...]:
        """The CronJob's unfinished runs. Raises Refused where `if-running` forbids another one."""
        setting = self._inputs.if_running
        if setting is IfRunning.ALLOW:
            return ()
        forbids = manifest.facts(cronjob).concurrency_policy == "Forbid"
        refuses = setting is IfRunning.REFUSE or (setting is IfRunning.POLICY and forbids)
        with self._context.stage("Guard", "looking for unfinished runs") as stage:
            kind = unseen = ""
            try:
                unfinished = manifest.unfinished(api.list_jobs(self._namespace), cronjob)
            except ApiError as error:
                if error.status != 403:
                    raise
                unfinished, kind = manifest.active(cronjob), "scheduled "
                unseen = "; those that people started can't be seen: listing Jobs is not allowed"
            runs = "runs" if len(unfinished) > 1 else "run"
            stage.found = f"{len(unfinished) or 'no'} unfinished {kind}{runs}{unseen}"
            if unfinished and refuses:
                why = f"`if-running` is {quoted(setting.value)}"
                why += " and the CronJob's concurrencyPolicy is `Forbid`" if setting is IfRunning.POLICY else ""
                why += ", so that no two runs overlap."
                raise Refused(run.already_running(self._inputs.cronjob, self._namespace, unfinished, why))
            if refuses and unseen:
                raise ActionError(run.cannot_list_jobs(self._namespace, setting.value))
        return unfinished

    def create_job(self, api: KubeApi, cronjob: Json, unfinished: tuple[RunningJob, ...]) -> None:
        """Create the Job; with `dry-run`, have the API server check it and create nothing."""
        with self._context.stage("Job", "creating the Job") as stage:
            created = create.create_once(api, self._plan(cronjob), self._context.timeouts.create, self._clock, self)
            if self._inputs.dry_run:
                self._run_state.update(result=Result.DRY_RUN, manifest=self._shown(created.manifest))
                stage.found = f"{quoted(created.name)} would be accepted; a dry run creates nothing"
            else:
                self._run_state.update(
                    creation=Creation.DONE, result=Result.CREATED, job_name=created.name, job_uid=created.uid
                )
                stage.found = f"{quoted(created.name)} created"
        for sentence in self._remarks(created, cronjob, unfinished):
            self._context.remark(sentence)

    def _plan(self, cronjob: Json) -> create.Plan:
        inputs = self._inputs
        values = naming.placeholder_values(
            inputs.cronjob, self._clock.now(), inputs.trigger.run_id, inputs.trigger.run_attempt
        )
        rule = naming.rule_for(cronjob["spec"]["jobTemplate"].get("spec") or {})
        return create.Plan(
            cronjob=cronjob,
            request_id=self._request_id,
            manifest=lambda suffix: manifest.build(
                cronjob, naming.job_name(inputs.job_name, values, rule, suffix), inputs.trigger, self._request_id
            ),
            next_suffix=self._suffix,
            name_is_fixed=inputs.job_name != naming.DEFAULT_PATTERN,
            dry_run=inputs.dry_run,
        )

    def _remarks(self, created: CreatedJob, cronjob: Json, unfinished: tuple[RunningJob, ...]) -> Iterator[str]:
        inputs = self._inputs
        if unfinished:
            listed = ", ".join(map(run.running_job, unfinished[:_SHOWN_RUNS]))
            more = f" and {len(unfinished) - _SHOWN_RUNS} more" if len(unfinished) > _SHOWN_RUNS else ""
            runs = "would run" if inputs.dry_run else "runs"
            yield f"Another run is unfinished, and this one {runs} beside it: {listed}{more}."
        if created.ground:
            yield (
                f"The cluster's answer was lost on the way. The Job {quoted(created.name)} counts as this "
                f"run's, because {created.ground}."
            )
        if manifest.facts(cronjob).template_suspended:
            resume = kubectl(self._namespace, "patch job", created.name, "--patch", '{"spec":{"suspend":false}}')
            how = "" if inputs.dry_run else f": {quoted(resume)}"
            yield f"The CronJob's template says `suspend: true`: the Job will wait until someone resumes it{how}."
        for warning in created.warnings:
            public = (inputs.cronjob, self._namespace)
            redacted = redact(warning, self._context.error_context.env_values, known=public)
            yield f"The API server warns: {quoted(redacted)}."

    def before_post(self, name: str) -> None:
        """For create.Record: a POST of a Job called `name` is about to be sent."""
        self._run_state.before_post(name)
        if self._inputs.on_cancel is OnCancel.DELETE and not self._inputs.dry_run:
            self._actions.save_state(delete.to_state(JobRef(self._namespace, name, request_id=self._request_id)))

    def after_post(self, creation: Creation) -> None:
        """For create.Record: the result of that POST."""
        self._run_state.update(creation=creation)

    def follow_job(self, api: KubeApi, cronjob: Json) -> None:
        """Follow the Job until it has ended, or started, as `wait-for` says."""
        if self._inputs.wait_for is WaitFor.CREATED or self._inputs.dry_run:
            return
        self._run_state.start_following(self._clock.now())
        from run_cronjob.wait import JobWait  # noqa: PLC0415  see the module's docstring

        with self._context.stage("End", "following the Job") as stage:
            stage.found = JobWait(self._context, api).follow(cronjob)
            stage.is_good = self._run_state.outcome.result.exit_status == 0

    def delete_job(self, outcome: Outcome) -> Outcome:
        """Request the deletion of the Job in `outcome`, with its pods; `outcome` with the result."""
        if not self._api:
            return outcome
        job = JobRef(outcome.namespace, outcome.job_name, outcome.job_uid, self._request_id)
        deletion, uid = delete.stop(self._api, job)
        if deletion is Deletion.DONE:
            self._actions.save_state(delete.NOTHING_LEFT)
            return replace(outcome, deletion=deletion, creation=Creation.DONE, job_uid=uid, problem=None)
        return replace(outcome, deletion=deletion)

    def clean_up(self, api: KubeApi, job: JobRef) -> None:
        """Delete the Job of a cancelled run. Looks more than once, since its POST may still be under way."""
        with self._context.stage("Deletion", "deleting the Job of the cancelled run") as stage:
            for _ in range(_LOOKS):
                deletion, _uid = delete.stop(api, job)
                if deletion is not Deletion.GONE:
                    break
                self._clock.sleep(_LOOK_SECONDS)
            self._run_state.update(deletion=deletion)
            stage.found = f"of {quoted(job.name)}: {deletion.value}"
            if deletion is Deletion.FAILED:
                raise ActionError(run.not_deleted(job.namespace, job.name))

    def _shown(self, created: Json) -> str:
        """The Job as YAML, without env values and the fields that the API server manages."""
        env_values = self._context.error_context.env_values
        shown = manifest.without_env_values(created, env_values, (self._inputs.cronjob, self._namespace))
        shown.pop("status", None)
        shown.get("metadata", {}).pop("managedFields", None)
        return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)

    def _suffix(self) -> str:
        last = len(_SUFFIX_ALPHABET) - 1
        drawn = (_SUFFIX_ALPHABET[round(self._clock.random() * last)] for _ in range(5))
        return "-" + "".join(drawn)
