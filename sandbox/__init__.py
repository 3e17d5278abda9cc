"""A local GitHub, AWS and cluster: for the demo, the tests and the benchmark alike."""

from sandbox.runner import Run
from sandbox.world import CLUSTER, CRONJOB, CRONJOB_MANIFEST, ENTRYPOINT, NAMESPACE, REGION, Sandbox

__all__ = ["CLUSTER", "CRONJOB", "CRONJOB_MANIFEST", "ENTRYPOINT", "NAMESPACE", "REGION", "Run", "Sandbox"]
