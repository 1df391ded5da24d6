"""A ledger of a million runs: how long lists, a story and the overview take, and what their indexes cost at acceptance.

    python -m bench --parts lists

The ledger is filled by SQL past the product's own code, without bodies and operations, since lists read neither; then
the index of words is built as the migration builds it. The filters are those that a person picks on a page, and those that
are worst for an index: two that each fit half of all runs, and never the same one.
"""

import random
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.ledger import Clock, accepts, paced, payload, percentiles
from bench.tools import WORK
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import DeliveryFilter, Ending, RunFilter
from closeout.server.pages.overview_facts import read_facts
from closeout.wiring.pull_requests import read_pull_request

PAGE = 50
AUTOMATIONS = ("preview-cleanup", "comment", "image-cleanup")
OPEN = 200
"""Runs at the newest end that have not finished."""
FILLER = """
INSERT INTO run_words (rowid, facts, summary) SELECT number, facts, summary FROM run_facts ORDER BY number
"""


def measure(*, runs: int, tries: int) -> dict[str, Any]:
    """Fill a ledger and read each kind of list, then accept deliveries with and without the indexes of lists."""
    folder = WORK / "lists"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "ledger.db"
    try:
        print(f"filling a ledger with {runs:,} runs", flush=True)
        built = fill(path, runs)
        began = time.time() - runs
        figures = {name: _times(call, tries) for name, call in _kinds(Views(path), runs, began).items()}
        size = path.stat().st_size / 1e6
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "method": f"{runs:,} runs of as many deliveries, {OPEN} of them not finished, 80 of 100 left out of most lists; pages of {PAGE}, {tries} reads each.",
        "figures": figures,
        "words_seconds": built,
        "megabytes": size,
        "acceptance": _acceptance(),
        "ends": {"with": _end(""), "without": _end("DROP TRIGGER run_finished")},
        "budgets": {"p99_ms": max(one["p99_ms"] for one in figures.values())},
    }


def fill(path: Path, runs: int) -> float:
    """Create a ledger at `path` that holds so many runs; return the seconds that building the index of words took."""
    Ledger(path, clock=Clock()).open().close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO definition (id, text) VALUES (1, '{}')")
    chance = random.Random(7)
    began = time.time() - runs
    repositories = [f"acme/service-{min(int(chance.expovariate(0.3)), 199)}" for _ in range(runs)]
    connection.executemany(
        "INSERT INTO delivery (id, hook, guid, event, action, repository, number, form, size, received_at, origin)"
        " VALUES (?, '1', ?, ?, 'closed', ?, ?, 0, 24000, ?, 'github')",
        (
            (
                number,
                _guid(number),
                "ping" if number == 1000 else ("push", "pull_request")[number % 5 > 0],
                repositories[number - 1],
                number % 20_000 + 1,
                began + number,
            )
            for number in range(1, runs + 1)
        ),
    )
    connection.executemany(
        "INSERT INTO run (number, run_id, attempt, automation, definition, delivery, guid, queue_timeout, accepted_at,"
        " state, started_at, verdict, summary, finished_at) VALUES (?, ?, 1, ?, 1, ?, ?, 86400, ?, ?, ?, ?, ?, ?)",
        _runs(runs, began),
    )
    connection.execute("COMMIT")
    since = time.perf_counter()
    connection.execute(FILLER)
    took = time.perf_counter() - since
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return took


def _runs(runs: int, began: float) -> Iterator[tuple[Any, ...]]:
    for number in range(1, runs + 1):
        # Comments never fail, and no other automation is ever skipped: half the runs each, never together.
        automation = AUTOMATIONS[1] if number % 2 else AUTOMATIONS[number % 4]
        verdict = "skipped" if number % 2 else ("failure" if number % 100 == 0 else "success")
        summary = f"deleted stack preview-{number % 20_000} and {number % 7} buckets; {number % 3} left"
        at = began + number
        if runs * 0.1 < number <= runs * 0.9:
            # In a row, the worst case: pull requests whose base no automation names. Lists leave such runs out.
            verdict, summary = "skipped", "no base matched: none of its triggers names main"
        ended = number <= runs - OPEN
        ending = (verdict, summary, at + 60) if ended else (None, None, None)
        state = "finished" if ended else "queued"
        yield number, f"{number:026d}", automation, number, _guid(number), at, state, at, *ending


def _guid(number: int) -> str:
    return str(uuid.UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128))


