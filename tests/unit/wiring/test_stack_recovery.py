"""A delivery that patrol did not start on a stack: its function stores it without a run, and a replay starts it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from closeout.core.errors import NotFound
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.ports import DeliveryView
from closeout.stack.table import REMOVAL_KEY, delivery_id
from closeout.testing import deliveries
from closeout.testing.github.webhooks import Hook
from closeout.wiring.recovery import find, left_alone, named
from tests.unit.wiring.patrol_scene import TOKEN, Scene
from tests.unit.wiring.stack_world import REPOSITORY

CLOSED = "http://127.0.0.1:9/webhook"


class Lost(NamedTuple):
    """A push that did not arrive: its hook and its GUID."""

    scene: Scene
    hook: Hook
    guid: str

    @property
    def marks(self) -> DynamoMarks:
        """Patrol's marks, as a command reads them."""
        return DynamoMarks(self.scene.patrols.ledger.table)

    def stored(self) -> list[DeliveryView]:
        """Return the deliveries in the ledger."""
        return self.scene.patrols.ledger.views.deliveries()


@pytest.fixture
def lost(scene: Scene) -> Lost:
    """A stack with an automation on pushes, after a patrol that left one alone."""
    scene.webhook = CLOSED
    scene.world.deploys(triggers=({"event": "push"}, {"event": "pull_request", "types": ["closed"]}))
    github = scene.world.github
    hook = github.add_hook(REPOSITORY, url=CLOSED, secret="s", events=("push",))
    assert scene.patrol(everything=True).errors == []
    scene.clock.advance(5)
    guid = github.emit(github.world.repository(REPOSITORY), "push", deliveries.push(repository=REPOSITORY))
    github.sender.settle()
    report = scene.patrol(everything=True)
    assert (report.errors, report.ignored, scene.runs()) == ([], 1, [])
    return Lost(scene, hook, guid)


def test_the_function_stores_it_and_a_replay_starts_it(lost: Lost) -> None:
    """The function starts nothing, since IAM cannot limit its callers' requests. The replay records who asked."""
    (each,) = left_alone(lost.marks, lost.scene.clock.now())
    assert (each.guid, each.event, each.repository, each.hook) == (
        lost.guid,
        "push",
        REPOSITORY,
        lost.hook.id,
    )
    assert "no live check" in each.reason
    name = delivery_id(str(lost.hook.id), lost.guid)
    assert lost.scene.patrols.recover(lost.guid) == {"delivery": name}
    assert (lost.scene.runs(), lost.scene.starts.started) == ([], [])
    (stored,) = lost.stored()
    assert (stored.id, stored.guid, stored.event, stored.origin) == (name, lost.guid, "push", "delivery-log")
    assert left_alone(lost.marks, lost.scene.clock.now()) == []
    ledger = lost.scene.patrols.ledger
    requests = ledger.requests(lost.scene.patrols._loaded())
    execution = requests.outcome(requests.add_request("replay", name, "ann@host", None))
    (run,) = lost.scene.runs()
    assert (run.execution, run.automation, run.heard) == (execution, "preview-cleanup", "delivery-log")
    assert (run.requested_by, len(lost.scene.starts.started)) == ("ann@host", 1)


def test_a_repeated_execution_stores_the_delivery_once(lost: Lost) -> None:
    """Killed after the write, it finds its own delivery; so does a second request."""
    assert lost.scene.patrols.recover(lost.guid) == lost.scene.function().recover(lost.guid)
    assert len(lost.stored()) == 1
    assert named(lost.marks, lost.scene.clock.now(), lost.guid).guid == lost.guid
    with pytest.raises(NotFound, match="in the ledger already"):
        find(lost.marks, lost.scene.clock.now(), lost.guid)


def test_a_delivery_that_github_does_not_show_is_not_stored(lost: Lost) -> None:
    """Nor called gone: the message says what to do, without a secret, and it stays in the list."""
    faults = lost.scene.world.github.faults
    cases: list[tuple[str, dict[str, Any]]] = [
        ("keeps a delivery for three days and shows it to a token", {"kind": "status", "status": 404}),
        ("`closeout drill`", {"kind": "status", "status": 403}),
        ("Nothing was stored; try again in", {"kind": "rate-limit"}),
        ("Nothing was stored; try again in 1 min", {"kind": "status", "status": 502}),
        ("Nothing was stored; try again in", {"kind": "half"}),
        ("Nothing was stored; try again in", {"kind": "text", "body": TOKEN}),
    ]
    for told, fault in cases:
        faults.add(path=r".*/deliveries/\d+", times=0, **fault)
        error = lost.scene.patrols.recover(lost.guid)["error"]
        assert told in error
        assert TOKEN not in error
        assert lost.stored() == []
        faults.clear()
    assert [each.guid for each in left_alone(lost.marks, lost.scene.clock.now())] == [lost.guid]
    assert "delivery" in lost.scene.patrols.recover(lost.guid)


def test_a_delivery_that_patrol_did_not_leave_alone_is_not_stored(lost: Lost) -> None:
    """Nor after GitHub's three days, nor while the stack is being deleted, nor without its configuration."""
    patrols, world = lost.scene.patrols, lost.scene.world
    assert "left to recover" in patrols.recover("00000000-0000-0000-0000-000000000000")["error"]
    world.dynamo.put_item(TableName="ledger", Item=REMOVAL_KEY)
    assert "being deleted" in patrols.recover(lost.guid)["error"]
    world.dynamo.delete_item(TableName="ledger", Key=REMOVAL_KEY)
    world.damage_what_is_deployed()
    assert "cannot be read" in patrols.recover(lost.guid)["error"]
    world.deploys()
    lost.scene.clock.advance(3 * 86_400)
    assert "left to recover" in patrols.recover(lost.guid)["error"]
    assert lost.stored() == []
