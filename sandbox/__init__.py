"""A local GitHub, AWS and Kubernetes cluster for the demo, the tests and the benchmark."""

from sandbox.environment import Sandbox
from sandbox.github.runner import StepResult
from sandbox.names import CLUSTER, CRONJOB, CRONJOB_MANIFEST, ENTRYPOINT, NAMESPACE, REGION

__all__ = ["CLUSTER", "CRONJOB", "CRONJOB_MANIFEST", "ENTRYPOINT", "NAMESPACE", "REGION", "Sandbox", "StepResult"]
