"""The steps of a run as its page shows them."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core import ids
from closeout.ports import LogLine, RunView, StepView
from closeout.server.pages import presentation, step_rows
from tests.contract.http.page_world import NOW, World, failure, step


def run_of(*steps: StepView) -> RunView:
    """Return a run of these steps."""
    world = World()
    run = world.run(*ids.parse_execution(world.add("a", "running", steps=steps)))
    assert run is not None
    return run


def test_a_running_step_says_its_last_log_line() -> None:
    """Progress needs no field of its own."""
    world = World()
    execution = world.add("a", "running", steps=(step("one", "running"), step("two", "pending")))
    run = world.run(*ids.parse_execution(execution))
    assert run is not None
    first, second = step_rows.steps(run, NOW + 3, {"one": "3 of 9 deleted", "two": "x"})
    assert (first.says, first.took, second.says) == ("3 of 9 deleted", "3.0 s", "")


def test_what_is_left_names_no_account_to_everybody() -> None:
    """AWS's refusals quote whole ARNs; and what a script has left are its own words."""
    refused = "AccessDenied: arn:aws:sts::111122223333:assumed-role/ops/me may not"
    left = ({"resource": "stack preview-17", "reason": refused},)
    world = World()
    run = world.run(
        *ids.parse_execution(world.add("a", "finished", steps=(step("one", "failure", left=left),)))
    )
    assert run is not None
    seen = presentation.for_anybody(run, lambda _uses: True)
    (row,) = step_rows.steps(seen, NOW, {})
    assert told(row) == [("still there", "stack preview-17", "AccessDenied: … may not")]
    (row,) = step_rows.steps(presentation.for_anybody(run, lambda _uses: False), NOW, {})
    assert row.rows is None


def test_a_plan_names_no_account_to_everybody() -> None:
    """CloudFormation knows a topic or a load balancer by its ARN: the name is shown, and what stands before it is not."""
    topic = "AWS::SNS::Topic arn:aws:sns:eu-central-1:111122223333:preview-17-topic"
    balancer = (
        "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:111122223333:loadbalancer/app/preview-17/50dc6c49"
    )
    changes = ({"verb": "delete", "resource": topic, "reason": "owned by 111122223333"},)
    left = ({"resource": balancer, "reason": "still there"},)
    world = World()
    run = world.run(
        *ids.parse_execution(
            world.add("a", "finished", steps=(step("one", "failure", changes=changes, left=left),))
        )
    )
    assert run is not None
    (row,) = step_rows.steps(presentation.for_anybody(run, lambda _uses: True), NOW, {})
    assert told(row) == [
        ("not reached", "AWS::SNS::Topic preview-17-topic", "owned by …"),
        ("still there", "loadbalancer/app/preview-17/50dc6c49", "still there"),
    ]
    (whole,) = step_rows.steps(run, NOW, {})
    assert told(whole)[0][1] == topic


def test_a_long_plan_is_folded() -> None:
    """Sixty lines would push everything else away."""
    changes = tuple({"verb": "delete", "resource": f"r{n}", "reason": ""} for n in range(60))
    world = World()
    run = world.run(
        *ids.parse_execution(world.add("a", "running", steps=(step("one", "running", changes=changes),)))
    )
    assert run is not None
    (row,) = step_rows.steps(run, NOW, {})
    assert (len(row.rows or ()), row.counts, row.unfolded) == (60, "60 deleting", False)


@pytest.mark.parametrize(
    ("change", "amount", "part"),
    [
        ({}, "", False),
        ({"objects": 1, "bytes": 1}, "1 object, 1 B", False),
        ({"objects": 2, "bytes": 0}, "2 objects, 0 B", False),
        ({"objects": 4_120, "bytes": 38_400_000, "part_of": "x"}, "4,120 objects, 38.4 MB", True),
        ({"objects": None, "bytes": None, "part_of": None}, "", False),
    ],
)
def test_a_change_says_how_much_it_is(change: dict[str, Any], amount: str, part: bool) -> None:
    """One object is not "objects"."""
    (row,) = (
        step_rows._rows(
            step("one", "success", changes=({"verb": "delete", "resource": "r", "reason": "w", **change},))
        )
        or ()
    )
    assert (row.outcome, row.resource, row.reason, row.amount, row.part) == (
        "deleted",
        "r",
        "w",
        amount,
        part,
    )


@pytest.mark.parametrize(
    ("state", "ended", "word", "took"),
    [
        ("success", NOW + 5, "Succeeded", "5.0 s"),
        ("running", None, "Running", "60.0 s"),
        ("skipped", NOW + 5, "Skipped", ""),
        ("pending", None, "Not started", ""),
        ("odd", NOW + 5, "odd", "5.0 s"),
    ],
)
def test_a_step_has_a_word_and_a_time(state: str, ended: float | None, word: str, took: str) -> None:
    """A skipped one took none."""
    row = step_rows._step(step("one", state, ended_at=ended, attempts=2), NOW + 60, "last line")
    assert (presentation.WORDS.get(row.step.state, row.step.state), row.rows, row.counts) == (word, None, "")
    assert row.took in (took, "1 min" if took == "60.0 s" else took)
    assert row.says == ("last line" if state == "running" else "")


