"""Lists by any filter, page by page: together, the pages show what filtering the whole list would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.core import words
from closeout.core.errors import BadFilter
from closeout.core.records import NewDelivery, NewRun
from closeout.core.runs import NO_BASE
from closeout.ledger import sqlite
from closeout.ledger.sqlite.lists import FEWEST, SLACK
from closeout.ports import UNFINISHED, DeliveryFilter, DeliveryView, Ending, ListPage, RunFilter, RunView
from closeout.testing.durable import FakeClock
from tests.contract.ledger_suite import run_id
from tests.memory_ledger import MemoryLedger

REPOSITORIES, AUTOMATIONS = ("acme/shop", "acme/Shop.js", None), ("clean", "tell all")
ENDINGS = (
    None,
    Ending("success", "deleted stack preview-1"),
    Ending("failure", "the stack preview-1 is left: 2 of 3"),
    Ending("skipped", f"{NO_BASE}: base branch 'main'"),
    Ending("skipped", "its `if` is false"),
    Ending("success", ""),
)
RUNS = 40


class Lists(Protocol):
    """A store that lists runs and deliveries."""

    def runs(self, limit: int | None = None, wanted: RunFilter = ...) -> list[RunView]: ...
    def deliveries(self, limit: int | None = None, wanted: DeliveryFilter = ...) -> list[DeliveryView]: ...
    def run_page(self, wanted: RunFilter, cursor: str | None, limit: int) -> ListPage[RunView]: ...
    def delivery_page(
        self, wanted: DeliveryFilter, cursor: str | None, limit: int
    ) -> ListPage[DeliveryView]: ...


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lists, Lists]]:
    """The same runs in memory and in SQLite."""
    clock = FakeClock(1_000.0)
    path: Path = tmp_path_factory.mktemp("lists") / "ledger.db"
    memory = MemoryLedger(clock)
    with sqlite.Ledger(path, clock=clock) as file:
        for ledger in (memory, file):
            clock.advance(1_000.0 - clock.now())
            _fill(ledger, clock)
        views = sqlite.Views(path, clock=clock)
        yield memory, views
        views.close()


def _fill(ledger: Any, clock: FakeClock) -> None:
    """Accept deliveries a minute apart: some without a run, some with one or two; some run again."""
    for number in range(RUNS):
        event, hook = ("push", "issues", "pull_request")[number % 3], f"h{number % 2}"
        delivery = NewDelivery(
            hook,
            f"g{number // 2}",
            event,
            "closed",
            REPOSITORIES[number % 7 % 3],
            b"{}",
            False,
            clock.now(),
            "github",
            number % 4 or None,
        )
        names = AUTOMATIONS[: number % 3]
        ids = [run_id(chr(97 + number // 26) + chr(97 + number % 26) + "xy"[at]) for at in range(len(names))]
        started = [NewRun(one, name, None, "{}", 60.0) for one, name in zip(ids, names, strict=True)]
        accepted = ledger.accept_wait(delivery, started)
        clock.advance(60)
        for execution in accepted.started:
            ending = ENDINGS[(number + len(execution)) % len(ENDINGS)]
            pending = {one.execution: one.number for one in ledger.pending(0)}
            if number % 5:
                ledger.begin(pending[execution], "own", clock.now(), wait=True)
            if ending:
                ledger.finish(pending[execution], ending, clock.now())
            if ending and number % 4 == 0:
                ledger.attempts.new_attempt(execution[:26], "{}", "ada", key=None, queue_timeout=60.0)


def _filters(kind: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return filters of a few fields: with more of them hardly anything meets all."""
    names = st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=3)
    chosen = names.flatmap(lambda some: st.fixed_dictionaries({name: fields[name] for name in some}))
    return chosen.map(lambda given: kind(**given))


