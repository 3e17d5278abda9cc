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
from secrets import token_hex
from typing import TYPE_CHECKING

from actions_toolkit import core

from run_cronjob.core.text import clean_indented, cut, inert, inert_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
        self._secrets: tuple[str, ...] = ()
        """The longest first: a secret may hold another."""
        self._masked: set[str] = set()
        self._only_thread: int | None = None
        self._lock = threading.Lock()
        """For what is known and the runner's files; never held while stdout may block."""
        self._stream = threading.RLock()
        self._patience = 0.0
        self._region = ""
        """The token that ends the stopped region, while one is open."""
        # Libraries that have something to say would say it raw, and on the other stream.
        logging.getLogger().addHandler(logging.NullHandler())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError):  # not a text file, under a test's capture
                stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[union-attr]

    def take_over(self, patience: float) -> None:
        """From now on, only this thread is heard.

        Another may still be handing its last lines to a slow reader: what goes to the runner's files does not wait
        for that, and what goes to the log no longer than `patience`, in seconds.
        """
        with self._lock:
            self._patience = patience
            self._only_thread = threading.get_ident()

    def _is_heard(self) -> bool:
        return self._only_thread in {None, threading.get_ident()}

    @contextlib.contextmanager
    def _writing(self) -> Iterator[bool]:
        """The log is ours alone; False where this thread has no say, or the log's reader has gone to sleep."""
        patience = -1.0
        if self._only_thread == threading.get_ident():
            patience = self._patience
        if not self._stream.acquire(timeout=patience):
            self._patience = 0.0
            yield False
            return
        try:
            yield self._is_heard()
        finally:
            self._stream.release()

    @contextlib.contextmanager
    def _commanding(self) -> Iterator[bool]:
        """`_writing`, for what is a command: within a stopped region the runner would print and not obey it."""
        with self._writing() as ours:
            if ours and self._region:
                core.info(f"::{self._region}::")
                self._region = ""
            yield ours

    def hide(self, *secrets: str) -> None:
        """Keep `secrets` out of everything written from now on."""
        with self._lock:
            known = {*self._secrets, *(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)}
            self._secrets = tuple(sorted(known, key=len, reverse=True))

    def mask(self, *secrets: str) -> None:
        """`hide`, and have the runner do so too, for this job's later steps as well."""
        self.hide(*secrets)
        with self._writing():
            new = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET} - self._masked
            self._masked |= new
            if not new:
                return
            with self._commanding() as ours:
                for secret in new if ours else ():
                    core.set_secret(secret)

    def others(self, lines: Sequence[str], prefix: str = "") -> None:
        """Lines that a container printed, each after `prefix`.

        They stand in a region where the runner obeys no commands, and are made inert besides. It stays open until
        a command of ours is due.
        """
        if not lines:
            return
        text = self.public(inert_text(lines))
        prefix = self.public(inert(prefix))
        if prefix:
            text = prefix + text.replace("\n", f"\n{prefix}")
        with self._writing() as ours:
            if not ours:
                return
            if not self._region:
                # A new one for each region: what was printed once may be known to someone.
                self._region = token_hex(16)
                core.info(f"::stop-commands::{self._region}")
            core.info(text)

    def line(self, text: str) -> None:
        """One line of the log."""
        with self._writing() as ours:
            if ours:
                core.info(cut(inert(self.public(text)), _LINE_LENGTH))

    def group(self, title: str, text: str) -> None:
        """Lines that a reader unfolds."""
        with self._commanding() as ours:
            if ours:
                core.start_group(self.public(title))
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
        shown = "\n".join(inert(line) for line in self.public(text).splitlines())
        with self._commanding() as ours:
            if ours:
                issue(cut(shown, _ANNOTATION_LENGTH), title=clean_indented(self.public(title)))

    def outputs(self, values: Mapping[str, str]) -> None:
        """The step's outputs."""
        with self._lock:
            for name, value in values.items() if self._is_heard() else ():
                with contextlib.suppress(Exception):  # a full disk must not cost the summary
                    core.set_output(name, self.public(value))

    def state(self, values: Mapping[str, str]) -> None:
        """What this step leaves for its `post-entrypoint`."""
        with contextlib.suppress(Exception):  # a full disk must not cost the Job
            for name, value in values.items():
                core.save_state(name, value)

    def summary(self, markdown: str) -> None:
        """The job summary, where the runner offers one; it takes the place of an earlier one."""
        text = self.public(markdown)
        with self._lock, contextlib.suppress(OSError):
            if self._is_heard() and Path(os.environ.get("GITHUB_STEP_SUMMARY", "")).is_file():
                encoded = text.encode("utf-8", "replace")[:_SUMMARY_BYTES].decode("utf-8", "ignore")
                Path(os.environ["GITHUB_STEP_SUMMARY"]).write_text(encoded, encoding="utf-8")

    def public(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
