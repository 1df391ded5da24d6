"""What a run says in public: on a public repository no script, nothing of what it printed, and nobody's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.general import shell
from closeout.core.errors import ActionFailed, StoreUnavailable
from closeout.ports import Ending
from tests.unit.run.world import DELETE, Scene, pull_payload, step

SECRET = "db-7.corp"
SCRIPT = "echo password on db-7.corp; exit 3"
PRIVACY: dict[str, Callable[[dict[str, Any]], object]] = {
    "public": lambda repository: repository.update(private=False),
    "unknown": lambda repository: repository.pop("private"),
    "a word": lambda repository: repository.update(private="true"),
}
"""What a payload may say of its repository, other than that it is private."""


def scene(privacy: str | None = "public", **automation: Any) -> Scene:
    """One script, in a step with a name, on a closed pull request of a repository that is not certainly private."""
    payload = pull_payload()
    if privacy is not None:
        PRIVACY[privacy](payload["repository"])
    script = replace(
        step(id="shell-1", uses="shell", inputs={"run": SCRIPT}, destructive=False, retry_attempts=1),
        name="Drop the database",
        account=None,
        region=None,
    )
    made = Scene(payload=payload, actions={"test/delete": DELETE, "shell": shell.ACTION})
    return made.with_automation(**{"steps": (script,), **automation})


def said(one: Scene) -> tuple[Ending, str]:
    """Play it; return its ending and all that its statuses said."""
    ending = one.play()
    return ending, "\n".join(text for _, text in one.world.statuses)


@pytest.mark.parametrize("privacy", PRIVACY)
def test_a_failed_scripts_text_and_output_are_in_no_public_status(privacy: str) -> None:
    """The status ends at the exit code, which step it was is its name; the ledger's summary says all."""
    one = scene(privacy)
    ending, statuses = said(one)
    assert ending.summary == "Drop the database: password on db-7.corp (exit code 3)"
    assert one.world.statuses[-1] == ("failure", "Drop the database: exit code 3")
    assert one.durable.result("final")["public"] == "Drop the database: exit code 3", "for the run's page"
    assert "public" not in one.durable.result("pending")
    assert SECRET not in statuses
    assert "echo" not in statuses


@pytest.mark.parametrize("readers", [{"privacy": None}, {"public_logs": True}])
def test_who_may_read_the_log_is_told_all(readers: dict[str, Any]) -> None:
    """On a private repository, and where the configuration says `public-logs`."""
    one = scene(**readers)
    said(one)
    assert one.world.statuses[-1] == ("failure", "Drop the database: password on db-7.corp (exit code 3)")


def test_public_logs_that_are_turned_off_hold_for_runs_under_way() -> None:
    """Somebody saw what a script prints, and changed the file: what was accepted before says no more than that allows."""
    one = scene("public", public_logs=True)
    one.current = replace(one.automation, public_logs=False)
    assert SECRET not in said(one)[1]


def test_public_logs_do_not_count_while_the_file_cannot_be_read() -> None:
    """It may have been changed for what the script has just printed."""
    one = scene("public", public_logs=True)

    def unreadable() -> None:
        if any(line.startswith("failure: ") for line in one.world.lines):
            raise StoreUnavailable("the file is being written")

    one.reads_current = unreadable
    assert SECRET not in said(one)[1]


def test_a_script_that_succeeded_is_known_by_its_steps_name() -> None:
    """And without one by its id: never by its text."""
    named = scene()
    named.automation = replace(
        named.automation, steps=(replace(named.automation.steps[0], inputs={"run": "echo db-7.corp"}),)
    )
    unnamed = scene()
    unnamed.automation = replace(
        named.automation, steps=(replace(named.automation.steps[0], name=shell.ACTION.summary),)
    )
    assert said(named)[1].splitlines()[-2:] == [
        "1/1 Drop the database",
        "Drop the database: exit code 0",
    ]
    assert said(unnamed)[1].splitlines()[-2:] == ["1/1 running shell-1", "shell-1: exit code 0"]


def test_what_a_delete_did_is_told_to_everybody() -> None:
    """It is closeout's own code, and names only what the file does."""
    one = scene(steps=(step(),))
    assert said(one)[0].summary == "deleted preview-17"
    assert one.world.statuses[-1] == ("success", "deleted preview-17")


def test_own_code_fails_closed() -> None:
    """What its action did not make public on purpose, such as a defect's error, stays in the log."""

    def defect(*_: Any) -> Any:
        raise ValueError(SECRET)

    def careless(*_: Any) -> Any:
        raise ActionFailed(SECRET)

    for apply in (defect, careless, lambda *_: {"summary": SECRET}):
        one = scene()
        one.actions["shell"] = replace(shell.ACTION, apply=apply)
        ending, statuses = said(one)
        assert SECRET in ending.summary
        assert SECRET not in statuses


def test_a_function_says_nothing_in_public() -> None:
    """Neither what it returned nor what it raised."""

    def returns(_run: Any) -> str:
        return SECRET

    def raises(_run: Any) -> str:
        raise KeyError(SECRET)

    def fails_within(run: Any) -> str:
        run.record("drop", lambda: raises(run))
        return ""

    for function, last in (
        (returns, "done"),
        (raises, "function: failed"),
        (fails_within, "function: failed"),
    ):
        one = scene(steps=(), function="hooks:clean", destructive_function=False)
        one.functions = {"hooks:clean": function}
        ending, statuses = said(one)
        assert SECRET in ending.summary
        assert SECRET not in statuses
        assert statuses.splitlines()[-1].startswith(last)


@pytest.mark.parametrize("privacy", ["public", None])
def test_who_cancelled_a_run_is_told_to_members_only(privacy: str | None) -> None:
    """A user and a machine: the ledger keeps them, a public status does not name them."""
    one = scene(privacy, grace=60.0, steps=(step(),))

    def cancel(call: str) -> None:
        if call == "status pending":
            one.durable.cancel("root@vm-7")

    one.world.before = cancel
    ending, statuses = said(one)
    assert ending.summary == "cancelled by root@vm-7; nothing was deleted"
    whole = "cancelled by root@vm-7; nothing was deleted"
    expected = whole if privacy is None else "cancelled by hand; nothing was deleted"
    assert one.world.statuses[-1] == ("error", expected)
    assert ("root@vm-7" in statuses) == (privacy is None)


def test_who_paused_closeout_is_not_told_in_public() -> None:
    """Neither while the run is held nor when its time is up."""
    one = scene(steps=(step(),), timeout=300.0)
    one.paused = lambda: "by root@vm-7: a freeze"
    ending, statuses = said(one)
    assert "root@vm-7" in ending.summary
    assert "paused" in statuses
    assert "root@vm-7" not in statuses


def test_a_cancelled_run_names_no_script_in_public() -> None:
    """What is gone already was a script's: the ledger keeps which, a public status has the name of its step."""
    script = replace(
        step(id="shell-1", uses="shell", inputs={"run": f"true {SECRET}"}, retry_attempts=1),
        name="Drop the database",
        account=None,
        region=None,
    )
    one = scene(steps=(script, step()))
    one.world.before = lambda call: one.durable.cancel("root@vm-7") if call == "plan" else None
    ending, statuses = said(one)
    assert ending.verdict == "cancelled"
    assert SECRET in ending.summary
    assert SECRET not in statuses
    assert one.world.statuses[-1] == ("error", "cancelled by hand; already gone or going: Drop the database")
