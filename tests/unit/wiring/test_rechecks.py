"""Resources deployed after a teardown are found and deleted; missing ones and reopened pull requests are left alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from closeout.core.automation import Automation
from closeout.core.errors import StoreUnavailable
from closeout.core.records import NewDelivery, NewRun
from closeout.engine.recorder import Finished
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import Ending, Execution, Operation, PullRequest, RunView
from closeout.run.recheck import BY, RETRY, TRIES, Teardown
from closeout.wiring.rechecks import Mark, Rechecks
from tests.unit.run.world import AUTOMATION, Scene, pull_payload, step, unreachable

HOUR, DAY = 3_600.0, 86_400.0


@dataclass(slots=True)
class Bench:
    """A ledger with the rechecks over it, and the world that they look at."""

    folder: Path
    ledger: Ledger
    scene: Scene
    mark: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.views = Views(self.folder / "closeout.db")
        self.rechecks = self.restarted()

    views: Views = field(init=False)
    rechecks: Rechecks = field(init=False)

    def restarted(self) -> Rechecks:
        """The rechecks of another life of the server."""
        automation = self.scene.automation
        return Rechecks(
            self.views,
            self.ledger.attempts,
            {automation.name: automation},
            self.scene.deps(),
            mark=Mark(lambda: self.mark[-1] if self.mark else None, self.mark.append),
            start=lambda: self.woken.append("woken"),
            report=self.told.append,
        )

    def accept(
        self,
        run: str = "r" * 26,
        guid: str = "g1",
        event: str = "pull_request",
        action: str = "closed",
        **payload: Any,
    ) -> None:
        """A delivery of #17's closing, or of another event about it, and its run."""
        body = json.dumps({**pull_payload(), **payload}).encode()
        delivery = NewDelivery("1", guid, event, action, "acme/shop", body, False, 0.0, "github", 17)
        name = self.scene.automation.name
        self.ledger.accept_wait(delivery, [NewRun(run, name, "k", self.scene.automation.canonical(), 60.0)])
        self.number += 1

    def finish(
        self,
        verdict: str = "success",
        run: str = "r" * 26,
        attempt: int = 1,
        tell: bool = True,
        operations: tuple[Operation, ...] = (),
    ) -> None:
        """The end of the last run that was accepted, or of a further attempt."""
        now = self.scene.clock.now()
        ending = Ending(verdict, "deleted preview-17")
        for operation in operations:
            self.ledger.save(self.number, operation)
        self.ledger.finish(self.number, ending, now)
        execution = self.scene.execution()._replace(id=f"{run}-{attempt}", run_id=run, attempt=attempt)
        if tell:
            self.rechecks.finished(Finished(execution, ending, now, operations))

    def after(self, seconds: float) -> int:
        """Let time pass, and make what is due."""
        self.scene.clock.advance(seconds)
        return self.rechecks.run_due()

    def run(self) -> RunView:
        """The latest attempt."""
        found = self.views.run("r" * 26)
        assert found is not None
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A teardown of #17 that has just succeeded; nothing is there any more."""
    scene = Scene()
    scene.world.resources.clear()
    with Ledger(tmp_path / "closeout.db", clock=scene.clock) as ledger:
        made = Bench(tmp_path, ledger, scene)
        made.accept()
        made.finish()
        yield made
        made.views.close()


def planned(*, dry_run: bool) -> Operation:
    """The plan of the step, which names the preview."""
    plan = {"changes": [{"verb": "delete", "resource": "preview-17"}], "dry_run": dry_run}
    return Operation("delete-1/plan", 1, "record", "ok", json.dumps(plan), 1, None, 0.0, 0.0)


def definition(bench: Bench) -> Automation:
    """What the latest attempt carries out."""
    execution: Execution = bench.ledger.load(bench.number + 1)[0]
    return Automation.from_canonical(execution.definition)


