"""What the loader says about triggers: combinations that Actions refuses, and filters that could never match."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.config.trigger_faults import faults

CLOSED = {"event": "pull_request", "types": ["closed"]}
PUSH = {"event": "push"}

FAULTS: list[tuple[dict[str, Any], list[str], str]] = [
    ({**CLOSED, "branches": ["develop", "release/**"]}, [], ""),
    ({"event": "invented", "types": ["anything"]}, [], ""),
    ({**CLOSED, "types": ["closed", "brand_new_type"]}, [], ""),
    ({"event": "pull_request"}, ["pull_request"], "needs explicit `types`"),
    ({**CLOSED, "types": []}, ["types"], "the list is empty"),
    ({**CLOSED, "types": ["close"]}, ["types"], "did you mean 'closed'?"),
    ({**CLOSED, "types": ["merged"]}, ["types"], "event.pull_request.merged"),
    ({**PUSH, "types": ["x"]}, ["types"], "push has no types"),
    ({**CLOSED, "branches": ["a"], "branches-ignore": ["b"]}, ["branches-ignore"], "cannot be used together"),
    ({**PUSH, "tags": ["a"], "tags-ignore": ["b"]}, ["tags-ignore"], "cannot be used together"),
    ({**PUSH, "paths": ["a"], "paths-ignore": ["b"]}, ["paths-ignore"], "cannot be used together"),
    ({**CLOSED, "branches": ["["]}, ["branches"], "not closed"),
    ({**CLOSED, "branches": []}, ["branches"], "the list is empty"),
    ({**CLOSED, "branches": ["!main"]}, ["branches"], "at least one"),
    ({**CLOSED, "paths-ignore": ["+"]}, ["paths-ignore"], "character 1"),
    ({**CLOSED, "tags": ["v*"]}, ["tags"], "has no tag"),
    ({"event": "issues", "branches": ["main"]}, ["branches"], "could never match"),
    ({"event": "release", "paths": ["a"]}, ["paths"], "lists no changed paths"),
    ({"event": "push", "types": ["x"], "branches": [""], "paths": ["["]}, ["types", "branches", "paths"], ""),
]


@pytest.mark.parametrize(("trigger", "keys", "sentence"), FAULTS)
def test_a_filter_that_could_never_match_is_a_fault(
    trigger: dict[str, Any], keys: list[str], sentence: str
) -> None:
    """Each fault names its key and says what to do; all are reported at once."""
    found = faults(trigger)
    assert sorted(key for key, _ in found) == sorted(keys)
    assert not sentence or sentence in found[0][1]
