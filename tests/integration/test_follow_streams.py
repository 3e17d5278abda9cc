"""Tests of interrupted watches: the Job's end is seen, without a message about the interruption."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from run_cronjob.core.timeouts import Timeouts
from sandbox import NAMESPACE
from sandbox.github.workflow_commands import interpret
from sandbox.job_script import JobScript
from sandbox.tools.wait import until
from tests.integration.inprocess import InProcessRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox import Sandbox, StepResult
    from sandbox.net.fault_proxy import FaultProxy, Rule

FOLLOW = {"wait-for": "completed"}
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
WATCH = f"{JOBS}?fieldSelector"


def status(code: int, reason: str) -> bytes:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": reason,
        "code": code,
    }
    return json.dumps(body).encode()


EXPIRED = status(410, "Expired")
UNAUTHORIZED = status(401, "Unauthorized")


def watches(sandbox: Sandbox) -> list[Any]:
    """The watches of the Job that have arrived."""
    return [each for each in sandbox.cluster.journal if each.path == JOBS and each.query.get("watch") == "true"]


def lists(sandbox: Sandbox) -> list[Any]:
    return [each for each in sandbox.cluster.journal if each.path == JOBS and "fieldSelector" in each.query]


def see_it_end(sandbox: Sandbox, *, after: int) -> StepResult:
    """Run the action; the Job succeeds once `after` watches of it have reached the cluster."""
    step = sandbox.start(FOLLOW)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    pod = script.pod()
    pod.run()
    until(lambda: len(watches(sandbox)) >= after)
    pod.end(0)
    script.complete()
    return step.finish()


def fault(proxy: FaultProxy, *, times: int = 3) -> Rule:
    """A rule for the next watches of the Job."""
    return proxy.on(method="GET", path_contains=f"{JOBS}?fieldSelector=metadata.name", times=times, skip=1)


@pytest.mark.parametrize(
    "what",
    [
        lambda rule: rule.reset(),
        lambda rule: rule.close(),
        lambda rule: rule.cut_stream(after_bytes=0),
        lambda rule: rule.status(429, headers={"Retry-After": "1"}),
        lambda rule: rule.status(500),
        lambda rule: rule.status(503),
        lambda rule: rule.status(410, EXPIRED),
        lambda rule: rule.status(200, b'{"type":"ERROR","object":' + EXPIRED + b"}\n"),
        lambda rule: rule.status(200, b'{"type":"MODIFIED","obj'),
        lambda rule: rule.status(200, b"<html>log in</html>\n"),
    ],
    ids=[
        "reset",
        "closed",
        "cut",
        "429",
        "500",
        "503",
        "410",
        "410 in the stream",
        "half an event",
        "a log-in page",
    ],
)
def test_a_stream_or_list_that_fails_is_asked_for_again(sandbox: Sandbox, what: Any):
    proxy = sandbox.before_cluster()
    what(fault(proxy))

    run = see_it_end(sandbox, after=1)

    assert run.outputs["result"] == "succeeded"
    assert sum(each.fault is not None for each in proxy.journal) == 3
    assert [each.level for each in run.log.annotations] == ["notice"]


def test_what_happened_between_two_streams_is_not_missed(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains="watch=true", times=None).cut_stream(after_bytes=0)
    step = sandbox.start(FOLLOW)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    script.complete()

    run = step.finish()

    assert run.outputs["result"] == "succeeded"


def test_a_job_that_was_deleted_between_two_streams_is_deleted(sandbox: Sandbox):
    proxy = sandbox.before_cluster()
    proxy.on(method="GET", path_contains="watch=true", times=None).cut_stream(after_bytes=0)
    step = sandbox.start(FOLLOW)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    script.delete()

    run = step.finish()

    assert run.outputs["result"] == "deleted"


def test_an_expired_resource_version_is_no_error(sandbox: Sandbox):
    if not hasattr(sandbox.cluster, "compact"):
        pytest.skip("etcd is compacted only every five minutes")
    step = sandbox.start(FOLLOW)
    script = JobScript(sandbox.cluster, NAMESPACE, step=step)
    pod = script.pod()
    pod.run()
    until(lambda: len(watches(sandbox)) >= 1)
    sandbox.cluster.compact()
    pod.end(0)
    script.complete()

    assert step.finish().outputs["result"] == "succeeded"


# --- within this process, with short timeouts -------------------------------------------------


@pytest.mark.parametrize("stalls", [lambda rule: rule.hang(), lambda rule: rule.stall_stream(0)], ids=["head", "body"])
def test_a_stream_that_stalls_is_given_up_and_asked_for_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stalls: Callable[[Rule], None]
):
    proxy = sandbox.before_cluster()
    stalls(proxy.on(method="GET", path_contains=f"{JOBS}?fieldSelector=metadata.name", skip=1))
    run = InProcessRun(sandbox, monkeypatch, tmp_path, FOLLOW, Timeouts(watch_silence=2))
    script = JobScript(sandbox.cluster, NAMESPACE)
    until(lambda: any(each.fault for each in proxy.journal))
    script.complete()

    assert run.outputs()["result"] == "succeeded"


def test_a_stream_that_the_server_ends_goes_on_where_it_ended(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    run = InProcessRun(sandbox, monkeypatch, tmp_path, FOLLOW, Timeouts(watch=1))
    script = JobScript(sandbox.cluster, NAMESPACE)
    script.pod().run()
    until(lambda: len(watches(sandbox)) >= 4)
    script.complete()

    assert run.outputs()["result"] == "succeeded"
    assert len([each for each in lists(sandbox) if "watch" not in each.query]) == 1


def test_a_run_outlives_several_bearer_tokens_and_the_roles_credentials(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
):
    # The role's credentials live 900 s, which is no longer than a token: each renewal needs new ones, too.
    run = InProcessRun(
        sandbox, monkeypatch, tmp_path, FOLLOW | {"role-duration-seconds": "900"}, Timeouts(watch=1, token_refresh=2)
    )
    script = JobScript(sandbox.cluster, NAMESPACE)
    script.pod().run()

    def tokens() -> set[str]:
        return {each.headers["authorization"] for each in sandbox.cluster.journal}

    until(lambda: len(tokens()) >= 4)
    script.complete()

    assert run.outputs()["result"] == "succeeded"
    assert len(sandbox.github.journal) >= 4, "a fresh OIDC token for each"
    log = interpret(capfdbinary.readouterr().out)
    for token in tokens():
        assert token.removeprefix("Bearer ") in log.masks
    assert not [region for region in log.stopped_regions if any("add-mask" in line for line in region.lines)]


def test_a_token_that_is_refused_before_its_time_is_renewed_at_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    proxy = sandbox.before_cluster()
    fault(proxy, times=1).status(401, UNAUTHORIZED)
    # With new credentials of the role, too: a token made in the same second would be the same.
    run = InProcessRun(
        sandbox, monkeypatch, tmp_path, FOLLOW | {"role-duration-seconds": "900"}, Timeouts(token_refresh_retry=0)
    )
    script = JobScript(sandbox.cluster, NAMESPACE)
    until(lambda: len(watches(sandbox)) >= 1)
    script.complete()

    assert run.outputs()["result"] == "succeeded"
    assert len({each.headers["authorization"] for each in proxy.journal}) == 2


def test_a_kubeconfigs_token_file_is_read_again(
    sandbox: Sandbox, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    file = tmp_path / "token"
    first, second = config["users"][0]["user"]["token"], sandbox.cluster.user("ci", ["run-cronjob"])
    file.write_text(first)
    config["users"][0]["user"] = {"tokenFile": str(file)}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    inputs = {"kubeconfig": str(kubeconfig), "cluster": "", "role-to-assume": "", "namespace": ""}
    run = InProcessRun(sandbox, monkeypatch, tmp_path, FOLLOW | inputs, Timeouts(watch=1, token_refresh=1))
    script = JobScript(sandbox.cluster, NAMESPACE)
    script.pod().run()
    file.write_text(f"{second}\n")
    until(lambda: f"Bearer {second}" in {each.headers["authorization"] for each in sandbox.cluster.journal})
    script.complete()

    assert run.outputs()["result"] == "succeeded"


def test_while_credentials_cannot_be_renewed_the_old_token_is_used_on(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    sts = sandbox.before_sts()
    sts.on(method="POST", skip=1, times=None).status(
        403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    )
    run = InProcessRun(
        sandbox, monkeypatch, tmp_path, FOLLOW | {"role-duration-seconds": "900"}, Timeouts(watch=1, token_refresh=1)
    )
    script = JobScript(sandbox.cluster, NAMESPACE)
    script.pod().run()
    until(lambda: len(sts.journal) >= 2 and len(watches(sandbox)) >= 3)
    script.complete()

    assert run.outputs()["result"] == "succeeded"
