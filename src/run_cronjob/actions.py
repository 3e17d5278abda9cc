"""One writer for the log, workflow commands, outputs and the summary; the only user of actions_toolkit.

Everything goes to one stream, since the runner reads stdout and stderr on separate threads. No line can hold a
workflow command that is not ours, and no secret that was given to `hide` or `mask` leaves by any way.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from actions_toolkit import core

from run_cronjob.text import clean_indented, cut, inert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LINE_LENGTH = 1000
"""The live log cuts lines at 1,024 characters."""
_ANNOTATION_LENGTH = 3500
"""GitHub cuts annotations at 4,096."""
_SUMMARY_BYTES = 1_000_000
"""Over 1 MiB the runner drops a summary whole."""
_SHORTEST_SECRET = 4
"""To strike a shorter one everywhere would leave no text to read; tokens and keys are longer."""


class Actions:
    """What the runner, and so the person before the browser, gets to see."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._masked: set[str] = set()
        self._lock = threading.RLock()
        self._only_thread: int | None = None
        # Libraries that have something to say would say it raw, and on the other stream.
        logging.getLogger().addHandler(logging.NullHandler())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):  # not a text file, under a test's capture
                stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[union-attr]

    def take_over(self) -> None:
        """From now on, only this thread is heard."""
        with self._lock:
            self._only_thread = threading.get_ident()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[bool]:
        with self._lock:
            yield self._only_thread in {None, threading.get_ident()}

    def hide(self, *secrets: str) -> None:
        """Keep `secrets` out of everything written from now on."""
        with self._lock:
            self._secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)

    def mask(self, *secrets: str) -> None:
        """`hide`, and have the runner do so too, for this job's later steps as well."""
        with self._writing() as ours:
            new = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET} - self._masked
            self.hide(*new)
            self._masked |= new
            for secret in new if ours else ():
                core.set_secret(secret)

    def line(self, text: str) -> None:
        """One line of the log."""
        with self._writing() as ours:
            if ours:
                core.info(cut(inert(self._public(text)), _LINE_LENGTH))

    def group(self, title: str, text: str) -> None:
        """Lines that a reader unfolds."""
        with self._writing() as ours:
            if ours:
                core.start_group(self._public(title))
                for line in text.splitlines():
                    self.line(line)
                core.end_group()

    def notice(self, title: str, text: str) -> None:
        """An annotation on the run's page."""
        self._annotate(core.notice, title, text)

    def warning(self, title: str, text: str) -> None:
        """An annotation on the run's page."""
        self._annotate(core.warning, title, text)

    def error(self, title: str, text: str) -> None:
        """An annotation on the run's page."""
        self._annotate(core.error, title, text)

    def _annotate(self, issue: Callable[..., None], title: str, text: str) -> None:
        shown = "\n".join(inert(line) for line in self._public(text).splitlines())
        with self._writing() as ours:
            if ours:
                issue(cut(shown, _ANNOTATION_LENGTH), title=clean_indented(self._public(title)))

    def outputs(self, values: Mapping[str, str]) -> None:
        """The step's outputs."""
        with self._writing() as ours:
            for name, value in values.items() if ours else ():
                with contextlib.suppress(Exception):  # a full disk must not cost the summary
                    core.set_output(name, self._public(value))

    def state(self, values: Mapping[str, str]) -> None:
        """What this step leaves for its `post-entrypoint`."""
        with contextlib.suppress(Exception):  # a full disk must not cost the Job
            for name, value in values.items():
                core.save_state(name, value)

    def summary(self, markdown: str) -> None:
        """The job summary, where the runner offers one; it takes the place of an earlier one."""
        text = self._public(markdown)
        with self._writing() as ours, contextlib.suppress(OSError):
            if ours and Path(os.environ.get("GITHUB_STEP_SUMMARY", "")).is_file():
                encoded = text.encode("utf-8", "replace")[:_SUMMARY_BYTES].decode("utf-8", "ignore")
                Path(os.environ["GITHUB_STEP_SUMMARY"]).write_text(encoded, encoding="utf-8")

    def _public(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text
