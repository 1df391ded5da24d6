"""It is unknown who closed a pull request: whatever depends on it does nothing, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.core import facts, triggers
from closeout.run.explain import explain
from tests.unit.run.world import AUTOMATION, Scene, pull_payload, step

CONDITIONS = (
    'event.sender.login != "dependabot[bot]"',
    "!has(event.sender) || true",
    'event["sender"]["login"] == "ada" || true',
    'event . sender.type == "User" || true',
)


def unnamed() -> dict[str, Any]:
    """A closing that GitHub's list told of."""
    return {key: value for key, value in pull_payload().items() if key != "sender"}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_on_the_sender_is_unknown(condition: str) -> None:
    """Neither true nor false: `||` and `has()` would decide without the missing fact."""
    scene = Scene(payload=unnamed()).with_automation(condition=condition)
    assert scene.play().verdict == "failure"
    assert scene.world.resources == {"preview-17", "preview-17/bucket"}
    assert [state for state, _ in scene.world.statuses] == ["failure"]
    assert "asks for the sender" in scene.world.statuses[0][1]


def test_a_steps_condition_on_the_sender_is_unknown_too() -> None:
    """The step fails, and deletes nothing."""
    scene = Scene(payload=unnamed()).with_automation(steps=(step(condition=CONDITIONS[1]),))
    assert scene.play().verdict == "failure"
    assert scene.world.resources == {"preview-17", "preview-17/bucket"}


def test_a_sender_filter_matches_so_far_and_the_run_reports_the_unknown_sender() -> None:
    """Without a run the preview would silently stay."""
    automation = replace(AUTOMATION, senders=("dev",))
    seen = facts.facts_of("pull_request", unnamed())
    assert triggers.match(automation.triggers, automation.repositories, automation.senders, seen).matched
    scene = Scene(payload=unnamed(), automation=automation)
    assert scene.play().verdict == "failure"
    assert scene.world.resources == {"preview-17", "preview-17/bucket"}
    assert scene.world.statuses == [
        (
            "failure",
            (
                "who closed acme/shop#17 is unknown, and `senders` is given; nothing was done."
                " Replay a webhook that came later, or rerun without `senders`"
            ),
        )
    ]


def test_other_events_without_a_sender_match_no_sender_filter() -> None:
    """Only a closing can be reported without its sender."""
    seen = facts.facts_of("pull_request", {**unnamed(), "action": "edited"})
    edited = ({"event": "pull_request", "types": ["edited"]},)
    assert not triggers.match(edited, (), ("dev",), seen).matched


@pytest.mark.parametrize("changes", [{"senders": ("dev",)}, {"condition": CONDITIONS[0]}])
def test_explain_says_unknown(changes: dict[str, Any]) -> None:
    """With the error's code, and not as a failure of the expression."""
    (row,) = explain([replace(AUTOMATION, **changes)], "pull_request", unnamed())
    assert (row["outcome"], row["matched"], row["code"]) == ("unknown", False, "sender-unknown")


def test_an_automation_that_ignores_the_sender_runs() -> None:
    """It tears down as after a webhook."""
    scene = Scene(payload=unnamed()).with_automation(condition="event.pull_request.merged")
    assert scene.play().verdict == "success"