def test_a_recheck_that_finds_nothing_leaves_no_trace(bench: Bench) -> None:
    """No attempt and no status, at any of the three times; it runs only when one is due."""
    assert bench.after(899) == 0
    assert bench.scene.world.log == []
    for seconds in (1, 2_700, DAY):
        assert bench.after(seconds) == 0
        assert bench.scene.world.log[-1] == "plan"
    assert (bench.scene.world.log.count("plan"), bench.rechecks.next_at()) == (3, None)
    assert (bench.run().attempt, bench.scene.world.statuses, bench.told) == (1, [], [])


def test_a_later_deployment_is_deleted_by_a_further_attempt(bench: Bench) -> None:
    """The recheck itself deletes nothing; the attempt's record and status say why it exists."""
    bench.scene.world.resources.add("preview-17")
    assert bench.after(900) == 1
    assert not [entry for entry in bench.scene.world.log if entry.startswith("delete")]
    run = bench.run()
    assert (run.attempt, run.state, run.requested_by) == (2, "queued", BY)
    assert bench.woken == ["woken"]
    assert bench.told[0].startswith("acme/shop#17 was deployed after it was closed (preview-17)")
    late = Scene(world=bench.scene.world).with_automation(late=definition(bench).late)
    assert late.play().summary == "deployed after the pull request was closed; deleted preview-17"
    assert bench.after(HOUR) == 0  # the attempt has rechecks of its own once it has ended


def test_a_step_that_opts_in_runs_again_but_starts_no_attempt(bench: Bench) -> None:
    """In its usual place; without a typed find there is no attempt."""
    again = step(id="again", uses="shell", inputs={"run": "true"}, rechecked=True)
    bench.scene.with_automation(
        steps=(again, step(), step(id="script", uses="shell", inputs={"run": "true"}))
    )
    bench.rechecks = bench.restarted()
    bench.finish()
    assert bench.after(900) == 0
    bench.scene.world.resources.add("preview-17")
    assert bench.after(2_700) == 1
    assert [each.id for each in definition(bench).steps] == ["again", "delete-1"]


def test_scripts_and_comments_do_not_run_again(bench: Bench) -> None:
    """The further attempt carries out only the typed deletes, without the first one's grace period."""
    steps = (step(), step(id="script", uses="shell", inputs={"run": "true"}), step(id="other"))
    bench.scene.with_automation(steps=steps, grace=600.0)
    bench.rechecks = bench.restarted()
    bench.finish()
    bench.scene.world.resources.add("preview-17")
    assert bench.after(900) == 1
    again = definition(bench)
    assert ([one.id for one in again.steps], again.grace, again.late) == (["delete-1", "other"], 0.0, True)


@pytest.mark.parametrize(
    "change", [{"inputs": {"name": "preview-17"}}, {"region": "eu-west-1"}, {"condition": "true"}]
)
def test_a_changed_name_is_not_searched(bench: Bench, change: dict[str, Any]) -> None:
    """A closing from another time must not delete by today's file; the log says so once."""
    before = bench.scene.automation.steps
    bench.scene.with_automation(steps=tuple(replace(one, **change) for one in before))
    bench.mark.append(bench.scene.clock.now())
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    bench.scene.world.resources.add("preview-17")
    assert (bench.after(900), bench.after(2 * DAY)) == (0, 0)
    assert "plan" not in bench.scene.world.log
    assert bench.told == [
        f"run {'r' * 26} is not rechecked: the deletes of {AUTOMATION.name} have changed since it ran"
    ]


def test_other_changes_of_the_file_keep_the_rechecks(bench: Bench) -> None:
    """They do not change what is deleted."""
    steps = (step(id="script", uses="shell", inputs={"run": "true"}), *bench.scene.automation.steps)
    bench.scene.with_automation(steps=steps, max_changes=7)
    bench.mark.append(bench.scene.clock.now())
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    bench.scene.world.resources.add("preview-17")
    assert bench.after(900) == 1


