"""The names and paths that the sandbox shares: team acme runs the CronJob `nightly-report` on `staging`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENTRYPOINT = ROOT / "entrypoint.py"
EXAMPLES = ROOT / "examples"
REGION = "eu-central-1"
CLUSTER = "staging"
NAMESPACE = "batch"
ENVIRONMENT = "staging"
CRONJOB = "nightly-report"
ROLE = "run-cronjob-staging"

CRONJOB_MANIFEST: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": CRONJOB, "namespace": NAMESPACE},
    "spec": {
        "schedule": "0 3 * * *",
        "timeZone": "Europe/Berlin",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {
            "metadata": {"labels": {"app": CRONJOB}},
            "spec": {
                "backoffLimit": 2,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [
                            {
                                "name": "report",
                                "image": "registry.example/reports/nightly:2.7.1",
                                "command": ["/report", "--day", "yesterday"],
                                "env": [{"name": "DATABASE_PASSWORD", "value": "correct-horse-battery-staple"}],
                            }
                        ],
                    }
                },
            },
        },
    },
}
