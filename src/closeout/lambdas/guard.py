"""`GET /guard` on AWS: the entry of a function that only reads, for workflows that deploy previews.

It has a bundle of its own, because verifying a workflow's token needs PyJWT and cryptography, which neither the receiver nor
the worker needs. Every error is answered with a status other than 200.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from closeout.adapters.clock import SystemClock
from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError, ServiceError, Unavailable
from closeout.core.redact import Redactor
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.clients import DynamoDb, SecretsManager
from closeout.ledger.dynamodb.deployed import DynamoDeployed
from closeout.ledger.dynamodb.table import Table
from closeout.ledger.dynamodb.teardowns import teardowns
from closeout.run import guard
from closeout.wiring.clients import SharedClients
from closeout.wiring.stack_rechecks import RecheckStarts
from closeout.wiring.workflow_guard import WorkflowGuard

Event: TypeAlias = Mapping[str, Any]
"""API Gateway's proxy event of a REST API:
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html"""
HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
FAILED = {
    "error": CloseoutError.code,
    "message": "closeout failed unexpectedly; its log has the error. Do not deploy.",
}


def answer(
    event: Event, ask: Callable[[str, int], guard.Answer], log: Callable[[str], None] = print
) -> dict[str, Any]:
    """Return API Gateway's answer to its event. Never raises; every outcome is one line in the log.

    `ask` returns the answer to (token, number), as `WorkflowGuard.ask` does.
    """
    began = time.perf_counter()
    try:
        asked = _question(event)
        status, body = guard.answered(ask(asked.token, asked.number))
        outcome, reason = body["verdict"], body["reason"]
    except CloseoutError as error:
        status, body = guard.refused(error)
        outcome, reason = error.code, error.message
    except Exception as error:  # noqa: BLE001 - the edge: no error means "open"
        status, body = 500, FAILED
        # Omit the error's text, because it may quote the token.
        outcome, reason = CloseoutError.code, type(error).__name__
    level = "error" if status == 500 else "info"
    ms = round((time.perf_counter() - began) * 1000, 1)
    line = {"level": level, "outcome": outcome, "status": status, "ms": ms, "reason": reason}
    log(json.dumps(line, separators=(",", ":")))
    return {"statusCode": status, "headers": HEADERS, "body": json.dumps(body), "isBase64Encoded": False}


def _question(event: Event) -> guard.GuardRequest:
    headers = (event.get("multiValueHeaders") or {}).items()
    authorization = [value for name, values in headers if name.lower() == "authorization" for value in values]
    query = event.get("multiValueQueryStringParameters") or {}
    return guard.read_question(str(event.get("httpMethod")), authorization, query.get(guard.NUMBER) or ())


def open_guard(
    environment: Mapping[str, str] = os.environ, log: Callable[[str], None] = print
) -> WorkflowGuard:
    """Compose from the function's environment."""
    clock, aws = SystemClock(), AwsClient(environment)
    aws.connect_ahead("dynamodb", "secretsmanager")
    table = Table(DynamoDb(aws), environment["CLOSEOUT_TABLE"], now=clock.now)
    deployed = DynamoDeployed(table)

    def automations() -> Iterable[Automation]:
        found = deployed.read()
        if found is None:
            raise Unavailable("the stack does not say which configuration it runs; deploy it again")
        return found.automations.values()

    def warn(text: str) -> None:
        log(json.dumps({"level": "warning", "text": text}, separators=(",", ":")))

    def recheck_now(repository: str, number: int) -> None:
        try:
            rechecks.recheck_now(repository, number)
        except ServiceError as error:  # the answer stays "closed", and the planned rechecks still follow
            warn(f"{repository}#{number} is not rechecked now: {error.message}")

    rechecks = RecheckStarts(aws.invoke, environment["CLOSEOUT_RECHECKS"], clock.now, warn)
    clients = SharedClients(
        clock,
        Redactor().add,
        api_url=environment["CLOSEOUT_API_URL"],
        token_reference=f"aws-secretsmanager:{environment['CLOSEOUT_GITHUB_SECRET']}",
        region=environment["AWS_REGION"],
        directory=Path(),
        secrets_client=lambda _region: SecretsManager(aws),
    )
    return WorkflowGuard(
        automations,
        clients,
        lambda repository, number: teardowns(table, repository, number),
        api_url=environment["CLOSEOUT_API_URL"],
        audience=lambda: environment["CLOSEOUT_PUBLIC_URL"],
        clock=clock,
        late=recheck_now,
    )


@cache
def own_guard() -> WorkflowGuard:
    """Return this environment's guard, while its connections to AWS are being made."""
    return open_guard()


# Lambda gives an environment more processor time while it starts than during an invocation.
if "CLOSEOUT_PUBLIC_URL" in os.environ:
    own_guard()


def handler(event: Event, context: object) -> dict[str, Any]:
    """Answer one request. Lambda sets the variables that the start needs; without them there is no guard."""
    del context
    return answer(event, own_guard().ask)