def test_a_reopened_pull_request_voids_the_recheck(bench: Bench) -> None:
    """Its preview is in use; its next closing has its own rechecks."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.pull = PullRequest(1700, 17, "open", 1)
    assert bench.after(2 * DAY) == 0
    assert "plan" not in bench.scene.world.log
    assert bench.run().attempt == 1


def test_a_pull_request_that_was_reopened_and_closed_again_voids_the_recheck(bench: Bench) -> None:
    """The later closing may start nothing, for example because of a label: then only its time shows it."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.pull = bench.scene.world.pull._replace(closed_at="2026-03-14T09:40:00Z")
    assert bench.after(2 * DAY) == 0
    assert ("plan" in bench.scene.world.log, bench.run().attempt) == (False, 1)


def test_a_branchs_preview_in_use_by_another_pull_request_is_left_alone(bench: Bench) -> None:
    """It is named after the branch, so it belongs to the open one too."""
    bench.scene.with_automation(steps=(step("preview-${{ event.pull_request.head.ref }}"),))
    bench.rechecks = bench.restarted()
    bench.finish()
    bench.scene.world.resources.add("preview-feature")
    bench.scene.world.of_branch = (18,)
    assert bench.after(2 * DAY) == 0
    bench.scene.world.of_branch = ()
    bench.finish()
    assert bench.after(900) == 1


def test_a_later_closing_and_a_later_attempt_have_their_own_rechecks(bench: Bench) -> None:
    """One find must not start two runs."""
    bench.scene.world.resources.add("preview-17")
    bench.accept("s" * 26, "g2")
    assert bench.after(900) == 0
    bench.finish(run="s" * 26)
    assert bench.after(900) == 1
    assert bench.run().attempt == 1


@pytest.mark.parametrize(
    ("event", "action", "verdict"),
    [
        ("pull_request", "labeled", "success"),
        ("issues", "closed", "success"),
        ("pull_request", "closed", "skipped"),
    ],
)
def test_a_later_run_that_is_no_teardown_keeps_the_rechecks(
    bench: Bench, event: str, action: str, verdict: str
) -> None:
    """It has none of its own, so these are the only ones."""
    bench.scene.world.resources.add("preview-17")
    bench.accept("s" * 26, "g2", event=event, action=action)
    bench.finish(verdict, run="s" * 26, tell=False)
    assert bench.after(900) == 1


def test_a_run_of_another_event_of_a_pull_request_is_no_teardown(bench: Bench) -> None:
    """An automation may delete on a label; a later deployment is intended."""
    bench.rechecks = bench.restarted()
    bench.scene.world.resources.add("preview-17")
    bench.accept("s" * 26, "g2", action="labeled")
    bench.finish(run="s" * 26)
    assert bench.after(900) == 0
    assert ("plan" in bench.scene.world.log, bench.told) == (False, [])


def test_a_skipped_recheck_says_why(bench: Bench) -> None:
    """A missing or void run may be checked again, an earlier attempt never."""
    looks, first = (
        bench.rechecks._rechecker,
        Teardown("r" * 26, 1, AUTOMATION.name, 0.0, AUTOMATION.canonical()),
    )
    assert looks.look(first._replace(run_id="x" * 26), 0) == "nothing"
    assert looks.look(first._replace(automation="off"), 0) == "nothing"
    assert looks.look(first._replace(attempt=2), 0) == "replaced"
    bench.accept("s" * 26, "g2")
    assert looks.look(first, 0) == "nothing"
    assert ("plan" in bench.scene.world.log, bench.told) == (False, [])


@pytest.mark.parametrize(("by", "started"), [(BY, ["woken"]), ("ada", [])])
def test_an_attempt_of_a_recheck_that_was_stored_is_started(
    bench: Bench, by: str, started: list[str]
) -> None:
    """The process may have died in between. An operator's request is started by the process that stored it."""
    teardown = Teardown("r" * 26, 1, AUTOMATION.name, 0.0, AUTOMATION.canonical())
    bench.ledger.attempts.new_attempt("r" * 26, AUTOMATION.canonical(), by, key="k", queue_timeout=60.0)
    assert bench.rechecks._rechecker.look(teardown, 0) == "replaced"
    assert bench.woken == started
    bench.number += 1
    bench.finish(attempt=2, tell=False)
    assert bench.rechecks._rechecker.look(teardown, 0) == "replaced"
    assert bench.woken == started, "it has ended"