@pytest.mark.parametrize(
    ("reason", "progress", "says"),
    [
        ("waits in one", "waiting: paused: by ada", "waiting: paused: by ada"),
        ("waits in one", "", "waits in one"),
        ("one: AWS throttles", "asked for it", "one: AWS throttles"),
    ],
)
def test_a_step_that_waits_says_for_what(reason: str, progress: str, says: str) -> None:
    """That it waits in itself is said only where nothing else is known."""
    row = step_rows._step(step("one", "waiting", reason=reason), NOW + 60, progress)
    assert row.says == says


def test_the_last_line_of_each_step_is_its_progress() -> None:
    """A line of the run itself is of no step."""
    lines = [LogLine(1, "a", NOW, "first"), LogLine(2, None, NOW, "x"), LogLine(3, "a", NOW, "last")]
    assert step_rows.progress_of(lines) == {"a": "last"}


def told(row: step_rows.StepRow) -> list[tuple[str, str, str]]:
    """Return outcome, resource and reason of each row of a step."""
    return [(each.outcome, each.resource, each.reason) for each in row.rows or ()]


@pytest.mark.parametrize(
    ("outcome", "verb", "word", "tone"),
    [
        ("done", "delete", "deleted", "good"),
        ("done", "run", "ran", "good"),
        ("done", "invent", "done", "good"),
        ("kept", "keep", "kept", "none"),
        ("gone", "delete", "already gone", "none"),
        ("unknown", "delete", "not known", "wait"),
        ("untouched", "delete", "not reached", "none"),
        ("pending", "delete", "next", "none"),
        ("under-way", "delete", "deleting", "busy"),
        ("under-way", "start", "under way", "busy"),
        ("planned", "delete", "would delete", "none"),
        ("failed", "run", "failed", "bad"),
        ("", "delete", "delete", "none"),
    ],
)
def test_each_resource_says_what_became_of_it(outcome: str, verb: str, word: str, tone: str) -> None:
    """A plan of an earlier release without outcomes says what was planned."""
    changes = ({"verb": verb, "resource": "r", "reason": ""},)
    (row,) = step_rows._rows(step("one", "x", changes=changes, outcomes=(outcome,) if outcome else ())) or ()
    assert (row.outcome, row.tone, row.console) == (word, tone, None)


def test_a_failed_step_says_its_error_once() -> None:
    """At the top, with what to do and where to look; its card says that it failed, and what is left."""
    world = World()
    run = world.run(*ids.parse_execution(failure(world)))
    assert run is not None
    (trouble,) = step_rows.troubles(run, whole=True)
    assert presentation.failure_text(trouble.step).startswith("bucket preview-17-assets is still there")
    assert "closeout permissions" in trouble.advice
    assert [row.resource for row in trouble.left] == ["stack preview-17", "bucket preview-17-assets"]
    assert all("console.aws.amazon.com" in str(row.console) for row in trouble.left)
    row, *_ = step_rows.steps(run, NOW, {"stack": "the last line"})
    assert (row.says, row.counts, row.unfolded) == ("", "2 still there, 1 deleted, 1 kept", True)


def test_a_public_page_shows_no_advice_and_no_console() -> None:
    """Both come from what only readers of the log may see."""
    world = World()
    run = world.run(*ids.parse_execution(failure(world)))
    assert run is not None
    (trouble,) = step_rows.troubles(presentation.for_anybody(run, lambda _uses: True), whole=False)
    assert (trouble.advice, {row.console for row in trouble.left}) == ("", {None})


def test_a_step_that_goes_on_says_its_time_against_its_limit() -> None:
    """One that has ended does not, nor one of a function, which has no limit of its own."""
    running, waiting, ended, function = step_rows.steps(
        run_of(step("a", "running"), step("b", "waiting"), step("c", "success"), step("d", "running", timeout=None)),
        NOW + 90,
        {},
    )  # fmt: skip
    assert running.limit is not None
    assert waiting.limit is not None
    assert running.limit.says == "Has run for 1 min 30 s of at most 1 h"
    assert (ended.limit, function.limit) == (None, None)


@pytest.mark.parametrize(
    ("count", "tone", "unfolded"), [(8, "good", True), (9, "good", False), (9, "bad", True), (0, "", True)]
)
def test_a_long_list_of_resources_is_folded_unless_something_is_left(
    count: int, tone: str, unfolded: bool
) -> None:
    """What has to be repaired is seen at once."""
    rows = tuple(
        step_rows.ResourceRow("deleted", tone, f"bucket {number}", "", "", False, None)
        for number in range(count)
    )
    assert step_rows.StepRow(step("one", "success"), "", "", rows, None).unfolded is unfolded
