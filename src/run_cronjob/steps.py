"""The stations of the road, one method each: what is done there, what the log says, what is told of a failure.

boto3 and kubernetes take longer to import than to use. They are imported where they are needed first, when the
signal handlers have long been listening and the inputs are known to be right.
"""

from __future__ import annotations

import contextlib
import ssl
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from run_cronjob.clients import http, kubeconfig, oidc
from run_cronjob.core.errors import ActionError, ApiError, AwsError, GitHubError, NoAnswer, Refused, UnusableKubeconfig
from run_cronjob.core.models import Access, Creation, Deletion, IfRunning, JobRef, OnCancel, Result, WaitFor
from run_cronjob.core.prefetch import Prefetch
from run_cronjob.core.retry import Budget
from run_cronjob.core.text import kubectl, quoted, redact
from run_cronjob.diagnosis import explain, snippets
from run_cronjob.diagnosis.explain import Situation
from run_cronjob.inputs import LABEL
from run_cronjob.jobs import create, delete, manifest, naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run_cronjob.clients.aws import Aws
    from run_cronjob.clients.kube_api import KubeApi
    from run_cronjob.clients.workflow_commands import Actions
    from run_cronjob.core.clock import Clock
    from run_cronjob.core.models import Inputs, Json, Outcome, RunningJob
    from run_cronjob.core.timeouts import Timeouts
    from run_cronjob.run_state import RunState

_READY = {"ACTIVE", "UPDATING"}
_LARGEST_KUBECONFIG = 1_000_000
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels, no look-alikes: what Kubernetes' own generated names are made of."""
_SUFFIX_LENGTH = 5
_SHOWN_RUNS = 3
_LOOKS, _LOOK_SECONDS = 3, 3.0


def _counted(runs: int, *, certain: bool) -> str:
    found = f"{runs or 'no'} unfinished {'' if certain else 'scheduled '}run{'s' if runs > 1 else ''}"
    return found if certain else f"{found}; those that people started can't be seen: listing Jobs is not allowed"


@dataclass
class Stage:
    """What a station found, for its line in the log."""

    found: str = ""
    is_good: bool = True


