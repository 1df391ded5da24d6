"""What the overview reads while runs go on."""

from __future__ import annotations

from pathlib import Path

from closeout.core.records import NewDelivery, NewRun
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import ListPage, RunFilter, RunView
from closeout.server.pages.overview_facts import read_facts
from closeout.testing.durable import FakeClock


def test_a_run_that_begins_to_wait_while_the_overview_is_read_is_shown_once(tmp_path: Path) -> None:
    """Running runs are read first, then those that wait."""
    clock, path = FakeClock(1_000.0), tmp_path / "closeout.db"
    with Ledger(path, clock=clock) as ledger:
        delivery = NewDelivery("1", "g1", "push", None, "acme/shop", b"{}", False, 1.0, "github", None)
        ledger.accept_wait(delivery, [NewRun("r", "clean", None, "{}", 60.0)])
        ledger.begin(1, "own", 1_000.0, wait=True)

        class Interrupted(Views):
            def run_page(self, wanted: RunFilter, cursor: str | None, limit: int) -> ListPage[RunView]:
                found = super().run_page(wanted, cursor, limit)
                ledger.park(1, 2_000.0)
                ledger.probe()
                return found

        views = Interrupted(path)
        facts = read_facts(views, lambda _kind: {}, clock.now(), patrols=False)
        assert [(run.id, run.state) for run in facts.open_runs] == [("r", "waiting")]
        views.close()
