"""Call AWS with the standard library: signed by `stack.sigv4`, over persistent connections.

For the receiver, and for a run's calls before `pending` (`lambdas.clients`). A call is tried again if its connection broke or
the service was busy, until the deadline of its request, even if a server answers slowly, because GitHub waits only ten
seconds. Every call is idempotent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any, NamedTuple

from closeout.adapters.deadline import DeadlineConnection
from closeout.core.errors import ServiceError
from closeout.core.threads import background
from closeout.stack import sigv4

WITHIN = 7.0
"""Seconds in which all calls of one request end, including retries."""
TRY = 3.0
"""The most seconds for one try: connection, request and answer."""
IDLE = 30.0
"""Seconds after which an idle connection is not used again, because a frozen environment does not notice that it was closed."""
PAUSES = (0.05, 0.2, 0.6)
BROKEN = (OSError, http.client.HTTPException, ValueError)
"""Errors of a connection that breaks, takes too long, or returns something other than HTTP."""
_BUSY = frozenset(
    (
        "InternalServerError",
        "InternalFailure",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ServiceException",
        "SlowDown",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    )
)


class Response(NamedTuple):
    """A successful answer."""

    status: int
    body: bytes
    headers: Message
    """Looked up by name, ignoring case."""


class Call(NamedTuple):
    """One request, before it is signed."""

    service: str
    host: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class AwsClient:
    """Signs and sends. `environment` is Lambda's: region, credentials, and `AWS_ENDPOINT_URL` for an emulator.

    Servers are verified with the machine's certificates, or with those of `AWS_CA_BUNDLE`, as every AWS SDK does. Without
    `begin` it is safe to use from several threads: a call takes the idle connection, and the next one opens another.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._environment = environment
        self._region = environment.get("AWS_REGION") or environment["AWS_DEFAULT_REGION"]
        self._now = now
        self._pause = pause
        self._until: float | None = None
        self._open: dict[str, tuple[DeadlineConnection, float]] = {}
        self._opening: dict[str, threading.Thread] = {}
        scheme, _, rest = environment.get("AWS_ENDPOINT_URL", "").partition("://")
        self._endpoint = rest.rstrip("/") or None
        # Only an explicit `http://HOST` is unencrypted, so calls to AWS itself never are.
        plain = scheme == "http" and self._endpoint is not None
        bundle = environment.get("AWS_CA_BUNDLE") or None
        self._context = None if plain else ssl.create_default_context(cafile=bundle)

    def connect_ahead(self, *services: str) -> None:
        """Connect in threads. A call waits for its connection, and opens another one if that failed."""
        for host in {self._host(service) for service in services}:
            thread = background(f"connect-{host}", self._connect, host)
            self._opening[host] = thread
            thread.start()

    def _connect(self, host: str) -> None:
        connection = DeadlineConnection(host, self._context, time.monotonic() + TRY)
        with contextlib.suppress(*BROKEN):  # the call that needs it tries again, and reports what is wrong
            connection.connect()
            self._open[host] = connection, self._now()

    def begin(self) -> None:
        """Start the time limit that all calls of one request share. Without it each call has its own."""
        self._until = self._now() + WITHIN

    def json_call(self, service: str, target: str, body: Mapping[str, Any], version: str = "1.0") -> Any:
        """Call an operation of a JSON service (`DynamoDB_20120810.GetItem`); return its decoded answer.

        Raises `ServiceError`, whose `reason` is AWS's code and `details` the error's decoded body.
        """
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        text = json.dumps(body, separators=(",", ":")).encode()
        return json.loads(self.send(Call(service, self._host(service), "POST", "/", headers, text)).body)

    def invoke(self, function: str, payload: bytes, execution: str) -> str | None:
        """Start a durable execution by name, without waiting for it; return its ARN. Raises `ServiceError`.

        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        """
        path = f"/2015-03-31/functions/{sigv4.encode(function)}/invocations"
        headers = {
            "content-type": "application/json",
            "x-amz-invocation-type": "Event",
            "x-amz-durable-execution-name": execution,
        }
        answer = self.send(Call("lambda", self._host("lambda"), "POST", path, headers, payload))
        return answer.headers.get("x-amz-durable-execution-arn")

    def put_object(self, bucket: str, name: str, body: bytes) -> None:
        """Put an object into a bucket. Raises `ServiceError`."""
        path = "/" + sigv4.encode(name, "/")
        host = f"{bucket}.{self._host('s3')}"
        if self._endpoint:
            host, path = self._endpoint, f"/{bucket}{path}"
        self.send(Call("s3", host, "PUT", path, {"content-type": "application/octet-stream"}, body))

    def send(self, call: Call) -> Response:
        """Send a call, repeatedly if that may help. Raises `ServiceError`."""
        until = self._now() + WITHIN if self._until is None else self._until
        for pause in (*PAUSES, None):
            left = until - self._now()
            if left <= 0:
                raise _error(call, "the time for the request is over", transient=True)
            try:
                return self._once(call, time.monotonic() + min(TRY, left))
            except ServiceError as error:
                if pause is None or not error.transient or self._now() + pause > until:
                    raise
            self._pause(pause)
        raise AssertionError("the last try either returns an answer or raises")

    def _once(self, call: Call, deadline: float) -> Response:
        headers = {"host": call.host, **call.headers}
        headers |= sigv4.sign(
            sigv4.Request(call.method, call.path, headers, call.body),
            self._credentials(),
            service=call.service,
            region=self._region,
            at=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now())),
        )
        try:
            answer = self._exchange(call, headers, deadline)
        except BROKEN as error:
            raise _error(call, type(error).__name__, transient=True) from None
        if answer.status >= 300:
            raise _refusal(call, answer.status, answer.headers.get("x-amzn-errortype", ""), answer.body)
        return answer

    def _exchange(self, call: Call, headers: Mapping[str, str], deadline: float) -> Response:
        """Send over the idle connection or a new one; if the idle one turns out to be dead, also over a new one at once."""
        kept = self._take(call.host, deadline)
        if kept is not None:
            with contextlib.suppress(
                *BROKEN
            ):  # it says nothing about the service, so it does not count as a try
                return self._over(kept, call, headers, deadline)
        return self._over(DeadlineConnection(call.host, self._context, deadline), call, headers, deadline)

    def _take(self, host: str, deadline: float) -> DeadlineConnection | None:
        """Return the open connection to a host, if it can still be used."""
        opening = self._opening.pop(host, None)
        if opening is not None:
            # Half of the time, so that one that hangs does not use up the try, which then opens another.
            opening.join(max(0.0, (deadline - time.monotonic()) / 2))
        connection, since = self._open.pop(host, (None, 0.0))
        if connection is None:
            return None
        if 0.0 <= self._now() - since < IDLE and not connection.dropped():
            return connection
        connection.close()
        return None

    def _over(
        self, connection: DeadlineConnection, call: Call, headers: Mapping[str, str], deadline: float
    ) -> Response:
        connection.deadline = deadline
        try:
            connection.request(call.method, call.path, call.body, headers)
            answer = connection.getresponse()
            response = Response(answer.status, answer.read(), answer.headers)
        except BaseException:
            connection.close()
            raise
        if answer.status < 200:  # such as 103: the answer itself is still to come
            connection.close()
            raise http.client.UnknownProtocol(str(answer.status))
        if not answer.will_close:
            self._open[call.host] = connection, self._now()
        return response

    def _host(self, service: str) -> str:
        if self._endpoint:
            return self._endpoint
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        return f"{service}.{self._region}.{suffix}"

    def _credentials(self) -> sigv4.Credentials:
        """Read the role's keys for each call: Lambda's environment has those of this sandbox."""
        environment = self._environment
        return sigv4.Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN") or None,
        )


def _refusal(call: Call, status: int, kind: str, body: bytes) -> ServiceError:
    """Return the error for an answer. Each AWS protocol has its code in another place: a header, JSON or XML."""
    try:
        details = json.loads(body)
    except ValueError:
        details = None
    details = details if isinstance(details, dict) else {}
    in_xml = body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
    code = kind.partition(":")[0] or str(details.get("__type", "")).rpartition("#")[2] or in_xml
    transient = status >= 500 or status == 429 or code in _BUSY
    return _error(call, code[:100] or f"HTTP{status}", transient=transient, details=details)


def _error(call: Call, reason: str, *, transient: bool, details: Any = None) -> ServiceError:
    operation = call.headers.get("x-amz-target", f"{call.method} {call.service}").rpartition(".")[2]
    error = ServiceError(
        f"{call.service} {operation} failed: {reason}",
        service=call.service,
        operation=operation,
        reason=reason,
        transient=transient,
    )
    error.details = details
    return error
