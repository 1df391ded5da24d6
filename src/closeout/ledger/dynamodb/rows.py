"""Convert items of runs and operations to the values that engines and views use, and back.

Pure. The fencing token of an invocation is the attribute `holder` of a run's row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from closeout.core.ids import parse_execution
from closeout.core.runs import RunState
from closeout.ledger.dynamodb.table import Action, update
from closeout.ports import AcceptedRun, Execution, Operation, RunRecord
from closeout.stack.table import Item, attempt_key, from_item, operation_key, seal_key, to_item

_TIMES = ("started_at", "wake", "ended_at", "finished_at")
_ROW_NAMES = {"#state": "state", "#holder": "holder"}


def run_state(row: Mapping[str, Any]) -> RunState:
    """Return the state of a run from the plain values of its row."""
    return RunState(**_fields(RunState, row))


def run_record(row: Mapping[str, Any], accepted: AcceptedRun | None = None) -> RunRecord:
    """Return the record of a run: its state, and the other data for an invocation."""
    return RunRecord(
        execution=row["execution"],
        run=run_state(row),
        key=row.get("key"),
        accepted_at=float(row["accepted_at"]),
        queue_timeout=float(row["queue_timeout"]),
        started=bool(row.get("started")),
        fencing_token=row.get("holder"),
        accepted=accepted,
        closing=row.get("closing"),
        event=f"{row.get('event')}.{row.get('action')}",
    )


def row_key(execution: str) -> Item:
    """Return the key of an execution's row. Raises `UsageError` if this is not an execution's name."""
    return attempt_key(*parse_execution(execution))


def row_update(found: RunRecord, after: RunState, *, same_cancel: bool = False, **also: Any) -> Action:
    """Return the write of a run's changes since `found`, on the condition that token and state are still as found.

    With `same_cancel`, a new request to cancel fails the condition, too. `also` are further attributes. Without changes, it
    only checks the condition.
    """
    before = found.run._asdict()
    changes = {name: value for name, value in after._asdict().items() if value != before[name]} | also
    condition, values = same(found)
    names = _ROW_NAMES
    if same_cancel:
        names = {**_ROW_NAMES, "#cancel": "cancel"}
        asked = found.run.cancel
        condition += " AND " + ("attribute_not_exists(#cancel)" if asked is None else "#cancel = :asked")
        values |= {} if asked is None else {":asked": asked}
    return update(row_key(found.execution), changes, condition, values, names)


def same(found: RunRecord) -> tuple[str, dict[str, Any]]:
    """Return the condition (over #state and #holder) that a run has not changed since it was found, and its values."""
    values: dict[str, Any] = {":was": found.run.state}
    if found.fencing_token is None:
        return "#state = :was AND attribute_not_exists(#holder)", values
    return "#state = :was AND #holder = :fence", {**values, ":fence": found.fencing_token}


def operation_item(execution: str, operation: Operation, expires: int) -> Item:
    """Return the item of an operation. `expires` is in seconds since the epoch."""
    values = {**operation._asdict(), "expires": expires}
    return operation_key(*parse_execution(execution), operation.name) | to_item(values)


class Recorded(NamedTuple):
    """The items of one attempt at a run, in one of its two partitions."""

    definition: str | None
    seal: str | None
    operations: list[Operation]
    """In order of position."""


def recorded(items: Iterable[Item]) -> Recorded:
    """Read the items of one attempt, in any order."""
    definition: str | None = None
    seal: str | None = None
    operations: list[Operation] = []
    for row in map(from_item, items):
        if "definition" in row:
            definition = row["definition"]
        elif "seal" in row:
            seal = row["seal"]
        else:
            operations.append(_operation(row))
    return Recorded(definition, seal, sorted(operations, key=lambda operation: operation.position))


def seal_of(execution: Execution) -> str:
    """Return a digest of the accepted data, by which a run detects that the data was changed after it began."""
    fixed = (execution.automation, execution.event_name, execution.delivery, execution.guid, execution.hook)
    parts = [*map(str, fixed), *map(_sha256, (execution.definition.encode(), execution.body))]
    return _sha256(json.dumps(parts).encode())


def seal_item(execution: str, seal: str, expires: int) -> Item:
    """Return the item of a seal. `expires` is in seconds since the epoch."""
    return seal_key(*parse_execution(execution)) | to_item({"seal": seal, "expires": expires})


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _operation(row: Mapping[str, Any]) -> Operation:
    unknown: dict[str, Any] = {"result": None, "wake": None, "ended_at": None}
    return Operation(**unknown | _fields(Operation, row))


def _fields(kind: type[RunState | Operation], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields in a row, with times as floats, because whole numbers are read as integers."""
    found = {name: row[name] for name in kind._fields if name in row}
    return found | {name: float(found[name]) for name in _TIMES if name in found}
