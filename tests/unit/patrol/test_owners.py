"""Patterns of repositories: what GitHub lists of their owner is read, and no error is taken for an empty list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from closeout.adapters.github import GitHubClient
from closeout.core.automation import Automation
from closeout.core.errors import StoreUnavailable
from closeout.patrol.owners import Owners
from closeout.patrol.report import Report
from closeout.patrol.rounds import Patrol
from closeout.ports.patrol import PatrolStore
from closeout.testing.github import FakeGitHub
from tests.unit.patrol.lists import MemoryMarks, Taken

CLEAN = Automation(
    name="clean",
    triggers=({"event": "pull_request", "types": ["closed"]},),
    repositories=("acme/*", "!acme/old"),
)


class Intake(Taken):
    """It takes in closings; no log is read here."""

    def has(self, _hook: int, _guid: str) -> bool:
        """Return that a delivery is stored."""
        return True

    def recover(self, *_what: object) -> bool:
        """Store nothing."""
        return False


class World:
    """An organization with two repositories, and patrols of it."""

    def __init__(self, github: FakeGitHub, store: PatrolStore) -> None:
        self.github, self.store, self.taken = github, store, Intake()
        self.ahead = 0.0
        github.world.now = lambda: 1_780_000_000.0 + self.ahead
        self.patrol = self.started_anew()

    def started_anew(self) -> Patrol:
        """Return the patrol of a new process."""
        client = GitHubClient(lambda: self.github.token, self.github.url)
        return Patrol(
            client, self.store, self.taken, [CLEAN], ours=lambda _url: False, pause=lambda _seconds: None
        )

    def round(self) -> Report:
        """Make one round over the lists."""
        self.github.clear_requests()
        return self.patrol.round(deliveries=False)

    def close(self, repository: str, number: int) -> None:
        """Open and close a pull request."""
        self.ahead += 60
        self.github.world.open_pull(repository, number=number)
        self.github.world.change_pull(repository, number, "closed")

    def started(self) -> set[int]:
        """Return the numbers of the pull requests whose closing started the automation."""
        return {number for number, _closed, _name in self.taken.started}


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world in which patrol has begun."""
    with FakeGitHub() as github:
        github.world.add_organization("acme")
        for number, name in enumerate(("acme/shop", "acme/docs", "acme/old", "other/shop")):
            github.world.add_repository(name, id=500 + number)
        made = World(github, MemoryMarks())
        assert made.round().errors == []
        yield made


def test_closings_of_every_repository_that_the_pattern_names_start(world: World) -> None:
    """And none of another."""
    for number, name in enumerate(("acme/shop", "acme/docs", "acme/old", "other/shop")):
        world.close(name, 10 + number)
    report = world.round()
    assert (world.started(), report.repositories, report.errors) == ({10, 11}, 2, [])


def test_a_repository_that_appears_later_begins_when_it_is_first_read(world: World) -> None:
    """What was closed there before starts nothing."""
    world.github.world.add_repository("acme/new", id=600)
    world.close("acme/new", 20)
    report = world.round()
    assert (report.started, "acme/new: patrol begins here" in report.notes[0]) == (0, True)
    asked = [entry["path"] for entry in world.github.requests()]
    assert not [path for path in asked if path.startswith("/repositories/")], "nobody has taken a name"
    world.close("acme/new", 21)
    world.round()
    assert world.started() == {21}


def test_a_list_that_cannot_be_read_is_an_error_and_what_was_known_is_read_on(world: World) -> None:
    """Also by a new process, and then nothing has lost its beginning."""
    world.github.faults.add("status", path=r"/orgs/acme/repos", status=404, times=0)
    world.close("acme/shop", 30)
    report = world.round()
    assert (len(report.errors), report.repositories, world.started()) == (1, 2, {30})
    world.patrol = world.started_anew()
    world.close("acme/docs", 31)
    assert (len(world.round().errors), world.started()) == (1, {30, 31})
    world.github.faults.clear()
    world.close("acme/shop", 32)
    assert (world.round().errors, world.started()) == ([], {30, 31, 32})


def test_a_store_that_does_not_answer_is_an_error_of_the_round(world: World) -> None:
    """Whoever owns the round goes on, and makes the next one."""

    def refuse(kind: str) -> Any:
        raise StoreUnavailable(f"the ledger did not answer about {kind}")

    world.store.marks = refuse  # type: ignore[method-assign]
    assert world.patrol.round().errors == ["the ledger did not answer about repository"]


def test_a_repository_that_github_does_not_list_for_a_while_keeps_its_beginning(world: World) -> None:
    """A token whose sign-on has expired sees half of a list, with status 200."""
    token = world.github.world.tokens[world.github.token]
    token["repositories"] = ["acme/docs"]
    world.close("acme/shop", 40)
    report = world.round()
    assert (report.repositories, report.notes) == (
        1,
        ["acme/shop: GitHub no longer lists this repository, so patrol does not read it"],
    )
    token["repositories"] = None
    world.round()
    assert world.started() == {40}


def test_a_quiet_hour_costs_nothing_for_the_list(world: World) -> None:
    """Its pages are asked for with their tags, and have not changed."""
    before = world.github.remaining
    world.round()
    asked = [(entry["path"], entry["status"]) for entry in world.github.requests()]
    assert ("/orgs/acme/repos", 304) in asked
    assert world.github.remaining == before


def test_a_round_of_the_logs_alone_reads_no_list(world: World) -> None:
    """It comes every few minutes. A gap in a log would make it read them."""
    world.github.clear_requests()
    assert world.patrol.round(closings=False).errors == []
    asked = [entry["path"] for entry in world.github.requests()]
    assert asked
    assert not [path for path in asked if path.endswith(("/repos", "/pulls"))]


def test_a_long_list_is_read_to_its_end() -> None:
    """Over its pages, conditionally too."""
    with FakeGitHub() as github:
        github.world.add_organization("acme")
        for number in range(230):
            github.world.add_repository(f"acme/r{number}", id=1_000 + number)
        owners, client, report = Owners(), GitHubClient(lambda: github.token, github.url), Report()
        for _ in range(2):
            assert len(owners.repositories(client, ["acme"], report)["acme"]) == 230
        assert report.errors == []


def test_a_users_private_repositories_come_from_the_list_of_the_token() -> None:
    """The list of the user himself shows only what is public."""
    with FakeGitHub() as github:
        github.world.add_repository("ada/private", private=True)
        github.world.add_repository("ada/public", private=False)
        github.world.add_repository("other/private", private=True)
        owners, client, report = Owners(), GitHubClient(lambda: github.token, github.url), Report()
        assert owners.repositories(client, ["ada"], report) == {"ada": ("ada/public", "ada/private")}
        github.faults.add("status", path=r"/user/repos", status=403, times=0)
        assert owners.repositories(client, ["ada"], report) == {"ada": ("ada/public", "ada/private")}
        assert len(report.errors) == 1
