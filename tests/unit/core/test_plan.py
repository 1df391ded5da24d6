"""Plans go through the ledger as JSON."""

from __future__ import annotations

import json

from closeout.core.plan import Change, Leftover


def test_a_change_comes_back_from_json_as_it_was() -> None:
    """What was planned before a crash is what is applied after it."""
    change = Change(
        verb="delete",
        resource="stack preview-17",
        reason="exists",
        identity={"stack": "arn:x"},
        part_of="stack top",
        objects=3,
        bytes=4,
        name="preview-17",
        tags={"env": "dev"},
    )
    assert Change.from_json(json.loads(json.dumps(change.to_json()))) == change


def test_what_a_change_does_not_say_has_a_default() -> None:
    """A plan that an earlier version recorded can still be read."""
    assert Change.from_json({"verb": "run", "resource": "x", "reason": "y"}).identity == {}


def test_a_leftover_is_shown_with_its_reason() -> None:
    """A failure names the resource and why it is still there."""
    assert Leftover(resource="bucket b", reason="not empty").to_json() == {
        "resource": "bucket b",
        "reason": "not empty",
    }