def test_a_recheck_without_an_answer_is_repeated(bench: Bench) -> None:
    """Unknown is neither gone nor there; after ten attempts the log reports it to the operator."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.faults["read pull request"] = [unreachable()]
    bench.scene.world.faults["plan"] = [unreachable("aws")]
    assert (bench.after(900), bench.after(RETRY), bench.after(2 * RETRY)) == (0, 0, 1)
    bench.scene.world.faults["plan"] = [unreachable("aws")] * 1_000
    bench.accept("s" * 26, "g2")
    bench.finish(run="s" * 26)
    for _ in range(TRIES + 3):
        bench.after(DAY)
    assert bench.told[-1] == f"the recheck of run {'s' * 26} is given up: no answer"


def test_a_bug_in_one_recheck_leaves_the_others(bench: Bench) -> None:
    """The log names the run; its time moves on, so the next start does not repeat the bug."""
    bench.scene.world.faults["plan"] = [ValueError("a surprise")]
    assert bench.after(900) == 0
    assert bench.told == [f"the recheck of run {'r' * 26} failed: ValueError: a surprise"]
    assert bench.mark == [bench.scene.clock.now()]
    bench.scene.world.resources.add("preview-17")
    assert bench.after(HOUR) == 1


def test_a_late_deploy_brings_the_recheck_forward(bench: Bench) -> None:
    """For its own pull request, ignoring case in the repository's name, without waiting for fifteen minutes."""
    bench.scene.world.resources.add("preview-17")
    bench.rechecks.recheck_now("acme/shop", 18)
    bench.rechecks.recheck_now("acme/other", 17)
    assert bench.after(0) == 0
    bench.rechecks.recheck_now("Acme/Shop", 17)
    assert bench.after(0) == 1
    bench.rechecks.recheck_now("acme/shop", 17)  # the attempt that deletes it is under way
    assert bench.after(0) == 0


def test_many_concurrent_deploys_cause_one_recheck(bench: Bench) -> None:
    """Otherwise a loop of requests would fill the memory and use up GitHub's limit."""
    for _ in range(5):
        bench.rechecks.recheck_now("acme/shop", 17)
    bench.after(0)
    assert bench.scene.world.log.count("plan") == 1
    bench.rechecks.recheck_now("acme/shop", 17)
    bench.after(0)
    assert bench.scene.world.log.count("plan") == 2


@pytest.mark.parametrize("verdict", ["failure", "cancelled", "skipped"])
def test_only_a_successful_teardown_is_rechecked(bench: Bench, verdict: str) -> None:
    """Any other result already needs a person."""
    bench.rechecks = bench.restarted()
    bench.accept("s" * 26, "g2")
    bench.finish(verdict, run="s" * 26)
    assert bench.rechecks.next_at() is None


@pytest.mark.parametrize("change", [{"recheck": ()}, {"mode": "dry-run"}, {"steps": (step(uses="shell"),)}])
def test_without_typed_deletes_there_is_no_recheck(bench: Bench, change: dict[str, Any]) -> None:
    """Nor in a dry run, nor if the file says `off`."""
    bench.scene.automation = replace(AUTOMATION, **change)
    bench.rechecks = bench.restarted()
    bench.finish()
    assert bench.rechecks.next_at() is None


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_runs_plan_is_never_deleted_by_a_recheck(bench: Bench, dry_run: bool) -> None:
    """Neither by the server that ran it, nor by the next one, nor because a deploy asks."""
    bench.scene.world.resources.add("preview-17")
    bench.rechecks = bench.restarted()
    bench.accept("s" * 26, "g2")
    bench.finish(run="s" * 26, operations=(planned(dry_run=dry_run),))
    assert (bench.rechecks.next_at() is None) is dry_run
    bench.mark.append(bench.scene.clock.now())
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    bench.rechecks.recheck_now("acme/shop", 17)
    assert bench.after(2 * DAY) == (0 if dry_run else 1)


