"""Patrol over a ledger and a GitHub over HTTP: two weeks without a server, an empty log, failing calls."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping

import pytest

from closeout.adapters.github import GitHubClient
from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.core.errors import ServiceError
from closeout.intake import Receiver
from closeout.patrol.report import Report
from closeout.patrol.rounds import Patrol
from closeout.ports import Ending, Operation, Page
from closeout.testing import deliveries
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.testing.github.webhooks import Hook
from closeout.wiring.api_intake import ApiIntake
from closeout.wiring.reruns import Reruns
from tests.memory_ledger import MemoryLedger

SECRET = b"secret"
URL = "http://127.0.0.1:9/webhook"
CLOSED = ({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},)
CLEAN = Automation(name="clean", triggers=CLOSED, repositories=("acme/shop",))
OF_BOT = Automation(name="of-bot", triggers=CLOSED, repositories=("acme/shop",), senders=("nobody",))
FORTNIGHT = 14 * 86_400


class Seventh:
    """`GitHubReads` of which every seventh call fails."""

    def __init__(self, github: GitHubClient) -> None:
        self.github = github
        self.every: int | None = None
        self.calls = 0

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Read, or fail."""
        self.calls += 1
        if self.every and self.calls % self.every == 0:
            raise ServiceError("GitHub: 502", service="github", operation="GET", reason="502", transient=True)
        return self.github.read(path, query, etag)


class World:
    """A GitHub, a ledger, and patrol between them."""

    def __init__(self, github: FakeGitHub, *given: Automation) -> None:
        self.ahead = 0.0
        given = given or (CLEAN, OF_BOT)
        github.world.now = github.sender._now = lambda: time.time() + self.ahead
        self.github = github
        self.ledger = MemoryLedger(FakeClock())
        self.receiver = Receiver.of(given, lambda: (SECRET,))
        self.reads = Seventh(GitHubClient(lambda: github.token, github.url))
        automations = {one.name: one for one in given}
        reruns = Reruns(
            self.ledger,
            self.ledger.attempts,
            automations,
            matched=self.receiver.runs,
            start=lambda _new: None,
        )
        intake = ApiIntake(self.receiver, reruns, self.ledger, self.ledger.accept_wait, lambda: 1.0)
        self.patrol = Patrol(
            self.reads,
            self.ledger,
            intake,
            given,
            ours=lambda url: url == URL,
            pause=lambda _seconds: None,
        )

    def close(self, number: int, **options: object) -> None:
        """Open and close a pull request, some time after the one before."""
        self.ahead += 100
        self.github.world.open_pull("acme/shop", number=number, **options)
        self.github.world.change_pull("acme/shop", number, "closed")

    def cleaned(self) -> list[int]:
        """Return the pull requests for which there is a run."""
        return sorted(run.number or 0 for run in self.ledger.runs() if run.automation == "clean")


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world with old closings, in which patrol has begun."""
    with FakeGitHub() as github:
        github.world.add_repository("acme/shop", id=501_001)
        made = World(github)
        for number in (1, 2, 3):
            made.close(number)
        github.add_hook("acme/shop", url=URL, secret=SECRET.decode())
        assert made.patrol.round().errors == []
        yield made


def test_after_a_fortnight_each_closing_starts_once(world: World) -> None:
    """The log is empty, every seventh call fails, and webhooks come late, before and after."""
    for number in range(10, 130):
        world.close(number, base="main" if number % 10 == 0 else "develop")
    world.ahead += FORTNIGHT
    world.github.sender.settle()
    hook = next(iter(world.github.world.repository("acme/shop").hooks.values()))
    lost = world.github.world.repository("acme/shop").deliveries[:]
    world.github.world.repository("acme/shop").deliveries.clear()
    late = [entry for entry in lost if entry["action"] == "closed"]
    tell(world, late[0], hook.id)
    world.reads.every = 7
    reports: list[Report] = [world.patrol.round() for _ in range(2)]
    tell(world, late[1], hook.id)
    assert [(report.gaps, report.errors) for report in reports] == [(1, []), (0, [])]
    assert world.cleaned() == [number for number in range(10, 130) if number % 10]
    assert sum(report.started for report in reports) == len(world.cleaned()) - 1
    assert world.reads.calls < 60


def cancel_as_reopened(ledger: MemoryLedger, execution: str) -> None:
    """Let a run end that met its pull request open."""
    (number,) = (each.number for each in ledger.pending(0) if each.execution == execution)
    result = json.dumps({"kind": "reopened", "message": "it is open again"})
    met = Operation("closing", 1, "record", "error", result, 1, None, 1.0, 2.0)
    ledger.begin(number, "own", 1.0, wait=True)
    ledger.save(number, met)
    ledger.finish(number, Ending("cancelled", "it is open again"), 2.0)


def tell(world: World, entry: Mapping[str, object], hook: int) -> None:
    """Let a webhook come."""
    request = entry["request"]
    assert isinstance(request, dict)
    body = deliveries.encode(request["payload"])
    headers = deliveries.signed_headers("pull_request", body, SECRET.decode(), str(entry["guid"]), hook)
    decision = world.receiver.decide(
        {name.lower().encode(): value.encode() for name, value in headers.items()}, body, 1.0
    )
    assert decision.delivery is not None
    world.ledger.accept_wait(decision.delivery, decision.runs)


def test_a_closing_whose_delivery_is_stored_without_a_run_starts(world: World) -> None:
    """Otherwise the watermark would move past it."""
    world.close(10)
    assert world.patrol.round(deliveries=False).started == 1
    world.ledger._runs.clear()
    world.close(11)
    assert world.patrol.round(deliveries=False).started == 2
    assert (world.cleaned(), len(world.ledger.deliveries())) == ([10, 11], 2)


def test_a_closing_whose_run_found_it_open_starts_again(world: World) -> None:
    """Its webhook did not say when it was closed, so the run is named after a GUID; a late answer cancelled it."""
    world.close(10)
    world.github.sender.settle()
    repository = world.github.world.repository("acme/shop")
    (entry,) = (each for each in repository.deliveries if each["action"] == "closed")
    closed_at = entry["request"]["payload"]["pull_request"].pop("closed_at")
    tell(world, entry, next(iter(repository.hooks.values())).id)
    (run,) = (each for each in world.ledger.runs() if each.automation == "clean")
    closing = Closing(501_001, entry["request"]["payload"]["pull_request"]["id"], closed_at)
    world.ledger.claim_closing(str(closing), closing.run_id("clean"), run.id)
    cancel_as_reopened(world.ledger, run.execution)
    assert world.patrol.round(deliveries=False).started == 1
    again = world.ledger.run(run.id)
    assert again is not None
    assert (again.attempt, again.state, again.requested_by) == (2, "queued", "patrol")
    assert world.patrol.round(deliveries=False).started == 0


def test_a_closing_found_by_patrol_has_its_sender(world: World) -> None:
    """So an automation for another person's closings does not start."""
    world.close(10)
    assert world.patrol.round(deliveries=False).started == 1
    assert [run.automation for run in world.ledger.runs()] == ["clean"]
    assert [run.heard for run in world.ledger.runs()] == ["closed-list"]


