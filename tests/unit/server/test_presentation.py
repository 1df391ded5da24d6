"""What the page says, before a template places it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core import ids
from closeout.ports import LogLine
from closeout.server import presentation
from closeout.testing import deliveries
from tests.contract.http.page_world import NOW, World, failure, step, waiting


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("a\x00b\rc\x07", "abc"),
        ("gpj\u202egnp.exe", "gpjgnp.exe"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x1b[?25l\x1b(B\x9b1mx", "x"),
    ],
)
def test_terminal_codes_and_direction_marks_go(raw: str, shown: str) -> None:
    """A log line or a branch name cannot recolour, hide or turn what stands around it."""
    assert presentation.clean(raw) == shown


@given(st.text())
def test_cleaned_text_has_no_control_characters(text: str) -> None:
    """Tab and line feed are all that is left of them."""
    assert not {char for char in presentation.clean(text) if ord(char) < 32} - {"\t", "\n"}


def test_a_subject_is_read_from_the_payload() -> None:
    """Title, branches, commit and their addresses."""
    about = presentation.subject(deliveries.pull_request(title="T"))
    assert (about.repository, about.title, about.number) == ("acme/shop", "T", 17)
    assert (about.head, about.base) == ("feature/basket", "develop")
    assert about.commit_url == f"https://github.com/acme/shop/commit/{about.sha}"
    assert about.private


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", 'https://x/"onclick', "data:text/html,x", 3, None]
)
def test_only_web_addresses_become_links(address: object) -> None:
    """A payload's address could hold anything."""
    payload = deliveries.pull_request()
    payload["pull_request"]["html_url"] = address
    payload["repository"]["html_url"] = address
    about = presentation.subject(payload)
    assert (about.url, about.repository_url, about.commit_url) == (None, None, None)


@pytest.mark.parametrize("payload", [{}, {"repository": {}}, {"repository": {"private": None}}, {"repository": {"private": "true"}}])  # fmt: skip
def test_what_is_not_certainly_private_counts_as_public(payload: dict[str, object]) -> None:
    """The log is shown by certainty, not by the lack of a word."""
    assert not presentation.subject(payload).private


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(["repository", "pull_request", "head", "base", "sender", "html_url", "sha", "ref", "title", "number"]), v, max_size=4), max_leaves=12))  # fmt: skip
def test_no_payload_breaks_the_page(payload: object) -> None:
    """A field of another type is left out."""
    if isinstance(payload, dict):
        presentation.subject(payload)


def test_a_finished_run_says_verdict_summary_and_time() -> None:
    """The banner is what somebody came for."""
    world = World()
    run = world.run(*ids.parse_execution(failure(world)))
    assert run is not None
    banner = presentation.banner(run, NOW + 5000)
    assert (banner.tone, banner.word, banner.finished) == ("failure", "Failed", True)
    assert banner.says.startswith("1 of 3 steps failed")
    assert banner.took == "1 min 36 s"


def test_a_waiting_run_says_what_it_waits_for() -> None:
    """And for how long it has been under way."""
    world = World()
    run = world.run(*ids.parse_execution(waiting(world)))
    assert run is not None
    banner = presentation.banner(run, NOW + 60)
    assert (banner.word, banner.took) == ("Waiting", "1 min")
    assert "DELETE_IN_PROGRESS" in banner.says


def test_a_sleeping_run_says_until_when() -> None:
    """To everybody: a time tells nothing. Who asked to cancel it is told to the log's readers only."""
    world = World()
    execution = world.add("a", "waiting", reason="waits in grace", sleeps_in="grace", until=NOW + 600)
    run = world.run(*ids.parse_execution(execution))
    assert run is not None
    for seen in (run, presentation.for_anybody(run, lambda _uses: True)):
        assert presentation.banner(seen, NOW).says == "It waits until 14:23:20 UTC (grace)."
    assert "Sep 2026" in presentation.banner(run._replace(until=NOW + 90_000), NOW).says
    cancelled = run._replace(reason="root@vm asked to cancel it", sleeps_in=None, until=None)
    assert presentation.banner(cancelled, NOW).says == "root@vm asked to cancel it"
    assert (
        "root" not in presentation.banner(presentation.for_anybody(cancelled, lambda _uses: True), NOW).says
    )


