"""The registry and one round over it: what a check may report, and what happens if one fails itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest

from closeout.checks import registry
from closeout.checks.check import Check, Outcome, Result, fine, listed, unknown, worst, wrong
from closeout.checks.world import World
from closeout.core.errors import CloseoutError, LedgerError, ServiceError, StoreUnavailable

NO_WORLD = cast("World", None)


def check(name: str, answer: Result | Exception, *after: str) -> Check:
    """Return a check that gives this answer, or raises it."""

    def ask(_world: World) -> Result:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Check(
        id=name,
        group="G",
        looks=f"looks at {name}",
        breaks="something",
        fix=f"mend {name}",
        ask=ask,
        after=after,
    )


def states(*checks: Check) -> dict[str, Outcome]:
    """Run one round."""
    return {one.check.id: one for one in registry.ask(NO_WORLD, checks)}


def test_each_check_has_a_unique_name_and_follows_its_dependencies() -> None:
    """Scripts and alarms use the names; a later check could not hold back an earlier one."""
    seen: list[str] = []
    for one in registry.CHECKS:
        assert one.id not in seen
        assert set(one.after) <= set(seen), one.id
        assert all((one.looks, one.breaks, one.fix))
        seen.append(one.id)
    groups = list(dict.fromkeys(one.group for one in registry.CHECKS))
    assert [one.group for one in sorted(registry.CHECKS, key=lambda one: groups.index(one.group))] == [
        one.group for one in registry.CHECKS
    ], "a group is shown in one piece"


@pytest.mark.parametrize(
    "error",
    [
        LedgerError("no"),
        StoreUnavailable("no"),
        ServiceError("no", service="x", operation="y", reason="500", transient=True),
        ServiceError("no", service="x", operation="y", reason="403"),
        ValueError("a secret"),
        KeyError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_unexpected_error_in_a_check_is_unknown_and_never_fine(error: Exception) -> None:
    """Its text is shown if it is closeout's own, and dependent checks wait."""
    found = states(
        check("first", error), check("second", fine("all is well"), "first"), check("third", fine("x"))
    )
    assert (found["first"].result.state, found["first"].ok) == ("unknown", None)
    assert ("no" in found["first"].result.what) == isinstance(error, CloseoutError)
    assert "secret" not in found["first"].result.what
    assert (found["second"].result.state, found["second"].cause, found["second"].fix) == (
        "unknown",
        "first",
        None,
    )
    assert found["third"].ok is True


def test_a_check_names_the_first_cause_that_it_waits_for() -> None:
    """Also through other checks, and not for one that does not apply."""
    found = states(
        check("a", wrong("broken")),
        check("b", fine("b"), "a"),
        check("c", fine("c"), "b"),
        check("d", Result("skipped", "no need")),
        check("e", fine("e"), "d"),
    )
    assert [(name, one.result.state, one.cause) for name, one in found.items()] == [
        ("a", "wrong", None),
        ("b", "unknown", "a"),
        ("c", "unknown", "a"),
        ("d", "skipped", None),
        ("e", "fine", None),
    ]


def test_the_user_sees_which_check_is_running() -> None:
    """Before its result; a check that waits for another is not shown."""
    told: list[str] = []
    checks = (check("a", wrong("broken")), check("b", fine("b"), "a"), check("c", fine("c")))
    round_ = registry.ask(NO_WORLD, checks, lambda asked: told.append(asked.id))
    next(round_)
    assert told == ["a"]
    assert [one.check.id for one in round_] == ["b", "c"]
    assert told == ["a", "c"]


def test_only_checks_that_apply_to_a_stack_run_for_it() -> None:
    """It has no file, disk or server of its own; only the worker has its credentials."""
    stack = [one.id for one in registry.ON_STACK]
    files = [one.id for one in registry.CHECKS if one.group == "Configuration"]
    machine = [one.id for one in registry.CHECKS if one.group == "Machine"]
    assert [name for name in files if name in stack] == ["configuration", "secret-github"]
    assert [name for name in machine if name in stack] == ["paused", "clock"]
    assert [name for name in stack if name.startswith("aws-")] == ["aws-account", "aws-permissions"]
    assert [one.id for one in registry.CHECKS if one.at_start] == ["disk", "ledger-place", "empty-runs"]


def test_only_results_that_need_a_fix_have_one() -> None:
    """A finding has its own fix, or that of its check."""
    found = states(
        check("a", wrong("broken")),
        check("b", wrong("broken", "do it")),
        check("c", fine("c")),
        check("d", unknown("d")),
    )
    assert [one.to_json()["fix"] for one in found.values()] == ["mend a", "do it", None, None]
    assert [one.to_json()["breaks"] for one in found.values()] == ["something", "something", None, None]
    assert [one.to_json()["ok"] for one in found.values()] == [False, False, True, None]


def test_the_worst_of_several_results_counts() -> None:
    """Neither an unknown nor many good ones hide a wrong one."""
    assert worst([fine("a"), unknown("b"), wrong("c"), wrong("d", "mend")], "all") == Result(
        "wrong", "c; d", "mend"
    )
    assert worst([fine("a"), unknown("b")], "all") == Result("unknown", "b", None)
    assert worst([fine("a")], "all") == fine("all")
    assert listed(str(number) for number in range(5)) == "0; 1; 2; and 2 more"
    assert listed("0122") == "0; 1; 2"


def test_an_answer_and_an_error_are_requested_once_a_round() -> None:
    """Several checks use the same answer."""
    asked: list[str] = []

    def ask(text: str) -> Any:
        asked.append(text)
        if text == "bad":
            raise LedgerError("broken")
        return text

    world = World(
        lambda: cast("Any", None), lambda _loaded: cast("Any", None), cast("Any", None),
        file=Path("x"), now=time.time, pause=time.sleep,
    )  # fmt: skip
    for _ in range(2):
        assert world.once("good", lambda: ask("good")) == "good"
        with pytest.raises(LedgerError):
            world.once("bad", lambda: ask("bad"))
    assert asked == ["good", "bad"]