MINUTES = st.integers(-2, RUNS + 2).map(lambda minute: 1_000.0 + 60 * minute)
RUN_FILTERS = _filters(
    RunFilter,
    automation=st.sampled_from((*AUTOMATIONS, "other")),
    state=st.sampled_from(("queued", "running", "finished", UNFINISHED)),
    verdict=st.sampled_from(("success", "failure", "skipped")),
    repository=st.sampled_from(("acme/shop", "acme/Shop.js", "acme/shop.js")),
    number=st.sampled_from((1, 3, 9)),
    since=MINUTES,
    until=MINUTES,
    search=st.sampled_from(("stack", "Preview-1", "is stack", "preview 2", "1 preview", '"OR', "ack")),
)
DELIVERY_FILTERS = _filters(
    DeliveryFilter,
    event=st.sampled_from(("push", "pull_request", "ping")),
    repository=st.sampled_from(("acme/shop", "acme/Shop.js", "acme/other")),
    number=st.sampled_from((1, 3, 9)),
    guid=st.sampled_from(("g4", "g99")),
    since=MINUTES,
    until=MINUTES,
)


def _is_wanted(row: Any, wanted: RunFilter | DeliveryFilter, at: float) -> bool:
    fields = wanted._asdict()
    since, until, search = fields.pop("since"), fields.pop("until"), fields.pop("search", None)
    if fields.get("state") == UNFINISHED:
        fields["state"] = None if row.state != "finished" else UNFINISHED
    if (
        isinstance(row, RunView)
        and fields["verdict"] != "skipped"
        and (row.summary or "").startswith(NO_BASE)
    ):
        return False
    return (
        all(value is None or getattr(row, name) == value for name, value in fields.items())
        and (since is None or at >= since)
        and (until is None or at < until)
        and (search is None or words.found(row.summary or "", words.phrases(search)))
    )


def _pages(read: Any, wanted: Any, size: int) -> tuple[list[Any], list[Any]]:
    """Return the rows of all pages, to the oldest and back to the newest."""
    there, back = [], []
    page = read(wanted, None, size)
    assert page.newer is None
    there += page.rows
    while page.older is not None:
        page = read(wanted, page.older, size)
        assert 0 < len(page.rows) <= size
        there += page.rows
    back += reversed(page.rows)
    while page.newer is not None:
        page = read(wanted, page.newer, size)
        assert 0 < len(page.rows) <= size
        back += reversed(page.rows)
    return there, back[::-1]


@settings(max_examples=60, deadline=None)
@example(wanted=RunFilter(automation="clean"), size=3)
@example(wanted=RunFilter(verdict="failure"), size=3)
@example(wanted=RunFilter(number=1, search="is stack"), size=3)
@example(wanted=RunFilter(number=3, search="stack"), size=3)
@given(wanted=RUN_FILTERS, size=st.integers(1, 9))
def test_pages_of_runs_are_the_filtered_list(
    stores: tuple[Lists, Lists], wanted: RunFilter, size: int
) -> None:
    """In both directions, and the same in both stores."""
    memory, file = stores
    every = memory.runs(wanted=RunFilter(verdict="skipped")) + memory.runs()
    newest_first = sorted({run.execution: run for run in every}.values(), key=_order(memory), reverse=True)
    expected = [run.execution for run in newest_first if _is_wanted(run, wanted, run.accepted_at)]
    for store in stores:
        assert [run.execution for run in store.runs(wanted=wanted)] == expected
        there, back = _pages(store.run_page, wanted, size)
        assert [run.execution for run in there] == [run.execution for run in back] == expected
    assert [run.to_json() for run in file.runs(3, wanted)] == [
        run.to_json() for run in memory.runs(3, wanted)
    ]


def _order(memory: Any) -> Any:
    numbers = {run.execution: number for number, run in memory._runs.items()}
    return lambda run: numbers[run.execution]


@settings(max_examples=60, deadline=None)
@example(wanted=DeliveryFilter(repository="acme/shop"), size=3)
@given(wanted=DELIVERY_FILTERS, size=st.integers(1, 9))
def test_pages_of_deliveries_are_the_filtered_list(
    stores: tuple[Lists, Lists], wanted: DeliveryFilter, size: int
) -> None:
    """In both directions, and the same in both stores."""
    memory, _ = stores
    expected = [one.id for one in memory.deliveries() if _is_wanted(one, wanted, one.received_at)]
    for store in stores:
        assert [one.id for one in store.deliveries(wanted=wanted)] == expected
        there, back = _pages(store.delivery_page, wanted, size)
        assert [one.id for one in there] == [one.id for one in back] == expected


