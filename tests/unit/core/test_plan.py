"""Plans go through the ledger as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.core.plan import Change, Leftover, spoken_step


def test_a_change_is_unchanged_by_json() -> None:
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


def test_a_missing_field_of_a_change_has_a_default() -> None:
    """A plan that an earlier version recorded can still be read."""
    assert Change.from_json({"verb": "run", "resource": "x", "reason": "y"}).to_json() == {
        "verb": "run",
        "resource": "x",
        "reason": "y",
        "identity": {},
        "part_of": None,
        "objects": 0,
        "bytes": 0,
        "name": None,
        "tags": {},
    }


GUARDED = {"code": "guard-refused", "message": "61 changes planned, 50 allowed; nothing was done"}
FAILED = {"code": "service-error", "message": "GitHub: 502"}


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"error": GUARDED, "changes": []}, ("refused", "61 changes planned, 50 allowed")),
        ({"error": FAILED, "changes": []}, ("error", "GitHub: 502")),
        ({"error": None, "reason": "its `if` is false", "changes": []}, ("skipped", "its `if` is false")),
        ({"changes": []}, ("", "nothing to change")),
        ({"changes": [], "absent": "the stack is gone"}, ("", "the stack is gone")),
        ({"changes": [{"verb": "delete"}]}, None),
    ],
)
def test_a_step_without_changes_says_why(step: dict[str, Any], says: tuple[str, str] | None) -> None:
    """It does not say that nothing was done: a plan that is only shown never does anything."""
    assert spoken_step(step) == says


def test_a_leftover_is_shown_with_its_reason() -> None:
    """A failure names the resource and why it is still there."""
    assert Leftover(resource="bucket b", reason="not empty").to_json() == {
        "resource": "bucket b",
        "reason": "not empty",
    }
