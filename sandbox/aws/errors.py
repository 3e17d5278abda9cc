"""AWS's refusals, as its two protocols write them: STS (query) and EKS (rest-json)."""

from __future__ import annotations

import json
from uuid import uuid4
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class AwsError(Exception):
    """A refusal with the code, words and status that AWS itself uses."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def query_answer(error: AwsError, *, as_json: bool) -> Response:
    """What STS answers; JSON for callers that accept only that, as the EKS token's verifier does."""
    request_id = str(uuid4())
    if as_json:
        told = {"Error": {"Type": "Sender", "Code": error.code, "Message": error.message}, "RequestId": request_id}
        return Response(json.dumps(told), error.status, content_type="application/json")
    body = (
        f'<ErrorResponse xmlns="{_STS_NAMESPACE}">'
        f"<Error><Type>Sender</Type><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(body, error.status, content_type="text/xml")


def rest_answer(error: AwsError) -> Response:
    """What EKS answers."""
    return Response(
        json.dumps({"message": error.message}),
        error.status,
        headers={"x-amzn-ErrorType": error.code, "x-amzn-RequestId": str(uuid4())},
        content_type="application/json",
    )
