"""What is reported about problems: when, to whom, and in how few messages."""

from __future__ import annotations

import pytest

from closeout.core.problems import (
    AGAIN,
    MOST_MESSAGES,
    WAIT,
    Message,
    Notification,
    Problem,
    Route,
    Routes,
    closes,
    due,
    unannounced_ends,
)

ALL = frozenset({"failure", "orphans", "stale", "recovered"})
ROUTES = Routes(Route(ALL, ("env:A",)))


def problem(key: str = "1/1/a", **fields: object) -> Problem:
    """Return an open problem of one cause."""
    return Problem("teardown", key, "failure", "x", "x", since=0.0, step="stack", code="c")._replace(**fields)  # type: ignore[arg-type]


def said(
    problems: list[Problem], notifications: list[Notification], now: float, routes: Routes = ROUTES
) -> list[Message]:
    """Return the messages to `env:A`."""
    return due(problems, notifications, now, routes).get("env:A", [])


def notified(one: Problem, at: float, *, recovered: bool = False) -> Notification:
    """Return the state after `env:A` was notified."""
    return Notification("env:A", one.automation, one.key, at, recovered)


def test_a_problem_waits_and_is_reported_once_a_day() -> None:
    """Not before its time, then once, and again after a day."""
    one = problem()
    assert said([one], [], WAIT - 1) == []
    assert said([one], [], WAIT) == [Message("env:A", "failure", (one,))]
    known = [notified(one, WAIT)]
    assert said([one], known, WAIT + AGAIN - 1) == []
    assert said([one], known, WAIT + AGAIN) == [Message("env:A", "failure", (one,))]


def test_a_thousand_failures_of_one_cause_are_one_message() -> None:
    """More recent failures join the oldest, however many; another step or code makes another message."""
    many = [problem(f"1/{number}/a", since=number / 10) for number in range(1_000)]
    (message,) = said(many, [], WAIT)
    assert message.problems == tuple(many)
    others = [problem("2/1/a", step="bucket"), problem("2/2/a", code="d"), problem("2/3/a", automation="b")]
    assert len(said([*many, *others], [], WAIT)) == 4


def test_a_problem_that_closes_before_it_is_reported_is_never_reported() -> None:
    """Neither is its recovery."""
    over = problem(closed_at=30.0)
    assert said([over], [], 10 * AGAIN) == []


def test_a_recovery_is_reported_once_to_targets_that_know_the_problem() -> None:
    """After the same wait, so that many recoveries make one message."""
    over = [problem(f"1/{number}/a", closed_at=500.0 + number) for number in range(3)]
    known = [notified(one, 100.0) for one in over]
    assert said(over, known, 500.0 + WAIT - 1) == []
    assert said(over, known, 500.0 + WAIT) == [Message("env:A", "recovered", tuple(over))]
    assert said(over, [notified(one, 700.0, recovered=True) for one in over], 10 * AGAIN) == []


def test_a_problem_that_returns_after_its_recovery_was_reported_is_new() -> None:
    """If the recovery was not reported, the target still has the problem as open, and it is not new."""
    again = problem(since=1_000.0)
    assert said([again], [notified(again, 500.0)], 1_000.0 + WAIT) == []
    assert said([again], [notified(again, 500.0, recovered=True)], 1_000.0 + WAIT)


@pytest.mark.parametrize("ahead", [WAIT + 1, 300 * AGAIN])
def test_setting_the_clock_back_suppresses_no_message(ahead: float) -> None:
    """Neither of a problem that began or was reported in the clock's future, nor of a recovery."""
    new, over = problem(since=ahead), problem(closed_at=ahead)
    assert said([new], [], 0.0)
    assert said([problem()], [notified(problem(), ahead + AGAIN)], 0.0)
    assert said([over], [notified(over, ahead)], 0.0)
    assert said([problem()], [notified(problem(), 0.0)], 0.0) == []


def test_each_automation_has_its_own_targets() -> None:
    """Its route replaces the default; an automation that is no longer configured uses the default."""
    routes = Routes(Route(frozenset({"failure"}), ("env:A",)), {"quiet": Route(frozenset(), ("env:B",))})
    problems = [problem(automation="quiet"), problem(automation="gone"), problem(kind="orphans")]
    assert due(problems, [], AGAIN, routes) == {"env:A": [Message("env:A", "failure", (problems[1],))]}
    over = problem(closed_at=1.0)
    assert due([over], [notified(over, 0.0)], AGAIN, routes) == {}
    assert routes.targets() == ("env:A", "env:B")


def test_a_target_that_was_down_gets_few_messages() -> None:
    """The oldest first; above the limit, the last message has everything else, and nothing is left out."""
    many = [problem(f"1/{number}/a", code=str(number), since=float(number)) for number in range(40)]
    most = said(many[:MOST_MESSAGES], [], AGAIN)
    assert [(one.event, one.problems) for one in most] == [
        ("failure", (one,)) for one in many[:MOST_MESSAGES]
    ]
    messages = said(many[::-1], [], AGAIN)
    assert len(messages) == MOST_MESSAGES
    assert [one.event for one in messages] == ["failure"] * (MOST_MESSAGES - 1) + ["many"]
    assert [one for message in messages for one in message.problems] == many


def test_a_repeated_message_includes_new_problems_and_repeats_none_early() -> None:
    """Problems reported at different times are each repeated a day after their own report."""
    early, late, new = problem("1/1/a"), problem("1/2/a"), problem("1/3/a", since=AGAIN)
    known = [notified(early, 0.0), notified(late, 50.0)]
    (message,) = said([early, late, new], known, AGAIN)
    assert message.problems == (early, new)


def test_a_recovery_that_no_target_wants_is_forgotten() -> None:
    """By a target without `recovered`, and by one that is gone; the others are still notified."""
    over, still = problem(closed_at=1.0), problem("1/2/a")
    known = [notified(over, 0.0), notified(over, 0.0)._replace(target="env:GONE"), notified(still, 0.0)]
    assert unannounced_ends([over, still], known, ROUTES) == [known[1]._replace(recovered=True)]
    quiet = Routes(Route(frozenset({"failure"}), ("env:A",)))
    heard = notified(over, 5.0, recovered=True)
    assert unannounced_ends([over, still], [known[0], known[2], heard], quiet) == [
        known[0]._replace(recovered=True)
    ]


def test_a_message_about_a_public_repository_says_only_what_is_public() -> None:
    """The same for a repository of unknown visibility; a problem of closeout itself is reported in full."""
    public = problem(text="all", public="some", left=("a", "b"), public_left=("a",))
    for one in (public, public._replace(repository="acme/shop")):
        assert (one.says, one.names) == ("some", ("a",))
    for one in (public._replace(repository="acme/shop", private=True), public._replace(automation="")):
        assert (one.says, one.names) == ("all", ("a", "b"))


def test_what_a_success_closes() -> None:
    """A closing closes all earlier problems of its pull request, any other event only those of its own run."""
    assert closes("5/7/2026-03-14T09:26:53Z") == ("5/7/", "5/7/2026-03-14T09:26:53Z")
    assert closes("abc") == ("abc", "abc")