def test_a_page_keeps_its_place_while_runs_arrive(tmp_path: Path) -> None:
    """The cursor points to a run, not to a distance from the newest one."""
    clock = FakeClock()
    with sqlite.Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        views = sqlite.Views(tmp_path / "ledger.db", clock=clock)

        def accept(names: Sequence[str]) -> None:
            for name in names:
                delivery = NewDelivery(
                    "h", name, "push", None, "acme/shop", b"{}", False, clock.now(), "github", None
                )
                ledger.accept_wait(delivery, [NewRun(run_id(name), name, None, "{}", 60.0)])

        accept("bcdef")
        first = views.run_page(RunFilter(), None, 2)
        accept("gh")
        second = views.run_page(RunFilter(), first.older, 2)
        assert [run.automation for run in second.rows] == ["d", "c"]
        newer = views.run_page(RunFilter(), second.newer, 2)
        assert [run.automation for run in newer.rows] == ["f", "e"]
        assert newer.newer is not None
        views.close()


def test_a_list_longer_than_one_read_is_in_order(tmp_path: Path) -> None:
    """Even if the first run is unfinished and comes from another index, as every second delivery does."""
    clock, count = FakeClock(), 2 * (FEWEST + 1)
    with sqlite.Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        for number in range(1, count + 1):
            event = "push" if number % 2 else "issues"
            delivery = NewDelivery(
                "h", f"g{number}", event, None, "acme/shop", b"{}", False, 1.0, "github", None
            )
            ledger.accept_wait(delivery, [NewRun(f"r{number}", "clean", None, "{}", 60.0)])
            if number > 1:
                ledger.finish(number, Ending("success", "done"), clock.now())
            clock.advance(2 * SLACK)
        with closing(sqlite.Views(tmp_path / "ledger.db", clock=clock)) as views:
            newest_first = list(range(count, 0, -1))
            wanted = DeliveryFilter(repository="acme/shop")
            runs, deliveries = views.runs(), views.deliveries(wanted=wanted)
            assert [run.execution for run in runs] == [f"r{number}-1" for number in newest_first]
            assert [one.id for one in deliveries] == newest_first
            assert views.runs(wanted=RunFilter(since=runs[-3].accepted_at, until=clock.now())) == runs[:-2]
            assert _pages(views.run_page, RunFilter(), count - 1) == (runs, runs)
            assert _pages(views.delivery_page, wanted, count - 1) == (deliveries, deliveries)


@pytest.mark.parametrize("cursor", ["", "older", "older--1", "older-1 OR 1", "newer-99999999999999999999"])
def test_an_invalid_cursor_is_refused(stores: tuple[Lists, Lists], cursor: str) -> None:
    """Anyone can write one into an address."""
    for store in stores:
        with pytest.raises(BadFilter):
            store.run_page(RunFilter(), cursor, 2)


def test_a_pruned_run_leaves_nothing_in_the_index_of_words(tmp_path: Path) -> None:
    """Neither in a search nor in the file: another run does not inherit its words."""
    clock, path = FakeClock(), tmp_path / "ledger.db"
    with sqlite.Ledger(path, clock=clock) as ledger:
        delivery = NewDelivery("h", "g", "push", None, "acme/shop", b"{}", False, clock.now(), "github", None)
        ledger.accept_wait(delivery, [NewRun(run_id("r"), "r", None, "{}", 60.0)])
        (pending,) = ledger.pending(0)
        ledger.finish(pending.number, Ending("success", "deleted zebra"), clock.now())
        views = sqlite.Views(path, clock=clock)
        assert len(views.runs(wanted=RunFilter(search="zebra"))) == 1
        clock.advance(1e9)
        ledger.prune(1.0)
        words_left = views._connection()[0].execute(
            "SELECT count(*) FROM run_words WHERE run_words MATCH 'zebra'"
        )
        assert words_left.fetchone() == (0,)
        views.close()
