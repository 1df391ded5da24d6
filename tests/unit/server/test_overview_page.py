"""The overview as values: what needs attention and what to do, what is running, and the last days."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from closeout.core.advice import advice
from closeout.core.errors import NothingThere
from closeout.core.problems import Problem
from closeout.core.units import DAY, HOUR
from closeout.patrol.marks import DRILL, LAST
from closeout.ports import DayTally, RunView
from closeout.server.pages import chart, overview_page
from closeout.server.pages.overview_facts import read_facts
from closeout.server.pages.overview_page import AttentionItem, OverviewData
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World
from tests.memory_problems import causes_of

QUIET = OverviewData(now=NOW, paused=None, open_runs=(), open_count=0, queue_age=0.0, last_delivery=NOW - 60)


def needs(facts: OverviewData) -> tuple[AttentionItem, ...]:
    """Return what needs somebody."""
    return overview_page.shown(facts).needs


def failed(
    number: int, *, automation: str = "preview-cleanup", step: str = "stack", code: str = ""
) -> Problem:
    """Return the problem of a run that failed an hour ago."""
    return Problem(
        automation=automation,
        key=f"{number}",
        kind="failure",
        text="bucket is still there",
        public="",
        since=NOW - 3600,
        code=code,
        step=step,
        repository="acme/shop",
        number=number,
        execution=f"r{number}-1",
    )


def test_nothing_needs_attention_when_all_is_well() -> None:
    """A server that has received something, patrols and drills in time."""
    fine = QUIET._replace(patrol_watches=True, patrol_ended=NOW - HOUR, drill_ended=NOW - DAY)
    assert needs(fine) == ()
    assert dict(overview_page.shown(fine).intake)["Patrol"] == "1 h ago"


def said(*problems: Problem) -> list[tuple[Problem, int]]:
    """Return what the ledger tells of problems."""
    return causes_of(problems, overview_page.MOST_NAMED)


def test_a_failure_says_what_to_do_before_the_rerun() -> None:
    """For one and for many, in the words of the run's own page."""
    one, two = failed(17, code=NothingThere.code), failed(18, code=NothingThere.code)
    cure = advice(NothingThere.code, one.text)
    assert cure
    for found, fix in (((one,), "Then rerun it."), ((one, two), "Then rerun each.")):
        (need,) = needs(QUIET._replace(problems=said(*found)))
        assert need.fix == f"{cure} {fix}"


def test_of_several_problems_of_one_cause_the_newest_is_quoted() -> None:
    """They lead to the list that has them; patrol's lead to the orphans."""
    old, new = failed(17)._replace(since=NOW - DAY, text="bucket a is left"), failed(18)
    (need,) = needs(QUIET._replace(problems=said(old, new)))
    assert (need.text, need.since) == ("bucket is still there", NOW - DAY)
    assert need.url == "/runs?automation=preview-cleanup&verdict=failure"
    orphans = [one._replace(kind="orphans", execution=None) for one in (old, new)]
    (need,) = needs(QUIET._replace(problems=said(*orphans)))
    assert (need.url, need.link, need.action, len(need.items)) == ("/orphans", "Orphans", None, 2)


@pytest.mark.parametrize(
    ("wrong", "title"),
    [
        ({"paused": "by ada: incident"}, "Destructive calls are paused"),
        ({"queue_age": HOUR + 60}, "The oldest queued run has waited 1 h 1 min"),
        ({"patrol_watches": True, "patrol_ended": NOW - 3 * HOUR}, "Patrol has not looked for 3 h"),
        ({"drill_ended": NOW - 3 * DAY}, "The last drill was 3 d ago"),
        ({"drill_ended": NOW, "drill_wrong": ["hook"]}, "The last drill found 1 fault"),
        ({"orphans": 2}, "2 resources of closed pull requests still there"),
        ({"unknown": 1}, "1 resource of unknown origin"),
        (
            {"days": [DayTally("2026-09-18", 1, 1, 0, 9), DayTally("2026-09-20", 2, 2, 0, 1)]},
            "1 closing since yesterday came without a webhook",
        ),
    ],
)
def test_each_fault_is_shown_with_what_to_do(wrong: dict[str, Any], title: str) -> None:
    """And nothing else."""
    (need,) = needs(QUIET._replace(**wrong))
    assert need.title == title
    assert need.fix.endswith(".")


