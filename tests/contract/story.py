"""One sequence of events in a ledger, and everything that it shows and has stored afterwards.

`python -m tests.contract.story` writes the current result into `story.txt`. Stored values are a promise to the previous
and the next release, and shown ones to scripts: read each difference before you commit it.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from closeout.core import runs
from closeout.core.problems import Notification, Problem
from closeout.ledger import sqlite
from closeout.ports import DeliveryFilter, Ending, RunFilter
from closeout.testing.durable import FakeClock
from tests.contract.ledger_suite import (
    CHANGE,
    DAY,
    SECRET,
    accept,
    again,
    new_delivery,
    new_run,
    operation,
    run_id,
)
from tests.contract.test_ledgers import LocalLedger, StackLedger, redact
from tests.stack_aws import StackAws

KEPT = Path(__file__).with_name("story.txt")
NOW = 1_700_000_000.0
CLOSING = "501001/1700017/2026-03-14T09:26:53Z"
PLAN = {"changes": [CHANGE, {**CHANGE, "resource": "bucket a", "part_of": CHANGE["resource"]}]}


def tell(bench: Any) -> list[str | None]:
    """Apply the events, most of them a second apart; return the outcomes of the requests."""
    clock = bench.clock
    bench.accept(
        new_delivery(bench, "g1", body=b'{"number": 17}')._replace(closing=CLOSING),
        [new_run("r", key="k"), new_run("s")],
    )
    accept(bench, "q", key="k")
    accept(bench, "form", form=True, body=b"payload=%7B%7D")
    first = f"{run_id('r')}-1"
    bench.begin(first)
    for number, (name, result) in enumerate(
        [("match", {"run": True}), ("stack/plan", PLAN), ("stack/1/delete", {}), ("stack/verify", [])]
    ):
        clock.advance(1)
        bench.save(first, operation(name, number, result, started_at=clock.now() - 1, ended_at=clock.now()))
    bench.save(
        first,
        operation("poll", 4, None, kind="wait", state="running", tries=2, wake=clock.now() + 30),
        runs.Parked(clock.now() + 30),
    )
    bench.write(first, "stack", f"lösche mit {SECRET}")
    clock.advance(1)
    bench.finish(first, Ending("failure", "stack: denied"))
    clock.advance(1)
    again(bench, "r", key="k")
    bench.finish(f"{run_id('s')}-1", Ending("skipped", "its `if` is false"))
    clock.advance(1)
    second = f"{run_id('r')}-2"
    bench.begin(second)
    clock.advance(1)
    bench.finish(second, Ending("success", "deleted preview-17"))
    bench.attempts.claim_closing(f"{CLOSING}x", run_id("c"), run_id("q"))
    bench.patrol.save_mark("hook", "77", {"last": 5, "at": "früh"})
    bench.problems.open_problem(
        Problem("a", "k", "failure", "why", "public why", NOW, left=("x",), repository="acme/shop", number=17)
    )
    bench.problems.open_problem(Problem("a", "k2", "orphans", "why", "public why", NOW + 1, private=True))
    bench.problems.record_notifications([Notification("env:A", "a", "k", NOW + 2, recovered=False)])
    bench.problems.close_problems("a", "k2", "k2", clock.now(), "patrol")
    clock.advance(1)
    other = accept(bench, "form", hook="h2").delivery
    bench.attempts.add_runs(other, [new_run("more")], "ada")
    asked = [
        bench.requests.add_request(kind, target, "ada", why)
        for kind, target, why in (
            ("cancel", run_id("q"), "no need"),
            ("cancel", run_id("nobody"), None),
            ("pause", None, "upgrade"),
        )
    ]
    bench.carry_out()
    clock.advance(1)
    return [bench.requests.outcome(one) for one in asked]


def shows(bench: Any) -> dict[str, Any]:
    """Return what every reader sees."""
    reader = bench.reader
    executions = [(view.id, view.attempt) for view in reader.runs()]
    return {
        "runs": [view.to_json() for view in reader.runs()],
        "failures": [view.execution for view in reader.runs(wanted=RunFilter(verdict="failure"))],
        "limited": [view.execution for view in reader.runs(2)],
        "attempts": [
            [view.to_json() for number in (1, 2) if (view := reader.run(name, number))]
            for name, _ in executions
        ],
        "deliveries": [view.to_json() for view in reader.deliveries()],
        "delivery filter": [view.guid for view in reader.deliveries(wanted=DeliveryFilter(guid="g1"))],
        "bodies": [reader.body(view.id).hex() for view in reader.deliveries()],
        "ids": reader.run_ids("r", 5),
        "logs": [
            {name: value for name, value in line._asdict().items() if name != "id"}
            for line in reader.logs(run_id("r"), 1)
        ],
        "teardowns": list(reader.teardowns("acme/shop", 17)),
        "problems": [problem._asdict() for problem in bench.problems.problems()],
        "told": [one._asdict() for one in bench.problems.notifications()],
        "marks": bench.patrol.marks("hook"),
        "stats": [f"{name}: {found}" for name, found in sorted(reader.stats().items())]
        if hasattr(reader, "stats")
        else [],
        "paused": bench.switch.paused(),
    }


@contextmanager
def in_sqlite(folder: Path) -> Iterator[tuple[LocalLedger, Path]]:
    """Yield a server's ledger and its file."""
    clock, path = FakeClock(NOW), folder / "ledger.db"
    with sqlite.Ledger(path, clock=clock, redact=redact) as ledger:
        views = sqlite.Views(path, clock=clock)
        yield LocalLedger(ledger, views, views, sqlite.Requests(path, clock=clock), clock), path
        views.close()


