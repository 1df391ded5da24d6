"""The timer of patrol: what is due when, and that only the end of the process ends it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.config.load import load_text
from closeout.core.redact import Redactor
from closeout.intake import Receiver
from closeout.ledger.sqlite import Ledger, Views
from closeout.patrol.report import Report
from closeout.wiring.clients import configured_clients
from closeout.wiring.orphans import OrphanRounds
from closeout.wiring.patrols import Patrols, Schedule
from tests.until import until

CONFIG = """\
version: 1
secrets: {{ webhook: env:HOOK, github: env:TOKEN }}
patrol: {patrol}
automations:
  clean:
    on: {{ pull_request: {{ types: [closed] }} }}
    repositories: [{repositories}]
    steps: [{{ uses: shell, destructive: false, with: {{ run: 'true' }} }}]
"""


def test_each_part_is_due_at_first_and_then_at_its_interval() -> None:
    """A round that exceeds the interval is not caught up."""
    schedule = Schedule(deliveries=300.0, closings=3_600.0)
    assert schedule.wait(50.0) == 0.0
    assert schedule.take(50.0) == {"deliveries", "closings"}
    assert schedule.wait(60.0) == 290.0
    assert schedule.take(60.0) == frozenset()
    assert schedule.take(350.0) == {"deliveries"}
    assert schedule.take(3_650.0) == {"deliveries", "closings"}
    assert schedule.wait(3_650.0) == 300.0


def test_what_is_switched_off_is_never_due() -> None:
    """The other part is."""
    schedule = Schedule(deliveries=None, closings=3_600.0)
    assert schedule.take(0.0) == {"closings"}
    assert schedule.take(3_000.0) == frozenset()


class NoAudit:
    """Nothing to look at."""

    watches = False


class Broken(Patrols):
    """Rounds that fail, and are counted."""

    rounds = 0

    def round(self, *, deliveries: bool = True, closings: bool = True, orphans: bool = True) -> Report:
        """Fail."""
        self.rounds += 1
        raise OSError("the disk is full")


def patrols(folder: Path, ledger: Ledger, *, patrol: str = "{}", repositories: str = "acme/shop") -> Broken:
    """Return patrols over a ledger."""
    loaded = load_text(CONFIG.format(patrol=patrol, repositories=repositories), builtin())
    return Broken(
        loaded,
        ledger,
        Views(folder / "closeout.db"),
        Receiver.of(loaded.automations, lambda: (b"x",)),
        configured_clients(loaded, SystemClock(), Redactor()),
        base=lambda: None,
        start=lambda _new: None,
        orphans=cast("OrphanRounds", NoAudit()),
    )


def test_a_failed_round_is_logged_and_does_not_end_the_timer(tmp_path: Path) -> None:
    """Its thread waits for the next one, and ends with the process."""
    told: list[Report] = []
    with Ledger(tmp_path / "closeout.db", clock=SystemClock()) as ledger:
        made = patrols(tmp_path, ledger)
        made.start(told.append)
        until("the first round", lambda: told)
        assert told[0].errors == ["patrol failed: the disk is full"]
        assert "patrol" in {thread.name for thread in threading.enumerate()}
        made.stop()
        assert "patrol" not in {thread.name for thread in threading.enumerate()}


def test_without_anything_to_watch_there_is_no_timer(tmp_path: Path) -> None:
    """A file of patterns only is logged; with patrol switched off, nothing is."""
    with Ledger(tmp_path / "closeout.db", clock=SystemClock()) as ledger:
        off = patrols(tmp_path, ledger, patrol="{ deliveries: off, state: off }")
        pattern = patrols(tmp_path, ledger, repositories="'*/shop'")
        off.start(lambda _report: None)
        assert "patrol" not in {thread.name for thread in threading.enumerate()}
        assert off.notices() == []
        (notice,) = pattern.notices()
        assert "*/shop" in notice
        assert pattern.figures().uncovered == 1
