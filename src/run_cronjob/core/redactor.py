"""Replaces secrets in text by `***`.

`Redactor` keeps this run's own tokens and credentials out of all output. `redact` removes the env values of a template
from messages and manifests that quote them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable

MIN_SECRET_LENGTH = 4
"""Shorter secrets occur in too many words to be replaced everywhere. Tokens and keys are longer."""


class Redactor:
    """Knows the secrets of this run, and removes them from text. Any thread may use it."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        """The longest first: a secret may contain another one."""
        self._lock = threading.Lock()

    def add(self, *secrets: str) -> None:
        """Remove `secrets` from now on, except for those that are too short."""
        with self._lock:
            known = {*self._secrets, *(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)}
            self._secrets = tuple(sorted(known, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def redact(text: str, secrets: Collection[str], *, known: Iterable[str] = ()) -> str:
    """`text` without any of `secrets`, also where an API has quoted or escaped them.

    Go and JSON escape what they quote, and validation messages repeat single lines of a value. A value of one to three
    characters is replaced only as a word of its own, because "1" occurs inside every other number. A value that is part
    of a `known` public name is not secret and stays.
    """
    public = tuple(known)
    forms = {form for secret in secrets for form in _spellings(secret)}
    for form in sorted(forms, key=len, reverse=True):
        if any(form in name for name in public):
            continue
        pattern = re.escape(form)
        if len(form) < MIN_SECRET_LENGTH:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, "***", text)
    return text


def _spellings(secret: str) -> set[str]:
    parts = {secret, secret.strip(), *(line.strip() for line in secret.splitlines())}
    escaped = {json.dumps(part, ensure_ascii=ascii_only)[1:-1] for part in parts for ascii_only in (True, False)}
    # Go's encoding/json also escapes the characters of HTML.
    by_go = {form.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e") for form in escaped}
    return {form for form in parts | escaped | by_go if form.strip()}