def rows(path: Path) -> dict[str, list[list[Any]]]:
    """Return all rows of all tables of a file."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
        ]
        return {
            name: [[_plain(value) for value in row] for row in connection.execute(f"SELECT * FROM {name}")]
            for name in names
            if name not in {"setting", "sqlite_sequence"} and not name.startswith("run_words")
        }


def pages(bench: LocalLedger) -> dict[str, Any]:
    """Return what a server's pages read besides."""
    page = bench.pages
    found = page.run_page(RunFilter(), None, 2)
    return {
        "days": [day._asdict() for day in page.days(NOW - 86_400)],
        "page": [view.execution for view in found.rows],
        "next": [view.execution for view in page.run_page(RunFilter(), found.older, 2).rows],
        "operations": [one._asdict() for one in page.operations(run_id("r"), 1)],
        "open": [problem.key for problem in page.open_problems()],
    }


def items(bench: StackLedger) -> list[dict[str, Any]]:
    """Return all items of a table."""
    remote = bench._remote
    found = remote.dynamo.scan(TableName=remote.name)["Items"]
    return sorted((_plain(item) for item in found), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def _plain(value: Any) -> Any:
    """Return a value without bytes: those of a body depend on the compressing library, and readers show what they mean."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in sorted(value.items())}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return "bytes" if isinstance(value, bytes) else value


def sqlite_story(folder: Path) -> dict[str, Any]:
    """Return what a server's ledger has of the story."""
    with in_sqlite(folder) as (bench, path):
        requests = tell(bench)
        found = {"requests": requests, **shows(bench), **pages(bench), "rows": rows(path)}
        bench.clock.advance(DAY)
        pruned = bench.ledger.prune(DAY)
        return as_json({**found, "pruned": pruned, "rows after": rows(path)})


def dynamodb_story(aws: StackAws) -> dict[str, Any]:
    """Return what a stack's ledger has of the story."""
    aws.reset()
    bench = StackLedger(aws)
    bench.clock.advance(NOW - bench.clock.now())
    requests = tell(bench)
    return as_json({"requests": requests, **shows(bench), "items": items(bench)})


def as_json(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return it as it comes out of a file."""
    read: dict[str, Any] = json.loads(json.dumps(found))
    return read


def written(stories: Mapping[str, Mapping[str, Any]]) -> str:
    """Return them as the file has them: what they consist of, a line each."""
    lines = []
    for store, story in stories.items():
        for name, found in story.items():
            parts = found if isinstance(found, list) else [found]
            lines += [f"{store} {name}: {json.dumps(part)}" for part in parts]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, StackAws() as emulator:
        stories = {"sqlite": sqlite_story(Path(name)), "dynamodb": dynamodb_story(emulator)}
    KEPT.write_text(written(stories), "utf-8")
