"""Requests this workflow run's OIDC token from GitHub.

actions-toolkit can do that too, but without timeouts and retries, and it raises a bare Exception for any failure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from run_cronjob.clients import http
from run_cronjob.core.clock import Clock
from run_cronjob.core.errors import GitHubError, NoAnswer
from run_cronjob.core.models import TokenRequest
from run_cronjob.core.retry import Budget, retry
from run_cronjob.core.timeouts import Timeouts

SERVICE = "GitHub's OIDC endpoint"
_MAX_ANSWER_BYTES = 100_000


def get_id_token(request: TokenRequest, audience: str, clock: Clock, timeouts: Timeouts) -> str:
    """A new token for `audience`, valid for about five minutes. Raises GitHubError or NoAnswer."""
    url = f"{request.url}&audience={quote(audience, safe='')}"
    pool = http.pool(url, http.public_ssl_context(), timeouts)
    return retry(lambda: _request(pool, url, request.bearer), Budget(timeouts.oidc, clock), _is_transient)


def _request(pool: urllib3.PoolManager, url: str, bearer: str) -> str:
    headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json"}
    try:
        response = pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        body = response.read(_MAX_ANSWER_BYTES, decode_content=True)
        response.close()
    except HTTPError as error:
        raise http.no_answer(SERVICE, url, error) from error
    answer = http.json_object(body)
    token = answer.get("value")
    if response.status == 200 and isinstance(token, str) and token:
        return token
    raise GitHubError(response.status, str(answer.get("message") or "the answer holds no token"))


def _is_transient(error: Exception) -> bool:
    if isinstance(error, GitHubError):
        return error.status == 429 or error.status >= 500
    return isinstance(error, NoAnswer) and not error.cause.is_final


def unverified_claims(token: str) -> Mapping[str, object]:
    """The claims in `token`, empty if it is no token. They are for messages only: no signature is verified."""
    try:
        payload = token.split(".")[1]
        return http.json_object(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