def test_problems_of_one_cause_are_one_entry() -> None:
    """A thousand failures of one cause need one repair; another cause or automation is another entry."""
    many = [failed(number) for number in range(1, 1001)]
    found = needs(
        QUIET._replace(problems=said(*many, failed(7, code=NothingThere.code), failed(8, automation="docs")))
    )
    assert [need.title for need in found] == [
        "preview-cleanup failed for 1000 pull requests".replace("1000", "1,000"),
        "preview-cleanup failed for acme/shop#7",
        "docs failed for acme/shop#8",
    ]
    assert (len(found[0].items), found[0].more) == (5, 995)
    assert found[0].url == "/runs?automation=preview-cleanup&verdict=failure"
    assert (found[1].items, found[1].url, found[1].link) == ((), "/runs/r7", "Open the run")


def test_what_is_broken_comes_before_what_waits() -> None:
    """Whatever it is; a pause is first, since it explains the others."""
    wrong = QUIET._replace(
        paused="by ada", orphans=1, drill_ended=NOW, drill_wrong=["hook"], problems=said(failed(1))
    )
    assert [need.tone for need in needs(wrong)] == ["wait", "bad", "bad", "wait"]
    assert needs(wrong)[0].action == "/resume"


def test_the_tab_shows_whether_something_needs_attention() -> None:
    """Its title how much, its icon how bad it is."""
    for wrong, title, icon in (
        ({}, "Overview", "success"),
        ({"orphans": 1}, "(1) Overview", "waiting"),
        ({"orphans": 1, "problems": said(failed(1))}, "(2) Overview", "failure"),
    ):
        page = overview_page.shown(QUIET._replace(**wrong))
        assert (page.title, page.icon) == (title, icon)


def test_orphans_are_shown_once() -> None:
    """Either as patrol's problem or as a figure of its audit."""
    trouble = Problem("preview-cleanup", "3", "orphans", "stack preview-3", "", NOW - 60)
    (need,) = needs(QUIET._replace(problems=said(trouble), orphans=1))
    assert (need.title, need.url) == ("preview-cleanup found resources of closed pull requests", "/orphans")
    assert need.fix == "Look at the orphans, then clean up."
    (stale,) = needs(QUIET._replace(problems=said(trouble._replace(kind="stale"))))
    assert stale.fix == "`closeout doctor` says what is wrong and how to fix it."


def waiting(**more: Any) -> RunView:
    """Return a run under way since an hour."""
    world = World()
    page_world.waiting(world)
    (run,) = world.runs.values()
    values: dict[str, Any] = {"started_at": NOW - HOUR, "timeout": 3 * HOUR, **more}
    return run._replace(**values)


def test_a_run_near_its_limit_needs_attention() -> None:
    """From three quarters of it on; an intended sleep does not count."""
    assert needs(QUIET._replace(open_runs=[waiting()])) == ()
    late = waiting(started_at=NOW - 2.25 * HOUR)
    (need,) = needs(QUIET._replace(open_runs=[late]))
    assert need.title == "acme/shop#17 is near its time limit"
    assert need.text.startswith("stack/deleted: stack preview-17 is DELETE_IN_PROGRESS")
    (need,) = needs(QUIET._replace(open_runs=[late._replace(reason="stack: slow down")]))
    assert need.text == "stack: slow down"
    asleep = late._replace(sleeps_in="grace", until=NOW + HOUR)
    assert needs(QUIET._replace(open_runs=[asleep])) == ()


def test_what_is_running_is_shown_against_its_limit() -> None:
    """Those nearest to it first, and queued ones, which have a limit of their own, last."""
    queued = waiting(state="queued", started_at=None, accepted_at=NOW - 6 * HOUR, queue_timeout=DAY)
    late = waiting(started_at=NOW - 2.5 * HOUR)
    unlimited = waiting(timeout=None)
    going = overview_page.shown(QUIET._replace(open_runs=[queued, unlimited, waiting(), late])).going
    assert [(each.is_near, *each[1:]) for each in going] == [
        (True, "2 h 30 min", "3 h", 83),
        (False, "1 h", "3 h", 33),
        (False, "1 h", "", None),
        (False, "6 h", "1 d", 25),
    ]
    assert [each.run for each in going] == [late, waiting(), unlimited, queued]


def test_an_empty_ledger_shows_the_next_step() -> None:
    """No zeros: there is nothing to count before the first delivery."""
    page = overview_page.shown(QUIET._replace(last_delivery=None))
    assert page.is_new
    assert page.days == ()
    assert not overview_page.shown(QUIET).is_new
    start = overview_page.Start("https://x.example/webhook", "file:secret", ("pull_request",))
    assert start.deliver == (
        "closeout deliver --url https://x.example/webhook --secret file:secret --sample pull_request.closed"
    )
    assert not start.only_here
    assert start._replace(webhook="http://127.0.0.1:8080/webhook").only_here


