"""The timeline of one pull request, over a ledger in memory."""

from __future__ import annotations

import json
from typing import Any

from closeout.core import runs
from closeout.core.records import NewDelivery, NewRun
from closeout.ports import Ending, Operation
from closeout.run.recheck import BY
from closeout.testing.durable import FakeClock
from closeout.wiring.pull_requests import PullRequestView, read_pull_request
from tests.contract.ledger_suite import operation, run_id
from tests.memory_ledger import MemoryLedger

DEFINITION = json.dumps({"steps": [{"id": "stack", "name": "delete the stack", "uses": "aws/x"}]})
STACK = {"verb": "delete", "resource": "stack preview-17", "reason": "the PR is closed"}
IMAGE = {"verb": "delete", "resource": "image preview-17", "reason": "the PR is closed"}
CLOSED = "501/1700017/2026-03-14T09:26:53Z"


class World:
    """A ledger of acme/shop#17."""

    def __init__(self) -> None:
        self.clock = FakeClock(1_000.0)
        self.ledger = MemoryLedger(self.clock)

    def hear(self, guid: str, action: str, *names: str, closing: str | None = None, **fields: Any) -> None:
        """Accept a delivery, a minute later than the one before."""
        given = {"repository": "acme/shop", "number": 17, "payload": {}, "event": "pull_request", **fields}
        body = {"pull_request": {"title": "Add basket", "html_url": "https://gh.test/17"}, **given["payload"]}
        delivery = NewDelivery(
            "h", guid, given["event"], action, given["repository"], json.dumps(body).encode(), False,
            self.clock.now(), "github", given["number"], closing,
        )  # fmt: skip
        self.ledger.accept_wait(
            delivery, [NewRun(run_id(name), name, None, DEFINITION, 60.0) for name in names]
        )
        self.clock.advance(60)

    def end(self, verdict: str, summary: str, *operations: Operation) -> None:
        """Run the one open execution to its end, a minute later."""
        (pending,) = self.ledger.pending(0)
        self.ledger.begin(pending.number, "own", self.clock.now(), wait=True)
        for one in operations:
            self.ledger.save(pending.number, one, runs.Recorded())
        self.clock.advance(60)
        self.ledger.finish(pending.number, Ending(verdict, summary), self.clock.now())

    def story(self, name: str = "acme/shop", **given: Any) -> PullRequestView:
        """Return the timeline, which must exist."""
        found = read_pull_request(self.ledger, name, 17, self.clock.now(), **given)
        assert found is not None
        return found


def planned(*changes: dict[str, Any]) -> Operation:
    """Return the plan of the step."""
    return operation("stack/plan", 1, {"changes": list(changes)})


CALLED = operation("stack/delete", 2, {"result": {}}, kind="wait")


def test_the_timeline_is_complete_and_in_order() -> None:
    """Deliveries, a retarget, each attempt with who asked for it, and how it ended."""
    world = World()
    world.hear("g1", "opened")
    world.hear("g2", "edited", payload={"changes": {"base": {"ref": {"from": "main"}}}})
    world.hear("g3", "closed", "clean", closing=CLOSED)
    world.end("failure", "the stack is left")
    world.ledger.new_attempt(run_id("clean"), DEFINITION, "ada", key=None, queue_timeout=60.0)
    world.end("success", "deleted 1")
    told = world.story()
    assert [(entry.kind, entry.says) for entry in told.entries] == [
        ("delivery", "pull_request opened, heard by webhook"),
        ("delivery", "pull_request edited, heard by webhook"),
        ("retarget", "retargeted from main to another branch"),
        ("delivery", "pull_request closed, heard by webhook"),
        ("queued", "clean: queued"),
        ("started", "clean: started"),
        ("finished", "clean: failure: the stack is left"),
        ("queued", "clean, attempt 2: queued, asked for by ada"),
        ("started", "clean, attempt 2: started"),
        ("finished", "clean, attempt 2: success: deleted 1"),
    ]
    assert (told.title, told.url, [run.attempt for run in told.runs]) == (
        "Add basket",
        "https://gh.test/17",
        [1, 2],
    )
    assert json.loads(json.dumps(told.to_json()))["entries"][0]["kind"] == "delivery"


