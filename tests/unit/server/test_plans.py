"""What a confirmation says of a plan, and when it counts as another one."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.server.pages.plans import no_plan, plan_of


def change(
    verb: str = "delete", resource: str = "stack preview-17", reason: str = "it exists"
) -> dict[str, str]:
    """Return a line of a plan."""
    return {"verb": verb, "resource": resource, "reason": reason}


def rows(*changes: dict[str, str], mode: str = "apply", **step: Any) -> list[dict[str, Any]]:
    """Return the plan of one step."""
    return [
        {
            "name": "cleanup",
            "mode": mode,
            "steps": [{"id": "s", "uses": "u", "changes": list(changes), **step}],
        }
    ]


@pytest.mark.parametrize(
    ("made", "gone", "says"),
    [
        (rows(change()), 1, "1 resource will be deleted."),
        (rows(change(), change(resource="queue jobs"), change("keep")), 2, "2 resources will be deleted."),
        (rows(change("comment")), 0, "Nothing will be deleted."),
        (rows(absent="stack preview-17 is not there"), 0, "Nothing will be changed."),
        (rows(change(), mode="dry-run"), 0, "The automation is in dry-run mode: nothing will be changed."),
    ],
)
def test_the_summary_says_how_much_will_be_gone(made: list[dict[str, Any]], gone: int, says: str) -> None:
    """One sentence above the list."""
    plan = plan_of(made, "x")
    assert (plan.gone, plan.summary, plan.problem) == (gone, says, None)


def test_what_stands_in_the_way_is_said_of_the_plan_and_of_its_part() -> None:
    """An error before the first step, one of a step, and a step that finds nothing; the ordinary step says nothing."""
    broken = [{**rows()[0], "steps": [], "error": {"code": "bad-input", "message": "no name"}}]
    plan = plan_of(broken, "x")
    assert plan.problem == "cleanup would fail before its first step: no name"
    assert plan.automations[0]["problem"] == "no name"
    plan = plan_of(rows(error={"code": "service-error", "message": "AWS: no"}), "x")
    assert plan.problem == "s cannot be planned, so nothing can be confirmed: AWS: no"
    said = [
        plan_of(made, "x").automations[0]["steps"][0]["says"]
        for made in (
            rows(error={"code": "service-error", "message": "AWS: no"}),
            rows(absent="no stack"),
            rows(change()),
        )
    ]
    assert said == ["error: AWS: no", "no stack", None]
    assert no_plan("AWS: no") == (
        (),
        "The plan could not be made, so nothing can be confirmed: AWS: no",
        0,
        "",
    )


def test_the_digest_covers_what_changes() -> None:
    """Verb, resource, mode, whether a step is skipped, and what the plan is for; no reason, in which a time may stand."""
    same = plan_of(rows(change()), "x").digest
    assert plan_of(rows(change(reason="it exists since yesterday")), "x").digest == same
    others = [
        plan_of(rows(change(), change(resource="queue jobs")), "x"),
        plan_of(rows(change(resource="stack production")), "x"),
        plan_of(rows(change("keep")), "x"),
        plan_of(rows(change(), mode="dry-run"), "x"),
        plan_of(rows(change(), reason="its `if` is false"), "x"),
        plan_of(rows(change()), "y"),
        plan_of([], "x"),
        no_plan("GitHub cannot be reached"),
    ]
    assert same not in {other.digest for other in others}


def test_text_of_others_stays_text() -> None:
    """Names come from outside: what would move a terminal or turn the text is taken out."""
    plan = plan_of(rows(change(resource="stack \x1b[31mred\u202e")), "x")
    assert plan.automations[0]["steps"][0]["changes"][0]["resource"] == "stack red"