def test_the_last_thirty_days_have_no_gaps() -> None:
    """A day on which nothing ended is drawn as nothing, and sums leave none out."""
    tallies = [DayTally("2026-09-01", 5, 3, 1, 1), DayTally("2026-09-20", 2, 2, 0, 0)]
    page = overview_page.shown(QUIET._replace(days=tallies))
    assert (len(page.days), page.days[0].day, page.days[-1].day) == (30, "2026-08-23", "2026-09-21")
    assert [(figure.label, figure.value) for figure in page.figures] == [
        ("Closings", 7),
        ("Torn down", 5),
        ("Left", 1),
        ("Recovered", 1),
    ]


def test_facts_are_of_thirty_days_and_of_the_last_drill() -> None:
    """Today is the last of the days; of a drill's answers only the wrong ones need somebody."""
    world: Any = World()
    days = [DayTally(day) for day in ("2026-08-22", "2026-08-23", "2026-09-21")]
    world.tallies = days
    drill = {LAST: {"ended_at": NOW - 60, "states": {"webhook": "wrong", "aws": "ok", "github": "wrong"}}}
    facts = read_facts(world, lambda kind: drill if kind == DRILL else {}, NOW, patrols=True)
    assert facts.days == days[1:]
    assert facts.drill_wrong == ["github", "webhook"]


@pytest.mark.parametrize(("age", "said"), [(0.9, "empty"), (1.0, "oldest 1.0 s"), (90.0, "oldest 1 min")])
def test_a_queue_of_less_than_a_second_is_empty(age: float, said: str) -> None:
    """Every run is queued for a moment."""
    assert dict(overview_page.shown(QUIET._replace(queue_age=age)).intake)["Queue"] == said


def test_a_bar_is_made_of_what_came_of_a_day() -> None:
    """Parts stand on each other inside the chart; one failure beside a thousand successes is seen."""
    drawn = chart.chart([DayTally("2026-03-01", 1001, 1000, 1, 0), DayTally("2026-03-02")])
    assert [part.kind for part in drawn.parts] == ["left", "good"]
    left, good = drawn.parts
    assert left.height >= 2
    assert left.y + left.height == chart.HEIGHT
    assert good.y + good.height == pytest.approx(left.y)
    assert (drawn.first, drawn.last) == ("1 Mar", "2 Mar")
    assert drawn.says == "The busiest day was 1 Mar, with 1001. Something was left on 1 of 2 days."


def test_bars_stand_beside_each_other_and_are_as_high_as_they_count() -> None:
    """Each in the middle of its day's place; on a scale to 4, of 114 points."""
    days = [DayTally("2026-03-01", 4, 2, 1), DayTally("2026-03-02"), DayTally("2026-03-03", 2, 1)]
    assert [tuple(part) for part in chart.chart(days).parts] == [
        ("left", 33.6, 99.5, 172.8, 28.5),
        ("good", 33.6, 42.5, 172.8, 57.0),
        ("none", 33.6, 14.0, 172.8, 28.5),
        ("good", 513.6, 99.5, 172.8, 28.5),
        ("none", 513.6, 71.0, 172.8, 28.5),
    ]
    assert chart.chart([]).says == "Nothing was closed in this time."


def test_a_chart_ends_its_scale_at_a_round_number() -> None:
    """That is not below the tallest bar and wastes less than half of the height."""
    for most in (*range(1, 200), 999, 12_345):
        top = chart.scale(most)
        assert most <= top < 2 * most or most == top
        assert len(str(top).rstrip("0")) == 1
    assert chart.chart([]).parts == ()


def test_no_number_of_the_chart_leaves_it() -> None:
    """Whatever the days are."""
    for counts in itertools.product((0, 1, 40), repeat=3):
        drawn = chart.chart([DayTally("2026-03-01", *counts), DayTally("2026-03-02", 3, 1, 1)])
        for part in drawn.parts:
            assert 0 <= part.x <= part.x + part.width <= chart.WIDTH
            assert 0 <= part.y <= part.y + part.height <= chart.HEIGHT + 0.1
        assert json.dumps(drawn)


def test_a_problem_of_closeout_itself_is_shown_once() -> None:
    """If it is already listed as a problem, the overview's own finding is left out."""
    late = QUIET._replace(
        patrol_watches=True, patrol_ended=NOW - 3 * HOUR, drill_ended=NOW, drill_wrong=["hook"]
    )
    assert len(needs(late)) == 2
    text = "patrol has not read the delivery logs for 3 h"
    stale = Problem("", "patrol", "stale", text, "", NOW - 60, "patrol")
    assert [need.title for need in needs(late._replace(problems=said(stale)))] == [
        "The last drill found 1 fault",
        "Patrol has not read the delivery logs for 3 h",
    ]
