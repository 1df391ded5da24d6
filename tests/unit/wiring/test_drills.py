"""The drill of a server: when it runs, which findings are new, and what is kept over a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.checks.check import Check, Outcome, Result, fine, news, skipped, unknown, wrong
from closeout.checks.world import World
from closeout.config.load import load_text
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Ledger
from closeout.wiring.checking import LedgerFile
from closeout.wiring.drills import Drills
from tests.until import until

CONFIG = "version: 1\nautomations:\n  a: { on: { push: {} }, status: false, steps: [{ uses: shell, destructive: false, with: { run: 'true' } }] }\n"


class Full(LedgerFile):
    """A ledger on a disk that is nearly full."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, lambda _views: None)
        self.free = lambda: 1_000_000


def drills(ledger: Ledger, every: float | None = None, redactor: Redactor | None = None) -> Drills:
    """Return the drills of a server whose configuration needs nobody outside."""
    loaded = load_text(CONFIG, builtin())

    def world(pause: Callable[[float], object]) -> World:
        full = Full(ledger.path)
        return World(
            lambda: loaded,
            lambda _loaded: cast("Any", None),
            full,
            machine=full,
            file=Path("closeout.yaml"),
            now=time.time,
            pause=pause,
            pings=True,
        )

    return Drills(world, ledger, redactor or Redactor(), every=every, now=time.time)


def test_the_findings_of_a_drill_survive_a_restart(tmp_path: Path) -> None:
    """So the metrics have them at once."""
    with Ledger(tmp_path / "closeout.db", clock=SystemClock()) as ledger:
        first = drills(ledger)
        assert first.figures() is None
        outcomes = first.drill()
        assert {one.check.id: one.ok for one in outcomes}["disk"] is False
        kept = drills(ledger).figures()
        assert kept == first.figures()
        assert kept is not None
        assert kept.states["disk"] == "wrong"


@pytest.mark.parametrize("every", [86_400.0, None])
def test_a_start_reports_what_costs_nothing_to_check(tmp_path: Path, every: float | None) -> None:
    """The disk is nearly full; no drill is due for a day, and none runs if it is switched off."""
    told: list[str] = []
    with Ledger(tmp_path / "closeout.db", clock=SystemClock()) as ledger:
        made = drills(ledger, every)
        made.start(told.append)
        until("the warning", lambda: told)
        assert told[0].startswith(f"warning: {tmp_path} has 1 MB left: make room")
        made.stop()
        assert "drill" not in {thread.name for thread in threading.enumerate()}
        assert made.figures() is None


def test_a_drill_runs_when_it_is_due_and_reports_new_findings(tmp_path: Path) -> None:
    """The last one was two days ago, in an earlier process."""
    told: list[str] = []
    with Ledger(tmp_path / "closeout.db", clock=SystemClock()) as ledger:
        ledger.save_mark(
            "drill", "last", {"ended_at": time.time() - 172_800.0, "states": {"ledger": "wrong"}}
        )
        made = drills(ledger, 86_400.0)
        made.start(told.append)
        until("the drill", lambda: any(line.startswith("drill: disk: ") for line in told))
        until("the good news", lambda: "drill: ledger is fine again" in told)
        made.stop()
        assert ledger.marks("drill")["last"]["ended_at"] > time.time() - 600.0


def test_secrets_are_redacted_in_a_drills_findings(tmp_path: Path) -> None:
    """A path or an error may quote one."""
    redactor = Redactor()
    redactor.add(tmp_path.name)
    with Ledger(tmp_path / "closeout.db", clock=SystemClock()) as ledger:
        (disk,) = [one for one in drills(ledger, redactor=redactor).drill() if one.check.id == "disk"]
    assert tmp_path.name not in disk.result.what
    assert "1 MB left" in disk.result.what


def test_only_changed_findings_are_reported() -> None:
    """A finding is reported once while it lasts, and once when it is gone; an unknown result is not reported."""

    def outcome(name: str, result: Result) -> Outcome:
        check = Check(id=name, group="", looks="", breaks="this", fix="mend it", ask=lambda _world: result)
        return Outcome(check, result)

    outcomes = [
        outcome("new", wrong("broken")),
        outcome("old", wrong("broken")),
        outcome("mended", fine("good")),
        outcome("lost", unknown("no answer")),
        outcome("gone", skipped("no need")),
        outcome("good", fine("good")),
    ]
    before = {"old": "wrong", "mended": "wrong", "lost": "wrong", "gone": "wrong", "good": "fine"}
    assert news(outcomes, before) == [
        "drill: new: broken. Breaks: this. Fix: mend it",
        "drill: mended is fine again",
    ]
