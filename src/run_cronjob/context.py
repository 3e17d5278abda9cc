"""Holds what every step of a run needs: inputs, clock, log, and what is known about the run so far."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from run_cronjob.clients.workflow_commands import Actions
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import ActionError, ApiError, AwsError, GitHubError, NoAnswer, UnusableKubeconfig
from run_cronjob.core.models import ErrorContext, Inputs
from run_cronjob.core.timeouts import Timeouts
from run_cronjob.diagnosis.explain import explain
from run_cronjob.run_state import RunState


@dataclass
class Stage:
    """The result of a stage, for its line in the log."""

    found: str = ""
    is_good: bool = True


@dataclass
class RunContext:
    """One run of the action. Steps add what they find to `run_state` and to `error_context`."""

    inputs: Inputs
    run_state: RunState
    actions: Actions
    clock: Clock
    timeouts: Timeouts

    def __post_init__(self) -> None:
        self.error_context = ErrorContext(self.inputs, caller=self.inputs.role_to_assume)

    def add_facts(self, **facts: Any) -> None:  # noqa: ANN401  the fields of ErrorContext
        """Add to `error_context`, which makes the explanation of an error more specific."""
        self.error_context = replace(self.error_context, **facts)

    @contextlib.contextmanager
    def stage(self, title: str, doing: str) -> Iterator[Stage]:
        """Write one line of the log when the block ends; `doing` completes "while ...".

        Raises an error of a service as an ActionError that explains it.
        """
        self.run_state.update(stage=doing)
        began = self.clock.monotonic()
        stage = Stage()
        try:
            yield stage
        except (ApiError, AwsError, GitHubError, NoAnswer, UnusableKubeconfig) as error:
            self._log("✗", title, f"failed while {doing}", began)
            raise ActionError(explain(error, self.error_context)) from error
        except ActionError:
            self._log("✗", title, stage.found or f"stopped while {doing}", began)
            raise
        self._log("✓" if stage.is_good else "✗", title, stage.found, began)

    def _log(self, sign: str, title: str, text: str, began: float) -> None:
        self.actions.line(f"{sign} {title:<9} {text} ({self.clock.monotonic() - began:.2f} s)")

    def remark(self, sentence: str, level: Literal["notice", "warning"] = "warning") -> None:
        """Add a sentence to the summary, and annotate the workflow run with it."""
        self.run_state.add_remark(sentence)
        self.actions.annotate(level, "Run CronJob", sentence)