class Steps:
    """The road from inputs to a Job. What is learned on the way goes to `run_state`."""

    def __init__(self, inputs: Inputs, run_state: RunState, actions: Actions, clock: Clock, timeouts: Timeouts) -> None:
        self._inputs = inputs
        self._run_state = run_state
        self._actions = actions
        self._clock = clock
        self._timeouts = timeouts
        self._at = Situation(inputs, caller=inputs.role_to_assume)
        self._aws: Aws | None = None
        self._cluster: KubeApi | None = None
        self._token_file = ""
        self._request_id = ""

    @contextlib.contextmanager
    def _stage(self, title: str, doing: str) -> Iterator[Stage]:
        """One line of the log; `doing` completes "while ..."."""
        self._run_state.learn(stage=doing)
        began = self._clock.monotonic()
        stage = Stage()
        try:
            yield stage
        except (ApiError, AwsError, GitHubError, NoAnswer, UnusableKubeconfig) as error:
            self._log("✗", title, f"failed while {doing}", began)
            raise ActionError(explain.explain(error, self._at)) from error
        except ActionError:
            self._log("✗", title, stage.found or f"stopped while {doing}", began)
            raise
        self._log("✓" if stage.is_good else "✗", title, stage.found, began)

    def _log(self, sign: str, title: str, text: str, began: float) -> None:
        self._actions.line(f"{sign} {title:<9} {text} ({self._clock.monotonic() - began:.2f} s)")

    def reach(self) -> Access:
        """A way into the cluster: the kubeconfig given, or one made for the EKS cluster."""
        access = self._given_kubeconfig() if self._inputs.kubeconfig else self._eks()
        namespace = self._inputs.namespace or access.namespace or "default"
        if not LABEL.fullmatch(namespace):
            raise ActionError(explain.invalid_inputs([f"The kubeconfig's namespace {quoted(namespace)} can't be one."]))
        self._at = replace(self._at, namespace=namespace, cluster=access.cluster)
        self._run_state.learn(namespace=namespace, cluster=access.cluster)
        self._actions.mask(*access.secrets)
        return access

    def _given_kubeconfig(self) -> Access:
        with self._stage("Access", "reading the kubeconfig") as stage:
            text, folder = self._inputs.kubeconfig, Path.cwd()
            if "\n" not in text and not text.lstrip().startswith("{"):
                path = Path(text)
                try:
                    with path.open("rb") as file:
                        text = file.read(_LARGEST_KUBECONFIG).decode(errors="replace")
                except OSError as error:
                    raise ActionError(explain.kubeconfig_unreadable(error.strerror or type(error).__name__)) from error
                folder = path.resolve().parent
            access = kubeconfig.parse(text, self._inputs.context, folder)
            stage.found = f"kubeconfig, context {quoted(access.cluster)}"
            return access

    def _check_ca_bundle(self) -> None:
        try:
            http.outside()
        except (OSError, ssl.SSLError) as error:
            path = http.ca_bundle() or ""
            raise ActionError(explain.ca_bundle_unreadable(path, error.strerror or str(error))) from error

    def _eks(self) -> Access:
        inputs = self._inputs
        # To read the authorities, and to wait for GitHub, takes no Python: boto3 is imported meanwhile.
        id_token = Prefetch(self._id_token) if inputs.role_to_assume else None
        trusted = Prefetch(self._check_ca_bundle) if not id_token else None
        from run_cronjob.clients.aws import Aws  # noqa: PLC0415  see the module's docstring

        aws = self._aws = Aws(inputs.aws_region, self._clock, isolated=bool(id_token))
        if trusted:
            trusted()
        if id_token:
            with self._stage("AWS role", "assuming the AWS role") as stage:
                self._assume_role(aws, id_token)
                stage.found = f"{quoted(inputs.role_to_assume)} as {quoted(inputs.role_session_name)}"
        with self._stage("Cluster", "finding the EKS cluster") as stage:
            self._actions.hide(*aws.secrets())
            endpoint = aws.find_cluster(inputs.cluster)
            if endpoint.status not in _READY or not endpoint.server or not endpoint.ca_data:
                raise ActionError(explain.cluster_not_ready(self._at, endpoint.status))
            access = kubeconfig.for_eks(endpoint, aws.bearer_token(inputs.cluster), inputs.cluster)
            stage.found = f"{quoted(inputs.cluster)} in {quoted(inputs.aws_region)}, Kubernetes {endpoint.version}"
        return access

    def _assume_role(self, aws: Aws, id_token: Callable[[], str]) -> None:
        inputs = self._inputs
        credentials = aws.assume_role(
            inputs.role_to_assume, inputs.role_session_name, inputs.role_duration_seconds, id_token
        )
        self._actions.mask(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)

    def _newer_token(self) -> str:
        """Another bearer token, where the first one would not last for the whole time."""
        if self._aws:
            if self._inputs.role_to_assume and not self._aws.outlives_a_token:
                self._assume_role(self._aws, self._id_token)
            self._actions.hide(*self._aws.secrets())
            token = self._aws.bearer_token(self._inputs.cluster)
        else:
            token = Path(self._token_file).read_text(encoding="utf-8").strip()
        self._actions.mask(token)
        return token

    def _id_token(self) -> str:
        self._check_ca_bundle()
        request = self._inputs.token_request
        if not request:
            raise ActionError(explain.no_id_token_permission())
        self._actions.hide(request.bearer)
        token = oidc.id_token(request, self._inputs.audience, self._clock)
        self._actions.mask(token)
        self._at = replace(self._at, claims=oidc.claims(token))
        return token

    def connect(self, access: Access) -> KubeApi:
        """A client of the cluster; nothing is asked yet."""
        with self._stage("Address", "preparing the connection to the cluster") as stage:
            from run_cronjob.clients.kube_api import KubeApi  # noqa: PLC0415  see the module's docstring

            self._token_file = access.token_file
            renew = self._newer_token if self._aws or access.token_file else None
            cluster = self._cluster = KubeApi(access, self._clock, renew)
            stage.found = quoted(cluster.host)
        self._actions.mask(cluster.bearer)
        return cluster

    def find_cronjob(self, cluster: KubeApi) -> Json:
        """The CronJob, as raw JSON."""
        with self._stage("CronJob", "reading the CronJob") as stage:
            try:
                cronjob = cluster.get_cronjob(self._at.namespace, self._inputs.cronjob)
            except ApiError as error:
                self._look_around(cluster, error)
                raise
            facts = manifest.facts(cronjob)
            self._at = replace(self._at, env_values=manifest.env_values(cronjob))
            self._run_state.learn(facts=facts)
            stage.found = f"{quoted(self._inputs.cronjob)}, schedule {quoted(facts.schedule)}"
        if facts.suspended:
            self._remark("The CronJob is suspended: its schedule starts nothing. This run starts all the same.")
        return cronjob

    def _look_around(self, cluster: KubeApi, error: ApiError) -> None:
        """What helps to explain why the first request failed, as far as we may know it."""
        with contextlib.suppress(ApiError, NoAnswer, AwsError):
            if error.status == 401 and self._aws and not self._at.caller:
                self._at = replace(self._at, caller=self._aws.caller())
            if error.status == 404:
                names = cluster.cronjob_names(self._at.namespace)
                exists = bool(names) or cluster.has_namespace(self._at.namespace)
                self._at = replace(self._at, cronjob_names=names, namespace_exists=exists)

    def check_rights(self, cluster: KubeApi) -> None:
        """That the Job can be followed as asked, before there is one."""
        inputs = self._inputs
        if inputs.on_cancel is OnCancel.DELETE and not self._may(cluster, "delete", "jobs.batch"):
            self._remark(
                "`on-cancel: delete` has no effect: this role may not delete Jobs. The rule to add: "
                f"{quoted(snippets.rule('jobs.batch', 'delete'))}."
            )
        if inputs.wait_for is WaitFor.CREATED:
            return
        with self._stage("Rights", "asking whether the Job may be followed") as stage:
            missing = [verb for verb in ("get", "list", "watch") if not self._may(cluster, verb, "jobs.batch")]
            if missing:
                raise ActionError(explain.cannot_follow(self._at.namespace, missing, inputs.wait_for.value))
            stage.found = "the Job may be followed"

    def _may(self, cluster: KubeApi, verb: str, resource: str) -> bool:
        """Whether we have a right; where that can't be asked, trying will tell."""
        try:
            return cluster.may(verb, resource, self._at.namespace)
        except ApiError as error:
            if error.status in {403, 404}:
                return True
            raise

    def guard(self, cluster: KubeApi, cronjob: Json) -> tuple[RunningJob, ...]:
        """The unfinished runs; refuse another where `if-running` says so."""
        setting = self._inputs.if_running
        if setting is IfRunning.ALLOW:
            return ()
        forbids = manifest.facts(cronjob).concurrency_policy == "Forbid"
        refuses = setting is IfRunning.REFUSE or (setting is IfRunning.POLICY and forbids)
        with self._stage("Guard", "looking for unfinished runs") as stage:
            running, certain = self._running(cluster, cronjob)
            stage.found = _counted(len(running), certain=certain)
            if running and refuses:
                why = f"`if-running` is {quoted(setting.value)}"
                why += " and the CronJob's concurrencyPolicy is `Forbid`" if setting is IfRunning.POLICY else ""
                why += ", so that no two runs overlap."
                raise Refused(explain.already_running(self._inputs.cronjob, self._at.namespace, running, why))
            if refuses and not certain:
                raise ActionError(explain.guard_is_blind(self._at.namespace, setting.value))
        return running

    def _running(self, cluster: KubeApi, cronjob: Json) -> tuple[tuple[RunningJob, ...], bool]:
        """The unfinished runs, and whether that is certain to be all."""
        try:
            return manifest.unfinished(cluster.list_jobs(self._at.namespace), cronjob), True
        except ApiError as error:
            if error.status != 403:
                raise
            return manifest.active(cronjob), False

    def create(self, cluster: KubeApi, cronjob: Json, beside: tuple[RunningJob, ...]) -> None:
        """The Job, or with `dry-run` what it would be; and what there is to say of it `beside` unfinished runs."""
        inputs = self._inputs
        request_id = self._request_id = str(uuid.uuid4())
        values = naming.placeholder_values(
            inputs.cronjob, self._clock.now(), inputs.trigger.run_id, inputs.trigger.run_attempt
        )
        rule = naming.rule_for(cronjob["spec"]["jobTemplate"].get("spec") or {})
        plan = create.Plan(
            cronjob=cronjob,
            request_id=request_id,
            manifest=lambda suffix: manifest.build(
                cronjob, naming.job_name(inputs.job_name, values, rule, suffix), inputs.trigger, request_id
            ),
            next_suffix=self._suffix,
            name_is_fixed=inputs.job_name != naming.DEFAULT_PATTERN,
            dry_run=inputs.dry_run,
        )
        with self._stage("Job", "creating the Job") as stage:
            budget = Budget(create.BUDGET_SECONDS, self._clock)
            created = create.create_once(cluster, plan, budget, self)
            if inputs.dry_run:
                self._run_state.learn(result=Result.DRY_RUN, manifest=self._shown(created.manifest))
                stage.found = f"{quoted(created.name)} would be accepted; a dry run creates nothing"
            else:
                self._run_state.learn(
                    creation=Creation.DONE, result=Result.CREATED, job_name=created.name, job_uid=created.uid
                )
                stage.found = f"{quoted(created.name)} created"
        if beside:
            listed = ", ".join(map(explain.running_job, beside[:_SHOWN_RUNS]))
            more = f" and {len(beside) - _SHOWN_RUNS} more" if len(beside) > _SHOWN_RUNS else ""
            runs = "would run" if inputs.dry_run else "runs"
            self._remark(f"Another run is unfinished, and this one {runs} beside it: {listed}{more}.")
        if created.ground:
            self._remark(
                f"The cluster's answer was lost on the way. The Job {quoted(created.name)} counts as this "
                f"run's, because {created.ground}."
            )
        if manifest.facts(cronjob).template_suspended:
            resume = kubectl(self._at.namespace, "patch job", created.name, "--patch", '{"spec":{"suspend":false}}')
            how = "" if inputs.dry_run else f": {quoted(resume)}"
            self._remark(
                f"The CronJob's template says `suspend: true`: the Job will wait until someone resumes it{how}."
            )
        for warning in created.warnings:
            public = (inputs.cronjob, self._at.namespace)
            told = redact(warning, self._at.env_values, known=public)
            self._remark(f"The API server warns: {quoted(told)}.")

    def posting(self, name: str) -> None:
        """creation.Record: a POST is about to be sent."""
        self._run_state.posting(name)
        if self._inputs.on_cancel is OnCancel.DELETE and not self._inputs.dry_run:
            self._actions.state(delete.to_state(JobRef(self._at.namespace, name, request_id=self._request_id)))

    def known(self, creation: Creation) -> None:
        """creation.Record: that POST's fate."""
        self._run_state.known(creation)

    def follow(self, cluster: KubeApi, cronjob: Json) -> None:
        """Wait for the Job's end, or its start, as `wait-for` says; tell what happens meanwhile."""
        if self._inputs.wait_for is WaitFor.CREATED or self._inputs.dry_run:
            return
        self._run_state.follow(self._clock.now())
        from run_cronjob.wait import JobWait  # noqa: PLC0415  see the module's docstring

        with self._stage("End", "following the Job") as stage:
            attendance = JobWait(
                self._inputs, self._at, cluster, self._run_state, self._actions, self._clock, self._timeouts
            )
            stage.found = attendance.follow(cronjob)
            stage.is_good = self._run_state.outcome.result.exit_status == 0

    def delete(self, outcome: Outcome) -> Outcome:
        """Ask for the deletion of the Job that `outcome` tells of, with its pods; what came of that."""
        if not self._cluster:
            return outcome
        job = JobRef(outcome.namespace, outcome.job_name, outcome.job_uid, self._request_id)
        deletion, uid = delete.stop(self._cluster, job)
        if deletion is Deletion.DONE:
            self._actions.state(delete.NOTHING_LEFT)
            return replace(outcome, deletion=deletion, creation=Creation.DONE, job_uid=uid, problem=None)
        return replace(outcome, deletion=deletion)

    def clean_up(self, cluster: KubeApi, left: JobRef) -> None:
        """Delete the Job that a cancelled run left behind; its POST may be under way, so look more than once."""
        with self._stage("Deletion", "deleting the Job of the cancelled run") as stage:
            for _ in range(_LOOKS):
                deletion, _uid = delete.stop(cluster, left)
                if deletion is not Deletion.GONE:
                    break
                self._clock.sleep(_LOOK_SECONDS)
            self._run_state.learn(deletion=deletion)
            stage.found = f"of {quoted(left.name)}: {deletion.value}"
            if deletion is Deletion.FAILED:
                raise ActionError(explain.not_deleted(left.namespace, left.name))

    def _shown(self, created: Json) -> str:
        """The Job as YAML, without env values and the server's bookkeeping."""
        shown = manifest.without_env_values(created, self._at.env_values, (self._inputs.cronjob, self._at.namespace))
        shown.pop("status", None)
        shown.get("metadata", {}).pop("managedFields", None)
        return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)

    def _suffix(self) -> str:
        last = len(_SUFFIX_ALPHABET) - 1
        drawn = (_SUFFIX_ALPHABET[round(self._clock.random() * last)] for _ in range(_SUFFIX_LENGTH))
        return "-" + "".join(drawn)

    def _remark(self, sentence: str) -> None:
        self._run_state.remark(sentence)
        self._actions.warning("Run CronJob", sentence)
