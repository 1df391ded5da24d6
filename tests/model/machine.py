"""The model: what may happen to closeout while people go on, and what holds when all is quiet again.

The rules are what promise 1 must bear. `check` is the promise.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.core.errors import Unauthorized
from closeout.patrol.answers import seconds
from closeout.patrol.report import Report
from closeout.run import guard
from closeout.testing.github.world import Pull, Repository
from tests.memory_ledger import MemoryLedger
from tests.model.logs import Logs
from tests.model.outside import FAULTS, Delivery, Died
from tests.model.people import ANY, DAY, SHOP, SITE, People
from tests.model.process import Ended, Process, Store
from tests.unit.run.world import step

BEGINS = re.compile(r"(\S+): patrol begins here with what is closed after (\S+)")
LATE = (1, 60, 899, 901, 3_600, 7_200)
"""Seconds after the closing, at which a deploy may end that began before it."""
OUTAGES = (3_600, 6 * 3_600, DAY, 4 * DAY, 14 * DAY)
DELAYS = (0, 0, 0, 600, 7_200, 2 * DAY)
"""Seconds that a delivery is on its way, besides what else happens."""
SLACK = 300
"""Seconds for which patrol's watermark stays behind the newest closing."""
HAPPENED: list[Counter[str]] = []
"""What happened in each history that held."""
DIES = st.none() | st.integers(0, 40)


def automation(name: str, repository: str, *, branches: tuple[str, ...] = ()) -> Automation:
    """Return an automation that deletes `<name>-<number>` of closed pull requests."""
    trigger: dict[str, Any] = {"event": "pull_request", "types": ["closed"]}
    return Automation(
        name=name,
        triggers=({**trigger, "branches": list(branches)} if branches else trigger,),
        repositories=(repository,),
        steps=(step(f"{name}-${{{{ event.pull_request.number }}}}"),),
        status_context=f"closeout/{name}",
        bases="ever" if branches else "at-close",
        patrol="off",
    )


