"""A bearer token is replaced before it expires; after a failure the old one stays until the next attempt."""

from __future__ import annotations

import threading

import pytest

from run_cronjob.clients.token_refresh import TokenRefresh
from run_cronjob.core.errors import ActionError, ApiError, AwsError, Cause, GitHubError, NoAnswer
from run_cronjob.core.models import Problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.timeouts import Timeouts
from tests.fakes import FakeClock

EKS_TOKEN_SECONDS = 15 * 60
INTERVAL = Timeouts().token_refresh
RETRY_INTERVAL = Timeouts().token_refresh_retry


class Maker:
    """Makes tokens, or raises the given failures first."""

    def __init__(self, *failures: Exception) -> None:
        self.clock = FakeClock()
        self.used: list[str] = []
        self.made = 0
        self._failures = list(failures)
        self.refresh = TokenRefresh(
            self._make, self.used.append, self.clock, interval=INTERVAL, retry_interval=RETRY_INTERVAL
        )

    def _make(self) -> str:
        self.made += 1
        if self._failures:
            raise self._failures.pop(0)
        return f"token-{self.made}"


def test_a_token_stays_in_use_for_the_interval() -> None:
    maker = Maker()
    maker.clock.elapsed = INTERVAL - 1

    maker.refresh.refresh_if_due()

    assert maker.made == 0


def test_it_is_replaced_well_before_an_eks_token_expires() -> None:
    maker = Maker()
    for _ in range(3):
        maker.clock.elapsed += INTERVAL
        maker.refresh.refresh_if_due()
        maker.refresh.refresh_if_due()

    assert maker.used == ["token-1", "token-2", "token-3"]
    assert INTERVAL + 3 * RETRY_INTERVAL < EKS_TOKEN_SECONDS


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
def test_after_a_failure_the_old_token_stays_until_the_next_attempt(failure: Exception) -> None:
    maker = Maker(failure)
    maker.clock.elapsed = INTERVAL

    maker.refresh.refresh_if_due()
    assert maker.used == []
    maker.refresh.refresh_if_due()
    assert maker.made == 1, "not at once"
    maker.clock.elapsed += RETRY_INTERVAL
    maker.refresh.refresh_if_due()

    assert maker.used == ["token-2"]


def test_an_unexpected_error_is_raised() -> None:
    maker = Maker(ApiError(500, "", ""))
    maker.clock.elapsed = INTERVAL

    with pytest.raises(ApiError):
        maker.refresh.refresh_if_due()


def test_a_rejected_token_is_replaced_unless_it_is_new() -> None:
    maker = Maker()

    assert not maker.refresh.refresh_after_401()
    maker.clock.elapsed = RETRY_INTERVAL
    assert maker.refresh.refresh_after_401()
    assert not maker.refresh.refresh_after_401()
    assert maker.used == ["token-1"]


def test_while_one_thread_makes_a_token_the_others_do_not_wait() -> None:
    begun, go_on = threading.Event(), threading.Event()
    clock = FakeClock()

    def make() -> str:
        begun.set()
        go_on.wait(60)
        return "token"

    used: list[str] = []
    refresh = TokenRefresh(make, used.append, clock, interval=INTERVAL, retry_interval=RETRY_INTERVAL)
    clock.elapsed = INTERVAL
    thread = threading.Thread(target=refresh.refresh_if_due)
    thread.start()
    begun.wait(60)
    clock.elapsed += INTERVAL

    refresh.refresh_if_due()

    assert used == []
    go_on.set()
    thread.join()
    assert used == ["token"]
