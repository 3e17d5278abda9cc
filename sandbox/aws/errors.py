"""Error responses of STS (query protocol) and EKS (rest-json protocol)."""

from __future__ import annotations

import json
from uuid import uuid4
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class AwsRequestError(Exception):
    """A request fails with the code, message and status that AWS uses."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def query_error(error: AwsRequestError, *, as_json: bool) -> Response:
    """The error response of STS: XML, or JSON for clients that accept only JSON."""
    request_id = str(uuid4())
    if as_json:
        details = {"Type": "Sender", "Code": error.code, "Message": error.message}
        content = json.dumps({"Error": details, "RequestId": request_id})
        return Response(content, error.status, content_type="application/json")
    body = (
        f'<ErrorResponse xmlns="{_STS_NAMESPACE}">'
        f"<Error><Type>Sender</Type><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(body, error.status, content_type="text/xml")


def rest_error(error: AwsRequestError) -> Response:
    """The error response of EKS."""
    return Response(
        json.dumps({"message": error.message}),
        error.status,
        headers={"x-amzn-ErrorType": error.code, "x-amzn-RequestId": str(uuid4())},
        content_type="application/json",
    )
