"""What rechecks read of a ledger: finished teardowns and later closings. The same in SQLite and in DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from closeout.ledger import sqlite
from closeout.ledger.dynamodb.rechecks import Teardowns as DynamoTeardowns
from closeout.ledger.dynamodb.table import Table
from closeout.ports import Ending
from closeout.run.recheck import Teardowns
from closeout.testing.durable import FakeClock
from tests.contract.ledger_suite import (
    DEFINITION,
    LedgerBench,
    again,
    new_delivery,
    new_run,
    operation,
    run_id,
)
from tests.contract.test_ledgers import LocalLedger, StackLedger, redact
from tests.stack_aws import StackAws


class Reader(Teardowns, Protocol):
    """What the guard and a run read in addition."""

    def finished_teardowns(self, since: float, repository: str, number: int) -> Any:
        """Return the fields of each teardown of a pull request that finished after `since`."""
        ...

    def deleted_before(self, run_id: str, attempt: int, closings: bool) -> bool:
        """Return whether an earlier attempt deleted something; with `closings` also a run of an earlier closing."""
        ...


Bench = tuple[Any, Reader]
"""A `LedgerBench`, and what reads it."""


@pytest.fixture(params=["sqlite", "dynamodb"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """An empty ledger, and what reads it."""
    made: Callable[[], Any] = {"sqlite": lambda: _sqlite(tmp_path), "dynamodb": lambda: _dynamodb(request)}[
        request.param
    ]
    yield from made()


def _sqlite(folder: Path) -> Iterator[Bench]:
    clock, path = FakeClock(), folder / "ledger.db"
    with sqlite.Ledger(path, clock=clock, redact=redact) as ledger:
        views = sqlite.Views(path, clock=clock)
        yield LocalLedger(ledger, views, views, sqlite.Requests(path, clock=clock), clock), views
        views.close()


def _dynamodb(request: pytest.FixtureRequest) -> Iterator[Bench]:
    aws: StackAws = request.getfixturevalue("aws")
    aws.reset()
    made = StackLedger(aws)
    remote = made._remote
    yield made, DynamoTeardowns(remote.table, remote.store, remote.views)


def close(
    bench: LedgerBench, name: str, *, verdict: str = "success", automation: str = "clean", **about: Any
) -> None:
    """Add a finished run of an automation, at a closing or at another event."""
    run = new_run(name)._replace(automation=automation)
    bench.accept(new_delivery(bench, f"guid-{name}")._replace(**about), [run])
    bench.clock.advance(1)
    if verdict:
        bench.finish(f"{run_id(name)}-1", Ending(verdict, "done"))


def test_a_teardown_is_a_closing_whose_latest_attempt_succeeded(bench: Bench) -> None:
    """Of one pull request, ignoring case in its repository's name; with what it carried out."""
    ledger, reader = bench
    since = ledger.clock.now() - 1
    close(ledger, "r")
    end = ledger.clock.now()
    close(ledger, "s", number=18)
    close(ledger, "t", verdict="failure")
    close(ledger, "u", action="labeled")
    close(ledger, "v", event="issues")
    close(ledger, "w", verdict="")
    found = reader.finished_teardowns(since, "Acme/Shop", 17)
    assert [tuple(one) for one in found] == [(run_id("r"), 1, "clean", end, DEFINITION)]
    assert reader.finished_teardowns(ledger.clock.now(), "acme/shop", 17) == []
    again(ledger, "r")
    assert reader.finished_teardowns(since, "acme/shop", 17) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_is_not_a_teardown(bench: Bench, dry_run: bool) -> None:
    """What it only planned must not be deleted later."""
    ledger, reader = bench
    close(ledger, "r", verdict="")
    ledger.save(f"{run_id('r')}-1", operation("stack/plan", 1, {"changes": [], "dry_run": dry_run}))
    ledger.finish(f"{run_id('r')}-1", Ending("success", "done"))
    assert len(reader.finished_teardowns(0.0, "acme/shop", 17)) == (0 if dry_run else 1)


@pytest.mark.parametrize(
    "about",
    [
        {"number": 18},
        {"repository": "acme/other"},
        {"action": "labeled"},
        {"event": "issues"},
        {"automation": "other"},
        {"verdict": "skipped"},
    ],
)
def test_only_a_later_closing_of_the_same_pull_request_takes_over(
    bench: Bench, about: dict[str, Any]
) -> None:
    """If its run of the same automation was not skipped; one in progress counts."""
    ledger, reader = bench
    close(ledger, "q")
    close(ledger, "r")
    close(ledger, "s", **about)
    assert not reader.superseded(run_id("r"), 1)
    assert reader.superseded(run_id("q"), 1)
    close(ledger, "t", verdict="")
    assert reader.superseded(run_id("r"), 1)
    assert not reader.superseded(run_id("t"), 1)


def deletes(bench: LedgerBench, name: str, **how: Any) -> None:
    """Add a run of a closing that plans one delete, makes the call, and ends."""
    close(bench, name, verdict="", **how)
    plan = {"changes": [{"verb": "delete"}], "dry_run": False}
    bench.save(f"{run_id(name)}-1", operation("stack/plan", 1, plan))
    bench.save(f"{run_id(name)}-1", operation("stack/delete", 2, {}, kind="wait"))
    bench.finish(f"{run_id(name)}-1", Ending("success", "done"))


class Unlisted(Table):
    """A table whose index is still empty."""

    def listed(self, *_index: Any, **_conditions: Any) -> Iterator[Any]:
        return iter(())


def test_teardowns_of_one_pull_request_are_found_without_the_index(aws: StackAws) -> None:
    """A late deploy may ask each minute: a search would read every run of a month, and miss the latest."""
    aws.reset()
    ledger: Any = StackLedger(aws)
    close(ledger, "r")
    close(ledger, "s")
    remote = ledger._remote
    table = Unlisted(remote.dynamo, remote.name, now=ledger.clock.now)
    unlisted = DynamoTeardowns(table, remote.store, remote.views)
    assert len(unlisted.finished_teardowns(0.0, "acme/shop", 17)) == 2
    assert unlisted.superseded(run_id("r"), 1)


def test_what_an_earlier_attempt_deleted_is_known(bench: Bench) -> None:
    """So a further attempt that finds nothing does not say that nothing was there."""
    ledger, reader = bench
    deletes(ledger, "r")
    assert not reader.deleted_before(run_id("r"), 1, closings=True)
    again(ledger, "r")
    assert reader.deleted_before(run_id("r"), 2, closings=False)


@pytest.mark.parametrize("about", [{}, {"number": 18}, {"repository": "acme/other"}, {"automation": "other"}])
def test_what_an_earlier_closing_deleted_is_known_on_request(bench: Bench, about: dict[str, Any]) -> None:
    """By the same pull request and automation. GitHub still shows its deployment as active."""
    ledger, reader = bench
    close(ledger, "q")
    deletes(ledger, "r", **about)
    close(ledger, "s")
    assert reader.deleted_before(run_id("s"), 1, closings=True) is (not about)
    assert not reader.deleted_before(run_id("s"), 1, closings=False)
    assert not reader.deleted_before(run_id("q"), 1, closings=True)
