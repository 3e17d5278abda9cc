"""EKS answers AWS's own client as AWS does."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.sandbox.aws.conftest import CA, CLUSTER, REGION, SUBJECT, assume, client, policy, refusal

if TYPE_CHECKING:
    from sandbox.aws.server import AWS


def test_describe_cluster_returns_the_fields_of_the_account(aws: AWS, role: str) -> None:
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
