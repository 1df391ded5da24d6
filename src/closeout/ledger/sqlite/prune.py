"""Remove old deliveries with their runs, operations and logs, in small batches.

Each batch is one job of the writer, so a new delivery waits for at most one small transaction.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from functools import partial

from closeout.ledger.sqlite.deliveries import DeliveryWriter
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Writer


def prune(writer: Writer, cutoff: float, closings: float, credentials: float) -> dict[str, int]:
    """Remove deliveries received before `cutoff` (seconds since the epoch) that no run needs; return how many rows were removed.

    The closings of removed runs are kept until `closings`, because GitHub's lists contain old closings, too, and a forgotten
    one would start a run again. Sessions and tokens that ended before `credentials` are removed, too.
    """
    total = Counter({"deliveries": 0, "runs": 0, "log lines": 0})
    after: int | None = 0
    while after is not None:
        batch, after = writer.run_with_deliveries(partial(_batch, after=after, cutoff=cutoff))
        total.update(batch)
    writer.run_with_deliveries(partial(_rest, cutoff=cutoff, closings=closings, credentials=credentials))
    return dict(total)


def _batch(
    connection: sqlite3.Connection, deliveries: DeliveryWriter, after: int, cutoff: float
) -> tuple[Counter[str], int | None]:
    rows = connection.execute(SQL["prunable"], (after, cutoff, cutoff, cutoff)).fetchall()
    if not rows:
        return Counter(), None
    # Ids are never reused, because people keep them in links and notes.
    for name, highest in zip(("highest-delivery", "highest-run"), deliveries.position(), strict=True):
        connection.execute(SQL["put_setting"], (name, str(highest).encode()))
    removed = Counter({"deliveries": len(rows)})
    for delivery, guid in rows:
        removed["log lines"] += connection.execute(SQL["prune_logs"], (guid,)).rowcount
        connection.execute(SQL["remember_closings"], (guid,))
        connection.execute(SQL["prune_operations"], (guid,))
        removed["runs"] += connection.execute(SQL["prune_runs"], (guid,)).rowcount
        connection.execute(SQL["prune_body"], (delivery,))
        connection.execute(SQL["prune_delivery"], (delivery,))
    return removed, rows[-1][0]


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
    connection.execute(SQL["prune_notifications"])
