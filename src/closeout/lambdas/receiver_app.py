"""The receiver on AWS: it verifies, stores and answers the requests of API Gateway, and starts the runs.

It makes the same decisions as on one machine (`closeout.intake`), with the standard library alone, because GitHub waits for
a cold start. `tests/architecture` limits what this module may import.
"""

from __future__ import annotations

import binascii
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from closeout.core.errors import BadDelivery, CloseoutError, SecretError, StoreUnavailable, Unauthorized
from closeout.core.rules import read_rules
from closeout.core.secrets import TTL, CachedSecret
from closeout.intake import answers, headers
from closeout.intake.answers import Answer
from closeout.intake.receiver import Receiver
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.lambdas.secret import WebhookSecret

Event: TypeAlias = Mapping[str, Any]
"""API Gateway's proxy event of a REST API:
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html"""


LATER = 2 * TTL
"""Seconds after a read of the secret in which the next read waits until the delivery is stored. After that, no environment
accepts a leaked value that was replaced twice."""


class ReceiverApp:
    """One Lambda environment's receiver; it lives as long as the environment does, and serves one request at a time."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        aws: AwsClient | None = None,
        *,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
        log: Callable[[str], None] = print,
    ) -> None:
        with open(f"{environment.get('LAMBDA_TASK_ROOT', '.')}/rules.json", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes 3 ms to import
            rules = file.read()
        self._now = now
        self._log = log
        self._aws = aws or AwsClient(environment, now=now, pause=pause)
        self._reference = environment["CLOSEOUT_WEBHOOK_SECRET"]
        self._kept: CachedSecret | None = None
        self._read_at = 0.0
        self._due: Callable[[], None] | None = None
        self._receiver = Receiver(*read_rules(rules), self._keys)
        self._ledger = DeliveryWriter(self._aws, Destination.of(environment), pause)

    def answer(self, event: Event) -> dict[str, Any]:
        """Return API Gateway's answer to its event. Never raises; every outcome is one line in the log."""
        began = time.perf_counter()
        self._aws.begin()
        about: dict[str, Any] = {}
        try:
            said = self._decide(event, about)
        except CloseoutError as error:
            about["reason"] = error.why if isinstance(error, Unauthorized) else error.message
            said = answers.refused(error)
        except Exception as error:  # noqa: BLE001 - the edge: every error is logged and not sent
            about["reason"] = f"{type(error).__name__}: {error}"
            said = answers.FAILED
        self._read_due()
        self._say(said, about, time.perf_counter() - began)
        return {
            "statusCode": said.status,
            "headers": dict((*answers.HEADERS, *answers.MORE.get(said.status, ()))),
            "body": said.body.decode(),
            "isBase64Encoded": False,
        }

    def _decide(self, event: Event, about: dict[str, Any]) -> Answer:
        headers.check_method(str(event.get("httpMethod")))
        checked = headers.check(_headers(event))
        body = _body(event)
        self._verify(checked, body)
        decision = self._receiver.decide(checked, body, self._now())
        delivery = decision.delivery
        if delivery is None:
            return answers.PONG
        about |= {"guid": delivery.guid, "event": delivery.event, "repository": delivery.repository}
        accepted = self._ledger.accept(delivery, decision.runs)
        about |= {"delivery": accepted.delivery, "runs": list(accepted.runs)}
        return answers.accepted(accepted)

    def _verify(self, checked: Mapping[bytes, bytes], body: bytes) -> None:
        """Check the signature; if it does not match, read the secret again (at most once a second) and check once more."""
        try:
            self._receiver.verify(checked, body)
        except Unauthorized:
            self._read_due()
            if not self._secret().refresh():
                raise
            self._receiver.verify(checked, body)

    def _keys(self) -> tuple[bytes, ...]:
        return self._secret().keys()

    def _secret(self) -> CachedSecret:
        """Return the secret, which the first request reads. While it cannot be read, every delivery gets 503."""
        if self._kept is None:
            try:
                self._kept = CachedSecret(
                    (self._reference,),
                    WebhookSecret(self._aws, self._now),
                    report=lambda text: self._log(_line("warning", {"text": text})),
                    now=self._now,
                    tick=self._now,  # a monotonic clock may stand still while the environment is frozen
                    start=self._later,
                )
                self._read_at = self._now()
            except SecretError as error:
                raise StoreUnavailable(error.message) from None
        return self._kept

    def _later(self, read: Callable[[], None]) -> None:
        """Postpone a read of the secret until the delivery is stored, because a hanging secret store must not use up its time.

        Read at once if the last read was long ago, so that a replaced value expires in time.
        """
        if self._now() - self._read_at < LATER:
            self._due = read
            return
        read()
        self._read_at = self._now()

    def _read_due(self) -> None:
        due, self._due = self._due, None
        if due is not None:
            due()
            self._read_at = self._now()

    def _say(self, said: Answer, about: Mapping[str, Any], seconds: float) -> None:
        level = "error" if said.status >= 500 else "info"
        line = {"outcome": said.outcome, "status": said.status, "ms": round(seconds * 1000, 1), **about}
        self._log(_line(level, line))


def _headers(event: Event) -> list[tuple[bytes, bytes]]:
    """Return all headers as pairs, with names in lower case, so that a signature that was sent twice is noticed."""
    several = event.get("multiValueHeaders")
    if several:
        pairs = [(name, value) for name, values in several.items() for value in values]
    else:
        pairs = list((event.get("headers") or {}).items())
    return [(name.lower().encode(), value.encode("utf-8", "surrogatepass")) for name, value in pairs]


def _body(event: Event) -> bytes:
    """Return the bytes that were signed. Raises `BadDelivery` if they are declared as base64 and are not."""
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return bytes(body.encode("utf-8", "surrogatepass"))
    try:
        return binascii.a2b_base64(body, strict_mode=True)
    except ValueError:
        raise BadDelivery("the body is not base64") from None


def _line(level: str, about: Mapping[str, Any]) -> str:
    return json.dumps({"level": level, **about}, separators=(",", ":"))
