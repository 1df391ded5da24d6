"""What a run publishes: for a public repository no script, none of its output, and nobody's name."""

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
def test_a_failed_scripts_text_and_output_are_not_public(privacy: str) -> None:
    """The status has the exit code and the step's name; the ledger's summary has everything."""
    one = scene(privacy)
    ending, statuses = said(one)
    assert ending.summary == "Drop the database: password on db-7.corp (exit code 3)"
    assert one.world.statuses[-1] == ("failure", "Drop the database: exit code 3")
    assert one.durable.result("final")["public"] == "Drop the database: exit code 3", "for the run's page"
    assert "public" not in one.durable.result("pending")
    assert SECRET not in statuses
    assert "echo" not in statuses


@pytest.mark.parametrize("readers", [{"privacy": None}, {"public_logs": True}])
def test_a_reader_of_the_log_sees_everything(readers: dict[str, Any]) -> None:
    """For a private repository, and with `public-logs`."""
    one = scene(**readers)
    said(one)
    assert one.world.statuses[-1] == ("failure", "Drop the database: password on db-7.corp (exit code 3)")


def test_turning_public_logs_off_applies_to_runs_in_progress() -> None:
    """An operator who sees what a script prints can stop it being published."""
    one = scene("public", public_logs=True)
    one.current = replace(one.automation, public_logs=False)
    assert SECRET not in said(one)[1]


def test_public_logs_are_off_while_the_file_cannot_be_read() -> None:
    """It may have been changed because of what the script has just printed."""
    one = scene("public", public_logs=True)

    def unreadable() -> None:
        if any(line.startswith("failure: ") for line in one.world.lines):
            raise StoreUnavailable("the file is being written")

    one.reads_current = unreadable
    assert SECRET not in said(one)[1]


def test_a_successful_script_is_shown_by_its_steps_name() -> None:
    """Or by its id: never by its text."""
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


def test_the_result_of_a_delete_is_public() -> None:
    """It is closeout's own code, and names only what the file does."""
    one = scene(steps=(step(),))
    assert said(one)[0].summary == "deleted preview-17"
    assert one.world.statuses[-1] == ("success", "deleted preview-17")


def test_user_code_is_private_by_default() -> None:
    """What its action did not publish explicitly, such as a bug's error, stays in the log."""

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


def test_nothing_of_a_function_is_public() -> None:
    """Neither its result nor its error."""

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
def test_who_cancelled_a_run_is_not_public(privacy: str | None) -> None:
    """The ledger keeps the user and machine; a public status does not name them."""
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


def test_who_paused_closeout_is_not_public() -> None:
    """Neither while the run is held nor when its time is up."""
    one = scene(steps=(step(),), timeout=300.0)
    one.paused = lambda: "by root@vm-7: a freeze"
    ending, statuses = said(one)
    assert "root@vm-7" in ending.summary
    assert "paused" in statuses
    assert "root@vm-7" not in statuses


def test_a_cancelled_run_names_no_script_in_public() -> None:
    """The ledger has the script that ran; a public status has the name of its step."""
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
