"""Store a delivery with its runs and start them, between the receiver's check of the signature and its answer.

One transaction stores delivery, body, runs and tickets. Then each run is started by its name and marked as started. A crash
in between leaves a run that is stored and not started. The same delivery again starts it, and so does the same event through
another hook, because Lambda starts an execution of one name only once.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

from closeout.core.errors import ServiceError, StoreUnavailable
from closeout.core.ids import execution_id, run_id
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.clients import DynamoDb
from closeout.stack import closings, table

DAY = 86_400
LEVEL = 3
"""zlib's level: a pull request's 24 KB become 4 KB in a quarter of a millisecond."""
ATTEMPTS = 5
"""Tries of one transaction, which fails if another one touches the same key at the same time."""
PASSING = frozenset(("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"))
"""Reasons for a canceled transaction that may succeed if it is tried again at once."""
STARTED = "DurableExecutionAlreadyStartedException"


class Destination(NamedTuple):
    """The names of the resources that deliveries are written to."""

    table: str
    bucket: str
    worker: str
    """ARN of the worker's alias."""
    keep_days: float
    """How long a delivery is kept."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read them from the function's environment."""
        return cls(
            environment["CLOSEOUT_TABLE"],
            environment["CLOSEOUT_BUCKET"],
            environment["CLOSEOUT_WORKER"],
            float(environment["CLOSEOUT_RETENTION_DAYS"]),
        )