def _kinds(views: Views, runs: int, began: float) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    middle, common, rare = began + runs / 2, "acme/service-0", "acme/service-40"

    def of_runs(cursor: str | None = None, **wanted: Any) -> Callable[[], object]:
        return lambda: views.run_page(RunFilter(**wanted), cursor, PAGE)

    def of_deliveries(cursor: str | None = None, **wanted: Any) -> Callable[[], object]:
        return lambda: views.delivery_page(DeliveryFilter(**wanted), cursor, PAGE)

    half = f"older-{runs // 2}"
    return {
        "runs": of_runs(),
        "runs, from the middle": of_runs(half),
        "runs, from the middle to newer ones": of_runs(f"newer-{runs // 2}"),
        "runs of a common repository": of_runs(repository=common),
        "runs of a rare repository": of_runs(repository=rare),
        "runs of a repository that is not there": of_runs(repository="acme/none"),
        "runs of an automation": of_runs(automation=AUTOMATIONS[0]),
        "failed runs": of_runs(verdict="failure"),
        "failed runs of a rare repository": of_runs(verdict="failure", repository=rare),
        "queued runs": of_runs(state="queued"),
        "finished runs": of_runs(state="finished"),
        "runs of a pull request": of_runs(repository=common, number=17),
        "runs of a day in the past": of_runs(since=middle, until=middle + 86_400),
        "failed runs of a day in the past": of_runs(verdict="failure", since=middle, until=middle + 86_400),
        "runs with a common word": of_runs(search="deleted"),
        "runs with a rare word": of_runs(search="preview-4711"),
        "failed runs with three words": of_runs(search="stack buckets left", verdict="failure"),
        "runs with words of an old day": of_runs(search="buckets", repository=common, until=began + 86_400),
        "two filters that never meet": of_runs(automation=AUTOMATIONS[1], verdict="success"),
        "every filter": of_runs(
            automation=AUTOMATIONS[0], verdict="failure", state="finished", repository=common,
            since=began, until=middle, search="stack left",
        ),
        "the whole story of a pull request": lambda: read_pull_request(views, common, 17, time.time()),
        "the overview": lambda: read_facts(views, views.marks, time.time(), paused=None, patrols=True),
        "deliveries": of_deliveries(),
        "deliveries, from the middle": of_deliveries(half),
        "deliveries of an event": of_deliveries(event="push"),
        "deliveries of a rare event": of_deliveries(event="ping"),
        "deliveries of a common repository": of_deliveries(repository=common),
        "deliveries of a rare repository": of_deliveries(repository=rare),
        "deliveries of a rare event and repository": of_deliveries(event="ping", repository=common),
        "deliveries of a pull request": of_deliveries(repository=common, number=17),
        "a delivery by its GUID": of_deliveries(guid=_guid(4711)),
        "deliveries of a day in the past": of_deliveries(since=middle, until=middle + 86_400),
        "deliveries of an event and a day": of_deliveries(event="push", since=middle, until=middle + 86_400),
    }  # fmt: skip


def _times(call: Callable[[], object], tries: int) -> dict[str, float]:
    times = []
    for _ in range(tries):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    found = percentiles(times)
    return {name: found[name] for name in ("p50_ms", "p99_ms", "max_ms")}


def _end(change: str, runs: int = 1_000) -> dict[str, float]:
    """Return what the end of one run costs, each in a transaction of its own."""
    with _ledger(change) as ledger:
        accepts(ledger, runs, 32, b"{}", runs=True)
        open_runs = [pending.number for pending in ledger.pending(0)]
        cpu = time.process_time()
        for number in open_runs:
            ending = Ending("success", f"deleted stack preview-{number} and 3 buckets")
            ledger.finish(number, ending, time.time())
        return {"cpu_us_each": (time.process_time() - cpu) / runs * 1e6}


@contextmanager
def _ledger(change: str) -> Iterator[Ledger]:
    """Open a new ledger after a change of its schema."""
    folder = WORK / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "ledger.db"
    Ledger(path, clock=Clock()).open().close()
    connection = sqlite3.connect(path)
    connection.executescript(change)
    connection.close()
    with Ledger(path, clock=Clock()) as ledger:
        yield ledger
    shutil.rmtree(folder, ignore_errors=True)


def _acceptance(rounds: int = 3) -> dict[str, dict[str, float]]:
    """Return what one delivery with a run costs, with the indexes of lists and without, in turns."""
    changes = {"with": "", "without": "DROP INDEX delivery_event; DROP INDEX delivery_repository;"}
    found: dict[str, list[dict[str, float]]] = {which: [] for which in changes}
    body = payload()
    for _ in range(rounds):
        for which, results in found.items():
            with _ledger(changes[which]) as ledger:
                accepts(ledger, 1_000, 32, body, runs=True)
                flood = accepts(ledger, 8_000, 32, body, runs=True)
                calm = paced(ledger, 5, 200, body)
            results.append(
                {
                    "cpu_us_each": flood["cpu_us_each"],
                    "per_second": flood["per_second"],
                    "paced_p50_ms": calm["p50_ms"],
                    "paced_p99_ms": calm["p99_ms"],
                }
            )
    return {
        which: {name: sorted(one[name] for one in results)[rounds // 2] for name in results[0]}
        for which, results in found.items()
    }
