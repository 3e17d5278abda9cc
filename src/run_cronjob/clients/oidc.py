"""The runner's OIDC token: who this workflow run is, signed by GitHub.

actions-toolkit can ask for one too, but knows no time-out and no retry, and any failure is a bare Exception.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from run_cronjob.clients import http
from run_cronjob.core.errors import GitHubError, NoAnswer
from run_cronjob.core.retry import Budget, retry

if TYPE_CHECKING:
    from collections.abc import Mapping

    import urllib3

    from run_cronjob.core.clock import Clock
    from run_cronjob.core.models import TokenRequest

BUDGET_SECONDS = 15
SERVICE = "GitHub's OIDC endpoint"
_LARGEST_ANSWER = 100_000


def id_token(request: TokenRequest, audience: str, clock: Clock) -> str:
    """A fresh token for `audience`; GitHub's live about five minutes.

    Raises GitHubError or NoAnswer.
    """
    url = f"{request.url}&audience={quote(audience, safe='')}"
    pool = http.pool(url, http.outside())
    return retry(lambda: _ask(pool, url, request.bearer), Budget(BUDGET_SECONDS, clock), _is_transient)


def _ask(pool: urllib3.PoolManager, url: str, bearer: str) -> str:
    headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json"}
    try:
        response = pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        body = response.read(_LARGEST_ANSWER, decode_content=True)
        response.close()
    except HTTPError as error:
        raise http.no_answer(SERVICE, url, error) from error
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    token = answer.get("value") if isinstance(answer, dict) else None
    if response.status == 200 and isinstance(token, str) and token:
        return token
    told = answer.get("message") if isinstance(answer, dict) else None
    raise GitHubError(response.status, str(told or "the answer holds no token"))


def _is_transient(error: Exception) -> bool:
    if isinstance(error, GitHubError):
        return error.status == 429 or error.status >= 500
    return isinstance(error, NoAnswer) and not error.cause.is_final


def claims(token: str) -> Mapping[str, object]:
    """What `token` says of its bearer, unverified: to show people, never to decide on."""
    try:
        payload = token.split(".")[1]
        decoded = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, binascii.Error, ValueError):
        return {}
    return decoded if isinstance(decoded, dict) else {}
