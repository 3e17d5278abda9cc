"""EKS: DescribeCluster, for signed requests of principals who may; moto describes the cluster.

Codes are those of AWS's common errors in the rest-json protocol; the words were collected from public issue threads.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from sandbox.aws import sigv4
from sandbox.aws.account import ACCOUNT_ID
from sandbox.aws.errors import AwsError, rest_answer
from sandbox.aws.sigv4 import Problem

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from sandbox.aws.account import Account

_WINDOW = timedelta(minutes=5)
_SIGNATURE_CODES = {
    Problem.MISSING: ("MissingAuthenticationTokenException", 403),
    Problem.INCOMPLETE: ("IncompleteSignatureException", 400),
    Problem.UNKNOWN_KEY: ("UnrecognizedClientException", 403),
    Problem.EXPIRED_KEY: ("ExpiredTokenException", 403),
    Problem.MISMATCH: ("InvalidSignatureException", 403),
}


class EKS:
    """The WSGI side of EKS for one account, in every region alike: the signature names the region."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def answer(self, request: Request) -> Response:
        """The answer to one request."""
        try:
            answer = self._describe_cluster(request)
        except AwsError as error:
            answer = rest_answer(error)
        return answer

    def _describe_cluster(self, request: Request) -> Response:
        try:
            signer = sigv4.verify(request, service="eks", account=self._account, window=_WINDOW)
        except sigv4.SignatureError as error:
            code, status = _SIGNATURE_CODES[error.problem]
            raise AwsError(code, error.message, status) from error
        asked = re.fullmatch(r"/clusters/([^/]+)", request.path)
        if request.method != "GET" or asked is None:
            raise AwsError("UnknownOperationException", "The sandbox's EKS knows DescribeCluster only", 404)
        name = asked[1]
        arn = f"arn:{self._account.partition}:eks:{signer.region}:{ACCOUNT_ID}:cluster/{name}"
        if not self._account.may_describe(signer.key_id, arn):
            raise AwsError(
                "AccessDeniedException",
                f"User: {self._account.arn_of(signer.key_id)} is not authorized to perform: "
                f"eks:DescribeCluster on resource: {arn}",
                403,
            )
        return self._account.ask_moto("eks", signer.region, signer.key_id, path=f"/clusters/{quote(name)}")