class Closings(People):
    """Closeout among all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.automations: tuple[Automation, ...] = (
            automation("preview", SHOP, branches=("develop",)),
            automation("database", SHOP),
            automation("page", SITE),
        )
        self.began: dict[int, int] = {}
        """By repository: since when patrol watches it, as patrol told."""
        self.first: dict[int, int] = {}
        """What it told first. It may begin anew, when it has lost its watermark."""
        self.loaded: dict[str, float] = {}
        """By automation that came later: since when."""
        self.watched: dict[str, float] = {}
        """By automation that came later: since when patrol knows it, if it was not taken out again."""
        self.logs = Logs(self.github)
        self.arrived: list[Delivery] = []
        self.pruned_at = 0.0
        """When the store was last made to forget all that has ended."""
        self.store = self.make_store()
        self.up = True
        self.process = self.start()

    def make_store(self) -> Store:
        """Return an empty store."""
        ledger = MemoryLedger(self.clock)
        return Store(ledger, ledger)

    def start(self) -> Process:
        """Start a process over what is kept."""
        return Process(self.github, self.cloud, self.store, self.automations)

    def alive(self, dies_in: int | None, do: Callable[[], object]) -> bool:
        """Let the process do something. If it is killed, another one takes over; return whether it lived."""
        self.fate.dies_in = dies_in
        try:
            do()
        except Died:
            self.fate.born()
            self.process = self.start()
            return False
        finally:
            self.fate.born()
        return True

    @initialize()
    def begin(self) -> None:
        """Patrol looks for the first time; what was closed before stays."""
        for repository in self.repositories:
            for _ in range(4):
                self.open(repository, deployed=True)
            self.close(repository, repository.pulls[1], merged=False)
        self.github.in_flight.clear()
        self.clock.advance(60)
        for name in ("preview-900", "preview-team"):
            self.cloud.make(name, None)
        self.note(self.look())

    @invariant()
    def nothing_else_is_touched(self) -> None:
        """Nothing of an open pull request, and nothing of anybody else, was deleted."""
        assert not self.cloud.wrong, self.cloud.wrong

    # --- deliveries ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.github.in_flight)
    @rule(index=ANY, after=st.sampled_from(DELAYS), as_sent=st.booleans(), dies_in=DIES)
    def arrive(self, index: int, after: int, as_sent: bool, dies_in: int | None) -> None:
        """A delivery arrives, in any order, or finds nobody. Some do not say when it was closed."""
        delivery = self.take(index)
        self.clock.advance(after)
        self.happened["late or reordered delivery"] += self.is_late(delivery)
        self.deliver(delivery if as_sent else delivery.without_moment(), dies_in)

    @rule(
        closed=st.lists(ANY, min_size=1, max_size=3),
        last_first=st.booleans(),
        after=st.sampled_from(DELAYS),
        as_sent=st.booleans(),
        dies_in=DIES,
    )
    def close_and_tell(
        self, closed: list[int], last_first: bool, after: int, as_sent: bool, dies_in: int | None
    ) -> None:
        """Somebody closes some pull requests, and all deliveries that are on their way arrive, the last one first or last."""
        for index in closed:
            self.close_pull(index, False)
        self.clock.advance(after)
        while self.github.in_flight:
            self.arrive(-1 if last_first else 0, 0, as_sent, dies_in)

    @precondition(lambda self: self.github.sent)
    @rule(index=ANY, dies_in=DIES)
    def arrive_again(self, index: int, dies_in: int | None) -> None:
        """A delivery of any age arrives once more."""
        self.happened["doubled delivery"] += self.up
        self.deliver(self.github.sent[index % len(self.github.sent)], dies_in)

    def is_late(self, delivery: Delivery) -> bool:
        """Whether a delivery arrives an hour after it was sent, or after one that was sent later."""
        older = self.clock.now() - seconds(delivery.payload["pull_request"]["closed_at"]) > 3_600
        overtaken = any(int(other.guid[5:]) > int(delivery.guid[5:]) for other in self.arrived)
        return self.up and (older or overtaken)

    def deliver(self, delivery: Delivery, dies_in: int | None) -> None:
        """Bring a delivery, which GitHub's log then has."""
        self.github.log(delivery, arrived=self.up)
        if self.up:
            self.arrived.append(delivery)
            self.alive(dies_in, lambda: self.process.receive(delivery))
        else:
            self.happened["lost delivery"] += 1

    @precondition(lambda self: self.up)
    @rule(index=ANY)
    def forge(self, index: int) -> None:
        """Somebody without the secret says that a pull request was closed."""
        found = self.pick("open", index)
        if found:
            repository, pull = found
            payload = self.github.world.pull_payload(repository, pull)
            payload["pull_request"] |= {"state": "closed", "closed_at": "2026-05-28T20:26:40Z"}
            hook = next(iter(repository.hooks.values()))
            forged = Delivery(repository, hook, "pull_request", "forged", payload)
            with pytest.raises(Unauthorized):
                self.process.receive(forged, secret="guessed")
            self.happened["forged delivery"] += 1

    # --- closeout -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.up)
    @rule(lists=st.booleans(), dies_in=DIES)
    def patrol(self, lists: bool, dies_in: int | None) -> None:
        """Patrol makes a round, with the lists or without."""
        if not self.alive(dies_in, lambda: self.note(self.look(lists=lists))):
            self.logs.break_off()
            self.note_untold()

    def look(self, *, lists: bool = True) -> Report:
        """Let patrol make a round, which tells each log that ends before what patrol knew."""
        self.logs.begin()
        report = self.process.patrol(closings=lists)
        self.logs.end(report)
        return report

    def note(self, report: Report) -> None:
        """Keep what a round has told: since when it watches."""
        self.happened["round with an error"] += bool(report.errors)
        self.happened["gap in a log"] += report.gaps
        if report.repositories == len(self.repositories):
            for name in self.loaded.keys() & {one.name for one in self.automations}:
                self.watched.setdefault(name, self.clock.now())
        for text in report.notes:
            begins = BEGINS.fullmatch(text)
            if begins:
                repository = self.github.identity(begins[1])
                self.began[repository] = seconds(begins[2])
                self.first.setdefault(repository, seconds(begins[2]))

    def note_untold(self) -> None:
        """Take over where a killed round began anew. Its report is lost; only the watermark says it: a known limit."""
        for key, mark in self.store.marks("repository").items():
            begins = min(mark["beginnings"].values(), default=0)
            self.began[int(key)] = max(begins, self.began.get(int(key), 0))

    @precondition(lambda self: self.up)
    @rule(dies_in=DIES)
    def work(self, dies_in: int | None) -> None:
        """Runs go on."""
        self.alive(dies_in, self.process.work)

    @precondition(lambda self: self.up)
    @rule(index=ANY, ends_after=st.sampled_from(LATE), asks=st.booleans(), dies_in=DIES)
    def deploy_too_late(self, index: int, ends_after: int, asks: bool, dies_in: int | None) -> None:
        """A pull request is closed and torn down while its deploy is under way, which ends after that, and may ask."""
        found = self.pick("open", index)
        if found:
            self.close_pull(index, False)
            before = len(self.store.endings)
            self.deliver(self.github.in_flight.pop(), None)
            self.alive(dies_in, self.process.work)
            torn_down = [end for end in self.store.endings[before:] if end.verdict == "success"]
            self.clock.advance(ends_after)
            self.deploy_all(*found)
            self.happened["deploy that ended after the teardown"] += bool(torn_down)
            if asks:
                self.ask_guard(*found)

    @precondition(lambda self: self.up)
    @rule(index=ANY, edited=st.booleans(), dies_in=DIES)
    def close_and_rename(self, index: int, edited: bool, dies_in: int | None) -> None:
        """A pull request is closed, an answer that lags cancels its runs, and then its repository is renamed."""
        found = self.pick("open", index)
        if found:
            before, self.github.lag = self.github.lag, 60
            self.close_pull(index, False)
            self.deliver(self.github.in_flight.pop(), None)
            self.alive(dies_in, self.process.work)
            self.github.lag = before
            self.happened["rename after a run that met it open"] += 1
            self.rename(self.repositories.index(found[0]), edited)

    @precondition(lambda self: self.up)
    @rule(index=ANY, renamed=st.booleans())
    def reopen_and_ask(self, index: int, renamed: bool) -> None:
        """A pull request is opened again before its teardown began. A deploy asks by a name that the repository has or had."""
        found = self.pick("open", index)
        if found:
            repository, pull = found
            old = repository.full_name
            if renamed:
                self.rename(self.repositories.index(repository), True)
            self.close_pull(index, False)
            self.deliver(self.github.in_flight.pop(), None)
            self.github.world.change_pull(repository.full_name, pull.number, "reopened")
            self.ask_guard(repository, pull, old)

    @rule(index=ANY, state=st.sampled_from(["open", "closed"]))
    def ask(self, index: int, state: str) -> None:
        """A deploy asks whether it may begin."""
        found = self.pick(state, index) if self.up else None
        if found:
            self.ask_guard(*found)

    def ask_guard(self, repository: Repository, pull: Pull, name: str | None = None) -> None:
        """Ask the guard, which must never say "open" of what is closed, or is about to be torn down."""
        self.happened["guard asked"] += 1
        name = name or repository.full_name
        answer = guard.ask(self.github, self.store.teardowns, name, pull.number)
        if answer.verdict == "closed":
            self.process.rechecks.recheck_now(name, pull.number)
        if answer.verdict == "open" and not self.github.lag:
            assert pull.state == "open"
        if answer.verdict == "open":
            running = self.process.teardowns({name, repository.full_name}, pull.number)
            assert not running, f"deploys while {running} go on: {answer.sentence}"

    @rule(what=st.sampled_from(["watermarks", "old deliveries", "all deliveries", "logs"]))
    def lose_memory(self, what: str) -> None:
        """The store forgets how far patrol has read, or it is pruned; or GitHub forgets what it sent."""
        if what == "watermarks":
            self.happened["lost watermark"] += bool(self.store.marks("repository"))
            self.store.lose_marks()
            self.logs.lose()
        elif what == "logs":
            self.empty_logs()
        else:
            self.store.ledger.prune(30 * DAY if what == "old deliveries" else 0)
            self.pruned_at = self.clock.now() if what == "all deliveries" else self.pruned_at

    @rule()
    def add_or_remove(self) -> None:
        """An automation comes into the file, or leaves it."""
        if any(one.name == "late" for one in self.automations):
            self.automations = self.automations[:3]
            self.watched.pop("late", None)
        else:
            self.automations += (automation("late", self.automations[0].repositories[0]),)
            self.loaded.setdefault("late", self.clock.now())
        self.process = self.start()

    @rule(which=st.integers(0, 1), edit=st.booleans())
    def rename(self, which: int, edit: bool) -> None:
        """A repository is renamed, and the configuration with it, or later."""
        repository = self.repositories[which]
        name = f"acme/renamed-{self.github.number()}"
        self.happened["rename"] += 1
        self.github.world.rename(repository.full_name, name)
        if edit:
            self.edit()

    @rule()
    def edit(self) -> None:
        """Somebody writes the present names of the repositories into the configuration."""
        shop, site = (repository.full_name for repository in self.repositories)
        self.automations = tuple(
            replace(one, repositories=(site if one.name == "page" else shop,)) for one in self.automations
        )
        self.process = self.start()

    @rule()
    def go_down(self) -> None:
        """The machine is off."""
        self.up = False

    @precondition(lambda self: not self.up)
    @rule()
    def come_back(self) -> None:
        """It is on again."""
        self.up, self.process = True, self.start()

    @rule(
        closed=st.lists(ANY, min_size=1, max_size=6) | st.builds(lambda one: [one] * 6, ANY),
        duration=st.sampled_from(OUTAGES),
        logs=st.booleans(),
        fault=st.tuples(st.sampled_from([0, 2, 3, 5, 7]), st.sampled_from(FAULTS)),
        dies_in=DIES,
    )
    def be_away(
        self, closed: list[int], duration: int, logs: bool, fault: tuple[int, str], dies_in: int | None = None
    ) -> None:
        """The machine is off while people open and close pull requests, and nobody tells it later. It starts with a patrol.

        Every Nth call to GitHub may fail then.
        """
        self.up = False
        for index in closed:
            self.clock.advance(duration / len(closed))
            self.open_pull(index % 2, True, "develop")
            self.close_pull(index, False)
            while self.github.in_flight:
                self.lose(0, logs)
        if not logs:
            self.empty_logs()
        self.happened["outage of hours" if duration < DAY else "outage of days"] += 1
        self.happened["outage of 14 days with an empty log"] += duration == 14 * DAY and not logs
        self.come_back()
        before = self.fate.nth, self.fate.kind
        self.fate.nth, self.fate.kind = fault if fault[0] else before
        self.patrol(lists=True, dies_in=dies_in)
        self.fate.nth, self.fate.kind = before

    # --- the end ------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let all be quiet, patrol twice, and look. Then close what is open, tell nobody, and look again."""
        self.happened["crash"] += self.fate.deaths
        self.happened["API fault"] += self.fate.failed
        self.trouble(0, "502", 0, 5_000)
        self.fate.meanwhile = lambda: None
        self.up = True
        self.edit()
        self.settle()
        for _ in range(len(self.repositories[0].pulls) + len(self.repositories[1].pulls)):
            self.close_pull(0, False)
        self.settle()
        for end in self.store.endings:
            self.happened[f"run heard of by {end.heard}"] += 1
            self.happened[f"run that ended as {end.verdict}"] += 1
            self.happened["attempt that a recheck started"] += end.again
        HAPPENED.append(self.happened)

    def settle(self) -> None:
        """Patrol twice without any trouble, and look. Between the two somebody closes one more, and nobody tells it."""
        self.lose_all()
        self.make_rechecks()
        for closes in (True, False):
            self.clock.advance(3_600)
            report = self.look()
            assert report.errors == [], report.errors
            self.note(report)
            if closes:
                self.close_pull(0, False)
                self.lose_all()
            self.finish_runs()
        self.check()

    def lose_all(self) -> None:
        """Lose what is still on its way; half of it is in a log."""
        while self.github.in_flight:
            self.lose(0, len(self.github.in_flight) % 2 == 0)

    def finish_runs(self) -> None:
        """Let all runs end."""
        for _ in range(1_000):
            wake = self.process.work()
            if wake is None:
                return
            self.clock.advance(max(0.0, wake - self.clock.now()))
        raise AssertionError("runs do not end")

    def make_rechecks(self) -> None:
        """Let all runs end, and wait for everything that is looked at again."""
        for _ in range(1_000):
            self.finish_runs()
            at = self.process.rechecks.next_at()
            if at is None:
                return
            self.clock.advance(max(0.0, at - self.clock.now()))
        raise AssertionError("rechecks do not end")

    def check(self) -> None:
        """Look at what became of each closing, and at what is left."""
        self.nothing_else_is_touched()
        for end in self.store.endings:
            assert end.closing or end.verdict != "success", f"acted without a closing: {end}"
        assert not [text for text in self.store.told if "failed:" in text], self.store.told
        for repository, pull, closing in self.closings:
            for one in self.automations:
                self.check_closing(one, repository, pull, closing)
        self.check_audit()

    def check_closing(self, one: Automation, repository: Repository, pull: Pull, closing: Closing) -> None:
        """Once for each automation, if it was closed since the beginning and is closed still.

        A closing that was undone by a reopening may have run or not: nothing is left of it to act upon, and GitHub's list
        no longer tells of it.
        """
        told = f"{one.name} of {repository.full_name}#{pull.number}, closed at {closing.closed_at}"
        ends = [
            end for end in self.store.endings if (end.automation, end.closing) == (one.name, str(closing))
        ]
        ran = [end for end in ends if end.verdict in ("success", "failure") and not end.again]
        assert len(ran) <= 1, f"{told}: ran {len(ran)} times: {ran}"
        closed = seconds(closing.closed_at)
        if closed <= max(self.first[repository.id], self.loaded.get(one.name, 0) - 1):
            assert {end.heard for end in ends} <= {"webhook"}, f"{told}: patrol started history: {ends}"
        stands = pull.closed_at == closing.closed_at
        watched = closed > self.began.get(repository.id, math.inf)
        if one.name in self.loaded:
            watched = watched and closed > self.watched.get(one.name, math.inf)
        if stands and watched and self.concerns(one, repository, pull):
            assert ran, f"{told}: did not run: {ends}"
            name = f"{one.name}-{pull.number}"
            in_time = self.cloud.created.get(name, math.inf) < ran[0].began
            left = name in self.cloud.made and in_time and ran[0].verdict != "failure"
            assert not left, f"{told}: {name} is left: {ran}"
            self.check_late_deploy(name, ends)

    def check_late_deploy(self, name: str, ends: list[Ended]) -> None:
        """What was deployed within two hours after the teardown of a pull request that is closed still is gone by now.

        But for what a recheck gave up, after hours of errors, and for what the store was made to forget.
        """
        last = ends[-1]
        late = name in self.cloud.made and 0 <= self.cloud.created[name] - last.ended <= max(LATE)
        if late and last.verdict == "success" and last.ended > self.pruned_at:
            given_up = any("given up" in text for text in self.store.told)
            assert given_up, f"{name} was deployed after its teardown, and is left: {ends}"

    def check_audit(self) -> None:
        """All that is left of closed pull requests has a name, however long they are closed; nothing else is an orphan."""
        report = self.process.audit()
        assert report.errors == ()
        told = {row.resource for row in report.rows if row.state != "open"}
        for name in self.cloud.made:
            if name.rpartition("-")[0] not in {one.name for one in self.automations}:
                continue
            pull = self.cloud.pull(name)
            assert pull is None or pull.state == "open" or name in told, f"nobody names {name}"
        for row in report.of("orphan"):
            pull = self.cloud.pull(row.resource)
            assert pull is not None, f"{row.resource} is called an orphan"
            assert pull.state == "closed", f"{row.resource} is called an orphan"

    def concerns(self, one: Automation, repository: Repository, pull: Pull) -> bool:
        """Whether a closing of a pull request is for an automation."""
        if repository.full_name not in one.repositories:  # which `teardown` has edited
            return False
        return one.bases == "at-close" or "develop" in {pull.base, *(old for old, _, _ in pull.bases)}