class DeliveryWriter:
    """Writes deliveries into the ledger. Every method raises `StoreUnavailable`; the delivery can then be sent again."""

    def __init__(self, aws: AwsClient, destination: Destination, pause: Callable[[float], None]) -> None:
        self._aws = aws
        self._dynamo: Any = DynamoDb(aws)
        self._destination = destination
        self._pause = pause

    def accept(self, delivery: NewDelivery, runs: Sequence[NewRun]) -> Accepted:
        """Store and start. A stored delivery is not stored again, but its runs that were not started are started."""
        try:
            accepted = self._store(delivery, tuple(runs))
        except ServiceError as error:
            raise StoreUnavailable(error.message) from None
        self._start_all(accepted.started)
        return accepted

    # --- the transaction --------------------------------------------------------------------------------------

    def _store(self, delivery: NewDelivery, runs: tuple[NewRun, ...]) -> Accepted:
        """Store the delivery with its new runs; nothing if the delivery exists already."""
        name = table.delivery_id(delivery.hook, delivery.guid)
        if len(runs) > table.MOST_RUNS:
            raise StoreUnavailable(
                f"one delivery starts {len(runs)} runs; {table.MOST_RUNS} can be stored at once"
            )
        packed = self._pack(delivery, name)
        expires = int(delivery.received_at + self._destination.keep_days * DAY)
        former = self._former(delivery.guid, runs) if delivery.closing else {}
        runs = tuple(run for run in runs if run.automation not in former)
        known = tuple(former.values())
        for tries in range(ATTEMPTS):
            items = table.acceptance(delivery, runs, known, packed, expires)
            listed = (*known, *(run.run_id for run in runs))
            until = table.expiry_after(delivery.received_at, expires)
            items += closings.closing_items(delivery._asdict(), name, listed, until)
            taken = self._transact(items)
            if taken is None:
                ids = tuple(run.run_id for run in runs)
                idle = tuple(run for run in known if self._not_started(run))
                duplicate = bool(known) and not ids
                return Accepted(
                    name, known + ids, duplicate, tuple(execution_id(run, 1) for run in idle + ids)
                )
            if 0 in taken:
                return self._repeated(name)
            if taken:
                there = {run.run_id: self._owner(run.run_id) for run in runs}
                known = (*known, *(owner for owner in there.values() if owner))
                runs = tuple(run for run in runs if not there[run.run_id])
            else:
                self._pause(0.05 * 2**tries)
        raise StoreUnavailable(
            "other writes cancelled the transaction that stores the delivery again and again"
        )

    def _pack(self, delivery: NewDelivery, name: str) -> bytes | None:
        """Compress the body; one that is too large for the table goes into the bucket first."""
        packed = zlib.compress(delivery.body, LEVEL)
        if len(packed) <= table.LARGEST_BODY:
            return packed
        self._aws.put_object(self._destination.bucket, table.object_name(name), packed)
        return None

    def _transact(self, items: Sequence[table.Item]) -> frozenset[int] | None:
        """Store new items and return None. Otherwise return the positions of those that exist already; none on a conflict.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
        """
        puts = [
            {"Put": {"TableName": self._destination.table, "Item": item, **_condition(item)}}
            for item in items
        ]
        try:
            self._dynamo.transact_write_items(TransactItems=puts, ClientRequestToken=os.urandom(16).hex())
        except ServiceError as error:
            if error.reason != "TransactionCanceledException":
                raise
            reasons = (error.details or {}).get("CancellationReasons") or []
            codes = [str(reason.get("Code")) for reason in reasons]
            there = frozenset(place for place, code in enumerate(codes) if code == "ConditionalCheckFailed")
            passing = {"None", "ConditionalCheckFailed", *PASSING}
            if not codes or not passing.issuperset(codes):
                raise
            return there
        return None

    # --- existing items ---------------------------------------------------------------------------------------

    def _repeated(self, name: str) -> Accepted:
        """Answer a delivery that is stored already, and find its runs that were not started."""
        found = self._get(table.delivery_key(name), {"#r": "runs"})
        if found is None:
            raise StoreUnavailable("the delivery is stored already and cannot be read")
        runs = tuple(str(run) for run in found.get("runs", ()))
        return Accepted(
            name, runs, True, tuple(execution_id(run, 1) for run in runs if self._not_started(run))
        )

    def _former(self, guid: str, runs: tuple[NewRun, ...]) -> dict[str, str]:
        """Return the runs of an event that an earlier release named after its GUID: run ids by automation.

        Through another hook, the event must find them under that name.
        """
        names = {run.automation: run_id(guid, run.automation) for run in runs}
        return {automation: name for automation, name in names.items() if self._owner(name)}

    def _owner(self, run_id: str) -> str | None:
        """Return the run of this id, or the one that has its closing; None if there is none."""
        found = self._get(table.attempt_key(run_id, 1), {"#e": "execution", "#o": "owner"})
        return None if found is None else str(found.get("owner") or run_id)

    def _not_started(self, run_id: str) -> bool:
        found = self._get(table.attempt_key(run_id, 1), {"#m": "started", "#s": "state"})
        return found is not None and not found.get("started") and found.get("state") == "queued"

    def _get(self, key: table.Item, names: Mapping[str, str]) -> dict[str, Any] | None:
        """Read some attributes of an item, consistently; None if it does not exist."""
        item = self._dynamo.get_item(
            TableName=self._destination.table,
            Key=key,
            ConsistentRead=True,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        ).get("Item")
        return None if item is None else table.from_item(item)

    # --- the start --------------------------------------------------------------------------------------------

    def _start_all(self, executions: Sequence[str]) -> None:
        """Start every run, even if the start of another one fails."""
        failed: list[ServiceError] = []
        for execution in executions:
            try:
                self._start(execution)
            except ServiceError as error:
                failed.append(error)
        if failed:
            raise StoreUnavailable(
                f"the delivery is stored, and {len(failed)} of its runs could not be started ({failed[0].message});"
                " sent again, it starts them"
            )

    def _start(self, execution: str) -> None:
        """Start a run by its name, then mark it. If the mark fails, a later start by that name does nothing."""
        arn = None
        try:
            worker = self._destination.worker
            name = table.durable_name(worker, execution)
            arn = self._aws.invoke(worker, table.worker_event(execution), name)
        except ServiceError as error:
            if error.reason != STARTED:
                raise
        with suppress(ServiceError):
            self._dynamo.update_item(
                TableName=self._destination.table, **table.marked_started(execution, arn)
            )


def _condition(item: table.Item) -> dict[str, str]:
    condition = closings.condition(item)
    return {} if condition is None else {"ConditionExpression": condition}
