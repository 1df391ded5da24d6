"""What the server does when an operator confirms an orphan's deletion: it checks again, and starts one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from closeout.adapters.clock import SystemClock
from closeout.adapters.github import GitHubClient
from closeout.core.automation import Automation
from closeout.core.errors import NotFound, ServiceError
from closeout.intake.receiver import Receiver
from closeout.intake.recovered import recovered
from closeout.ledger.sqlite import Ledger, Views
from closeout.orphans.audit import Target
from closeout.ports import Ending
from closeout.run.closed_event import read_closed_event
from closeout.testing.github import FakeGitHub
from closeout.wiring.cleaning import Cleaning
from tests.unit.orphans.test_verdict import AUTOMATION

REPOSITORY = "acme/shop"
TARGET = Target(REPOSITORY, 17, "preview-cleanup")
SCRIPT = replace(AUTOMATION.steps[0], id="tell", uses="shell", inputs={"run": "true"}, destructive=False)
WITH_SCRIPT = replace(AUTOMATION, steps=(*AUTOMATION.steps, SCRIPT))
AUTOMATIONS = (WITH_SCRIPT, replace(AUTOMATION, name="others"))


class World:
    """A ledger, a fake GitHub with pull request 17 closed, and what cleans over both."""

    def __init__(self, folder: Path, github: FakeGitHub) -> None:
        clock = SystemClock()
        self.fake = github
        github.world.add_repository(REPOSITORY)
        github.world.open_pull(REPOSITORY, number=17, base="develop")
        github.world.change_pull(REPOSITORY, 17, "closed")
        self.client = GitHubClient(lambda: github.token, github.url, timeout=10.0)
        self.ledger = Ledger(folder / "closeout.db", clock=clock, redact=str).open()
        self.views = Views(folder / "closeout.db", clock=clock)
        self.receiver = Receiver.of(AUTOMATIONS, lambda: (b"secret",))
        self.cleaning = Cleaning(
            self.receiver, self.ledger.accept_wait, self.ledger.attempts, self.views, self.client, clock.now
        )

    def start(self, target: Target = TARGET) -> str:
        return self.cleaning.start(str(target), "ann@host")

    def finish(self) -> None:
        (open_run,) = self.ledger.pending(0)
        self.ledger.finish(open_run.number, Ending("success", "deleted"), 2.0)

    def runs(self) -> list[tuple[str, int, str]]:
        return [(run.automation, run.attempt, run.heard) for run in self.views.runs()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Everything, closed at the end."""
    with FakeGitHub() as github:
        made = World(tmp_path, github)
        yield made
        made.views.close()
        made.ledger.close()


def test_one_run_of_the_orphans_automation_starts(world: World) -> None:
    """The closing's other automations are not the audit's."""
    assert world.start().endswith("-1")
    assert world.runs() == [("preview-cleanup", 1, "inventory")]
    assert "has not finished" in world.start()


def test_the_closings_other_runs_can_still_start(world: World) -> None:
    """A later delivery of it starts the other runs, and nothing twice."""
    world.start()
    closed = read_closed_event(world.client, REPOSITORY, 17, 0.0)
    decision = recovered(world.receiver, closed.payload, heard="closed-list", at=1.0)
    assert decision.delivery is not None
    started = world.ledger.accept_wait(decision.delivery, decision.runs).started
    assert len(started) == 1
    assert sorted(world.runs()) == [("others", 1, "closed-list"), ("preview-cleanup", 1, "inventory")]


def test_a_finished_run_gets_a_further_attempt(world: World) -> None:
    """It deletes what was deployed after a teardown."""
    first = world.start()
    world.finish()
    assert world.start() == first.removesuffix("-1") + "-2"
    assert world.runs() == [("preview-cleanup", 2, "inventory")]
    (open_run,) = world.ledger.pending(0)
    execution, _ = world.ledger.load(open_run.number)
    again = Automation.from_canonical(execution.definition)
    assert [step.uses for step in again.steps] == ["aws/cloudformation-delete-stack"], "its script has run"


def test_patrol_tries_an_orphan_once(world: World) -> None:
    """What an attempt left is not tried again every hour; an operator can retry it."""
    assert world.cleaning.clean(TARGET, "patrol", once=True)[0]
    world.finish()
    begun, told = world.cleaning.clean(TARGET, "patrol", once=True)
    assert (begun, "ended as success and left it behind; look at that run first" in told) == (False, True)
    assert world.start().endswith("-2")
    world.finish()
    assert world.cleaning.clean(TARGET, "patrol", once=True)[0]
    world.finish()
    assert not world.cleaning.clean(TARGET, "patrol", once=True)[0]


def test_an_operator_can_start_a_pruned_run(world: World) -> None:
    """The ledger remembers the closing longer than its run: patrol does not start it again, an operator can."""
    first = world.start()
    world.finish()
    assert world.ledger.prune(0.0)["runs"] == 1
    assert world.cleaning.clean(TARGET, "patrol", once=True) == (
        False,
        "the run of preview-cleanup was pruned",
    )
    assert world.start() == first
    assert world.runs() == [("preview-cleanup", 1, "inventory")]


def test_a_reopened_pull_request_starts_nothing(world: World) -> None:
    """The audit was right when it was made."""
    world.fake.world.change_pull(REPOSITORY, 17, "reopened")
    assert world.start() == "acme/shop#17 is open, so nothing was started"
    assert world.runs() == []


def test_an_unanswered_question_to_github_starts_nothing(world: World) -> None:
    """The error is the request's outcome."""
    world.fake.faults.add("rate-limit", path="/repos/acme/shop/pulls/17")
    with pytest.raises(ServiceError):
        world.start()
    with pytest.raises(NotFound):
        world.start(Target(REPOSITORY, 99, "preview-cleanup"))
    assert world.runs() == []


def test_an_automation_that_no_longer_matches_starts_nothing(world: World) -> None:
    """Nor one that is gone from the file, nor a request without an automation."""
    world.fake.world.repository(REPOSITORY).pulls[17].base = "main"
    assert "does not start when acme/shop#17 is closed" in world.start()
    assert "does not start" in world.start(Target(REPOSITORY, 17, "none"))
    assert "names no pull request" in world.cleaning.start("acme/shop#17", "ann@host")
    assert world.runs() == []
