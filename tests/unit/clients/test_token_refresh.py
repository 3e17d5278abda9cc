"""A bearer token is renewed before it ends, and a renewal that fails costs nothing but another try."""

from __future__ import annotations

import threading

import pytest

from run_cronjob.clients.token_refresh import RENEW_AFTER_SECONDS, RENEW_AGAIN_SECONDS, Renewal
from run_cronjob.core.errors import ActionError, ApiError, AwsError, Cause, GitHubError, NoAnswer
from run_cronjob.core.models import Problem
from run_cronjob.core.reasons import Reason
from tests.fakes import FakeClock

EKS_TOKEN_SECONDS = 15 * 60


class Maker:
    """Makes tokens, or fails."""

    def __init__(self, *failures: Exception) -> None:
        self.clock = FakeClock()
        self.used: list[str] = []
        self.made = 0
        self._failures = list(failures)
        self.renewal = Renewal(self._make, self.used.append, self.clock)

    def _make(self) -> str:
        self.made += 1
        if self._failures:
            raise self._failures.pop(0)
        return f"token-{self.made}"


def test_a_young_token_is_left_alone() -> None:
    maker = Maker()
    maker.clock.elapsed = RENEW_AFTER_SECONDS - 1

    maker.renewal.keep_young()

    assert maker.made == 0


def test_it_is_renewed_well_before_an_eks_token_ends() -> None:
    maker = Maker()
    for _ in range(3):
        maker.clock.elapsed += RENEW_AFTER_SECONDS
        maker.renewal.keep_young()
        maker.renewal.keep_young()

    assert maker.used == ["token-1", "token-2", "token-3"]
    assert RENEW_AFTER_SECONDS + 3 * RENEW_AGAIN_SECONDS < EKS_TOKEN_SECONDS


@pytest.mark.parametrize(
    "failure",
    [
        AwsError("AssumeRoleWithWebIdentity", "AccessDenied", "no", 403),
        NoAnswer("AWS STS", "sts.example", Cause.READ_TIMEOUT),
        GitHubError(500, "no"),
        ActionError(Problem(Reason.TOKEN_REJECTED, "What.", "Why.", "Fix.")),
        OSError("the token's file is being replaced"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "the token's file is half written"),
    ],
)
def test_a_renewal_that_fails_is_tried_again_soon_and_the_old_token_stays(failure: Exception) -> None:
    maker = Maker(failure)
    maker.clock.elapsed = RENEW_AFTER_SECONDS

    maker.renewal.keep_young()
    assert maker.used == []
    maker.renewal.keep_young()
    assert maker.made == 1, "not at once"
    maker.clock.elapsed += RENEW_AGAIN_SECONDS
    maker.renewal.keep_young()

    assert maker.used == ["token-2"]


def test_what_is_no_failure_of_theirs_is_not_hidden() -> None:
    maker = Maker(ApiError(500, "", ""))
    maker.clock.elapsed = RENEW_AFTER_SECONDS

    with pytest.raises(ApiError):
        maker.renewal.keep_young()


def test_a_refused_token_is_renewed_unless_it_is_brand_new() -> None:
    maker = Maker()

    assert not maker.renewal.after_refusal()
    maker.clock.elapsed = RENEW_AGAIN_SECONDS
    assert maker.renewal.after_refusal()
    assert not maker.renewal.after_refusal()
    assert maker.used == ["token-1"]


def test_while_one_thread_renews_the_others_do_not_wait() -> None:
    begun, go_on = threading.Event(), threading.Event()
    clock = FakeClock()

    def make() -> str:
        begun.set()
        go_on.wait(60)
        return "token"

    used: list[str] = []
    renewal = Renewal(make, used.append, clock)
    clock.elapsed = RENEW_AFTER_SECONDS
    thread = threading.Thread(target=renewal.keep_young)
    thread.start()
    begun.wait(60)
    clock.elapsed += RENEW_AFTER_SECONDS

    renewal.keep_young()

    assert used == []
    go_on.set()
    thread.join()
    assert used == ["token"]
