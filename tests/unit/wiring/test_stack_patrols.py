"""Patrol's composition on AWS: rounds over the stack's table, and what becomes of those that met a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.config.load import Loaded
from closeout.config.patrol import PatrolSettings
from closeout.config.settings import Settings
from closeout.core.errors import LedgerError
from closeout.core.units import DAY, HOUR
from closeout.ledger.dynamodb.marks import DynamoMarks, Lease
from closeout.patrol.marks import REPORT
from closeout.patrol.report import Report
from closeout.stack.table import REMOVAL_KEY
from closeout.wiring.rounds import MOST_ERRORS, Rounds
from closeout.wiring.stack_patrols import (
    LEFT,
    StartingAttempts,
    due_parts,
)
from tests.unit.wiring.patrol_scene import TOKEN, Scene
from tests.unit.wiring.stack_world import REPOSITORY

# --- what is due ----------------------------------------------------------------------------------------------

NOW = 1_000_000.0
DIGEST = {"config": {"digest": "d"}}


def due(settings: PatrolSettings, now: float, digest: str = "d", **ended: float) -> set[str]:
    """Return what is due, when each part ended at these times."""
    last: dict[str, Any] = {**DIGEST, **{kind: {"ended_at": at} for kind, at in ended.items()}}
    return set(due_parts(settings, last, digest, now))


def test_a_new_stack_rechecker_at_once_and_for_orphans_a_day_later() -> None:
    """Nothing is kept of a round before."""
    assert due_parts(PatrolSettings(), {}, "d", NOW) == {"deliveries", "closings"}
    assert due(PatrolSettings(), NOW + DAY, lists=NOW, logs=NOW, orphans=NOW) >= {"orphans"}
    assert "orphans" not in due(PatrolSettings(), NOW + DAY - HOUR, lists=NOW, logs=NOW, orphans=NOW)


def test_each_part_is_due_at_its_interval_although_no_schedule_is_exact() -> None:
    """A schedule that comes a second early is not a whole interval late."""
    given = PatrolSettings(deliveries=300.0, state=3_600.0)
    assert due(given, NOW + 299, lists=NOW) == {"deliveries"}
    assert due(given, NOW + 100, lists=NOW) == set()
    assert due(given, NOW + 299, lists=NOW - 3_000, logs=NOW) == {"deliveries"}
    assert due(given, NOW + 1, lists=NOW - 3_599, logs=NOW) == {"closings"}


def test_another_configuration_begins_at_once() -> None:
    """An automation begins when it is first loaded, not when the lists are next read."""
    assert due(PatrolSettings(), NOW + 1, "another", lists=NOW) == {"closings"}


def test_what_is_switched_off_is_never_due() -> None:
    """Without lists there is no audit either."""
    off = PatrolSettings(deliveries=None, state=None)
    assert due(off, NOW, "another", orphans=0.0) == set()
    assert due(PatrolSettings(state=None), NOW, orphans=0.0) == {"deliveries"}
    assert due(PatrolSettings(deliveries=None), NOW) == {"closings"}


def test_an_audit_with_errors_is_made_again_after_an_hour() -> None:
    """Only a whole one counts as the day's."""
    given = PatrolSettings(deliveries=None)
    assert "orphans" not in due(given, NOW, lists=NOW, orphans=NOW - 2 * DAY, audit=NOW - HOUR / 4)
    assert "orphans" in due(given, NOW, lists=NOW, orphans=NOW - 2 * DAY, audit=NOW - HOUR)


# --- rounds ---------------------------------------------------------------------------------------------------


def test_a_closing_that_nobody_told_is_started_once_and_carried_out(scene: Scene) -> None:
    """By the worker, from the definition that was deployed."""
    scene.closes(17)
    report = scene.patrol()
    assert (report.errors, report.started) == ([], 1)
    (run,) = scene.runs()
    assert (run.state, run.heard, len(scene.starts.started)) == ("queued", "closed-list", 1)
    assert scene.world.drive(run.execution).verdict == "success"
    report = scene.patrol(everything=True)
    assert (report.errors, report.started, len(scene.starts.started)) == ([], 0, 1)


def test_a_run_that_could_not_be_started_is_started_by_the_next_patrol(scene: Scene) -> None:
    """Lambda throttles: the run is stored, and told as an error. A receiver that died in between leaves the same."""
    scene.closes(17)
    scene.starts.down = True
    report = scene.patrol()
    assert any("could not be started" in error for error in report.errors)
    assert len(scene.runs()) == 1
    report = scene.patrol()
    assert any("Rate exceeded" in error for error in report.errors)
    scene.starts.down = False
    report = scene.patrol()
    assert (report.errors, scene.starts.started) == ([], [scene.starts.started[0]])
    assert any("was stored and not started" in note for note in report.notes)
    scene.patrol()
    assert len(scene.starts.started) == 1


