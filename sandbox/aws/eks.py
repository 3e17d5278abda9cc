"""Simulates EKS: checks signature and permission of DescribeCluster, and gets the answer from moto.

The codes are AWS's common errors in the rest-json protocol. The messages were collected from public issue threads.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from sandbox.aws import sigv4
from sandbox.aws.account import ACCOUNT_ID
from sandbox.aws.errors import AwsRequestError, rest_error
from sandbox.aws.sigv4 import SignatureProblem

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from sandbox.aws.account import Account

_WINDOW = timedelta(minutes=5)
_SIGNATURE_CODES = {
    SignatureProblem.MISSING: "MissingAuthenticationTokenException",
    SignatureProblem.INCOMPLETE: "IncompleteSignatureException",
    SignatureProblem.UNKNOWN_KEY: "UnrecognizedClientException",
    SignatureProblem.EXPIRED_KEY: "ExpiredTokenException",
    SignatureProblem.MISMATCH: "InvalidSignatureException",
}


class EKS:
    """EKS of one account as a WSGI application, for all regions: the signature names the region."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            return self._describe_cluster(request)
        except AwsRequestError as error:
            return rest_error(error)

    def _describe_cluster(self, request: Request) -> Response:
        signer = sigv4.verify(request, service="eks", account=self._account, window=_WINDOW, codes=_SIGNATURE_CODES)
        path = re.fullmatch(r"/clusters/([^/]+)", request.path)
        if request.method != "GET" or path is None:
            raise AwsRequestError("UnknownOperationException", "The sandbox's EKS knows DescribeCluster only", 404)
        name = path[1]
        arn = f"arn:{self._account.partition}:eks:{signer.region}:{ACCOUNT_ID}:cluster/{name}"
        if not self._account.may_describe(signer.key_id, arn):
            raise AwsRequestError(
                "AccessDeniedException",
                f"User: {self._account.principal_arn(signer.key_id)} is not authorized to perform: "
                f"eks:DescribeCluster on resource: {arn}",
                403,
            )
        return self._account.call_moto("eks", signer.region, signer.key_id, path=f"/clusters/{quote(name)}")
