"""Tell people what needs them, on AWS: one look at the table's problems, for a function that a schedule starts each minute.

Each look starts from the table, so an invocation that is lost or killed is made up for by the next one. What a target was told
is stored after the message was sent, so such a kill sends one message again.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from closeout.adapters import sns
from closeout.adapters.clock import SystemClock
from closeout.core.errors import CloseoutError
from closeout.core.ids import split_execution
from closeout.core.messages import Links, Text
from closeout.core.problems import Routes
from closeout.core.redact import Redactor
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ledger.dynamodb.marks import Lease
from closeout.ledger.dynamodb.problems import Problems
from closeout.ledger.dynamodb.rows import row_key
from closeout.ledger.dynamodb.table import Table
from closeout.ports import Clock
from closeout.stack.console import run_log_url
from closeout.stack.problems import LEASE_KEY, unpack_routes
from closeout.stack.table import from_item
from closeout.wiring.notifying import Notifying, try_each
from closeout.wiring.stack_runtime import boto_clients

LEASE = 130.0
"""Seconds after which an invocation that was killed no longer keeps the next one from looking: it has 120."""
WAIT = 50.0
"""Seconds that a problem waits for others of its cause: with a minute until the next look it is told within two."""


class StackNotifying:
    """What one process of the function tells. A target that fails is remembered, and retried ever later, while it lives."""

    def __init__(
        self,
        table: Table,
        routes: Routes,
        send: Callable[[str, Text], None],
        *,
        links: Links,
        redactor: Redactor,
        clock: Clock,
        journal: LogJournal,
    ) -> None:
        self._table = table
        self._problems = Problems(table)
        self._routes = routes
        self._send = send
        self._redactor = redactor
        self._journal = journal
        self._failing: dict[str, Mapping[str, Any]] = {}
        self._notifying = Notifying(
            self._problems,
            routes,
            send,
            links=lambda: links,
            redact=redactor.text,
            now=clock.now,
            keep=self._failing.__setitem__,
            wait=WAIT,
        )

    def look(self, invocation: str) -> None:
        """Send what is due, unless another invocation is about it. Raises `StoreUnavailable`."""
        if self._problems.is_empty():
            return
        lease = Lease(self._table, invocation, uuid.uuid4().hex, LEASE_KEY)
        if not lease.take(LEASE):
            return
        try:
            self._notifying.look()
            self._problems.prune()
        finally:
            lease.give_up()
        for target, state in self._failing.items():
            if state:
                self._journal.undelivered(target, state["since"], state["error"])

    def test(self) -> list[dict[str, Any]]:
        """Send a test message to each target; return for each whether it took it, as `closeout notify test --json` does."""
        return [_result(*one) for one in try_each(self._routes, self._send, self._redactor)]


def _result(target: str, error: CloseoutError | None) -> dict[str, Any]:
    return {
        "notifier": target,
        "ok": error is None,
        "code": error.code if error else None,
        "error": error.message if error else None,
    }


def open_stack_notifying(
    environment: Mapping[str, str] = os.environ,
    *,
    client: Callable[[str], Any] | None = None,
    topics: Callable[[str], Any] = sns.boto_client,
    clock: Clock | None = None,
) -> StackNotifying:
    """Compose from a Lambda's environment. `topics` returns SNS's client of a region."""
    region, clock, redactor = environment["AWS_REGION"], clock or SystemClock(), Redactor()
    made = client or boto_clients(region)
    table = Table(made("dynamodb"), environment["CLOSEOUT_TABLE"], now=clock.now)
    group = environment["CLOSEOUT_LOG_GROUP"]

    def page(execution: str) -> str | None:
        try:
            row = table.get(row_key(execution))
        except CloseoutError:
            return None
        if row is None:
            return None
        return run_log_url(region, group, split_execution(execution)[0], from_item(row)["accepted_at"])

    return StackNotifying(
        table,
        unpack_routes(environment["CLOSEOUT_NOTIFY"]),
        lambda target, text: sns.publish(target, *text, topics),
        links=Links(page, None, f" --stack {environment['CLOSEOUT_STACK']}"),
        redactor=redactor,
        clock=clock,
        journal=LogJournal(clock, redactor.text),
    )
