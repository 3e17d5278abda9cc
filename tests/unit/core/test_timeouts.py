"""The time limits of the steps and of the whole run fit together."""

from __future__ import annotations

import pytest

from run_cronjob.core.timeouts import Timeouts

TIMEOUTS = Timeouts()


@pytest.mark.parametrize("budget", ["oidc", "sts", "eks", "kube_read", "create"])
def test_no_step_alone_can_use_up_the_time(budget: str) -> None:
    one_answer = TIMEOUTS.connect + TIMEOUTS.read  # may begin just before a budget ends

    assert getattr(TIMEOUTS, budget) + one_answer < TIMEOUTS.until_created


def test_a_bearer_token_is_refreshed_before_an_eks_token_expires() -> None:
    assert TIMEOUTS.token_refresh + 3 * TIMEOUTS.token_refresh_retry < 15 * 60


def test_the_api_server_ends_a_watch_before_its_silence_means_a_dead_connection() -> None:
    assert TIMEOUTS.watch < TIMEOUTS.watch_silence