def test_a_run_that_lambda_refuses_for_days_is_not_forgotten(scene: Scene) -> None:
    """Each patrol reads a day of the list of runs, or back to what it could not start; a killed one repeats the same."""
    scene.closes(17)
    scene.starts.down = True
    assert scene.patrol().errors
    for _ in range(3):
        scene.clock.advance(2 * DAY)
        assert any("Rate exceeded" in error for error in scene.patrol().errors)
    scene.starts.down = False
    report = scene.patrol()
    assert (report.errors, len(scene.starts.started)) == ([], 1)
    kept = DynamoMarks(scene.patrols.ledger.table).marks(REPORT)["starts"]
    assert kept == {"known_to": scene.clock.now() - DAY}


def test_a_run_that_was_stored_this_moment_is_left_to_whoever_stores_it(scene: Scene) -> None:
    """The receiver starts it right after."""
    scene.closes(17)
    scene.starts.down = True
    assert scene.patrol().errors
    scene.starts.down = False
    scene.patrols.patrol("one", lambda: 900.0, everything=True)
    assert scene.starts.started == []
    scene.clock.advance(LEFT + 1)
    scene.patrols.patrol("two", lambda: 900.0, everything=True)
    assert len(scene.starts.started) == 1


def test_two_patrols_do_not_work_together(scene: Scene) -> None:
    """The second one does nothing; one whose invocation was killed goes on."""
    assert Lease(scene.patrols.ledger.table, "killed", "a").take(960)
    assert scene.patrols.patrol("another", lambda: 900.0) is None
    assert scene.patrols.patrol("killed", lambda: 900.0) is not None
    assert scene.patrols.patrol("another", lambda: 900.0) is not None


def test_a_warm_process_lists_webhooks_for_a_few_owners_only(scene: Scene) -> None:
    """As a server does: a round every five minutes would otherwise list them all. A new process lists them again."""

    def listed() -> int:
        return sum(one["path"].endswith("/hooks") for one in scene.world.github.requests())

    function = scene.function()
    function.patrol("one", lambda: 900.0, everything=True)
    first = listed()
    scene.clock.advance(300)
    made = function.patrol("two", lambda: 900.0)
    assert made is not None
    assert (made.report.errors, listed()) == ([], first)
    scene.function().patrol("three", lambda: 900.0, everything=True)
    assert listed() > first


def test_a_warm_process_goes_by_what_is_deployed_now(scene: Scene) -> None:
    """An automation that is deployed no more starts nothing."""
    function = scene.function()
    function.patrol("one", lambda: 900.0, everything=True)
    scene.world.deploys(without=True)
    scene.closes(17)
    made = function.patrol("two", lambda: 900.0, everything=True)
    assert made is not None
    assert (made.report.errors, made.report.started, scene.runs()) == ([], 0, [])


def test_an_invocation_that_ends_soon_asks_nothing_more(scene: Scene) -> None:
    """What is left is for the next patrol, and told."""
    scene.closes(17)
    report = scene.patrol(left=10.0)
    assert any("wait for the next patrol" in error for error in report.errors)
    assert scene.runs() == []
    assert scene.patrol().started == 1


def test_a_stack_that_is_being_deleted_starts_nothing(scene: Scene) -> None:
    """Its runs are being stopped."""
    scene.closes(17)
    scene.world.dynamo.put_item(TableName="ledger", Item=REMOVAL_KEY)
    report = scene.patrol()
    assert (scene.runs(), report.errors) == ([], [])
    assert any("being deleted" in note for note in report.notes)


def test_a_configuration_that_cannot_be_read_starts_nothing(scene: Scene) -> None:
    """It is told as an error; marks stay."""
    scene.closes(17)
    scene.world.damage_what_is_deployed()
    report = scene.patrol()
    assert any("cannot be read" in error for error in report.errors)
    assert scene.runs() == []
    scene.world.deploys()
    assert scene.patrol().started == 1


def test_the_audit_assumes_no_role_of_a_step(scene: Scene) -> None:
    """That role may delete, so its steps are left to a person. Without a role the account is listed."""
    report = scene.patrol(everything=True)
    assert (report.errors, report.orphans_found) == ([], 0)
    (automation,) = scene.world.automations()
    role = "arn:aws:iam::123456789012:role/previews"
    under = replace(automation, steps=tuple(replace(step, assume_role=role) for step in automation.steps))
    for one, audits in ((automation, True), (under, False)):
        loaded = Loaded(settings=Settings(), automations=(one,), functions={})
        assert scene.patrols._rounds(loaded, str(audits)).audits is audits


