"""The budgets of the stages and the limit of the whole fit together."""

from run_cronjob.clients import aws, http, kube_api, oidc
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.jobs import create


def test_no_stage_alone_can_use_up_the_time():
    one_answer = http.CONNECT_SECONDS + http.READ_SECONDS  # may begin just before a budget ends
    for budget in (
        oidc.BUDGET_SECONDS,
        aws.STS_BUDGET_SECONDS,
        aws.EKS_BUDGET_SECONDS,
        kube_api.READ_BUDGET_SECONDS,
        create.BUDGET_SECONDS,
    ):
        assert budget + one_answer < Timeouts().until_created
