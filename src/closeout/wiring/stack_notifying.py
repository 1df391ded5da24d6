"""Notify people of what needs them, on AWS: one look at the table's problems, for a function that runs each minute.

Each look starts from the table, so the next one makes up for an invocation that is lost or killed. What a target was told is
stored after the message was sent, so a kill in between sends one message again. A URL is read from Secrets Manager when
something is sent to it, so a rotated one is used without a deployment.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from closeout.adapters.boto import boto_client
from closeout.adapters.clock import SystemClock
from closeout.adapters.secrets import SecretReader
from closeout.core.errors import CloseoutError
from closeout.core.ids import split_execution
from closeout.core.messages import Links
from closeout.core.problems import Routes
from closeout.core.redact import Redactor
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ledger.dynamodb.marks import DynamoMarks, Lease
from closeout.ledger.dynamodb.problems import Problems
from closeout.ledger.dynamodb.rows import row_key
from closeout.ledger.dynamodb.table import Table, put
from closeout.patrol.marks import DRILL, LAST, REPORT
from closeout.ports import Clock
from closeout.stack.console import run_log_url
from closeout.stack.problems import LEASE_KEY, PROBLEMS, WATCH, secrets, unpack_routes
from closeout.stack.table import from_item, to_item
from closeout.wiring.notifying import Notifying, Targets, at_once, stale, try_each

LEASE = 130.0
"""Seconds after which an invocation that was killed no longer blocks the next one: it has 120."""
WAIT = 50.0
"""Seconds that a problem waits for others of its cause: with a minute until the next look it is reported within two."""
PATIENCE = 60.0
"""Seconds for which a look begins messages: the last ones have `notifying.SECONDS`, and the invocation has 120."""


@dataclass
class StackNotifying:
    """Notifies people, in one process of the function. It remembers failing targets and retries them at growing intervals."""

    table: Table
    routes: Routes
    targets: Targets
    watch: PatrolWatch
    links: Links
    redactor: Redactor
    clock: Clock
    journal: LogJournal

    def __post_init__(self) -> None:
        self._problems = Problems(self.table)
        self._failing: dict[str, Mapping[str, Any]] = {}
        self._stale: Mapping[str, str | None] = {}
        self._notifying = Notifying(
            self._problems,
            self.routes,
            self.targets.send,
            links=lambda: self.links,
            redact=self.redactor.text,
            now=self.clock.now,
            keep=self._failing.__setitem__,
            stale=lambda: self._stale,
            wait=WAIT,
            patience=PATIENCE,
        )

    def look(self, invocation: str) -> None:
        """Send what is due, unless another invocation is doing so. Raises `StoreUnavailable`."""
        self._stale = self.watch.stale()
        if not any(self._stale.values()) and self._problems.is_empty():
            return
        lease = Lease(self.table, invocation, uuid.uuid4().hex, LEASE_KEY)
        if not lease.take(LEASE):
            return
        try:
            self._notifying.look()
            self._problems.prune()
        finally:
            lease.give_up()
        for target, state in self._failing.items():
            if state:
                self.journal.undelivered(target, state["since"], state["error"])

    def test(self) -> list[dict[str, Any]]:
        """Send a test message to each target; return for each whether it took it, as `closeout notify test --json` does."""
        return [_result(*one) for one in try_each(self.routes, self.targets.send, self.redactor)]

    def check(self) -> list[dict[str, Any]]:
        """Return for each URL whether it can be read and sent to, without sending."""
        works = {target: partial(self.targets.check, target) for target in secrets(self.routes)}
        results = []
        for target, error in at_once(works):
            if error is not None:
                error.message = self.redactor.text(error.message)
            results.append({**_result(target, error), "transient": error is not None and error.transient})
        return results


def _result(target: str, error: CloseoutError | None) -> dict[str, Any]:
    return {
        "notifier": target,
        "ok": error is None,
        "code": error.code if error else None,
        "error": error.message if error else None,
    }


class PatrolWatch:
    """What patrol's function left in the table, and whether it is late: the function itself may have stopped.

    `settings` are the deployed intervals, JSON. What patrol missed before they were deployed does not count.
    """

    def __init__(self, table: Table, settings: str, now: Callable[[], float]) -> None:
        self._table = table
        self._marks = DynamoMarks(table)
        self._text = settings
        self._settings: Mapping[str, float | None] = json.loads(settings)
        self._now = now

    def stale(self) -> dict[str, str | None]:
        """Return by name why something is stale. Raises `StoreUnavailable`."""
        every = {"logs": self._settings.get("deliveries"), "lists": self._settings.get("state")}
        rounds = self._marks.marks(REPORT, "lists", "logs")
        ended_at = {kind: float(one["ended_at"]) for kind, one in rounds.items()}
        drill: Mapping[str, Any] = {}
        if self._settings.get("drill") is not None:
            drill = self._marks.marks(DRILL).get(LAST, {})
        return stale(every, ended_at, drill.get("states", {}), started=self._started, now=self._now())

    @cached_property
    def _started(self) -> float:
        """Return since when the intervals apply. The table stores it, because a process of a function does not live on."""
        row = next((from_item(one) for one in self._table.query(PROBLEMS, WATCH)), {})
        since = float(row["since"]) if row.get("patrol") == self._text else None
        if since is None:
            since = self._now()
            key = {"pk": PROBLEMS, "sk": WATCH}
            self._table.change(put(to_item({**key, "patrol": self._text, "since": since})))
        return since


def open_stack_notifying(
    client: Callable[[str], Any],
    environment: Mapping[str, str] = os.environ,
    *,
    topics: Callable[[str], Any] | None = None,
    clock: Clock | None = None,
) -> StackNotifying:
    """Compose from a Lambda's environment. `client` returns a service's client, `topics` SNS's of a region."""
    region, clock, redactor = environment["AWS_REGION"], clock or SystemClock(), Redactor()
    table = Table(client("dynamodb"), environment["CLOSEOUT_TABLE"], now=clock.now)
    group = environment["CLOSEOUT_LOG_GROUP"]

    def page(execution: str) -> str | None:
        try:
            row = table.get(row_key(execution))
        except CloseoutError:
            return None
        if row is None:
            return None
        return run_log_url(region, group, split_execution(execution)[0], from_item(row)["accepted_at"])

    def secrets_client(of: str | None) -> Any:
        return client("secretsmanager") if of == region else boto_client("secretsmanager", of)

    # Without this process's environment: only URLs in Secrets Manager may be read here.
    reader = SecretReader({}, client=secrets_client, region=region, now=clock.now, on_value=redactor.add)
    return StackNotifying(
        table,
        unpack_routes(environment["CLOSEOUT_NOTIFY"]),
        Targets(lambda: reader, redactor.add, topics),
        PatrolWatch(table, environment.get("CLOSEOUT_PATROL", "{}"), clock.now),
        links=Links(page, None, f" --stack {environment['CLOSEOUT_STACK']}"),
        redactor=redactor,
        clock=clock,
        journal=LogJournal(clock, redactor.text),
    )
