"""A local GitHub, AWS and cluster: for the demo, the tests and the benchmark alike."""

from sandbox.environment import Sandbox
from sandbox.github.runner import StepResult
from sandbox.names import CLUSTER, CRONJOB, CRONJOB_MANIFEST, ENTRYPOINT, NAMESPACE, REGION

__all__ = ["CLUSTER", "CRONJOB", "CRONJOB_MANIFEST", "ENTRYPOINT", "NAMESPACE", "REGION", "Sandbox", "StepResult"]
