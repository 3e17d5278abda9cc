"""Pure: turns an error of a service into a Problem: its cause and its exact fix."""

from __future__ import annotations

from run_cronjob.core.errors import ApiError, AwsError, GitHubError, NoAnswer, UnusableKubeconfig
from run_cronjob.core.models import ErrorContext, Problem
from run_cronjob.diagnosis import aws, kube_api, network, run


def explain(error: NoAnswer | GitHubError | AwsError | ApiError | UnusableKubeconfig, context: ErrorContext) -> Problem:
    """Cause and fix of `error`, with the facts of `context`."""
    match error:
        case NoAnswer():
            return network.no_answer(error, context)
        case GitHubError():
            return network.no_oidc_token(error)
        case AwsError():
            return aws.aws_error(error, context)
        case ApiError():
            return kube_api.api_error(error, context)
        case UnusableKubeconfig():
            return run.kubeconfig_unusable(error)
