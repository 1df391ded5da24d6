"""What patrol does with orphans: few runs or none, and never after an incomplete audit."""

from __future__ import annotations

import pytest

from closeout.core.errors import ServiceError
from closeout.orphans.audit import Report, Row, Target
from closeout.orphans.repair import MOST_KEPT, MOST_TEXT, RepairReport, repair

REPAIR = {"a": "repair"}


def row(number: int, automation: str = "a", state: str = "orphan") -> Row:
    assert state in ("orphan", "open", "unknown")
    return Row(None, f"preview-{number}", state, "", "acme/shop", number, automation, 1.0, False)  # type: ignore[arg-type]


def repaired(
    rows: tuple[Row, ...], modes: dict[str, str] = REPAIR, limit: int = 2, errors: tuple[str, ...] = ()
) -> tuple[RepairReport, list[Target]]:
    begun: list[Target] = []

    def start(target: Target) -> tuple[bool, str]:
        begun.append(target)
        return True, "started"

    made = repair(Report(rows, errors), modes, limit, begun=lambda row: row.pull_request >= 17, start=start)
    return made, begun


def test_up_to_the_limit_each_orphan_gets_its_run() -> None:
    """Two things of one pull request and one automation are one run."""
    found, begun = repaired((row(17), row(17), row(18), row(19, state="unknown"), row(20, state="open")))
    assert begun == [Target("acme/shop", 17, "a"), Target("acme/shop", 18, "a")]
    assert found[:3] == (3, 2, 1)
    assert found.notes == (
        "preview-17 was left behind by acme/shop#17",
        "preview-17 was left behind by acme/shop#17",
        "preview-18 was left behind by acme/shop#18",
        "acme/shop#17 a: started",
        "acme/shop#18 a: started",
    )


def test_a_run_that_would_delete_more_than_orphans_is_not_started() -> None:
    """Verdicts are about resources, a run about everything its automation names."""
    spared = Target("acme/shop", 17, "a")
    begun: list[Target] = []

    def start(target: Target) -> tuple[bool, str]:
        begun.append(target)
        return True, "started"

    report = Report((row(17), row(18)), (), frozenset({spared}))
    found = repair(report, REPAIR, 10, begun=lambda _row: True, start=start)
    assert (begun, found.started) == ([Target("acme/shop", 18, "a")], 1)
    assert f"{spared} is not cleaned up" in " ".join(found.notes)


def test_above_the_limit_none_is_started() -> None:
    """Many orphans at once need a person."""
    found, begun = repaired((row(17), row(18), row(19)))
    assert (begun, found[:3]) == ([], (3, 0, 0))
    assert "3 runs would clean up orphans, and the limit is 2: none was started" in found.notes[-1]


def test_orphans_from_before_patrol_are_left_to_an_operator() -> None:
    """They start nothing, however few there are, and do not count for the limit."""
    found, begun = repaired((row(1), row(2), row(3), row(17)))
    assert begun == [Target("acme/shop", 17, "a")]
    assert (found.found, found.started) == (4, 1)
    assert "starts nothing for 3 of them, closed before it began" in " ".join(found.notes)


@pytest.mark.parametrize("mode", ["report", "off", "Repair"])
def test_only_repair_starts_anything(mode: str) -> None:
    """And an automation that has no mode starts nothing either."""
    for modes in ({"a": mode}, {}):
        found, begun = repaired((row(17),), modes)
        assert (begun, found.found, found.started) == ([], 1, 0)
        assert found.notes == ("preview-17 was left behind by acme/shop#17",)


def test_an_incomplete_audit_starts_nothing() -> None:
    """What was not read may exceed the limit."""
    found, begun = repaired((row(17),), errors=("AccessDenied",))
    assert (begun, found.errors) == ([], ("AccessDenied",))
    assert "nothing was started for orphans, because the audit could not ask for all of it" in found.notes


def test_the_first_of_each_state_are_kept_for_the_pages() -> None:
    """Orphans and what is unknown; not what is open, and of a long reason the beginning."""
    unknown = row(18, state="unknown")._replace(reason="x" * (MOST_TEXT + 1), created=None)
    many = tuple(row(number) for number in range(100, 101 + MOST_KEPT))
    found, _ = repaired((row(17), unknown, row(19, state="open")))
    assert found.kept == (
        {
            "resource": "preview-17",
            "state": "orphan",
            "reason": "",
            "repository": "acme/shop",
            "pull_request": 17,
            "automation": "a",
            "created": 1.0,
        },
        {
            "resource": "preview-18",
            "state": "unknown",
            "reason": "x" * MOST_TEXT,
            "repository": "acme/shop",
            "pull_request": 18,
            "automation": "a",
            "created": None,
        },
    )
    kept = [one["resource"] for one in repaired((*many, unknown))[0].kept]
    assert kept == [*(one.resource for one in many[:MOST_KEPT]), "preview-18"]


def test_an_orphan_that_cannot_be_started_delays_no_other() -> None:
    """The error is reported."""

    def start(target: Target) -> tuple[bool, str]:
        if target.number == 17:
            raise ServiceError("GitHub: 502", service="github", operation="GET", reason="502")
        return target.number == 18, "told"

    rows = (row(17), row(18), row(19))
    found = repair(Report(rows, ()), REPAIR, 3, begun=lambda _row: True, start=start)
    assert (found.started, found.errors) == (1, ("GitHub: 502",))
