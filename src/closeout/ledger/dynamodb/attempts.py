"""Further attempts at a run, and further runs of a stored delivery, for reruns and replays; and cancels.

A stack has no server to take a request. The process that makes it writes the row and starts the execution by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from closeout.core import ids, runs
from closeout.core.closing import KEPT_DAYS
from closeout.core.errors import LedgerError, StoreUnavailable
from closeout.core.ids import execution_id, parse_execution, split_execution
from closeout.core.records import NewRun
from closeout.core.units import DAY
from closeout.ledger.dynamodb import rows
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.table import Action, Table, put, update
from closeout.ledger.dynamodb.teardowns import last_attempt
from closeout.ports import Clock, DeliveryId, WakeUp
from closeout.stack import table as layout
from closeout.stack.closings import closing_items, condition
from closeout.stack.table import Item, from_item

TRIES = 10
"""Times that a row is read and written again because an invocation changed it in between."""


class InLambda(NamedTuple):
    """The durable execution in Lambda that currently carries out an execution of ours."""

    number: int
    """See `stack.table.execution_name`."""
    arn: str | None
    """None if it was not started, or its start was not stored."""


class Attempts:
    """`ports.Attempts` over one table. It starts nothing: see `starts.LambdaStarts`."""

    def __init__(self, table: Table, store: Executions, clock: Clock) -> None:
        self._table = table
        self._store = store
        self._clock = clock

    def find(self, target: str) -> str | None:
        """Return the execution that `target` names: itself, or the latest attempt of a run id."""
        run_id, attempt = split_execution(target)
        if attempt is not None:
            return target if self._store.look(target) else None
        row = last_attempt(self._table, run_id)
        return row["execution"] if row else None

    def cancel(self, execution: str, by: str) -> bool:
        """Ask an execution to end early; False if it is unknown or finished."""
        for _ in range(TRIES):
            found = self._store.look(execution)
            if found is None or found.run.state == "finished":
                return False
            after = runs.advance(found.run, runs.CancelAsked(by))
            asked = update(
                rows.row_key(execution),
                {"cancel": after.cancel},
                "#state = :was",
                {":was": found.run.state},
                {"#state": "state"},
            )
            if self._table.change(asked):
                return True
        raise StoreUnavailable(f"{execution} changes faster than a cancel can be written; try again")

    def is_started(self, execution: str) -> bool:
        """Return whether the row says that the execution was started."""
        found = self._store.look(execution)
        return found is not None and found.started

    def unstarted(self, since: float, before: float) -> list[tuple[str, float]]:
        """Return the executions accepted from `since` to `before` that wait and were never started, with these times.

        The list of runs is read from its newest down to `since`, and not as a whole: it holds a month of runs.
        """
        found = []
        for row in map(from_item, self._table.listed(layout.RUNS)):
            execution, at = str(row["execution"]), float(row["accepted_at"])
            if at < since:
                break
            if row["state"] == "queued" and at <= before and not self.is_started(execution):
                found.append((execution, at))
        return found

    def mark_started(self, execution: str, arn: str | None, number: int) -> None:
        """Store an execution's start and its ARN in Lambda. Do nothing if a later durable execution continues it."""
        self._table.change({"Update": layout.marked_started(execution, arn, number)})

    def in_lambda(self, execution: str) -> InLambda:
        """Return the durable execution that currently carries out an execution."""
        row = self._store.row(execution) or {}
        return InLambda(int(row.get("continued", 0)), row.get("arn"))

    def is_current(self, execution: str, name: str, arn: str) -> bool:
        """Return whether the durable execution of this name and ARN currently carries out the execution."""
        current = self.in_lambda(execution)
        if current.arn is not None and arn:
            return layout.execution_place(current.arn) == layout.execution_place(arn)
        return layout.without_stack(name) == layout.execution_name(execution, current.number)

    def wake_up(self, execution: str) -> WakeUp | None:
        """Return how to wake an execution that waits for its turn; None if it never waited."""
        return self._store.wake_up(execution)

    def continue_after(self, execution: str, number: int) -> int:
        """Raise the stored number to `number` + 1, unless it is higher. Return the number of the next durable execution."""
        counted = update(
            rows.row_key(execution),
            {"continued": number + 1, "arn": None},
            "attribute_exists(pk) AND (attribute_not_exists(continued) OR continued <= :number)",
            {":number": number},
        )
        return number + 1 if self._table.change(counted) else self.in_lambda(execution).number

    def new_attempt(
        self,
        run_id: str,
        definition: str,
        requested_by: str,
        *,
        key: str | None,
        queue_timeout: float,
        request: int | None = None,
        delivery: DeliveryId | None = None,
    ) -> str:
        """Store the next attempt at a run and return its execution. Raises `LedgerError` if it cannot have one."""
        del request
        row = last_attempt(self._table, run_id)
        if row is None:
            raise LedgerError(f"there is no run {run_id} in this ledger")
        if delivery is not None:
            row |= self._instead(str(delivery))
        at = self._clock.now()
        expires = None
        if "expires" in row:
            until = row.get("shown_until", row["expires"])
            expires = self._keep(row["delivery"], at, until - row["finished_at"])
        last = parse_execution(row["execution"])[1]
        new = NewRun(run_id, row["automation"], key, definition, queue_timeout)
        items = layout.run_items(
            new,
            row,
            row["delivery"],
            attempt=last + 1,
            accepted_at=at,
            expires=expires,
            requested_by=requested_by,
        )
        # The rows of its closing may have expired since.
        items += closing_items({**row, "received_at": at}, row["delivery"], (run_id,), expires)
        unlisted = update(
            layout.attempt_key(run_id, last),
            {"list": None, "at": None},
            "#state = :over",
            {":over": "finished"},
            {"#state": "state"},
        )
        if self._table.write([*_new(items), unlisted], token=False):
            raise LedgerError(f"run {run_id} has not finished, or its next attempt was asked for just now")
        return execution_id(run_id, last + 1)

    def claim_closing(self, closing: str, run_id: str, owner: str) -> str:
        """Assign a closing to a run that learned it while it runs; return the run that has it (see `ports.Attempts`)."""
        expires = int(self._clock.now() + KEPT_DAYS * DAY)
        self._table.change(put(layout.claim_item(run_id, owner, expires), layout.NEW))
        item = self._table.get(layout.attempt_key(run_id, 1))
        if item is None:
            raise StoreUnavailable(f"the claim of a closing for run {owner} cannot be read")
        there = str(from_item(item).get("owner") or run_id)
        if there == owner:
            self._table.change(
                update(layout.attempt_key(owner, 1), {"closing": closing}, "attribute_exists(pk)")
            )
        return there

    def add_runs(
        self, delivery: DeliveryId, new_runs: Sequence[NewRun], requested_by: str
    ) -> tuple[str, ...]:
        """Store runs for a delivery that is stored already, for a replay that matches more than the delivery did."""
        name = str(delivery)
        found = self._table.get(layout.delivery_key(name))
        if found is None:
            raise LedgerError(f"there is no delivery {name} in this ledger")
        row = from_item(found)
        at = self._clock.now()
        expires = self._keep(name, at, row["expires"] - row["received_at"]) if "expires" in row else None
        started = []
        for run in new_runs:
            if run.run_id not in row["runs"] and ids.run_id(row["guid"], run.automation) in row["runs"]:
                continue  # An earlier release named it after the GUID.
            items = layout.run_items(
                run, row, name, accepted_at=at, expires=expires, requested_by=requested_by
            )
            items += closing_items(row, name, (run.run_id,), expires)
            if not self._table.write(_new(items), token=False):
                started.append(run.run_id)
        if started:
            self._tell(name, started)
        return tuple(execution_id(run_id, 1) for run_id in started)

    def _keep(self, delivery: str, at: float, seconds: float) -> int:
        """Keep a delivery and its body for at least `seconds` from `at` on: a run reads them to its end.

        Return when the items of a run that is accepted now may expire.
        """
        self._store.bodies.renew(delivery)
        expires = int(at + seconds)
        for key in (layout.delivery_key(delivery), layout.body_key(delivery)):
            self._table.change(update(key, {"expires": expires}, "expires < :expires", {":expires": expires}))
        return layout.expiry_after(at, expires)

    def _tell(self, delivery: str, run_ids: Sequence[str]) -> None:
        """Add runs to those that a delivery lists."""
        values = layout.to_item({":none": [], ":more": list(run_ids)})
        self._table.change(
            {
                "Update": {
                    "Key": layout.delivery_key(delivery),
                    "UpdateExpression": "SET #runs = list_append(if_not_exists(#runs, :none), :more)",
                    "ConditionExpression": "attribute_exists(pk)",
                    "ExpressionAttributeNames": {"#runs": "runs"},
                    "ExpressionAttributeValues": values,
                }
            }
        )

    def _instead(self, delivery: str) -> dict[str, Any]:
        """Return the values of this delivery for a run's row. Raises `LedgerError` if it does not exist."""
        found = self._table.get(layout.delivery_key(delivery))
        if found is None:
            raise LedgerError(f"there is no delivery {delivery} in this ledger")
        item = from_item(found)
        return {"delivery": delivery, **{name: item.get(name) for name in layout.ABOUT}}


def _new(items: Sequence[Item]) -> list[Action]:
    return [put(item, condition(item)) for item in items]
