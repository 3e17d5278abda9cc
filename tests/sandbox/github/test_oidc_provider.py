"""The OIDC provider issues tokens with the claims and signature that GitHub documents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import urllib3

from sandbox.github.oidc_provider import GitHub, TokenDefect, WorkflowEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AUDIENCE = "sts.amazonaws.com"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as github:
        yield github


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, headers=headers, retries=False, timeout=20)


def verified(token: str, keys: Mapping[str, Any], audience: str = AUDIENCE) -> dict[str, Any]:
    key_id = jwt.get_unverified_header(token)["kid"]
    (key,) = [key for key in keys["keys"] if key["kid"] == key_id]
    claims: dict[str, Any] = jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], audience=audience)
    return claims


def test_the_token_endpoint_issues_what_the_published_keys_verify(github: GitHub):
    answer = get(f"{github.request_url}&audience={AUDIENCE}", Authorization=f"bearer {github.request_token}")

    keys = get(f"{github.url}/.well-known/jwks").json()
    claims = verified(answer.json()["value"], keys)
    assert answer.status == 200
    assert claims["iss"] == "https://token.actions.githubusercontent.com"
    assert claims["sub"] == github.event.sub
    assert keys == github.jwks()


def test_a_token_has_all_the_claims_that_github_documents(github: GitHub):
    claims = verified(github.token(AUDIENCE), github.jwks())

    assert claims.keys() == {
        *("jti", "sub", "aud", "iss", "nbf", "exp", "iat", "ref", "ref_type", "ref_protected", "sha", "environment"),
        *("repository", "repository_id", "repository_owner", "repository_owner_id", "repository_visibility"),
        *("run_id", "run_number", "run_attempt", "runner_environment", "actor", "actor_id", "event_name"),
        *("workflow", "workflow_ref", "workflow_sha", "job_workflow_ref", "job_workflow_sha", "head_ref", "base_ref"),
    }
    assert claims["exp"] - claims["iat"] == 300
    assert claims["nbf"] < claims["iat"]
    assert claims["repository"] == "acme/batch"
    assert claims["repository_owner"] == "acme"
    assert claims["job_workflow_ref"] == "acme/batch/.github/workflows/run-cronjob.yml@refs/heads/main"
    assert all(isinstance(claims[name], str) for name in claims.keys() - {"iat", "nbf", "exp"})


def test_no_two_tokens_are_the_same(github: GitHub):
    first, second = (verified(github.token(AUDIENCE), github.jwks()) for _ in range(2))

    assert first["jti"] != second["jti"]


def test_without_an_audience_the_token_is_for_the_repositorys_owner(github: GitHub):
    answer = get(github.request_url, Authorization=f"Bearer {github.request_token}")

    verified(answer.json()["value"], github.jwks(), audience="https://github.com/acme")


@pytest.mark.parametrize(
    ("event", "sub"),
    [
        (WorkflowEvent(environment="production"), "repo:acme/batch:environment:production"),
        (WorkflowEvent(environment="eu:production"), "repo:acme/batch:environment:eu%3Aproduction"),
        (WorkflowEvent(environment=None), "repo:acme/batch:ref:refs/heads/main"),
        (WorkflowEvent(environment=None, ref="refs/tags/v1"), "repo:acme/batch:ref:refs/tags/v1"),
        (WorkflowEvent(environment=None, event_name="pull_request"), "repo:acme/batch:pull_request"),
        (WorkflowEvent(environment=None, immutable_sub=True), "repo:acme@65/batch@74:ref:refs/heads/main"),
        (WorkflowEvent(environment="staging", immutable_sub=True), "repo:acme@65/batch@74:environment:staging"),
    ],
)
def test_the_subject_names_the_environment_or_else_the_ref_in_either_format(event: WorkflowEvent, sub: str):
    assert event.claims["sub"] == sub


def test_there_is_an_environment_claim_only_in_an_environment():
    assert "environment" not in WorkflowEvent(environment=None).claims


@pytest.mark.parametrize(
    ("ref", "ref_type", "name"),
    [("refs/heads/team/fix", "branch", "team/fix"), ("refs/tags/v1.0", "tag", "v1.0")],
)
def test_a_ref_is_a_branch_or_a_tag(ref: str, ref_type: str, name: str):
    event = WorkflowEvent(ref=ref)

    assert (event.claims["ref_type"], event.ref_name) == (ref_type, name)


def test_the_event_can_be_changed(github: GitHub):
    github.event = replace(github.event, ref="refs/heads/other", actor="mallory")

    claims = verified(github.token(AUDIENCE), github.jwks())
    assert (claims["ref"], claims["actor"]) == ("refs/heads/other", "mallory")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer other", "Basic {token}"])
def test_a_token_requires_the_request_token(github: GitHub, authorization: str):
    answer = get(github.request_url, Authorization=authorization.format(token=github.request_token))

    assert answer.status == 401
    assert "request token" in answer.json()["message"]
    assert "value" not in answer.json()


def test_a_request_without_the_original_query_is_refused(github: GitHub):
    answer = get(f"{github.request_url}?audience={AUDIENCE}", Authorization=f"Bearer {github.request_token}")

    assert answer.status == 400


def test_an_unknown_path_is_not_found(github: GitHub):
    assert get(f"{github.url}/elsewhere").status == 404


@pytest.mark.parametrize(
    ("defect", "error"),
    [(TokenDefect.EXPIRED, jwt.ExpiredSignatureError), (TokenDefect.NOT_YET_VALID, jwt.ImmatureSignatureError)],
)
def test_tokens_can_be_expired_or_not_yet_valid(github: GitHub, defect: TokenDefect, error: type[Exception]):
    github.token_defect = defect

    with pytest.raises(error):
        verified(github.token(AUDIENCE), github.jwks())


def test_tokens_can_be_signed_by_a_key_that_is_not_published(github: GitHub):
    published = github.jwks()["keys"][0]
    github.token_defect = TokenDefect.UNPUBLISHED_KEY

    token = github.token(AUDIENCE)

    assert jwt.get_unverified_header(token)["kid"] != published["kid"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, jwt.PyJWK(published), algorithms=["RS256"], audience=AUDIENCE)


def test_an_enterprise_server_has_its_own_issuer():
    with GitHub("https://ghes.example") as github:
        configuration = get(f"{github.url}/.well-known/openid-configuration").json()
        claims = verified(github.token(AUDIENCE), github.jwks())

    assert claims["iss"] == configuration["issuer"] == "https://ghes.example/_services/token"
    assert configuration["jwks_uri"] == "https://ghes.example/_services/token/.well-known/jwks"
    assert claims.keys() <= set(configuration["claims_supported"])


@pytest.mark.parametrize(("visibility", "private"), [("public", False), ("internal", True), ("private", True)])
def test_the_payload_holds_the_inputs_and_the_repositorys_visibility(visibility: str, private: bool):
    payload = WorkflowEvent(visibility=visibility, inputs={"cronjob": "nightly-report"}).payload("https://github.com")

    assert payload["inputs"] == {"cronjob": "nightly-report"}
    assert payload["repository"]["visibility"] == visibility
    assert payload["repository"]["private"] is private


def test_the_journal_has_every_request(github: GitHub):
    get(f"{github.request_url}&audience=x")

    (request,) = github.journal
    assert (request.path, request.query) == ("/token", {"api-version": "2.0", "audience": "x"})
