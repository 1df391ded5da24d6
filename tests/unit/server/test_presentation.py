"""What the page says, before a template places it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core import ids
from closeout.server.pages import presentation
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
    payload["pull_request"]["title"] = 3
    about = presentation.subject(payload)
    assert about.title is None
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


def test_a_paused_run_says_so() -> None:
    """The last line of its step says why it waits; a list, which reads no log, adds that calls are paused."""
    world = World()
    found = world.run(*ids.parse_execution(waiting(world)))
    assert found is not None
    run = found._replace(reason="waits in stack")
    said = {"stack": "waiting: paused: by ada: incident 42"}
    assert presentation.banner(run, NOW, progress=said).says == "waiting: paused: by ada: incident 42"
    assert presentation.banner(run, NOW, paused=True).says == "waits in stack; destructive calls are paused"
    assert presentation.banner(run, NOW).says == "waits in stack"
    throttled = run._replace(reason="stack: Throttling")
    assert presentation.banner(throttled, NOW, paused=True, progress=said).says == "stack: Throttling"


def test_a_sleeping_run_says_until_when() -> None:
    """To everybody: a time tells nothing. Who asked to cancel it is told to the log's readers only."""
    world = World()
    execution = world.add("a", "waiting", reason="waits in grace", sleeps_in="grace", until=NOW + 600)
    run = world.run(*ids.parse_execution(execution))
    assert run is not None
    for seen in (run, presentation.for_anybody(run, lambda _uses: True)):
        assert presentation.banner(seen, NOW).says == "It waits until 14:23:20 UTC (grace)."
    for until, dated in ((86_399, False), (86_400, True), (90_000, True)):
        says = presentation.banner(run._replace(until=NOW + until), NOW).says or ""
        assert ("Sep 2026" in says) is dated, until
    cancelled = run._replace(reason="root@vm asked to cancel it", sleeps_in=None, until=None)
    assert presentation.banner(cancelled, NOW).says == "root@vm asked to cancel it"
    assert (
        "root" not in presentation.banner(presentation.for_anybody(cancelled, lambda _uses: True), NOW).says
    )


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
        ("running", (step("one", "success"), step("two", "running")), "Current step: two."),
        ("waiting", (step("one", "waiting"), step("two", "pending")), "Current step: one."),
        ("finished", (step("one", "running"),), "Current step: one."),
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


def test_an_error_stands_once_on_a_page() -> None:
    """The banner leaves out what the first failed step says of itself, and nothing else."""
    reason = "bucket b is still there"
    one = step("one", "failure", name="The stack", reason=reason)
    for summary, says in (
        (f"2 of 3 steps failed; The stack: {reason}", "2 of 3 steps failed"),
        (f"2 of 3 steps failed; one: {reason}", "2 of 3 steps failed"),
        (f"one: {reason}", ""),
        (f"one: {reason} (status not delivered: 401)", "(status not delivered: 401)"),
        ("internal error: KeyError", "internal error: KeyError"),
    ):
        assert below("failure", steps=(one,), summary=summary) == says
        assert shown("finished", "failure", steps=(one,), summary=summary).says == summary, (
            "a list shows no error below"
        )
    assert below("failure", summary="waited 24 h for its turn") == "waited 24 h for its turn"
    assert below("success", steps=(one,), summary=f"one: {reason}") == f"one: {reason}"


def below(verdict: str, **more: Any) -> str:
    """Return what the banner of a page says that shows errors below it."""
    world = World()
    run = world.run(*ids.parse_execution(world.add("a", "finished", verdict, **more)))
    assert run is not None
    return presentation.banner(run, NOW + 60, errors_below=True).says


def test_time_is_told_against_its_limit() -> None:
    """In the queue against the queue's, then against the run's; a run that has ended has none."""
    queued, running, ended = shown("queued").limit, shown("running").limit, shown("finished", "success").limit
    assert queued is not None
    assert running is not None
    assert (queued.spent, queued.most, queued.says) == (
        62.0,
        86_400.0,
        "Has waited 1 min 2 s of at most 24 h",
    )
    assert (running.spent, running.most, running.says) == (60.0, 10_800.0, "Has run for 1 min of at most 3 h")
    assert ended is None
    assert shown("running", timeout=None).limit is None
    assert [presentation.limit(0.0, most, 12.34, "Has run for") for most in (None, 0.0)] == [None, None]
    exact = [presentation.limit(0.0, most, 12.34, "Has run for") for most in (100.0, 1.0)]
    assert [each and each.spent for each in exact] == [12.3, 1.0]
    late = shown("running", timeout=30.0).limit
    assert late is not None
    assert (late.spent, late.says) == (30.0, "Has run for 1 min of at most 30 s")


def test_limits_and_codes_are_the_operators() -> None:
    """They are configuration, which a page of a public repository does not show."""
    world = World()
    run = world.run(*ids.parse_execution(failure(world)))
    assert run is not None
    seen = presentation.for_anybody(run, lambda _uses: True)
    assert (seen.timeout, seen.queue_timeout) == (None, None)
    assert {(each.code, each.timeout) for each in seen.steps} == {(None, None)}
    assert all("identity" not in change for each in seen.steps for change in each.changes or ())
