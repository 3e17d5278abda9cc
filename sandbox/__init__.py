"""A local GitHub, AWS and cluster: for the demo, the tests and the benchmark alike."""

from sandbox.environment import CLUSTER, CRONJOB, CRONJOB_MANIFEST, ENTRYPOINT, NAMESPACE, REGION, Sandbox
from sandbox.github.runner import Run

__all__ = ["CLUSTER", "CRONJOB", "CRONJOB_MANIFEST", "ENTRYPOINT", "NAMESPACE", "REGION", "Run", "Sandbox"]
