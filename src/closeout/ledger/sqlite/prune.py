"""Remove old deliveries with their runs, operations and logs, in small batches.

Each batch is one job of the writer, so a new delivery waits for one small transaction at most.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import NamedTuple

from closeout.ledger.sqlite.deliveries import DeliveryWriter
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Writer


class Pruned(NamedTuple):
    """How many rows were removed."""

    deliveries: int = 0
    runs: int = 0
    log_lines: int = 0


def prune(writer: Writer, cutoff: float, closings: float, credentials: float) -> dict[str, int]:
    """Remove deliveries received before `cutoff` (seconds since the epoch) that no run needs; return how many rows were removed.

    That a run had a closing is remembered until `closings`: GitHub's lists tell of old closings too, and a closing that was
    forgotten would be acted upon again. Sessions and tokens that ended before `credentials` are forgotten too.
    """
    total = Pruned()
    after: int | None = 0
    while after is not None:
        batch, after = writer.run_with_deliveries(partial(_batch, after=after, cutoff=cutoff))
        total = Pruned(*(sum(pair) for pair in zip(total, batch, strict=True)))
    writer.run_with_deliveries(partial(_rest, cutoff=cutoff, closings=closings, credentials=credentials))
    return {"deliveries": total.deliveries, "runs": total.runs, "log lines": total.log_lines}


def _batch(
    connection: sqlite3.Connection, deliveries: DeliveryWriter, after: int, cutoff: float
) -> tuple[Pruned, int | None]:
    rows = connection.execute(SQL["prunable"], (after, cutoff, cutoff, cutoff)).fetchall()
    if not rows:
        return Pruned(), None
    # Ids are never reused: people keep them in links and notes.
    for name, highest in zip(("highest-delivery", "highest-run"), deliveries.position(), strict=True):
        connection.execute(SQL["put_setting"], (name, str(highest).encode()))
    runs = log_lines = 0
    for delivery, guid in rows:
        log_lines += connection.execute(SQL["prune_logs"], (guid,)).rowcount
        connection.execute(SQL["remember_closings"], (guid,))
        connection.execute(SQL["prune_operations"], (guid,))
        runs += connection.execute(SQL["prune_runs"], (guid,)).rowcount
        connection.execute(SQL["prune_body"], (delivery,))
        connection.execute(SQL["prune_delivery"], (delivery,))
    return Pruned(len(rows), runs, log_lines), rows[-1][0]


def _rest(
    connection: sqlite3.Connection,
    deliveries: DeliveryWriter,
    cutoff: float,
    closings: float,
    credentials: float,
) -> None:
    connection.execute(SQL["prune_definitions"])
    deliveries.restore(deliveries.position())  # drops the ids of definitions that are gone
    connection.execute(SQL["prune_requests"], (cutoff,))
    connection.execute(SQL["prune_closings"], (closings,))
    connection.execute(SQL["forget_credentials"], {"before": credentials})
    connection.execute(SQL["prune_problems"], (cutoff,))
    connection.execute(SQL["prune_told"])