def test_a_delivery_from_the_log_and_the_list_are_one_closing(world: World) -> None:
    """The log comes first; the list finds nothing new."""
    world.close(10)
    world.github.sender.settle()
    report = world.patrol.round()
    assert (report.recovered, report.closings_seen, report.started, report.errors) == (1, 1, 0, [])
    assert [(run.number, run.heard) for run in world.ledger.runs()] == [(10, "delivery-log")]


def test_a_closing_that_matches_nothing_leaves_no_delivery(world: World) -> None:
    """Most closings of a large repository are irrelevant."""
    world.close(10, base="main")
    report = world.patrol.round(deliveries=False)
    assert (report.closings_seen, report.started) == (1, 0)
    assert world.ledger.deliveries() == []


def test_a_lost_watermark_is_reported_and_patrol_starts_over(world: World) -> None:
    """Earlier closings start nothing, since it is unknown whether they were handled."""
    world.close(10)
    world.ledger._marks.clear()
    report = world.patrol.round()
    assert (report.started, report.errors) == (0, [])
    assert any("patrol begins here" in note for note in report.notes)
    world.close(11)
    assert world.patrol.round(deliveries=False).started == 1
    assert world.cleaned() == [11]


def test_a_quiet_hour_costs_a_call_for_each_repository_and_twenty_in_all() -> None:
    """Lists once, the log of the organization's webhook every five minutes, and a few lists of webhooks."""
    names = [f"acme/r{number}" for number in range(40)]
    with FakeGitHub() as github:
        for name in names:
            github.world.add_repository(name)
        github.world.add_organization("acme")
        made = World(github, Automation(name="clean", triggers=CLOSED, repositories=tuple(names)))
        owner = github.world.organizations["acme"]
        owner.hooks[9] = Hook(9, URL, SECRET.decode(), ("pull_request",), False)
        assert made.patrol.round().errors == []
        made.patrol.round()
        github.clear_requests()
        for number in range(12):
            assert made.patrol.round(closings=number == 0).errors == []
        made_calls = github.requests()
    assert len(made_calls) <= len(names) + 20
    assert sum(call["status"] != 304 for call in made_calls) <= 20


def test_a_gap_makes_a_round_without_lists_read_them(world: World) -> None:
    """Unless they are switched off."""
    world.github.sender.settle()
    world.close(10)
    world.github.sender.settle()
    world.github.world.repository("acme/shop").deliveries.clear()
    world.ahead += FORTNIGHT
    assert world.patrol.round(closings=False, cover_gaps=False).gaps == 1
    assert world.cleaned() == []
    world.ahead += FORTNIGHT
    report = world.patrol.round(closings=False)
    assert (report.gaps, report.started) == (1, 1)
    assert world.cleaned() == [10]
