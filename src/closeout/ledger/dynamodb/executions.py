"""Schedule and record executions for the engine on AWS: its `RemoteStore` over DynamoDB.

The caller advances a run's state. The difference is written on the condition that the run has not changed since
it was read, so that a second invocation of the same execution stores nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from closeout.core.closing import KEPT_DAYS
from closeout.core.errors import LedgerError, NotFound, UsageError
from closeout.core.ids import parse_execution
from closeout.core.runs import RunState
from closeout.core.units import DAY
from closeout.ledger.dynamodb import rows
from closeout.ledger.dynamodb.bodies import Bodies
from closeout.ledger.dynamodb.problems import Problems
from closeout.ledger.dynamodb.table import Action, Table, delete, put
from closeout.ports import (
    AcceptedRun,
    ClaimStatus,
    Clock,
    Doubt,
    Execution,
    Loaded,
    Operation,
    RunRecord,
    WakeUp,
)
from closeout.stack import table as layout
from closeout.stack.deployed import definition_digest
from closeout.stack.table import Item, from_item, to_item

HOLDER = layout.holder_key("")["sk"]["S"]
SEEN_AHEAD = 4
"""Items of a key's partition that are read to find the execution ahead."""
MINE = "execution = :me"
CHANGED = "its payload, its definition or its event is not what it was when the run began"


