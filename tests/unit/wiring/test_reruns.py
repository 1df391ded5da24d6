"""Further attempts at runs that were cancelled because their pull request was open."""

from __future__ import annotations

import json

import pytest

from closeout.core import runs
from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.core.errors import LedgerError, Reopened
from closeout.core.records import NewRun
from closeout.engine.results import failure
from closeout.intake import Receiver
from closeout.intake.recovered import recovered
from closeout.ports import DeliveryId, Ending, Operation, RunView
from closeout.testing import deliveries
from closeout.testing.durable import FakeClock
from closeout.wiring.reruns import NOTHING, Reruns
from tests.memory_ledger import MemoryLedger

AT = "2026-03-14T09:26:53Z"
CLEANUP = Automation(name="cleanup", triggers=({"event": "pull_request", "types": ["closed"]},))
RECEIVER = Receiver.of((CLEANUP,), lambda: (b"secret",))


class Scene:
    """A ledger with the run of one closing."""

    def __init__(self, guid: str | None = None) -> None:
        self.ledger = MemoryLedger(FakeClock())
        self.started: list[str] = []
        self.reruns = Reruns(
            self.ledger,
            self.ledger,
            {"cleanup": CLEANUP},
            matched=RECEIVER.runs,
            start=self.started.extend,
        )
        found = recovered(RECEIVER, deliveries.pull_request(closed_at=AT), heard="closed-list", at=1.0)
        assert found.delivery is not None
        started = found.runs if guid is None else (found.runs[0]._replace(run_id=guid),)
        accepted = self.ledger.accept_wait(found.delivery, started)
        self.run, self.runs, self.delivery = accepted.runs[0], started, accepted.delivery

    def closed_again(self, *more: NewRun) -> tuple[str, ...]:
        """Hear again that it is closed."""
        return self.reruns.closed_again([*self.runs, *more], self.delivery, "patrol")

    def end(self, ending: Ending, error: Exception | None = None) -> None:
        """End the run, after an operation that failed with this error."""
        (pending,) = self.ledger.pending(0)
        if error is not None:
            result = failure(error, str)
            self.ledger.save(
                pending.number, Operation("one/apply", 1, "record", "error", result, 1, None, 1.0, 2.0)
            )
        self.ledger.finish(pending.number, ending, 3.0)


def test_a_run_that_found_its_pull_request_open_gets_a_further_attempt() -> None:
    """GitHub now reports it closed; every guard applies again."""
    scene = Scene()
    scene.end(Ending("cancelled", "acme/shop#17 is open again"), Reopened("acme/shop#17 is open again"))
    assert scene.closed_again() == (f"{scene.run}-2",)
    assert scene.started == [f"{scene.run}-2"]
    assert scene.closed_again() == (), "it has not finished"


def test_a_further_attempt_reads_the_latest_delivery_of_the_closing() -> None:
    """The first one may lack who closed it, or be outdated in what a condition reads."""
    scene = Scene()
    scene.end(Ending("cancelled", "acme/shop#17 is open again"), Reopened("acme/shop#17 is open again"))
    payload = deliveries.pull_request(closed_at=AT) | {"sender": {"login": "ada"}}
    later = recovered(RECEIVER, payload, heard="closed-list", at=2.0, guid="g2")
    assert later.delivery is not None
    scene.delivery = scene.ledger.accept_wait(later.delivery, later.runs).delivery
    scene.closed_again()
    view = scene.ledger.run(scene.run)
    assert view is not None
    assert json.loads(scene.ledger.body(view.delivery))["sender"] == {"login": "ada"}


def test_a_run_that_ended_otherwise_gets_no_further_attempt() -> None:
    """A cancelled one stays cancelled, and a failure needs a person."""
    for ending in (Ending("cancelled", "by ada"), Ending("failure", "left"), Ending("success", "done")):
        scene = Scene()
        scene.end(ending)
        assert scene.closed_again(scene.runs[0]._replace(run_id="unknown")) == ()


def test_a_rerun_that_is_overtaken_by_another_starts_nothing() -> None:
    """Both found the run finished: two attempts at once would carry out each step twice."""
    scene = Scene()
    scene.end(Ending("failure", "left"))

    class Overtaken(MemoryLedger):
        def run(self, run_id: str, attempt: int | None = None) -> RunView | None:
            found = scene.ledger.run(run_id, attempt)
            scene.reruns.rerun(run_id, "bob")
            return found

        def body(self, delivery_id: DeliveryId) -> bytes:
            return scene.ledger.body(delivery_id)

    late = scene.reruns._replace(reader=Overtaken(FakeClock()))
    with pytest.raises(LedgerError, match="has not finished"):
        late.rerun(scene.run, "ada")
    assert scene.started == [f"{scene.run}-2"]


def test_a_replay_finds_a_run_named_after_its_guid_by_an_earlier_release() -> None:
    """It gets its next attempt; the closing gets no second run."""
    scene = Scene(guid="g" * 26)
    assert scene.reruns.replay(1, "ada") == NOTHING
    scene.end(Ending("failure", "left"))
    assert scene.reruns.replay(1, "ada") == f"{'g' * 26}-2"
    assert scene.ledger.run(Closing(501_001, 1_700_017, AT).run_id("cleanup")) is None
    assert json.loads(scene.ledger.body(1))["action"] == "closed"
    assert {one.turn for one in scene.ledger.pending(0)} == {runs.RunState().turn}


def test_a_replay_of_a_later_webhook_reads_that_webhook() -> None:
    """It says who closed the pull request, unlike the list that reported it first."""
    scene = Scene()
    scene.end(Ending("failure", "who closed it is unknown"))
    payload = deliveries.pull_request(closed_at=AT) | {"sender": {"login": "ada"}}
    later = recovered(RECEIVER, payload, heard="delivery-log", at=2.0, hook="1", guid="g2")
    assert later.delivery is not None
    told = scene.ledger.accept_wait(later.delivery, later.runs).delivery
    assert scene.reruns.replay(told, "ada") == f"{scene.run}-2"
    view = scene.ledger.run(scene.run)
    assert view is not None
    assert json.loads(scene.ledger.body(view.delivery))["sender"] == {"login": "ada"}
