"""Read from an HTTP request which AWS operation it calls, with what, and write AWS's error answers.

Faults, holds and the journal speak of `cloudformation DeleteStack`, as a person does; only this module
knows how each AWS protocol puts that on the wire.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

_SCOPE = re.compile(
    r"Credential=(?P<key>[^/,\s]+)/\d+/(?P<region>[^/,\s]*)/(?P<service>[^/,\s]+)/aws4_request"
)

# (method, has a key in the path, the query parameter that decides) -> operation, first match wins.
_S3_OPERATIONS: tuple[tuple[str, bool, str, str], ...] = (
    ("GET", False, "versions", "ListObjectVersions"),
    ("GET", False, "uploads", "ListMultipartUploads"),
    ("GET", False, "list-type", "ListObjectsV2"),
    ("GET", False, "location", "GetBucketLocation"),
    ("POST", False, "delete", "DeleteObjects"),
    ("PUT", False, "versioning", "PutBucketVersioning"),
    ("GET", False, "versioning", "GetBucketVersioning"),
    ("HEAD", False, "", "HeadBucket"),
    ("PUT", False, "", "CreateBucket"),
    ("DELETE", False, "", "DeleteBucket"),
    ("GET", False, "", "ListObjects"),
    ("PUT", True, "", "PutObject"),
    ("GET", True, "", "GetObject"),
    ("HEAD", True, "", "HeadObject"),
    ("DELETE", True, "", "DeleteObject"),
)


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


class Request(NamedTuple):
    """An HTTP request; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One AWS call: `service` and `operation` in AWS's own spelling (`s3`, `DeleteObjects`)."""

    service: str
    operation: str
    region: str
    params: Mapping[str, Any] = field(default_factory=dict)


def read_call(request: Request) -> Call:
    """Return what is called. An unknown call is named `METHOD /path`."""
    method, path, query, headers, body = request
    scope = _SCOPE.search(headers.get("authorization", ""))
    service = scope["service"].lower() if scope else ""
    region = scope["region"] if scope else "us-east-1"
    target = headers.get("x-amz-target", "")
    if target:
        params = json.loads(body or b"{}")
        return Call(service=service, operation=target.rpartition(".")[2], region=region, params=params)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded") and method == "POST":
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        return Call(service=service, operation=form.pop("Action", ""), region=region, params=form)
    if service in {"", "s3"}:
        return _s3_call(method, path, query, region)
    return Call(service=service, operation=f"{method} {path}", region=region)


def _s3_call(method: str, path: str, query: str, region: str) -> Call:
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    arguments = dict(parse_qsl(query, keep_blank_values=True))
    params: dict[str, Any] = {**arguments, **({"Bucket": bucket} if bucket else {})}
    if key:
        params["Key"] = key
    if not bucket:
        return Call(service="s3", operation="ListBuckets", region=region, params=params)
    for wanted, keyed, decides, operation in _S3_OPERATIONS:
        if wanted == method and keyed == bool(key) and (not decides or decides in arguments):
            return Call(service="s3", operation=operation, region=region, params=params)
    return Call(service="s3", operation=f"{method} {path}", region=region, params=params)


def error_answer(call: Call, status: int, code: str, message: str) -> Answer:
    """Return status, headers and body of an error in the protocol that the call used."""
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if call.service == "s3":
        body = f"<?xml version='1.0'?>{error}"
    elif call.service == "ec2":
        body = f"<Response><Errors>{error}</Errors><RequestID>closeout</RequestID></Response>"
    elif call.service in {"cloudformation", "sts", "iam", "sns", "rds"}:
        body = f"<ErrorResponse>{error}<RequestId>closeout</RequestId></ErrorResponse>"
    else:
        text = json.dumps({"__type": code, "message": message})
        return status, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}, text.encode()
    return status, {"Content-Type": "text/xml"}, body.encode()