def test_an_audit_that_aws_refuses_is_told_and_made_again(scene: Scene) -> None:
    """What GitHub told is started all the same."""
    scene.world.aws.fault(service="cloudformation", operation="ListStacks", code="AccessDenied", status=403)
    scene.closes(17)
    report = scene.patrol(everything=True)
    assert any("AccessDenied" in error for error in report.errors), report.errors
    assert report.started == 1
    assert scene.patrol(everything=True).errors == []


def test_an_audit_that_lambda_killed_is_not_repeated_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda invokes the execution again; an audit that never fits into an invocation must not keep patrol from its lists."""

    class Killed(BaseException):
        pass

    audits: list[bool] = []

    def audit(_rounds: Rounds, _report: Report) -> None:
        audits.append(True)
        raise Killed

    monkeypatch.setattr(Rounds, "audit", audit)
    scene.closes(17)
    scene.clock.advance(DAY)
    with pytest.raises(Killed):
        scene.patrol()
    assert len(scene.runs()) == 1
    assert scene.patrols.patrol("one", lambda: 900.0) is not None
    assert len(audits) == 1
    with pytest.raises(Killed):
        scene.patrol()


def test_a_definition_that_was_not_deployed_gets_no_attempt(scene: Scene) -> None:
    """The worker would let it wait for a day, and then fail."""
    scene.closes(17)
    scene.patrol()
    (run,) = scene.runs()
    scene.world.drive(run.execution)
    attempts = StartingAttempts(scene.patrols.ledger)
    with pytest.raises(LedgerError, match="deployed again"):
        attempts.new_attempt(run.id, "{}", "patrol", key=None, queue_timeout=60.0)
    (automation,) = scene.world.automations()
    again = attempts.new_attempt(run.id, automation.canonical(), "patrol", key=None, queue_timeout=60.0)
    assert scene.starts.started[-1].endswith(again)


def test_a_round_of_many_errors_is_kept_all_the_same(scene: Scene) -> None:
    """An item has 400 KB at most. All errors are in the function's log."""
    rounds = scene.patrols._rounds(scene.patrols._loaded(), "many")
    errors = [f"acme/{number}: {'x' * 300}" for number in range(2_000)]
    rounds.note(Report(errors=errors), looked=True)
    kept = DynamoMarks(scene.patrols.ledger.table).marks(REPORT)["logs"]["errors"]
    assert kept == [*errors[:MOST_ERRORS], "and 1900 more, which patrol's log names"]
    assert rounds.totals["errors"] == 2_000


def test_the_token_is_in_no_report(scene: Scene) -> None:
    """Whatever an answer repeats."""
    scene.world.github.faults.add("text", path=f"/repos/{REPOSITORY}/pulls", body=f"<p>{TOKEN}</p>", times=0)
    report = scene.patrol()
    assert report.errors
    assert TOKEN not in str(report)


# --- cleaning -------------------------------------------------------------------------------------------------


def test_somebody_who_confirmed_an_orphan_gets_a_run_of_its_automation(scene: Scene) -> None:
    """The worker carries it out; a pull request that is open, and a stack that goes, start nothing."""
    scene.closes(17)
    target = f"{REPOSITORY}#17 preview-cleanup"
    execution = scene.patrols.clean(target, "ann@host")
    (run,) = scene.runs()
    assert (run.execution, run.heard) == (execution, "inventory")
    assert scene.world.drive(execution).verdict == "success"
    again = scene.patrols.clean(target, "ann@host")
    assert again == f"{run.id}-2"
    assert scene.world.drive(again).verdict == "success"
    assert scene.runs()[0].requested_by == "ann@host"
    assert len(scene.starts.started) == 2
    scene.world.dynamo.put_item(TableName="ledger", Item=REMOVAL_KEY)
    assert scene.patrols.clean(target, "ann@host").startswith("the stack is being deleted")
    scene.world.dynamo.delete_item(TableName="ledger", Key=REMOVAL_KEY)
    scene.world.github.world.change_pull(REPOSITORY, 17, "reopened")
    assert "is open, so nothing was started" in scene.patrols.clean(target, "ann@host")


def test_what_github_does_not_say_is_the_outcome(scene: Scene) -> None:
    """And starts nothing."""
    assert "404" in scene.patrols.clean(f"{REPOSITORY}#99 preview-cleanup", "ann@host")
    assert scene.runs() == []
