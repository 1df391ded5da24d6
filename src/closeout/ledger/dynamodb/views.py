"""Read the ledger for commands: `ports.LedgerReader` over DynamoDB and CloudWatch Logs.

Lists come from an eventually consistent index; single runs and deliveries are read consistently.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from closeout.core.errors import BadFilter
from closeout.core.ids import parse_execution, split_execution
from closeout.core.runs import NO_BASE
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.logs import CloudWatchLogs
from closeout.ledger.dynamodb.table import Table
from closeout.ledger.dynamodb.teardowns import last_attempt, teardowns
from closeout.ledger.views import RunFacts, run_view
from closeout.ports import (
    EVERY_DELIVERY,
    EVERY_RUN,
    UNFINISHED,
    DeliveryFilter,
    DeliveryId,
    DeliveryView,
    LogLine,
    RunFilter,
    RunView,
)
from closeout.stack import table as layout
from closeout.stack.table import Attribute, Item, from_item

AT_ONCE = 8
"""Runs of a list whose operations are read concurrently."""
_FACTS = RunFacts._fields
_RANGE_AND_WORDS = ("since", "until", "search")
END_OF_TIME = 1e11
"""Seconds: later than any time, with the number of digits in a listing."""
_TIMES = ("accepted_at", "started_at", "finished_at")


class Views:
    """Reads one ledger, from any thread and any process. Raises `StoreUnavailable` when DynamoDB does not answer."""

    def __init__(self, table: Table, store: Executions, logs: CloudWatchLogs) -> None:
        self._table = table
        self._store = store
        self._logs = logs

    def runs(self, limit: int | None = None, wanted: RunFilter = EVERY_RUN) -> list[RunView]:
        """Return runs, the newest first, each as its latest attempt; all of them without `limit`.

        Raises `BadFilter` for words, because no index contains them.
        """
        if wanted.phrases:
            raise BadFilter(
                "the ledger of a stack has no index of words; filter by repository, automation or verdict"
            )

        def hidden(item: Item) -> bool:
            asked = wanted.verdict != "skipped" and _checked_bases_only(item)
            ended = wanted.state == UNFINISHED and item["state"]["S"] == "finished"
            return asked or ended or _outside(item["accepted_at"], wanted)

        listed = self._table.listed(
            layout.RUNS,
            equal=_equal(wanted),
            between=_between(wanted),
            limit=limit,
            hidden=hidden,
        )
        now = self._table.now()
        found = [row for row in map(from_item, listed) if row.get("shown_until", now) >= now]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda row: self._run_view(row, full=False), found))

    def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
        """Return one run with its plans: by default its latest attempt. Accepts an execution's name, too."""
        row = self._row(run_id, attempt)
        return self._run_view(row, full=True) if row else None

    def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the ids of runs that begin with `beginning`, in alphabetical order: at most `limit`. Scans the list of runs."""
        begins = {"execution": beginning}
        found = map(from_item, self._table.listed(layout.RUNS, begins=begins, limit=limit))
        return sorted(split_execution(row["execution"])[0] for row in found)

    def logs(
        self, run_id: str, attempt: int | None = None, after: int = 0, limit: int | None = None
    ) -> list[LogLine]:
        """Return a run's log lines with an id over `after`, in order. Raises `ServiceError`."""
        row = self._row(run_id, attempt)
        if row is None:
            return []
        since = max(float(row["accepted_at"]), after / 1_000_000)
        lines = self._logs.lines(split_execution(row["execution"])[0], row["execution"], since)
        return [line for line in lines if line.id > after][:limit]

    def deliveries(
        self, limit: int | None = None, wanted: DeliveryFilter = EVERY_DELIVERY
    ) -> list[DeliveryView]:
        """Return deliveries, the newest first; all of them without `limit`."""
        found = self._table.listed(
            layout.DELIVERIES,
            equal=_equal(wanted),
            between=_between(wanted),
            limit=limit,
            hidden=lambda item: _outside(item["received_at"], wanted),
        )
        return [_delivery_view(from_item(item)) for item in found]

    def delivery(self, delivery_id: DeliveryId) -> DeliveryView | None:
        """Return one delivery."""
        found = self._table.get(layout.delivery_key(str(delivery_id)))
        return _delivery_view(from_item(found)) if found else None

    def body(self, delivery_id: DeliveryId) -> bytes:
        """Return a delivery's payload as JSON text. Raises `NotFound`."""
        return self._store.bodies.text(str(delivery_id))

    def teardowns(self, repository: str, number: int) -> list[str]:
        """Return the open executions that the closing of a pull request started, the oldest first."""
        return teardowns(self._table, repository, number)

    def _run_view(self, row: dict[str, Any], *, full: bool) -> RunView:
        run_id, attempt = parse_execution(row["execution"])
        definition, operations = self._store.recorded(run_id, attempt)
        values = {name: row.get(name) for name in _FACTS} | {"id": run_id, "attempt": attempt}
        values["definition"] = definition or ""
        values["origin"] = row.get("origin", "github")  # Items of earlier releases have none.
        values |= {name: float(row[name]) for name in _TIMES if name in row}
        facts = RunFacts._make(values.values())
        execution = row["execution"]

        def behind(key: str) -> str | None:
            first = self._store.first(key)
            return None if first == execution else first

        return run_view(facts, operations, behind, full=full)

    def _row(self, run_id: str, attempt: int | None) -> dict[str, Any] | None:
        name, named = split_execution(run_id)
        wanted = attempt or named
        if wanted is None:
            return last_attempt(self._table, name)
        found = self._table.get(layout.attempt_key(name, wanted))
        return from_item(found) if found and "owner" not in found else None  # such a run never began


def _equal(wanted: RunFilter | DeliveryFilter) -> dict[str, str | int]:
    """Return the attributes of wanted items."""
    given = wanted._asdict().items()
    return {
        name: value
        for name, value in given
        if value is not None and name not in _RANGE_AND_WORDS and (name, value) != ("state", UNFINISHED)
    }


def _between(wanted: RunFilter | DeliveryFilter) -> tuple[str, str] | None:
    """Return the part of a listing with the wanted items, to the millisecond or slightly wider."""
    if wanted.since is None and wanted.until is None:
        return None
    first = layout.listed_at(max(wanted.since or 0.0, 0.001) - 0.001, "")
    last = layout.listed_at(END_OF_TIME if wanted.until is None else wanted.until + 0.001, "")
    return first, last


def _outside(at: Attribute, wanted: RunFilter | DeliveryFilter) -> bool:
    """Return whether a time is not in the wanted range."""
    time = float(at["N"])
    return (wanted.since is not None and time < wanted.since) or (
        wanted.until is not None and time >= wanted.until
    )


def _checked_bases_only(item: Item) -> bool:
    """Return whether a run only checked a pull request's earlier bases, as for most closings into other branches."""
    return bool(item.get("summary", {}).get("S", "").startswith(NO_BASE))


def _delivery_view(row: dict[str, Any]) -> DeliveryView:
    values: dict[str, Any] = {name: row.get(name) for name in DeliveryView._fields}
    values |= {"id": layout.delivery_id(row["hook"], row["guid"]), "runs": tuple(row.get("runs", ()))}
    return DeliveryView(**values | {"received_at": float(row["received_at"])})
