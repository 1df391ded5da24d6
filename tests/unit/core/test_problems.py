"""What has to be said about problems: when, to whom, and how few messages that takes."""

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
    """Return that `env:A` was notified."""
    return Notification("env:A", one.automation, one.key, at, recovered)


def test_a_problem_waits_and_is_told_once_a_day() -> None:
    """Not before its time, once then, and again after a day."""
    one = problem()
    assert said([one], [], WAIT - 1) == []
    assert said([one], [], WAIT) == [Message("env:A", "failure", (one,))]
    known = [notified(one, WAIT)]
    assert said([one], known, WAIT + AGAIN - 1) == []
    assert said([one], known, WAIT + AGAIN) == [Message("env:A", "failure", (one,))]


def test_a_thousand_failures_of_one_cause_are_one_message() -> None:
    """The younger ones come along with the oldest, however many; another step or code is another message."""
    many = [problem(f"1/{number}/a", since=number / 10) for number in range(1_000)]
    (message,) = said(many, [], WAIT)
    assert message.problems == tuple(many)
    others = [problem("2/1/a", step="bucket"), problem("2/2/a", code="d"), problem("2/3/a", automation="b")]
    assert len(said([*many, *others], [], WAIT)) == 4


def test_a_problem_that_closes_before_it_is_told_is_never_told() -> None:
    """Neither is its repair."""
    over = problem(closed_at=30.0)
    assert said([over], [], 10 * AGAIN) == []


def test_a_repair_is_told_once_to_whoever_knew_of_the_problem() -> None:
    """After the same wait, so that many repairs are one message."""
    over = [problem(f"1/{number}/a", closed_at=500.0 + number) for number in range(3)]
    known = [notified(one, 100.0) for one in over]
    assert said(over, known, 500.0 + WAIT - 1) == []
    assert said(over, known, 500.0 + WAIT) == [Message("env:A", "recovered", tuple(over))]
    assert said(over, [notified(one, 700.0, recovered=True) for one in over], 10 * AGAIN) == []


def test_one_that_comes_back_is_a_new_one() -> None:
    """If its repair was told. If not, the target still believes that it is open."""
    again = problem(since=1_000.0)
    assert said([again], [notified(again, 500.0)], 1_000.0 + WAIT) == []
    assert said([again], [notified(again, 500.0, recovered=True)], 1_000.0 + WAIT)


@pytest.mark.parametrize("ahead", [WAIT + 1, 300 * AGAIN])
def test_a_clock_that_is_set_back_silences_nothing(ahead: float) -> None:
    """Neither a problem that began in its future, nor one that was told then, nor a repair."""
    new, over = problem(since=ahead), problem(closed_at=ahead)
    assert said([new], [], 0.0)
    assert said([problem()], [notified(problem(), ahead + AGAIN)], 0.0)
    assert said([over], [notified(over, ahead)], 0.0)
    assert said([problem()], [notified(problem(), 0.0)], 0.0) == []


def test_each_automation_says_who_is_told_of_what() -> None:
    """Its route replaces the default; one that is no longer configured has the default."""
    routes = Routes(Route(frozenset({"failure"}), ("env:A",)), {"quiet": Route(frozenset(), ("env:B",))})
    problems = [problem(automation="quiet"), problem(automation="gone"), problem(kind="orphans")]
    assert due(problems, [], AGAIN, routes) == {"env:A": [Message("env:A", "failure", (problems[1],))]}
    over = problem(closed_at=1.0)
    assert due([over], [notified(over, 0.0)], AGAIN, routes) == {}
    assert routes.targets() == ("env:A", "env:B")


def test_a_target_that_was_down_hears_few_messages() -> None:
    """The oldest first; beyond the most, everything is in the last one, and nothing is left out."""
    many = [problem(f"1/{number}/a", code=str(number), since=float(number)) for number in range(40)]
    most = said(many[:MOST_MESSAGES], [], AGAIN)
    assert [(one.event, one.problems) for one in most] == [
        ("failure", (one,)) for one in many[:MOST_MESSAGES]
    ]
    messages = said(many[::-1], [], AGAIN)
    assert len(messages) == MOST_MESSAGES
    assert [one.event for one in messages] == ["failure"] * (MOST_MESSAGES - 1) + ["many"]
    assert [one for message in messages for one in message.problems] == many


def test_a_repeated_message_takes_new_ones_along_and_repeats_none_early() -> None:
    """Told at different times, each is repeated a day after its own."""
    early, late, new = problem("1/1/a"), problem("1/2/a"), problem("1/3/a", since=AGAIN)
    known = [notified(early, 0.0), notified(late, 50.0)]
    (message,) = said([early, late, new], known, AGAIN)
    assert message.problems == (early, new)


def test_a_repair_that_nobody_hears_of_is_forgotten() -> None:
    """By a target without `recovered`, and by one that is gone; the others still have to be told."""
    over, still = problem(closed_at=1.0), problem("1/2/a")
    known = [notified(over, 0.0), notified(over, 0.0)._replace(target="env:GONE"), notified(still, 0.0)]
    assert unannounced_ends([over, still], known, ROUTES) == [known[1]._replace(recovered=True)]
    quiet = Routes(Route(frozenset({"failure"}), ("env:A",)))
    heard = notified(over, 5.0, recovered=True)
    assert unannounced_ends([over, still], [known[0], known[2], heard], quiet) == [
        known[0]._replace(recovered=True)
    ]


def test_what_a_message_may_say() -> None:
    """Of a public repository what anybody may read, and of one that nobody knows; of closeout itself all."""
    public = problem(text="all", public="some", left=("a", "b"), public_left=("a",))
    for one in (public, public._replace(repository="acme/shop")):
        assert (one.says, one.names) == ("some", ("a",))
    for one in (public._replace(repository="acme/shop", private=True), public._replace(automation="")):
        assert (one.says, one.names) == ("all", ("a", "b"))


def test_what_a_success_closes() -> None:
    """A closing closes all earlier ones of its pull request, another event only its own run."""
    assert closes("5/7/2026-03-14T09:26:53Z") == ("5/7/", "5/7/2026-03-14T09:26:53Z")
    assert closes("abc") == ("abc", "abc")
