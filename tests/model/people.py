"""What people, GitHub and the network do, in any order: nothing here knows closeout.

`acme/shop` gives a pull request a preview while its base is `develop`, and every one a database; `acme/site` gives every
one a page.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from closeout.core.closing import Closing
from closeout.testing.durable import FakeClock
from closeout.testing.github.webhooks import stamp
from closeout.testing.github.world import Pull, Repository
from tests.model.outside import FAULTS, Cloud, Delivery, Fate, GitHub

SHOP, SITE = "acme/shop", "acme/site"
DAY = 86_400
WAITS = (1, 60, 299, 301, 3_600, 6 * 3_600, DAY, 3 * DAY, 14 * DAY)
ANY = st.integers(0, 30)


class People(RuleBasedStateMachine):
    """The world outside. `closings` is what really happened; nothing here asks closeout for it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_780_000_000)
        self.fate = Fate()
        self.github = GitHub(self.clock, self.fate, per_page=2)
        self.cloud = Cloud(self.github)
        self.repositories = [self.github.add_repository(name) for name in (SHOP, SITE)]
        self.closings: list[tuple[Repository, Pull, Closing]] = []
        self.happened: Counter[str] = Counter()
        """How often each thing happened: a rule that finds nothing to do is not counted."""

    # --- pull requests ------------------------------------------------------------------------------------

    @rule(which=st.integers(0, 1), deployed=st.booleans(), base=st.sampled_from(["develop", "main"]))
    def open_pull(self, which: int, deployed: bool, base: str) -> None:
        """Somebody opens a pull request, and its previews are deployed."""
        self.clock.advance(1)
        self.open(self.repositories[which], deployed=deployed, base=base)

    def open(self, repository: Repository, *, deployed: bool, base: str = "develop") -> None:
        """Open a pull request."""
        self.happened["open"] += 1
        times = {"created_at": stamp(self.clock.now())}
        pull = self.github.world.open_pull(repository.full_name, base=base, times=times)
        if deployed:
            self.deploy_all(repository, pull)

    def deploy_all(self, repository: Repository, pull: Pull) -> None:
        """Deploy what a pull request has."""
        self.happened["deploy" if pull.state == "open" else "deploy to a closed one"] += 1
        kinds = ("preview", "database", "late") if repository is self.repositories[0] else ("page",)
        for kind in kinds:
            if kind != "preview" or pull.base == "develop":
                self.cloud.make(f"{kind}-{pull.number}", (repository, pull.number))

    def pick(self, state: str, index: int) -> tuple[Repository, Pull] | None:
        """Return one of the pull requests in a state."""
        found = [
            (repository, pull)
            for repository in self.repositories
            for pull in repository.pulls.values()
            if pull.state == state
        ]
        return found[index % len(found)] if found else None

    @rule(index=ANY, late=st.booleans())
    def deploy(self, index: int, late: bool) -> None:
        """A pull request gets its previews, or gets them again. A deploy that takes long ends after the closing."""
        found = self.pick("closed" if late else "open", index)
        if found:
            self.deploy_all(*found)

    @rule(index=ANY, base=st.sampled_from(["develop", "main", "release"]), automatic=st.booleans())
    def retarget(self, index: int, base: str, automatic: bool) -> None:
        """Somebody, or GitHub by itself, gives a pull request another base."""
        found = self.pick("open", index)
        if found:
            repository, pull = found
            self.happened["retarget"] += base != pull.base
            self.github.world.retarget(repository.full_name, pull.number, base, automatic=automatic)

    @rule(index=ANY, merged=st.booleans())
    def close_pull(self, index: int, merged: bool) -> None:
        """Somebody closes a pull request."""
        found = self.pick("open", index)
        if found:
            self.clock.advance(1)
            self.close(*found, merged=merged)

    def close(self, repository: Repository, pull: Pull, *, merged: bool) -> None:
        """Close a pull request, and note that it happened."""
        self.happened["close"] += 1
        self.github.world.change_pull(repository.full_name, pull.number, "closed", merged=merged)
        self.closings.append((repository, pull, Closing(repository.id, pull.id, str(pull.closed_at))))

    @rule(index=ANY)
    def reopen_pull(self, index: int) -> None:
        """Somebody opens it again."""
        found = self.pick("closed", index)
        if found:
            self.clock.advance(1)
            repository, pull = found
            self.happened["reopen"] += 1
            self.github.world.change_pull(repository.full_name, pull.number, "reopened")

    @rule(index=ANY)
    def comment(self, index: int) -> None:
        """Somebody writes to a closed pull request, which moves it to the front of GitHub's list."""
        found = self.pick("closed", index)
        if found:
            self.clock.advance(1)
            self.github.world.add_comment(found[0], found[1].number, "thanks", {"login": "octo-dev", "id": 1})

    # --- time, GitHub, the network --------------------------------------------------------------------------

    @rule(duration=st.sampled_from(WAITS))
    def wait(self, duration: int) -> None:
        """Time passes."""
        self.clock.advance(duration)

    @rule(
        nth=st.sampled_from([0, 1, 2, 3, 7]),
        kind=st.sampled_from(FAULTS),
        lag=st.sampled_from([0, 5, 60]),
        left=st.sampled_from([5_000, 5_000, 510]),
    )
    def trouble(self, nth: int, kind: str, lag: int, left: int) -> None:
        """GitHub is in trouble from now on: every Nth call fails (0: none), its API lags, or few calls are left."""
        self.fate.nth, self.fate.kind = nth, kind
        self.github.lag, self.github.left = lag, left

    @rule(index=ANY, close=st.booleans())
    def be_restless(self, index: int, close: bool) -> None:
        """While GitHub answers the next calls, people go on: lists change between two of their pages."""
        left = [3]

        def meanwhile() -> None:
            if left[0]:
                left[0] -= 1
                (self.close_pull(index, False) if close else self.reopen_pull(index))

        self.fate.meanwhile = meanwhile

    @precondition(lambda self: self.github.in_flight)
    @rule(index=ANY, logged=st.booleans())
    def lose(self, index: int, logged: bool) -> None:
        """A delivery is lost; GitHub's log may have it or not."""
        delivery = self.take(index)
        self.happened["lost delivery"] += 1
        if logged:
            self.github.log(delivery, arrived=False)

    def empty_logs(self) -> None:
        """GitHub's delivery logs are empty."""
        self.github.forget_old_deliveries(older_than=-DAY)

    def take(self, index: int) -> Delivery:
        """Take one of the deliveries that are on their way."""
        return self.github.in_flight.pop(index % len(self.github.in_flight))
