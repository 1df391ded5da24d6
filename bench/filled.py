"""A ledger that has already taken a million deliveries: what the receiver and the lists make of it.

It is filled by SQL past the product's own code, since what counts is its size and not how it came about: bodies as
large as real ones are when compressed, GUIDs in no order, one finished run each, and for the newest tenth of the
runs the operations too.
"""

import os
import shutil
import sqlite3
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load import Requests, example_body, paced
from bench.receivers import CLOSEOUT, closeout_with
from bench.servers import Server
from bench.tools import WORK
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.bodies import pack

OPERATIONS = (
    "begin",
    "pending",
    "delete-stack-1/plan",
    "delete-stack-1/delete",
    "delete-stack-1/end",
    "final",
)
ROWS = {
    "empty_p99_ms": "ack p99 ms at 200/s, empty ledger",
    "full_p99_ms": "ack p99 ms at 200/s, full ledger",
    "p99_ratio": "full by empty",
    "list_ms": "50 newest runs with their steps, ms (median of 20 reads)",
    "command_ms": "`closeout runs list --limit 50 --json`, ms, the start of Python included",
    "start_ms": "start of the server on the full ledger to the first 2xx, ms",
    "megabytes": "the file, MB",
}


class _Clock:
    def now(self) -> float:
        return time.time()


def measure(*, deliveries: int, rate: float, seconds: float, rounds: int) -> dict[str, Any]:
    """Fill a ledger and measure it and an empty one in turn."""
    folder = WORK / "full"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "ledger.db"
    try:
        print(f"filling a ledger with {deliveries:,} deliveries", flush=True)
        fill(path, deliveries)
        figures: list[dict[str, float]] = []
        for number in range(rounds):
            print(f"round {number + 1}/{rounds}: full ledger", flush=True)
            empty, _ = _p99(None, rate, seconds)
            full, start = _p99(path, rate, seconds)
            figures.append(
                {
                    "empty_p99_ms": empty,
                    "full_p99_ms": full,
                    "p99_ratio": full / empty,
                    "start_ms": start,
                    **_lists(path),
                }
            )
        medians = {key: statistics.median(one[key] for one in figures) for key in figures[0]}
        medians["megabytes"] = path.stat().st_size / 1e6
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "method": (
            f"{deliveries:,} deliveries with bodies of a real size, a finished run each, {len(OPERATIONS)} operations "
            "for each of the newest tenth. The receiver is the whole server, as above."
        ),
        "rows": ROWS,
        "figures": medians,
        "rounds": figures,
        "budgets": {"p99_ratio": medians["p99_ratio"], "list_ms": medians["list_ms"]},
    }


def fill(path: Path, deliveries: int) -> None:
    """Create a ledger at `path` that holds so many deliveries and runs."""
    Ledger(path, clock=_Clock()).open().close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO definition (id, text) VALUES (1, '{}')")
    body, size = pack(example_body()), len(example_body())
    began = time.time() - deliveries
    connection.executemany(
        "INSERT INTO delivery (id, hook, guid, event, action, repository, number, form, size, received_at, origin)"
        " VALUES (?, '1', ?, 'pull_request', 'closed', 'acme/shop', ?, 0, ?, ?, 'github')",
        ((number, _guid(number), number, size, began + number) for number in range(1, deliveries + 1)),
    )
    connection.executemany(
        "INSERT INTO body (delivery, bytes) VALUES (?, ?)",
        ((number, body) for number in range(1, deliveries + 1)),
    )
    connection.executemany(
        "INSERT INTO run (number, run_id, attempt, automation, definition, delivery, guid, queue_timeout, accepted_at,"
        " state, started_at, verdict, summary, finished_at)"
        " VALUES (?, ?, 1, 'preview-cleanup', 1, ?, ?, 86400, ?, 'finished', ?, 'success', 'deleted 1', ?)",
        (
            (
                number,
                f"{number:026d}",
                number,
                _guid(number),
                began + number,
                began + number,
                began + number + 60,
            )
            for number in range(1, deliveries + 1)
        ),
    )
    connection.executemany(
        "INSERT INTO operation (run, name, position, kind, state, result, tries, started_at, ended_at)"
        " VALUES (?, ?, ?, 'record', 'ok', ?, 1, ?, ?)",
        _operations(deliveries, began),
    )
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    os.sync()  # else the disk would still be writing these gigabytes while fsyncs are timed


def _guid(number: int) -> str:
    """A GUID in no order, the same for the same number."""
    return str(uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128))


def _operations(deliveries: int, began: float) -> Iterator[tuple[Any, ...]]:
    end = '{"state": "success", "summary": "deleted", "left": [], "reason": null}'
    plan = '{"changes": []}'
    results = {"delete-stack-1/end": end, "delete-stack-1/plan": plan}
    for run in range(deliveries - deliveries // 10 + 1, deliveries + 1):
        for position, name in enumerate(OPERATIONS, 1):
            yield run, name, position, results.get(name, "null"), began + run, began + run + 1


def _p99(ledger: Path | None, rate: float, seconds: float) -> tuple[float, float]:
    """Milliseconds: the ack's p99, and the start to the first 2xx. None is an empty ledger."""
    body = example_body()
    server = Server(closeout_with(ledger), WORK / "server")
    try:
        start = server.first_answer(Requests(body).next())
        paced(server.port, body, rate, 1)
        latencies = sorted(paced(server.port, body, rate, seconds))
        return latencies[int(len(latencies) * 0.99)] * 1e3, start * 1e3
    finally:
        server.stop()


def _lists(path: Path) -> dict[str, float]:
    views = Views(path)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        views.runs(limit=50)
        times.append(time.perf_counter() - began)
    command = [str(CLOSEOUT), "runs", "list", "--db", str(path), "--limit", "50", "--json"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {"list_ms": statistics.median(times) * 1e3, "command_ms": (time.perf_counter() - began) * 1e3}
