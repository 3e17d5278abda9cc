"""Writes the log, workflow commands, outputs and the job summary; the only user of actions_toolkit.

Everything is written to stdout, because the runner reads stdout and stderr in separate threads. Untrusted text can't
become a workflow command, and secrets given to `mask` or `add_secrets` are replaced in all output.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Literal

from actions_toolkit import core

from run_cronjob.core.redactor import MIN_SECRET_LENGTH, Redactor
from run_cronjob.core.text import clean_indented, cut, inert, inert_text

_LINE_LENGTH = 1000  # the live log on GitHub's page cuts lines at 1,024 characters
_ANNOTATION_LENGTH = 3500  # GitHub cuts annotations at 4,096
_SUMMARY_BYTES = 1_000_000  # the runner drops a summary of more than 1 MiB


class Actions:
    """All output of this action. Any thread may write."""

    def __init__(self) -> None:
        self._redactor = Redactor()
        self._masked: set[str] = set()
        self._only_thread: int | None = None  # the one thread that may write; None for all
        self._files_lock = threading.Lock()  # For the runner's files. It is never held while stdout may block.
        self._log_lock = threading.RLock()
        self._log_timeout = 0.0
        self._end_token = ""  # the token that ends `::stop-commands::`, while commands are stopped
        # Without a handler, Python writes the libraries' log records to stderr.
        logging.getLogger().addHandler(logging.NullHandler())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):  # not a text file, under a test's capture
                stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[union-attr]

    def silence_other_threads(self, log_timeout: float) -> None:
        """Drop what other threads write from now on.

        Another thread may still be writing to a slow reader of the log. This thread waits for it no longer than
        `log_timeout` seconds before it gives up the log, and does not wait at all for outputs and the summary.
        """
        with self._files_lock:
            self._log_timeout = log_timeout
            self._only_thread = threading.get_ident()

    def _may_write(self) -> bool:
        return self._only_thread in {None, threading.get_ident()}

    @contextlib.contextmanager
    def _locked_log(self) -> Iterator[bool]:
        """Lock the log; False if this thread may not write to it, or did not get the lock in time."""
        timeout = self._log_timeout if self._only_thread == threading.get_ident() else -1.0
        if not self._log_lock.acquire(timeout=timeout):
            self._log_timeout = 0.0
            yield False
            return
        try:
            yield self._may_write()
        finally:
            self._log_lock.release()

    @contextlib.contextmanager
    def _locked_log_for_commands(self) -> Iterator[bool]:
        """Lock the log, and have the runner process workflow commands again if they are stopped."""
        with self._locked_log() as may_write:
            if may_write and self._end_token:
                core.info(f"::{self._end_token}::")
                self._end_token = ""
            yield may_write

    def add_secrets(self, *secrets: str) -> None:
        """Replace `secrets` by `***` in everything written from now on."""
        self._redactor.add(*secrets)

    def mask(self, *secrets: str) -> None:
        """`add_secrets`, and have the runner mask them (`::add-mask::`), in later steps of the workflow job too."""
        self.add_secrets(*secrets)
        with self._locked_log():
            new = {secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH} - self._masked
            self._masked |= new
            if not new:
                return
            with self._locked_log_for_commands() as may_write:
                for secret in new if may_write else ():
                    core.set_secret(secret)

    def redact(self, text: str) -> str:
        """`text` without the secrets given to `mask` or `add_secrets`."""
        return self._redactor.redact(text)

    def container_lines(self, lines: Sequence[str], prefix: str = "") -> None:
        """Lines of a container's log, each after `prefix`.

        Workflow commands are stopped around them (`::stop-commands::`), until this action writes its next command.
        In addition, each line is made inert.
        """
        if not lines:
            return
        text = self.redact(inert_text(lines))
        prefix = self.redact(inert(prefix))
        if prefix:
            text = prefix + text.replace("\n", f"\n{prefix}")
        with self._locked_log() as may_write:
            if not may_write:
                return
            if not self._end_token:
                # A new token each time: the log shows those that were used.
                self._end_token = token_hex(16)
                core.info(f"::stop-commands::{self._end_token}")
            core.info(text)

    def line(self, text: str) -> None:
        """One line of the log."""
        with self._locked_log() as may_write:
            if may_write:
                core.info(cut(inert(self.redact(text)), _LINE_LENGTH))

    def group(self, title: str, text: str) -> None:
        """A group of lines, collapsed on GitHub's page."""
        with self._locked_log_for_commands() as may_write:
            if may_write:
                core.start_group(self.redact(title))
                for line in text.splitlines():
                    self.line(line)
                core.end_group()

    def annotate(self, level: Literal["notice", "warning", "error"], title: str, text: str) -> None:
        """An annotation of the workflow run, on GitHub's page of it."""
        shown = "\n".join(inert(line) for line in self.redact(text).splitlines())
        with self._locked_log_for_commands() as may_write:
            if may_write:
                getattr(core, level)(cut(shown, _ANNOTATION_LENGTH), title=clean_indented(self.redact(title)))

    def outputs(self, values: Mapping[str, str]) -> None:
        """Set outputs of the step."""
        with self._files_lock:
            for name, value in values.items() if self._may_write() else ():
                with contextlib.suppress(Exception):  # a full disk must not cost the summary
                    core.set_output(name, self.redact(value))

    def save_state(self, values: Mapping[str, str]) -> None:
        """Save state for this action's `post-entrypoint`."""
        with contextlib.suppress(Exception):  # a full disk must not cost the Job
            for name, value in values.items():
                core.save_state(name, value)

    def summary(self, markdown: str) -> None:
        """Write the job summary, over an earlier one, if the runner has a file for it."""
        text = self.redact(markdown)
        with self._files_lock, contextlib.suppress(OSError):
            if self._may_write() and Path(os.environ.get("GITHUB_STEP_SUMMARY", "")).is_file():
                encoded = text.encode("utf-8", "replace")[:_SUMMARY_BYTES].decode("utf-8", "ignore")
                Path(os.environ["GITHUB_STEP_SUMMARY"]).write_text(encoded, encoding="utf-8")
