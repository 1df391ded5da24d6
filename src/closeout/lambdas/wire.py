"""Calls to AWS with the standard library: signed by `stack.sigv4`, over connections that are kept.

For the receiver alone. A call is tried again when its connection broke or the service was busy, within a few seconds in
all, however slowly a server answers: GitHub gives a delivery ten. Everything that is tried again is idempotent.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping

from closeout.core.errors import ServiceError
from closeout.core.lean import TYPE_CHECKING, NamedTuple
from closeout.lambdas.connection import Broken, Connection, Response
from closeout.lambdas.trust import Trust
from closeout.stack import sigv4

if TYPE_CHECKING:
    from typing import Any

WITHIN = 7.0
"""Seconds in which the calls of one request may begin, and be tried again, all of them together."""
TRY = 3.0
"""Seconds for one try: connection, request and answer."""
LEAST = 2.0
"""Seconds for a try that begins when less is left: it may hold what was begun, and 9 s are still less than GitHub's 10."""
IDLE = 30.0
"""Seconds after which a kept connection is not used again: a frozen environment does not hear of its end."""
PAUSES = (0.05, 0.2, 0.6)
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


class Answer(NamedTuple):
    """An answer that is no error."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    """Names in lower case."""

    def json(self) -> Any:
        """Decode it."""
        return json.loads(self.body)


class Call(NamedTuple):
    """One request, before it is signed."""

    service: str
    host: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Aws:
    """Signs and sends. `environment` is Lambda's: region, credentials, and `AWS_ENDPOINT_URL` for an emulator."""

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
        self._open: dict[tuple[str, str], tuple[Connection, float]] = {}
        self._coming: dict[tuple[str, str], _Coming] = {}
        scheme, _, rest = environment.get("AWS_ENDPOINT_URL", "").partition("://")
        self._endpoint = (scheme, rest.rstrip("/")) if rest else None
        self._trust = Trust(environment)
        if scheme != "http":
            self._trust.context()  # now, while Lambda gives a starting environment a whole processor

    def connect_ahead(self, *services: str) -> None:
        """Connect while something else is done. A call waits for its connection, and does without one that broke."""
        for service in services:
            place = self._place(self._host(service))
            if place not in self._coming:
                self._coming[place] = _Coming(place, self._trust, self._now)

    def begin(self) -> None:
        """Say that a request begins: its calls share the time. Without it each has its own."""
        self._until = self._now() + WITHIN

    def json_call(self, service: str, target: str, body: Mapping[str, Any], version: str = "1.0") -> Any:
        """Call an operation of a service that speaks JSON (`DynamoDB_20120810.GetItem`); return its decoded answer.

        Raises `ServiceError`, whose `reason` is AWS's code and `details` the error's decoded body.
        """
        headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
        text = json.dumps(body, separators=(",", ":")).encode()
        return self.send(Call(service, self._host(service), "POST", "/", headers, text)).json()

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
            host, path = self._endpoint[1], f"/{bucket}{path}"
        self.send(Call("s3", host, "PUT", path, {"content-type": "application/octet-stream"}, body))

    def send(self, call: Call) -> Answer:
        """Send a call, again if it may help. Raises `ServiceError`."""
        until = self._now() + WITHIN if self._until is None else self._until
        for pause in (*PAUSES, None):
            left = until - self._now()
            if left <= 0:
                raise _error(call, "the time for the request is over", transient=True)
            try:
                return self._once(call, time.monotonic() + min(TRY, max(LEAST, left)))
            except ServiceError as error:
                if pause is None or not error.transient or self._now() + pause > until:
                    raise
            self._pause(pause)
        raise AssertionError("the last try either gives an answer or raises")

    def _once(self, call: Call, until: float) -> Answer:
        headers = {"host": call.host, **call.headers}
        headers |= sigv4.sign(
            sigv4.Request(call.method, call.path, (), headers, call.body),
            self._credentials(),
            service=call.service,
            region=self._region,
            at=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now())),
        )
        try:
            answer = self._exchange(call, headers, until)
        except Broken as error:
            raise _error(call, str(error), transient=True) from None
        if answer.status >= 300:
            raise _refusal(call, answer.status, answer.headers.get("x-amzn-errortype", ""), answer.body)
        return Answer(answer.status, answer.body, answer.headers)

    def _exchange(self, call: Call, headers: Mapping[str, str], until: float) -> Response:
        """Send over the kept connection, or over a new one: at once too when the kept one turns out to be dead."""
        place = self._place(call.host)
        coming = self._coming.pop(place, None)
        kept, since = self._open.pop(place, (None, 0.0)) if coming is None else coming.take(until)
        if kept is not None:
            if 0.0 <= self._now() - since < IDLE and not kept.dropped():
                try:
                    return self._over(kept, place, call, headers, until)
                except Broken:
                    pass  # it says nothing of the service, so it is no try
            kept.close()
        return self._over(Connection(*place, self._trust, until), place, call, headers, until)

    def _over(
        self,
        connection: Connection,
        place: tuple[str, str],
        call: Call,
        headers: Mapping[str, str],
        until: float,
    ) -> Response:
        try:
            answer = connection.ask(call.method, call.path, headers, call.body, until)
        except Broken:
            connection.close()
            raise
        if connection.kept:
            self._open[place] = (connection, self._now())
        else:
            connection.close()
        return answer

    def _place(self, host: str) -> tuple[str, str]:
        return (self._endpoint[0] if self._endpoint else "https", host)

    def _host(self, service: str) -> str:
        if self._endpoint:
            return self._endpoint[1]
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        return f"{service}.{self._region}.{suffix}"

    def _credentials(self) -> sigv4.Credentials:
        """Read the role's keys anew: Lambda's environment has those of this sandbox."""
        environment = self._environment
        return sigv4.Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN") or None,
        )


class _Coming(threading.Thread):
    """A connection that is being made."""

    def __init__(self, place: tuple[str, str], trust: Trust, now: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._place = place
        self._trust = trust
        self._now = now
        self._made: tuple[Connection | None, float] = (None, 0.0)
        self.start()

    def run(self) -> None:
        """Make it."""
        try:
            connection = Connection(*self._place, self._trust, time.monotonic() + TRY)
        except Broken:
            return  # whoever takes it makes another one, and says what is wrong
        self._made = connection, self._now()

    def take(self, until: float) -> tuple[Connection | None, float]:
        """Return it and when it was made, or None if it broke or takes too long; `until` is by `time.monotonic`."""
        self.join(max(0.0, min(LEAST, until - time.monotonic())))
        return self._made


def _refusal(call: Call, status: int, kind: str, body: bytes) -> ServiceError:
    """Make an error of an answer. Each protocol of AWS's has its code in another place: a header, JSON, or XML."""
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