def test_the_last_attempt_decides_what_is_gone_and_what_is_left() -> None:
    """A resource that an earlier attempt left counts as gone once a later one has deleted it."""
    world = World()
    world.hear("g3", "closed", "clean", closing=CLOSED)
    left = {"state": "failure", "left": [{"resource": "image preview-17", "reason": "in use"}]}
    one = operation("stack/1.delete", 2, {"result": {}}, kind="wait")
    end = operation("stack/end", 4, left)
    looked = operation("stack/left", 3, left["left"])
    world.end("failure", "the image is left", planned(STACK, IMAGE), one, looked, end)
    told = world.story()
    assert ([one.resource for one in told.gone], [one.resource for one in told.left]) == (
        ["stack preview-17"],
        ["image preview-17"],
    )
    world.ledger.new_attempt(run_id("clean"), DEFINITION, "ada", key=None, queue_timeout=60.0)
    world.end("success", "deleted 1", planned(IMAGE), CALLED, operation("stack/end", 3, {"state": "success"}))
    told = world.story()
    assert ([one.resource for one in told.gone], told.left) == (["stack preview-17", "image preview-17"], ())


def test_a_resource_that_a_later_success_did_not_find_is_gone() -> None:
    """The later plan lists what existed then: what an earlier attempt left was no longer there."""
    world = World()
    world.hear("g3", "closed", "clean", closing=CLOSED)
    end = operation(
        "stack/end", 4, {"state": "failure", "left": [{"resource": "image preview-17", "reason": "in use"}]}
    )
    world.end("failure", "the image is left", planned(IMAGE), end)
    world.ledger.new_attempt(run_id("clean"), DEFINITION, "ada", key=None, queue_timeout=60.0)
    world.end("success", "nothing was there", planned(), operation("stack/end", 3, {"state": "success"}))
    told = world.story()
    assert ([one.resource for one in told.gone], told.left) == (["image preview-17"], ())


def test_what_comes_next() -> None:
    """An open run says why it waits; the next recheck counts from the attempt that deleted something."""
    world = World()
    world.hear("g3", "closed", "clean", closing=CLOSED)
    (queued,) = world.story(paused="by ada").next[1:]
    assert world.story(paused="by ada").next[0].says == "destructive calls are paused by ada"
    assert (queued.kind, queued.execution) == ("queued", f"{run_id('clean')}-1")
    world.end("success", "deleted 1", planned(STACK), CALLED)
    ended = world.clock.now()
    again = {"clean": (600.0, 3_600.0)}
    assert [(one.kind, one.at) for one in world.story(rechecks=again).next] == [("recheck", ended + 600)]
    world.clock.advance(700)
    world.ledger.new_attempt(run_id("clean"), DEFINITION, BY, key=None, queue_timeout=60.0)
    world.end("success", "nothing was there", planned())
    told = world.story(rechecks=again)
    assert [(one.kind, one.at) for one in told.next] == [("recheck", ended + 3_600)]
    assert "recheck" in [entry.kind for entry in told.entries]
    world.clock.advance(3_600)
    assert world.story(rechecks=again).next == ()


def test_a_renamed_repository_keeps_its_timeline() -> None:
    """Closings have the repository's id; a repository that took over the old name has its own timeline."""
    world = World()
    world.hear("g1", "opened", repository="acme/old")
    world.hear("g2", "closed", closing=CLOSED, repository="acme/old")
    world.hear("g3", "closed", closing=CLOSED.replace("09:", "10:"), repository="acme/new")
    world.hear("g4", "closed", closing="777/1/2026-04-01T00:00:00Z", repository="acme/old")
    told = world.story("Acme/New")
    assert (told.repository, told.former_names) == ("acme/new", ("acme/old",))
    assert [entry.delivery.guid for entry in told.entries if entry.delivery] == ["g1", "g2", "g3"]
    other = world.story("acme/old")
    assert "g4" in [entry.delivery.guid for entry in other.entries if entry.delivery]
    assert "g3" not in [entry.delivery.guid for entry in other.entries if entry.delivery]


def test_a_pull_request_without_deliveries_has_no_timeline() -> None:
    """Nor has an unknown number of a known repository."""
    world = World()
    world.hear("g1", "opened", number=18)
    assert read_pull_request(world.ledger, "acme/shop", 17, 0.0) is None