def test_a_running_step_says_its_last_log_line() -> None:
    """Progress needs no field of its own."""
    world = World()
    execution = world.add("a", "running", steps=(step("one", "running"), step("two", "pending")))
    run = world.run(*ids.parse_execution(execution))
    assert run is not None
    first, second = presentation.steps(run, NOW + 3, {"one": "3 of 9 deleted", "two": "x"})
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
    (row,) = presentation.steps(seen, NOW, {})
    assert row.left == (("stack preview-17", "AccessDenied: … may not"),)
    (row,) = presentation.steps(presentation.for_anybody(run, lambda _uses: False), NOW, {})
    assert row.left == ()


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
    (row,) = presentation.steps(presentation.for_anybody(run, lambda _uses: True), NOW, {})
    assert row.changes is not None
    assert [(change.resource, change.reason) for change in row.changes] == [
        ("AWS::SNS::Topic preview-17-topic", "owned by …")
    ]
    assert row.left == (("loadbalancer/app/preview-17/50dc6c49", "still there"),)
    (whole,) = presentation.steps(run, NOW, {})
    assert whole.changes is not None
    assert whole.changes[0].resource == topic


def test_a_long_plan_is_folded() -> None:
    """Sixty lines would push everything else away."""
    changes = tuple({"verb": "delete", "resource": f"r{n}", "reason": ""} for n in range(60))
    world = World()
    run = world.run(
        *ids.parse_execution(world.add("a", "running", steps=(step("one", "running", changes=changes),)))
    )
    assert run is not None
    (row,) = presentation.steps(run, NOW, {})
    assert row.changes is not None
    assert (len(row.changes), row.unfolded) == (60, False)


def shown(state: str, verdict: str | None = None, **more: Any) -> presentation.Banner:
    """Return the banner of a run, a minute after it began."""
    world = World()
    run = world.run(*ids.parse_execution(world.add("a", state, verdict, **more)))
    assert run is not None
    return presentation.banner(run, NOW + 60)


@pytest.mark.parametrize(
    ("state", "steps", "says"),
    [
        ("queued", (), "It starts when the runs before it have ended."),
        ("running", (), "It is running."),
        ("running", (step("one", "success"), step("two", "running")), "two is running."),
        ("waiting", (step("one", "waiting"), step("two", "pending")), "one is running."),
        ("finished", (step("one", "running"),), "one is running."),
        ("finished", (), ""),
    ],
)
def test_a_run_without_a_word_of_its_own_says_where_it_is(state: str, steps: Any, says: str) -> None:
    """The first step that goes on, or that the run waits for others."""
    assert shown(state, "success" if state == "finished" else None, steps=steps).says == says


def test_a_run_that_never_began_took_no_time() -> None:
    """And one that ended without a verdict counts as failed."""
    assert shown("queued").took == ""
    assert shown("running").took == "1 min"
    ended = shown("finished", None)
    assert (ended.tone, ended.finished, ended.took) == ("failure", True, "1 min 36 s")
    assert presentation.moment(None) == ("", "")


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
    row = presentation._change({"verb": "delete", "resource": "r", "reason": "w", **change})
    assert (row.verb, row.resource, row.reason, row.amount, row.part) == ("delete", "r", "w", amount, part)


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
    row = presentation._step(step("one", state, ended_at=ended, attempts=2), NOW + 60, "last line")
    assert (row.word, row.tries, row.left, row.changes) == (word, 2, (), None)
    assert row.took in (took, "1 min" if took == "60.0 s" else took)
    assert row.says == ("last line" if state == "running" else "")


def test_the_last_line_of_each_step_is_its_progress() -> None:
    """A line of the run itself is of no step."""
    lines = [LogLine(1, "a", NOW, "first"), LogLine(2, None, NOW, "x"), LogLine(3, "a", NOW, "last")]
    assert presentation.progress_of(lines) == {"a": "last"}
