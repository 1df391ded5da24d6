"""Which runs keep an audit from calling a pull request's resources orphans, while these runs go on and change their state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.core.records import NewDelivery, NewRun
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import EVERY_RUN, Ending, RunFilter, RunView
from closeout.testing.durable import FakeClock
from closeout.wiring.orphans import busy_runs

PULL = ("Acme/Shop", 17)


class Scene:
    """A ledger with one run of acme/shop#17."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(1_000.0)
        self.path = folder / "closeout.db"
        self.ledger = Ledger(self.path, clock=self.clock).open()
        self.views = Views(self.path)
        self.accept("r")

    def accept(self, run: str) -> None:
        """Accept another closing."""
        delivery = NewDelivery(
            "1", f"guid-{run}", "pull_request", "closed", "acme/shop", b"{}", False, 1.0, "github", 17
        )
        self.ledger.accept_wait(delivery, [NewRun(run, "clean", None, "{}", 60.0)])

    def finish(self, number: int) -> None:
        """End a run."""
        self.ledger.finish(number, Ending("success", "done"), self.clock.now())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A scene, closed at the end."""
    made = Scene(tmp_path)
    yield made
    made.views.close()
    made.ledger.close()


def test_a_run_that_begins_to_wait_or_to_run_between_two_reads_is_busy(scene: Scene) -> None:
    """It changes its state before each read, so that reads of one state after another could all miss it."""

    class Interrupted(Views):
        def runs(self, limit: int | None = None, wanted: RunFilter = EVERY_RUN) -> list[RunView]:
            if scene.views.run("r").state == "running":  # type: ignore[union-attr]
                scene.ledger.park(1, 2_000.0)
            else:
                scene.ledger.begin(1, "own", 1_000.0, wait=True)
            scene.ledger.probe()
            return super().runs(limit, wanted)

    scene.ledger.begin(1, "own", 1_000.0, wait=True)
    scene.ledger.park(1, 2_000.0)
    scene.ledger.probe()
    views = Interrupted(scene.path)
    busy = busy_runs(views, scene.clock.now())
    assert busy(*PULL) == "run r about this pull request has not finished"
    assert busy("acme/shop", 18) is None
    assert busy("acme/other", 17) is None
    views.close()


def test_a_run_that_begins_after_an_audit_is_busy_too(scene: Scene) -> None:
    """Also one that has ended by then: what the audit listed may have existed only before it."""
    scene.finish(1)
    scene.clock.advance(60)
    busy = busy_runs(scene.views, scene.clock.now())
    scene.clock.advance(5)
    scene.accept("s")
    scene.finish(2)
    assert busy(*PULL) == "run s about this pull request began during the audit"


def test_a_run_that_ended_before_the_audit_is_not_busy(scene: Scene) -> None:
    """What it left is an orphan."""
    scene.finish(1)
    scene.clock.advance(60)
    assert busy_runs(scene.views, scene.clock.now())(*PULL) is None
    assert busy_runs(None, 0.0)(*PULL) is None