def test_a_further_attempt_that_deleted_nothing_has_no_rechecks(bench: Bench) -> None:
    """Otherwise a find that no attempt may delete would start attempts forever."""
    bench.rechecks = bench.restarted()
    bench.scene.automation = replace(AUTOMATION, late=True)
    bench.finish(attempt=2)
    assert bench.rechecks.next_at() is None


def test_a_further_attempt_that_deleted_nothing_keeps_the_later_rechecks(bench: Bench) -> None:
    """They find what it may not delete yet, or what is deployed after it."""
    began = bench.scene.clock.now()
    bench.scene.world.resources.add("preview-17")
    bench.scene.automation = replace(AUTOMATION, late=True)
    for attempt, (seconds, then) in enumerate([(900, HOUR), (HOUR - 900, DAY), (DAY - HOUR, None)], start=2):
        assert bench.after(seconds) == 1
        bench.number += 1
        bench.finish(attempt=attempt)
        assert bench.rechecks.next_at() == (then and began + then)
    assert bench.run().attempt == 4


def test_a_recheck_due_during_a_further_attempt_follows_it(bench: Bench) -> None:
    """If the attempt deletes nothing, a deployment during it would otherwise stay for a day or forever."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.automation = replace(AUTOMATION, late=True)
    assert bench.after(900) == 1
    assert bench.after(HOUR - 900) == 0
    assert bench.rechecks.next_at() == bench.scene.clock.now() + RETRY
    bench.number += 1
    bench.finish(attempt=2)
    assert bench.after(RETRY) == 1
    assert bench.run().attempt == 3


def test_a_recheck_is_not_delayed_forever(bench: Bench) -> None:
    """A later attempt that failed has none, and those before it are over."""
    bench.scene.world.resources.add("preview-17")
    assert bench.after(900) == 1
    bench.number += 1
    bench.finish("failure", attempt=2)
    assert bench.after(HOUR - 900) == 0
    assert bench.after(DAY) == 0
    assert bench.rechecks.next_at() is None


def test_rechecks_missed_while_the_server_was_down_run_once_at_its_start(bench: Bench) -> None:
    """Completed ones are not repeated; a ledger of an earlier release begins now."""
    assert bench.after(900) == 0
    assert bench.mark == [bench.scene.clock.now()]
    bench.scene.clock.advance(2 * HOUR)
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    assert bench.rechecks.run_due() == 0
    assert bench.scene.world.log.count("plan") == 2  # after 15 minutes, and the missed one after an hour
    later = bench.rechecks.next_at()
    assert later == bench.scene.clock.now() - 900 - 2 * HOUR + DAY
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    assert bench.rechecks.next_at() == later
    bench.mark.clear()
    bench.scene.clock.advance(2 * DAY)
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    assert bench.rechecks.next_at() is None


def test_a_recheck_that_will_be_retried_does_not_count_as_made(bench: Bench) -> None:
    """A server that restarts during an outage of GitHub makes it then. Found by the model."""
    bench.scene.world.resources.add("preview-17")
    bench.scene.world.faults["read pull request"] = [unreachable()]
    assert bench.after(950) == 0
    bench.scene.world.faults.clear()
    bench.rechecks = bench.restarted()
    bench.rechecks.recover()
    assert bench.after(0) == 1


def test_the_thread_waits_for_the_ledger_and_stops_on_request(bench: Bench) -> None:
    """An outage of the ledger must not end the rechecks; a stopping server does not wait for the next one."""
    tried = threading.Event()

    def unusable(_at: float) -> None:
        tried.set()
        raise StoreUnavailable("the disk is full")

    bench.rechecks = Rechecks(
        bench.views,
        bench.ledger.attempts,
        {AUTOMATION.name: AUTOMATION},
        bench.scene.deps(),
        mark=Mark(lambda: None, unusable),
        start=lambda: None,
        report=bench.told.append,
    )
    bench.rechecks.start()
    assert tried.wait(30)
    bench.rechecks.stop()
    for thread in threading.enumerate():
        if thread.name == "rechecks":
            thread.join(30)
            assert not thread.is_alive()
    assert bench.told == []
