"""The budgets of the stages and the limit of the whole fit together."""

from run_cronjob import aws, cluster, creation, network, oidc, supervisor


def test_no_stage_alone_can_use_up_the_time():
    one_answer = network.CONNECT_SECONDS + network.READ_SECONDS  # may begin just before a budget ends
    for budget in (
        oidc.BUDGET_SECONDS,
        aws.STS_BUDGET_SECONDS,
        aws.EKS_BUDGET_SECONDS,
        cluster.READ_BUDGET_SECONDS,
        creation.BUDGET_SECONDS,
    ):
        assert budget + one_answer < supervisor.LIMIT_SECONDS
