"""Run an existing Kubernetes CronJob now: from a GitHub form to a Job."""

__version__ = "0.1.0"

REPOSITORY = "OWNER/run-cronjob"
"""Where this action is published. README.md's workflow names it too; a contract test keeps them equal."""
