"""The local STS and EKS answer AWS's own client as AWS would; its token verifier believes only what STS confirms."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import botocore.session  # noqa: TID251  the sandbox must satisfy AWS's own client
import jwt
import pytest
import yaml
from botocore import UNSIGNED  # noqa: TID251  likewise
from botocore.config import Config  # noqa: TID251  likewise
from botocore.exceptions import ClientError  # noqa: TID251  likewise
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.aws import eks_token
from sandbox.aws.eks_token import Refused
from sandbox.aws.server import AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REGION = "eu-central-1"
ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:acme/batch:ref:refs/heads/main"
CLUSTER = "staging"
CA = "-----BEGIN CERTIFICATE-----\nexample\n-----END CERTIFICATE-----\n"

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGERS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWKS = {"keys": [jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "1", "alg": "RS256"}]}


def policy(*, partition: str = "aws", **claims: str) -> dict[str, Any]:
    host = ISSUER.removeprefix("https://")
    return {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:{partition}:iam::123456789012:oidc-provider/{host}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{host}:{name}": value for name, value in claims.items()}},
        }
    }


def oidc_token(*, key: rsa.RSAPrivateKey = KEY, kid: str = "1", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": "sts.amazonaws.com", "iat": now, "nbf": now - 60, "exp": now + 300}
    given = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(given, key, algorithm="RS256", headers={"kid": kid})


def unsigned(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "1"})


@pytest.fixture
def aws() -> Iterator[AWS]:
    with AWS(lambda: JWKS) as aws:
        aws.create_oidc_provider(ISSUER)
        yield aws


@pytest.fixture
def role(aws: AWS) -> str:
    return aws.create_role("run-cronjob", policy(sub=SUBJECT))


def client(
    service: str, url: str | None = None, credentials: Mapping[str, str] | None = None, region: str = REGION
) -> Any:
    session = botocore.session.Session()
    if credentials:
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        session.set_credentials(*(credentials.get(name) for name in names))
    unsigned = {} if credentials else {"signature_version": UNSIGNED}
    # The client's own checks are off, so that what it would not send is judged by the server.
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False, **unsigned)
    return session.create_client(service, region_name=region, endpoint_url=url, config=config)


def assume(aws: AWS, role: str, token: str | None = None, **parameters: Any) -> dict[str, str]:
    arguments = {"RoleSessionName": "octocat@acme"} | parameters
    answer = client("sts", aws.sts.url).assume_role_with_web_identity(
        RoleArn=role, WebIdentityToken=token or oidc_token(), **arguments
    )
    credentials: dict[str, str] = answer["Credentials"]
    return credentials


def bearer_token(
    credentials: Mapping[str, str], cluster: str = CLUSTER, region: str = REGION, url: str | None = None
) -> str:
    sts = client("sts", url, credentials, region)
    sts.meta.events.register(
        "before-sign.sts.GetCallerIdentity",
        lambda request, **_: request.headers.add_header(eks_token.CLUSTER_HEADER, cluster),
    )
    url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    return eks_token.PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def refusal(act: Callable[[], object]) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        act()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def reason(outcome: object) -> str:
    assert isinstance(outcome, Refused)
    return outcome.reason


# --- AssumeRoleWithWebIdentity ------------------------------------------------------------------------------


def test_a_trusted_token_becomes_credentials_that_aws_knows_by_role_and_session(aws: AWS, role: str) -> None:
    credentials = assume(aws, role)

    identity = client("sts", aws.sts.url, credentials).get_caller_identity()

    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/run-cronjob/octocat@acme"
    assert identity["Account"] == "123456789012"
    assert identity["UserId"].endswith(":octocat@acme")


NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (
            "no.jwt.here",
            "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)",
        ),
        (
            oidc_token(iss="https://ghes.example/_services/token"),
            "No OpenIDConnect provider found in your account for https://ghes.example/_services/token",
        ),
        (oidc_token(kid="2"), NO_KEY),
        (oidc_token(key=STRANGERS_KEY), "The signature of the ID Token could not be verified"),
        (unsigned(oidc_token()), "The signature of the ID Token could not be verified"),
        (oidc_token(aud="https://github.com/acme"), "Incorrect token audience"),
        (oidc_token(sub=None), "Missing a required claim: sub"),
    ],
    ids=["not a JWT", "unknown issuer", "unknown key", "wrong key", "unsigned", "audience", "no subject"],
)
def test_a_token_that_cannot_be_verified_is_refused_in_stss_words(
    aws: AWS, role: str, token: str, message: str
) -> None:
    assert refusal(lambda: assume(aws, role, token)) == ("InvalidIdentityToken", 400, message)


def test_a_tampered_token_is_refused(aws: AWS, role: str) -> None:
    header, payload, signature = oidc_token(sub="repo:stranger/x:ref:refs/heads/main").split(".")
    forged = base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(payload + "==").replace(b"repo:stranger/x:", b"repo:acme/batch:")
    )

    code, _, _ = refusal(lambda: assume(aws, role, f"{header}.{forged.decode().rstrip('=')}.{signature}"))

    assert code == "InvalidIdentityToken"


def test_an_expired_token_is_told_with_both_times(aws: AWS, role: str) -> None:
    expired = int(time.time()) - 1

    code, status, message = refusal(lambda: assume(aws, role, oidc_token(exp=expired)))

    assert (code, status) == ("ExpiredTokenException", 400)
    assert message.startswith("Token expired: current date/time ")
    assert message.endswith(f" must be before the expiration date/time {expired}")


def test_a_token_of_the_future_is_not_valid_yet(aws: AWS, role: str) -> None:
    code, status, message = refusal(lambda: assume(aws, role, oidc_token(nbf=int(time.time()) + 100)))

    assert (code, status) == ("ExpiredTokenException", 400)
    assert "not yet valid" in message


def test_an_unknown_role_and_an_unmet_condition_are_not_told_apart(aws: AWS, role: str) -> None:
    unmet = refusal(lambda: assume(aws, role, oidc_token(sub="repo:acme/batch:ref:refs/heads/dev")))
    unknown = refusal(lambda: assume(aws, "arn:aws:iam::123456789012:role/nobody"))

    assert unmet == unknown == ("AccessDenied", 403, "Not authorized to perform sts:AssumeRoleWithWebIdentity")


def test_a_role_created_again_has_the_new_trust_policy_only(aws: AWS, role: str) -> None:
    other = "repo:acme/other:ref:refs/heads/main"
    assert aws.create_role("run-cronjob", policy(sub=other)) == role

    assert assume(aws, role, oidc_token(sub=other))
    assert refusal(lambda: assume(aws, role))[0] == "AccessDenied"

    moved = aws.create_role("run-cronjob", policy(sub=other), path="/ci/")
    assert assume(aws, moved, oidc_token(sub=other))
    assert refusal(lambda: assume(aws, role, oidc_token(sub=other)))[0] == "AccessDenied"


def test_an_audience_of_the_providers_own_is_accepted(aws: AWS, role: str) -> None:
    aws.create_oidc_provider(ISSUER, ["acme"])

    assert assume(aws, role, oidc_token(aud="acme"))
    assert refusal(lambda: assume(aws, role))[2] == "Incorrect token audience"


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"DurationSeconds": 3601}, "exceeds the MaxSessionDuration set for this role"),
        ({"DurationSeconds": 899}, "Value '899' at 'durationSeconds'"),
        ({"DurationSeconds": 43201}, "Value '43201' at 'durationSeconds'"),
        ({"RoleSessionName": "octo cat"}, "Value 'octo cat' at 'roleSessionName'"),
        ({"RoleSessionName": "x" * 65}, "less than or equal to 64"),
        ({"RoleArn": "arn:aws:iam::12:role/run-cronjob"}, "Request ARN is invalid"),
    ],
)
def test_parameters_out_of_bounds_are_a_validation_error(
    aws: AWS, role: str, parameters: dict[str, Any], complaint: str
) -> None:
    arguments = {"role": role} | {{"RoleArn": "role"}.get(name, name): value for name, value in parameters.items()}

    code, status, message = refusal(lambda: assume(aws, **arguments))

    assert (code, status) == ("ValidationError", 400)
    assert complaint in message


def test_a_role_may_allow_longer_sessions(aws: AWS) -> None:
    role = aws.create_role("long", policy(sub=SUBJECT), max_session=7200)

    assert assume(aws, role, DurationSeconds=7200)


# --- DescribeCluster ----------------------------------------------------------------------------------------


def test_describe_cluster_tells_what_the_account_was_given(aws: AWS, role: str) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA, version="1.33", status="UPDATING")

    cluster = client("eks", aws.eks.url, assume(aws, role)).describe_cluster(name=CLUSTER)["cluster"]

    assert cluster["endpoint"] == "https://127.0.0.1:6443"
    assert base64.b64decode(cluster["certificateAuthority"]["data"]).decode() == CA
    assert (cluster["version"], cluster["status"]) == ("1.33", "UPDATING")
    assert cluster["arn"] == f"arn:aws:eks:{REGION}:123456789012:cluster/{CLUSTER}"


def test_a_cluster_being_created_has_neither_endpoint_nor_ca_yet(aws: AWS, role: str) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    aws.create_cluster(CLUSTER, REGION, None, None, status="CREATING")

    cluster = client("eks", aws.eks.url, assume(aws, role)).describe_cluster(name=CLUSTER)["cluster"]

    assert cluster["status"] == "CREATING"
    assert not {"endpoint", "certificateAuthority"} & cluster.keys()


def test_a_cluster_is_not_found_in_another_region_or_under_another_name(aws: AWS, role: str) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    credentials = assume(aws, role)

    elsewhere = client("eks", aws.eks.url, credentials, region="eu-west-1")
    here = client("eks", aws.eks.url, credentials)

    missing = ("ResourceNotFoundException", 404, f"No cluster found for name: {CLUSTER}.")
    assert refusal(lambda: elsewhere.describe_cluster(name=CLUSTER)) == missing
    assert refusal(lambda: here.describe_cluster(name="production"))[0] == "ResourceNotFoundException"


def test_a_role_describes_the_clusters_of_its_pattern_only(aws: AWS) -> None:
    for name in ("staging-blue", "production"):
        aws.create_cluster(name, REGION, "https://127.0.0.1:6443", CA)
    pattern = f"arn:aws:eks:{REGION}:123456789012:cluster/staging-*"
    role = aws.create_role("narrow", policy(sub=SUBJECT), describe_clusters=[pattern])
    eks = client("eks", aws.eks.url, assume(aws, role))

    assert eks.describe_cluster(name="staging-blue")
    assert refusal(lambda: eks.describe_cluster(name="production")) == (
        "AccessDeniedException",
        403,
        (
            "User: arn:aws:sts::123456789012:assumed-role/narrow/octocat@acme is not authorized to perform: "
            f"eks:DescribeCluster on resource: arn:aws:eks:{REGION}:123456789012:cluster/production"
        ),
    )


# --- signatures ---------------------------------------------------------------------------------------------


def wrong_secret(credentials: dict[str, str]) -> dict[str, str]:
    return credentials | {"SecretAccessKey": "x" * 40}


def wrong_session(credentials: dict[str, str]) -> dict[str, str]:
    return credentials | {"SessionToken": "x" * 40}


def no_session(credentials: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in credentials.items() if name != "SessionToken"}


def unknown_key(credentials: dict[str, str]) -> dict[str, str]:
    return credentials | {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE"}


@pytest.mark.parametrize(
    ("spoil", "of_sts", "of_eks"),
    [
        (wrong_secret, "SignatureDoesNotMatch", "InvalidSignatureException"),
        (wrong_session, "InvalidClientTokenId", "UnrecognizedClientException"),
        (no_session, "InvalidClientTokenId", "UnrecognizedClientException"),
        (unknown_key, "InvalidClientTokenId", "UnrecognizedClientException"),
    ],
)
def test_a_request_signed_with_anything_but_the_issued_credentials_is_refused(
    aws: AWS, role: str, spoil: Callable[[dict[str, str]], dict[str, str]], of_sts: str, of_eks: str
) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    spoilt = spoil(assume(aws, role))

    from_sts = refusal(client("sts", aws.sts.url, spoilt).get_caller_identity)
    from_eks = refusal(lambda: client("eks", aws.eks.url, spoilt).describe_cluster(name=CLUSTER))

    assert from_sts[:2] == (of_sts, 403)
    assert from_eks[:2] == (of_eks, 403)


def test_an_unsigned_request_is_refused(aws: AWS) -> None:
    assert refusal(client("sts", aws.sts.url).get_caller_identity)[:2] == ("MissingAuthenticationToken", 403)
    assert refusal(lambda: client("eks", aws.eks.url).describe_cluster(name=CLUSTER))[:2] == (
        "MissingAuthenticationTokenException",
        403,
    )


def test_a_sessions_credentials_end_with_it(aws: AWS, role: str) -> None:
    credentials = assume(aws, role, DurationSeconds=900)
    present = aws.now()
    aws.now = lambda: present + timedelta(seconds=901)

    from_sts = refusal(client("sts", aws.sts.url, credentials).get_caller_identity)
    from_eks = refusal(lambda: client("eks", aws.eks.url, credentials).describe_cluster(name=CLUSTER))

    assert from_sts == ("ExpiredToken", 403, "The security token included in the request is expired")
    assert from_eks[:2] == ("ExpiredTokenException", 403)


@pytest.mark.parametrize(("minutes", "complaint"), [(6, "Signature expired: "), (-6, "Signature not yet current: ")])
def test_a_signature_from_a_clock_that_is_off_is_refused(aws: AWS, role: str, minutes: int, complaint: str) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    eks = client("eks", aws.eks.url, assume(aws, role))
    present = aws.now()
    aws.now = lambda: present + timedelta(minutes=minutes)

    code, _, message = refusal(lambda: eks.describe_cluster(name=CLUSTER))

    assert code == "InvalidSignatureException"
    assert message.startswith(complaint)


def test_a_request_changed_on_its_way_is_refused(aws: AWS, role: str) -> None:
    for name in (CLUSTER, "production"):
        aws.create_cluster(name, REGION, "https://127.0.0.1:6443", CA)
    eks = client("eks", aws.eks.url, assume(aws, role))

    def redirect(request: Any, **_: object) -> None:
        request.url = request.url.replace(CLUSTER, "production")

    eks.meta.events.register("before-send.eks.DescribeCluster", redirect)

    assert refusal(lambda: eks.describe_cluster(name=CLUSTER))[0] == "InvalidSignatureException"


def test_a_users_long_lived_key_works_without_any_session(aws: AWS) -> None:
    aws.create_cluster(CLUSTER, REGION, "https://127.0.0.1:6443", CA)
    key_id, secret = aws.long_lived_key("ops")
    credentials = {"AccessKeyId": key_id, "SecretAccessKey": secret}

    assert client("eks", aws.eks.url, credentials).describe_cluster(name=CLUSTER)
    identity = client("sts", aws.sts.url, credentials).get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/ops"


# --- the token verifier -------------------------------------------------------------------------------------


def test_a_roles_token_is_mapped_to_a_username_with_its_session_and_to_groups(aws: AWS, role: str) -> None:
    aws.map_role(role, "run-cronjob:{{SessionName}}", ["runners", "of-{{AccountID}}"])

    user = aws.authenticate(bearer_token(assume(aws, role)), CLUSTER)

    assert user == ("run-cronjob:octocat-acme", ("runners", "of-123456789012"))


def test_a_users_token_is_mapped_too(aws: AWS) -> None:
    key_id, secret = aws.long_lived_key("ops")
    aws.map_user("arn:aws:iam::123456789012:user/ops", "ops", ["runners"])

    token = bearer_token({"AccessKeyId": key_id, "SecretAccessKey": secret})

    assert aws.authenticate(token, CLUSTER) == ("ops", ("runners",))


def test_the_mapping_can_be_read_as_aws_auth_and_tells_of_its_changes(aws: AWS) -> None:
    changes: list[dict[str, str]] = []
    aws.on_mapping = lambda: changes.append(aws.aws_auth)

    aws.map_role("arn:aws:iam::123456789012:role/ci", "{{SessionName}}", ["runners"])
    aws.map_user("arn:aws:iam::123456789012:user/ops", "ops")
    aws.unmap_role("arn:aws:iam::123456789012:role/ci")

    role = {"rolearn": "arn:aws:iam::123456789012:role/ci", "username": "{{SessionName}}", "groups": ["runners"]}
    user = {"userarn": "arn:aws:iam::123456789012:user/ops", "username": "ops", "groups": []}
    assert [yaml.safe_load(each["mapRoles"]) for each in changes] == [[role], [role], []]
    assert [yaml.safe_load(each["mapUsers"]) for each in changes] == [[], [user], [user]]


def test_an_unmapped_role_is_nobody(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role))

    assert aws.authenticate(token, CLUSTER) is None
    assert not isinstance(aws.identify(token, CLUSTER), Refused)


def test_a_mapping_that_names_the_roles_path_is_never_found(aws: AWS) -> None:
    role = aws.create_role("run-cronjob", policy(sub=SUBJECT), path="/ci/")
    token = bearer_token(assume(aws, role))

    aws.map_role(role, "with-path")
    assert aws.authenticate(token, CLUSTER) is None

    aws.map_role(role.replace("/ci/", "/"), "without-path")
    assert aws.authenticate(token, CLUSTER) == ("without-path", ())


def test_a_token_counts_for_the_cluster_it_was_signed_for_only(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role), cluster="production")

    assert not isinstance(aws.identify(token, "production"), Refused)
    assert "SignatureDoesNotMatch" in reason(aws.identify(token, "staging"))


@pytest.mark.parametrize("spoil", [wrong_secret, wrong_session, unknown_key])
def test_a_token_signed_with_other_credentials_is_refused(
    aws: AWS, role: str, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    aws.map_role(role, "somebody")

    assert aws.authenticate(bearer_token(spoil(assume(aws, role))), CLUSTER) is None


def test_a_token_changed_afterwards_is_refused(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role))
    url = base64.urlsafe_b64decode(token.removeprefix(eks_token.PREFIX) + "==").decode()
    changed = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")

    forged = eks_token.PREFIX + base64.urlsafe_b64encode(changed.encode()).decode().rstrip("=")

    assert changed != url
    assert "SignatureDoesNotMatch" in reason(aws.identify(forged, CLUSTER))


def test_a_token_is_void_after_fifteen_minutes_and_once_its_roles_session_ended(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role, DurationSeconds=3600))
    present = aws.now()

    aws.now = lambda: present + timedelta(minutes=14)
    assert not isinstance(aws.identify(token, CLUSTER), Refused)
    aws.now = lambda: present + timedelta(minutes=16)
    assert "expired" in reason(aws.identify(token, CLUSTER))

    aws.now = lambda: present
    short = bearer_token(assume(aws, role, DurationSeconds=900))
    over = datetime.now(UTC) + timedelta(seconds=900)
    aws.now = lambda: over
    # By the token's own date it may live a moment longer; STS knows that the session is over.
    assert isinstance(aws.identify(short, CLUSTER), Refused)


def test_a_token_signed_for_another_region_than_its_host_is_refused(aws: AWS, role: str) -> None:
    credentials = assume(aws, role)

    token = bearer_token(credentials, url="https://sts.eu-west-1.amazonaws.com")

    assert "Credential should be scoped to a valid region" in reason(aws.identify(token, CLUSTER))


def test_the_journal_of_sts_tells_what_clients_did_and_not_what_the_verifier_asked(aws: AWS, role: str) -> None:
    token = bearer_token(assume(aws, role))
    aws.identify(token, CLUSTER)

    (request,) = aws.sts.journal
    assert b"Action=AssumeRoleWithWebIdentity" in request.body


# --- partitions, and the account as a whole -----------------------------------------------------------------


def test_another_partition_has_its_own_arns_and_hosts() -> None:
    region = "cn-north-1"
    with AWS(lambda: JWKS, partition="aws-cn") as aws:
        provider = aws.create_oidc_provider(ISSUER)
        role = aws.create_role("run-cronjob", policy(partition="aws-cn", sub=SUBJECT))
        aws.create_cluster(CLUSTER, region, "https://127.0.0.1:6443", CA)
        aws.map_role(role, "{{SessionName}}")
        credentials = assume(aws, role)
        cluster = client("eks", aws.eks.url, credentials, region=region).describe_cluster(name=CLUSTER)["cluster"]
        user = aws.authenticate(bearer_token(credentials, region=region), CLUSTER)
        foreign = refusal(lambda: client("eks", aws.eks.url, credentials).describe_cluster(name=CLUSTER))

    assert provider.startswith("arn:aws-cn:iam::123456789012:oidc-provider/")
    assert role == "arn:aws-cn:iam::123456789012:role/run-cronjob"
    assert cluster["arn"] == f"arn:aws-cn:eks:{region}:123456789012:cluster/{CLUSTER}"
    assert user == ("octocat-acme", ())
    assert foreign[0] == "UnrecognizedClientException"


def test_a_cluster_lies_in_its_accounts_partition(aws: AWS) -> None:
    with pytest.raises(ValueError, match="cn-north-1"):
        aws.create_cluster(CLUSTER, "cn-north-1", "https://127.0.0.1:6443", CA)


def test_an_account_starts_empty() -> None:
    with AWS(lambda: JWKS) as former:
        former.create_oidc_provider(ISSUER)
        role = former.create_role("run-cronjob", policy(sub=SUBJECT))
        key_id, secret = former.long_lived_key("ops")
    with AWS(lambda: JWKS) as aws:
        aws.create_oidc_provider(ISSUER)
        sts = client("sts", aws.sts.url, {"AccessKeyId": key_id, "SecretAccessKey": secret})

        assert refusal(lambda: assume(aws, role))[0] == "AccessDenied"
        assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"
        assert aws.create_role("run-cronjob", policy(sub=SUBJECT)) == role


@pytest.mark.usefixtures("aws")
def test_a_second_account_at_the_same_time_is_refused() -> None:
    with pytest.raises(RuntimeError, match="already open"):
        AWS(lambda: JWKS)