class Executions:
    """The executions in one table. `retention_days` is how long a finished run is kept; no run may take longer than that."""

    def __init__(self, table: Table, bodies: Bodies, clock: Clock, *, retention_days: float) -> None:
        self._table = table
        self.bodies = bodies
        self._clock = clock
        self._retention = retention_days * DAY
        self._problems = Problems(table)

    def look(self, execution: str) -> RunRecord | None:
        """Read the record of an execution, consistently; None if there is none with this name."""
        row = self.row(execution)
        return rows.run_record(row) if row else None

    def read(self, execution: str) -> RunRecord | None:
        """Read the record of an execution with the data that was accepted, consistently, in one request."""
        try:
            run_id, attempt = parse_execution(execution)
        except UsageError:
            return None
        # The definition sorts before the operations that earlier releases stored next to it.
        last = f"{layout.operation_prefix(attempt)}~"
        first = layout.attempt_key(run_id, attempt)["sk"]["S"]
        items = list(self._table.query(layout.run_partition(run_id), first, upto=last))
        row = next((from_item(item) for item in items if item["sk"]["S"] == first), None)
        if row is None:
            return None
        own = [item for item in items if item["sk"]["S"].startswith(layout.record_prefix(attempt))]
        definition = rows.recorded(item for item in own if "definition" in item).definition
        earlier = any("definition" not in item for item in own)
        return rows.run_record(row, AcceptedRun(row["delivery"], definition, earlier))

    def row(self, execution: str) -> dict[str, Any] | None:
        """Read the plain values of an execution's row, consistently; None if there is none with this name."""
        try:
            found = self._table.get(rows.row_key(execution))
        except UsageError:
            return None
        return from_item(found) if found else None

    def ahead(self, record: RunRecord) -> str | None:
        """Return the execution of the last ticket before its own, else the lock holder; None if it is its turn."""
        if record.key is None:
            return None
        own = self._ticket(record, record.key)["sk"]["S"]
        # Read its own ticket, the holder's (anywhere in the queue) and one more. The holder's item sorts before all tickets.
        found = list(
            self._table.query(
                layout.key_partition(record.key), HOLDER, upto=own, newest_first=True, limit=SEEN_AHEAD
            )
        )
        named = [str(from_item(item)["execution"]) for item in found]
        if found and found[-1]["sk"]["S"] == HOLDER:
            holder: str | None = named.pop()
        else:  # more tickets than were read, or the key is free
            holder = self._holder(record.key) if len(found) == SEEN_AHEAD else None
        if holder == record.execution:
            return None
        return next((name for name in named if name not in (record.execution, holder)), holder)

    def first(self, key: str) -> str | None:
        """Return the execution that has a key, or else gets it first."""
        return self._holder(key) or self._first_ticket(key)

    def next_in_line(self, key: str) -> str | None:
        """Return the execution whose turn it is now; None while another one holds the key."""
        first = self._first_ticket(key)
        return None if first is None or self._holder(key) else first

    def listen(self, execution: str, wake_up: WakeUp) -> None:
        """Store how to wake an execution."""
        values = {**wake_up._asdict(), "expires": int(wake_up.until + self._retention)}
        key = layout.wake_up_key(*parse_execution(execution))
        self._table.change(put(key | to_item(values)))

    def wake_up(self, execution: str) -> WakeUp | None:
        """Return how to wake an execution; None if it never waited on a callback."""
        found = self._table.get(layout.wake_up_key(*parse_execution(execution)))
        if found is None:
            return None
        row = from_item(found)
        return WakeUp(row["callback"], float(row["until"]))

    def clear(self, key: str, execution: str) -> None:
        """Remove the ticket and the lock of an execution that has finished, or no longer exists."""
        for ticket in self._table.query(layout.key_partition(key), "ticket#"):
            if from_item(ticket)["execution"] == execution:
                self._table.change(delete({"pk": ticket["pk"], "sk": ticket["sk"]}))
        self._table.change(delete(layout.holder_key(key), MINE, {":me": execution}))

    def take(self, found: RunRecord, taken: RunRecord, *, hold: bool, leave: bool) -> bool:
        """Replace `found` by `taken`; with `hold` also take the key, with `leave` give up the ticket."""
        actions = [rows.row_update(found, taken.run, holder=taken.fencing_token)]
        if hold and taken.key is not None:
            holder = layout.holder_key(taken.key) | to_item({"execution": taken.execution})
            actions.append(put(holder, f"{layout.NEW} OR {MINE}", {":me": taken.execution}))
        if leave and taken.key is not None:
            actions.append(delete(self._ticket(taken, taken.key)))
        if not self._table.write(actions):
            return True
        now = self.look(found.execution)  # an earlier try may have been written and its answer lost
        return now is not None and now.fencing_token == taken.fencing_token

    def load(self, record: RunRecord) -> Loaded:
        """Return an execution with everything that it has recorded, and whether it can be trusted.

        If a part was lost, or was changed since the run began, `Execution.unreadable` says so. Raises `LedgerError` if
        all of it is lost.
        """
        run_id, attempt = parse_execution(record.execution)
        accepted = record.accepted
        if accepted is None:
            raise ValueError("load needs a record that `read` returned")
        found, sealed, packed, known = self._table.get_all(
            (
                rows.row_key(record.execution),
                layout.seal_key(run_id, attempt),
                layout.body_key(accepted.delivery),
                layout.known_key(definition_digest(accepted.definition or "")),
            )
        )
        if found is None:
            raise LedgerError(f"the execution {record.execution} is no longer in the ledger")
        row = from_item(found)
        body, lost = self._body(accepted.delivery, packed)
        if accepted.definition is None:
            lost = "its definition has expired, or was removed"
        execution = Execution(
            id=record.execution,
            run_id=run_id,
            attempt=attempt,
            automation=row["automation"],
            definition=accepted.definition or "",
            event_name=row["event"],
            delivery=row["delivery"],
            guid=row["guid"],
            hook=row["hook"],
            body=body,
            accepted_at=record.accepted_at,
            queue_expired=record.run.turn == "expired",
            unreadable=lost,
        )
        seal, status = rows.seal_of(execution), _status(row, record)
        if sealed is None:  # it is stored with the first operation
            doubt = self._doubt(execution, known, earlier=accepted.earlier)
            return Loaded(execution, (), seal, doubt, status)
        if lost is None and from_item(sealed)["seal"] != seal:
            execution = execution._replace(unreadable=CHANGED)
        return Loaded(execution, self._recorded(run_id, attempt).operations, None, None, status)

    def _doubt(self, execution: Execution, known: Item | None, *, earlier: bool) -> Doubt | None:
        """Return why a run that has recorded nothing must not begin with the stored data."""
        if execution.unreadable is not None:
            return None
        if known is None or from_item(known).get("expires", math.inf) <= self._clock.now():
            return "unknown"
        return "earlier" if earlier else None

    def recorded(self, run_id: str, attempt: int) -> tuple[str | None, list[Operation]]:
        """Return an attempt's definition, None if it is gone, and what it recorded, in order of position: for people.

        Records of an earlier release are stored next to the definition, where an invocation does not trust them.
        """
        earlier = rows.recorded(
            self._table.query(layout.run_partition(run_id), layout.record_prefix(attempt))
        )
        recorded = self._recorded(run_id, attempt)
        return earlier.definition, recorded.operations if recorded.seal else earlier.operations

    def _recorded(self, run_id: str, attempt: int) -> rows.Recorded:
        return rows.recorded(
            self._table.query(layout.record_partition(run_id), layout.record_prefix(attempt))
        )

    def heartbeat(self, record: RunRecord) -> ClaimStatus:
        """Return whether this invocation still has the execution, and whether a cancel was requested."""
        return _status(self.row(record.execution), record)

    def save(
        self,
        record: RunRecord,
        after: RunState,
        operations: Sequence[Operation] = (),
        seal: str | None = None,
    ) -> bool:
        """Store the run's state with its operations and the seal, in one transaction."""
        actions = [rows.row_update(record, after, same_cancel=bool(operations))]
        expires = int(self._clock.now() + 2 * self._retention)  # what a run recorded outlives its row
        actions += [put(rows.operation_item(record.execution, one, expires)) for one in operations]
        if operations and seal is not None:
            sealed = rows.seal_item(record.execution, seal, expires)
            actions.append(put(sealed, f"{layout.NEW} OR seal = :seal", {":seal": seal}))
        return not self._table.write(actions)

    def finish(
        self,
        record: RunRecord,
        after: RunState,
        execution: Execution | None = None,
        operations: Sequence[Operation] = (),
    ) -> bool:
        """Store a run's end with its effect on problems, and give up its ticket and its key, in one transaction."""
        expires = int(self._clock.now() + self._retention)
        lifetime: dict[str, Any] = {"expires": expires}
        if record.closing is not None and self._retention < KEPT_DAYS * DAY:
            # While the row exists, a further delivery of the closing cannot start the run again. Lists hide it earlier.
            lifetime = {"expires": int(self._clock.now() + KEPT_DAYS * DAY), "shown_until": expires}
        actions: list[Action] = [rows.row_update(record, after, **lifetime)]
        actions += self._problems_at_end(record, after, execution, operations)
        key = record.key
        if key is not None:
            actions.append(delete(self._ticket(record, key)))
            if self._holder(key) == record.execution:
                actions.append(delete(layout.holder_key(key), MINE, {":me": record.execution}))
        if not self._table.write(actions):
            return True
        now = self.look(record.execution)  # as in `take`
        return now is not None and now.run.state == "finished" and now.fencing_token == record.fencing_token

    def _problems_at_end(
        self,
        record: RunRecord,
        after: RunState,
        execution: Execution | None,
        operations: Sequence[Operation],
    ) -> list[Action]:
        automation = (
            execution.automation if execution else (self.row(record.execution) or {}).get("automation")
        )
        if automation is None:
            return []
        return self._problems.at_end(record, after, execution, operations, str(automation))

    def _body(self, delivery: str, packed: Item | None) -> tuple[bytes, str | None]:
        """Return a delivery's payload, or why it is gone. Raises `StoreUnavailable`."""
        try:
            return self.bodies.unpacked(delivery, packed), None
        except (NotFound, LedgerError) as error:
            return b"", error.message

    def _holder(self, key: str) -> str | None:
        found = self._table.get(layout.holder_key(key))
        return str(from_item(found)["execution"]) if found else None

    def _first_ticket(self, key: str) -> str | None:
        tickets = self._table.query(layout.key_partition(key), "ticket#", limit=1)
        return next((str(from_item(ticket)["execution"]) for ticket in tickets), None)

    def _ticket(self, record: RunRecord, key: str) -> Item:
        return layout.ticket_key(key, record.accepted_at, record.execution)


def _status(row: Mapping[str, Any] | None, record: RunRecord) -> ClaimStatus:
    """Return whether the current row is still the record's."""
    mine = row is not None and row.get("holder") == record.fencing_token and row["state"] == record.run.state
    return ClaimStatus(mine, row.get("cancel") if row else None)
