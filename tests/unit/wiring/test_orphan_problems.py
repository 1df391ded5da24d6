"""The daily audit and the ledger's problems: findings are reported, gone ones closed, changed ones wait."""

from __future__ import annotations

from typing import Any, cast

from closeout.actions.registry import builtin
from closeout.config.load import load_text
from closeout.core.automation import steps_digest
from closeout.core.problems import Notification, Problem
from closeout.orphans.audit import Report, Row
from closeout.wiring.orphans import OrphanRounds
from tests.memory_problems import MemoryProblems

CONFIG = """\
version: 1
secrets: { webhook: env:W, github: env:T }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  clean:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
"""
LOADED = load_text(CONFIG, builtin())
KEY = "501001/1700017/2026-03-14T09:26:53Z"
ORPHAN = Row(None, "preview-17 hunter2", "orphan", "", "acme/shop", 17, "clean", 1.0, False, closing=KEY)


class Clients:
    """The time, which is all that is asked of the clients here."""

    def now(self) -> float:
        return 50.0


def rounds(problems: MemoryProblems) -> OrphanRounds:
    """Return the audits of a server over these problems."""
    nothing = cast("Any", None)
    return OrphanRounds(
        LOADED,
        cast("Any", Clients()),
        nothing,
        nothing,
        nothing,
        lambda text: text.replace("hunter2", "***"),
        problems=problems,
    )


def test_an_orphan_is_a_problem_until_an_audit_no_longer_finds_it() -> None:
    """Its name is redacted before it is stored."""
    store = MemoryProblems()
    audits = rounds(store)
    audits._settle(Report((ORPHAN,), (), states={("acme/shop", 17): frozenset({"orphan"})}), store.problems())
    (problem,) = store.problems()
    assert (problem.key, problem.kind, problem.left) == (KEY, "orphans", ("preview-17 ***",))
    audits._settle(Report((), ("GitHub: 502",)), store.problems())
    assert len(store.problems()) == 1
    audits._settle(Report((), ()), store.problems())
    assert store.problems() == []


def test_a_problem_that_changed_during_the_audit_waits_for_the_next_one() -> None:
    """What was listed before the last attempt failed says nothing about that attempt's leftovers."""
    store = MemoryProblems()
    basis = steps_digest(LOADED.automations[0].canonical())
    failed = Problem(
        "clean",
        KEY,
        "failure",
        "x",
        "x",
        1.0,
        repository="acme/shop",
        number=17,
        execution="r-1",
        basis=basis,
    )
    store.open_problem(failed)
    before = store.problems()
    store.open_problem(failed._replace(execution="r-2"))
    rounds(store)._settle(Report((), ()), before)
    assert len(store.problems()) == 1
    rounds(store)._settle(Report((), ()), store.problems())
    assert store.problems() == []


def test_a_run_that_fails_while_an_audit_is_stored_keeps_its_problem() -> None:
    """Neither is it closed with what the audit saw before, nor replaced by the orphans of its pull request."""
    basis = steps_digest(LOADED.automations[0].canonical())
    other = "501001/1700018/2026-03-14T09:26:53Z"
    failed = Problem("clean", other, "failure", "x", "x", 1.0, repository="acme/shop", number=18, basis=basis)
    again = failed._replace(execution="s-2")
    first = failed._replace(key=KEY, number=17, execution="r-1")

    class Interrupted(MemoryProblems):
        def open_problem(self, problem: Problem) -> None:
            super().open_problem(problem)
            if problem.kind == "orphans":
                super().open_problem(again)

        def close_problems(self, automation: str | None, first_: str, last: str, at: float, by: str) -> int:
            closed = super().close_problems(automation, first_, last, at, by)
            super().open_problem(first)
            return closed

    store = Interrupted()
    store.open_problem(failed)
    third = ORPHAN._replace(closing="501001/1700019/2026-03-14T09:26:53Z", pull_request=19)
    states = {("acme/shop", number): frozenset({ORPHAN.state}) for number in (17, 19)}
    report = Report((ORPHAN, third), (), states=states)
    rounds(store)._settle(report, store.problems())
    found = {one.number: (one.kind, one.execution) for one in store.problems() if one.closed_at is None}
    assert found == {17: ("failure", "r-1"), 18: ("failure", "s-2"), 19: ("orphans", None)}


def test_orphans_of_a_removed_automation_are_no_longer_reported() -> None:
    """Nothing could close them. A failed run's leftovers stay: its attempts can be dismissed."""
    store = MemoryProblems()
    orphan = Problem("renamed", KEY, "orphans", "x", "x", 1.0, repository="acme/shop", number=17)
    failed = orphan._replace(key="5/6/x", kind="failure", execution="r-1")
    of_closeout = Problem("", "patrol/lists", "stale", "x", "x", 1.0)
    listed = orphan._replace(automation="clean")
    for one in (orphan, failed, of_closeout, listed):
        store.open_problem(one)
    store.record_notifications(
        [Notification("env:A", one.automation, one.key, 2.0, False) for one in store.problems()]
    )
    rounds(store)._settle(Report((), ("GitHub: 502",)), store.problems())
    over = [one for one in store.problems() if one.closed_at is not None]
    assert [(one.automation, one.kind, one.dismissed) for one in over] == [("renamed", "orphans", True)]
    assert "no longer in the configuration" in str(over[0].closed_by)
