"""What may happen, in any order, and what holds when all is quiet again.

Two repositories: in `acme/shop` pull requests have a preview if they are, or once were, for `develop`, and every one has a
database; in `acme/site` every one has a page. An automation for each deletes it when the pull request is closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.patrol.moments import seconds
from closeout.patrol.report import Report
from closeout.testing.durable import FakeClock
from closeout.testing.github.world import Pull, Repository
from tests.memory_ledger import MemoryLedger
from tests.model.outside import Cloud, Died, Fate, GitHub
from tests.model.process import Process, Store
from tests.unit.run.world import step

SHOP, SITE = "acme/shop", "acme/site"
DAY = 86_400
BEGINS = re.compile(r"(\S+): patrol begins here with what is closed after (\S+)")


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
    )


AUTOMATIONS = (
    automation("preview", SHOP, branches=("develop",)),
    automation("database", SHOP),
    automation("page", SITE),
)


class Closings(RuleBasedStateMachine):
    """The machine. `closings` is what really happened; nothing below asks closeout for it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_780_000_000)
        self.fate = Fate()
        self.github = GitHub(self.clock, self.fate, per_page=2)
        self.cloud = Cloud(self.github)
        self.store = self.make_store()
        self.automations = AUTOMATIONS
        self.repositories = [self.github.add_repository(name) for name in (SHOP, SITE)]
        self.closings: list[tuple[Repository, Pull, Closing]] = []
        self.began: dict[int, int] = {}
        """By repository: since when patrol watches it, as it has told."""
        self.up = True
        self.process = self.start()

    def make_store(self) -> Store:
        """Return an empty store."""
        ledger = MemoryLedger(self.clock)
        return Store(ledger, ledger)

    def start(self) -> Process:
        """Start a process over what is kept."""
        return Process(self.github, self.cloud, self.store, self.automations)

    def alive(self, do: Callable[[], object]) -> None:
        """Let the process do something. If it is killed, another one takes over."""
        try:
            do()
        except Died:
            self.process = self.start()
        self.fate.dies_in = None

    # --- what people do -----------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        """Patrol looks for the first time; what was closed before stays."""
        for repository in self.repositories:
            self.open(repository, deployed=True)
            self.close(repository, next(iter(repository.pulls.values())), merged=False)
        self.lose_all()
        self.cloud.make("preview-900", None)
        self.cloud.make("preview-team", None)
        self.note(self.process.patrol())

    def names(self, repository: Repository, number: int) -> list[str]:
        """Return what the deploys of a pull request make."""
        kinds = ("preview", "database") if repository is self.repositories[0] else ("page",)
        return [f"{kind}-{number}" for kind in kinds]

    @rule(which=st.integers(0, 1), deployed=st.booleans(), base=st.sampled_from(["develop", "main"]))
    def open_pull(self, which: int, deployed: bool, base: str) -> None:
        """Somebody opens a pull request, and its previews are deployed."""
        self.clock.advance(1)
        self.open(self.repositories[which], deployed=deployed, base=base)

    def open(self, repository: Repository, *, deployed: bool, base: str = "develop") -> None:
        """Open a pull request."""
        pull = self.github.world.open_pull(repository.full_name, base=base)
        if deployed:
            self.deploy_all(repository, pull)

    def deploy_all(self, repository: Repository, pull: Pull) -> None:
        """Deploy what a pull request has: a preview only for `develop`."""
        for name in self.names(repository, pull.number):
            if pull.base == "develop" or not name.startswith("preview"):
                self.cloud.make(name, (repository, pull.number))

    def pick(self, state: str, index: int) -> tuple[Repository, Pull] | None:
        """Return one of the pull requests in a state."""
        found = [
            (repository, pull)
            for repository in self.repositories
            for pull in repository.pulls.values()
            if pull.state == state
        ]
        return found[index % len(found)] if found else None

    @rule(index=st.integers(0, 30))
    def deploy(self, index: int) -> None:
        """A pull request that is open gets its previews, or gets them again."""
        found = self.pick("open", index)
        if found:
            self.deploy_all(*found)

    @rule(index=st.integers(0, 30), merged=st.booleans())
    def close_pull(self, index: int, merged: bool) -> None:
        """Somebody closes a pull request."""
        found = self.pick("open", index)
        if found:
            self.clock.advance(1)
            self.close(*found, merged=merged)

    def close(self, repository: Repository, pull: Pull, *, merged: bool) -> None:
        """Close a pull request, and note that it happened."""
        self.github.world.change_pull(repository.full_name, pull.number, "closed", merged=merged)
        closing = Closing(repository.id, pull.id, str(pull.closed_at))
        self.closings.append((repository, pull, closing))

    @rule(index=st.integers(0, 30))
    def reopen_pull(self, index: int) -> None:
        """Somebody opens it again."""
        found = self.pick("closed", index)
        if found:
            self.clock.advance(1)
            repository, pull = found
            self.github.world.change_pull(repository.full_name, pull.number, "reopened")

    @rule(duration=st.sampled_from([1, 60, 299, 301, 3_600, 6 * 3_600, DAY, 3 * DAY, 14 * DAY]))
    def wait(self, duration: int) -> None:
        """Time passes."""
        self.clock.advance(duration)

    # --- the network --------------------------------------------------------------------------------------

    @precondition(lambda self: self.github.in_flight)
    @rule(index=st.integers(0, 30), again=st.booleans(), dies_in=st.none() | st.integers(0, 5))
    def arrive(self, index: int, again: bool, dies_in: int | None) -> None:
        """A delivery arrives: in any order, and perhaps twice. Or it finds nobody."""
        flight = self.github.in_flight
        delivery = flight[index % len(flight)]
        if not again:
            flight.remove(delivery)
        self.github.log(delivery, arrived=self.up)
        if self.up:
            self.fate.dies_in = dies_in
            self.alive(lambda: self.process.receive(delivery))

    @precondition(lambda self: self.github.in_flight)
    @rule(index=st.integers(0, 30), logged=st.booleans())
    def lose(self, index: int, logged: bool) -> None:
        """A delivery is lost; GitHub's log may have it or not."""
        delivery = self.github.in_flight.pop(index % len(self.github.in_flight))
        if logged:
            self.github.log(delivery, arrived=False)

    def lose_all(self) -> None:
        """Lose all that is on its way."""
        self.github.in_flight.clear()

    # --- closeout -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.up)
    @rule(lists=st.booleans(), dies_in=st.none() | st.integers(0, 40))
    def patrol(self, lists: bool, dies_in: int | None) -> None:
        """Patrol makes a round."""
        self.fate.dies_in = dies_in
        self.alive(lambda: self.note(self.process.patrol()))

    def note(self, report: Report) -> None:
        """Keep what a round has told: since when it watches."""
        for text in report.notes:
            begins = BEGINS.fullmatch(text)
            if begins:
                repository = self.github.world.repository(begins[1])
                self.began[repository.id] = seconds(begins[2])

    @precondition(lambda self: self.up)
    @rule(dies_in=st.none() | st.integers(0, 40))
    def work(self, dies_in: int | None) -> None:
        """Runs go on."""
        self.fate.dies_in = dies_in
        self.alive(self.process.work)

    # --- the end ------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let all be quiet, patrol twice, and look."""
        self.fate.nth = 0
        if not self.up:
            self.up, self.process = True, self.start()
        self.lose_all()
        self.finish_runs()
        for _ in range(2):
            self.clock.advance(3_600)
            report = self.process.patrol()
            assert report.errors == [], report.errors
            self.note(report)
            self.finish_runs()
        self.check()

    def finish_runs(self) -> None:
        """Let all runs end."""
        for _ in range(1_000):
            wake = self.process.work()
            if wake is None:
                return
            self.clock.advance(max(0.0, wake - self.clock.now()))
        raise AssertionError("runs do not end")

    def check(self) -> None:
        """Look at what became of each closing, and at what is left."""
        views = self.store.reader.runs()
        for repository, pull, closing in self.closings:
            standing = pull.closed_at == closing.closed_at
            owed = standing and seconds(closing.closed_at) > self.began.get(repository.id, 0)
            for one in self.automations:
                runs = [v for v in views if (v.automation, v.closing) == (one.name, str(closing))]
                ran = [view for view in runs if view.verdict != "skipped"]
                assert len(ran) <= 1, f"{closing} ran {len(ran)} times"
                if owed and self.concerns(one, repository, pull):
                    assert ran, f"{closing} of #{pull.number} did not run {one.name}"
                    self.check_nothing_left(one, pull, ran[0])

    def concerns(self, one: Automation, repository: Repository, pull: Pull) -> bool:
        """Whether a closing of a pull request is for an automation."""
        if repository.full_name not in one.repositories:
            return False
        return one.bases == "at-close" or "develop" in {pull.base, *(old for old, _, _ in pull.bases)}

    def check_nothing_left(self, one: Automation, pull: Pull, run: Any) -> None:
        """What is left must have a name: of a run that failed, or that met the pull request open."""
        left = f"{one.name}-{pull.number}" in self.cloud.made
        assert run.state == "finished"
        if run.verdict == "success":
            assert not left, f"{one.name}-{pull.number} is left, and its run says {run.summary}"
        else:
            assert run.verdict == "failure", run


__all__ = ["Closings"]
