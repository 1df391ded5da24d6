"""Patrol's timer and the audit: once a day, never at a start, and a failed audit ends no round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.config.load import load_text
from closeout.core.errors import ServiceError, StoreUnavailable
from closeout.core.redact import Redactor
from closeout.core.units import DAY
from closeout.intake.receiver import Receiver
from closeout.ledger.sqlite import Ledger, Views
from closeout.orphans.reading import UnknownState, reading
from closeout.orphans.repair import RepairReport
from closeout.patrol.marks import REPORT
from closeout.patrol.reader import Reader
from closeout.patrol.report import Report
from closeout.ports import GitHub
from closeout.testing.github import FakeGitHub
from closeout.wiring.clients import configured_clients
from closeout.wiring.orphans import BudgetedGitHub, OrphanRounds, stoppable
from closeout.wiring.patrols import Patrols
from tests.until import until

CONFIG = """\
version: 1
secrets: { webhook: env:W, github: env:PATROLS_TOKEN }
github: { api-url: 'URL' }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  clean:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
"""


class Orphans:
    """Counts the audits that it is asked for."""

    watches = True

    def __init__(self) -> None:
        self.rounds = 0
        self.spent = 0
        self.errors: tuple[str, ...] = ()

    def round(self, _stopped: Callable[[], bool], reader: Reader) -> RepairReport:
        self.rounds += 1
        self.spent = reader.calls
        return RepairReport(2, 1, 3, ("a note",), self.errors)


class Scene:
    """A ledger and patrols over it, as a process has them."""

    def __init__(self, folder: Path, github: FakeGitHub) -> None:
        clock = SystemClock()
        self.github = github
        self.ledger = Ledger(folder / "closeout.db", clock=clock, redact=str).open()
        self.views = Views(folder / "closeout.db", clock=clock)
        self.loaded = load_text(CONFIG.replace("URL", github.url), builtin())
        self.clients = configured_clients(self.loaded, clock, Redactor())
        self.orphans = Orphans()
        self.started: list[Any] = []

    def patrols(self) -> Patrols:
        return Patrols(
            self.loaded,
            self.ledger,
            self.views,
            Receiver.of(self.loaded.automations, tuple),
            self.clients,
            base=lambda: None,
            start=self.started.append,
            orphans=cast("OrphanRounds", self.orphans),
        )

    def first_round(self) -> Report:
        """Run the timer until its first round has ended."""
        told: list[Report] = []
        patrols = self.patrols()
        patrols.start(told.append)
        until("a round", lambda: told)
        patrols.stop()
        return told[0]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Everything, closed at the end."""
    with FakeGitHub() as github:
        github.world.add_repository("acme/shop")
        monkeypatch.setenv("PATROLS_TOKEN", github.token)
        made = Scene(tmp_path, github)
        yield made
        made.views.close()
        made.ledger.close()


def test_an_audit_is_due_a_day_after_the_last(scene: Scene) -> None:
    """Not at a start: servers restart often, and an audit lists whole accounts."""
    scene.first_round()
    assert scene.orphans.rounds == 0
    scene.first_round()
    assert scene.orphans.rounds == 0
    scene.ledger.save_mark(REPORT, "orphans", {"ended_at": scene.clients.now() - DAY - 1})
    scene.first_round()
    until("the audit", lambda: scene.orphans.rounds == 1)
    scene.first_round()
    assert scene.orphans.rounds == 1


def test_a_requested_round_includes_an_audit_and_reports_its_findings(scene: Scene) -> None:
    """The engine is notified of started runs."""
    patrols = scene.patrols()
    report = patrols.round()
    assert (patrols.figures().orphans, scene.patrols().figures().orphans) == (2, 2)
    assert report.to_json()["orphans"] == {"found": 2, "started": 1, "unknown": 3}
    assert (report.notes[-1], report.errors) == ("a note", [])
    assert scene.started == [()]
    assert scene.orphans.spent > 0, "its budget is what the round has left"
    assert scene.patrols().round(orphans=False).to_json()["orphans"]["found"] == 0


def test_an_audit_with_errors_does_not_count(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saw only a part. Earlier findings stay, and the next audit comes after an hour."""
    before = {"ended_at": scene.clients.now() - DAY - 1, "found": 7}
    scene.ledger.save_mark(REPORT, "orphans", before)
    scene.orphans.errors = ("an error",)
    patrols = scene.patrols()
    report = patrols.round()
    assert (report.errors, report.orphans_found) == (["an error"], 2)
    assert patrols.figures().orphans == 7
    assert scene.ledger.marks(REPORT)["orphans"] == before
    monkeypatch.setattr("closeout.wiring.patrols.AUDIT_AGAIN", 0.05)
    patrols.start(lambda _report: None)
    until("the audits", lambda: scene.orphans.rounds >= 3)
    patrols.stop()


def test_a_full_disk_at_the_first_start_does_not_end_the_timer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time from which a day is counted could not be stored."""
    save = scene.ledger.save_mark

    def refuse(kind: str, key: str, value: Any) -> None:
        if key == "orphans":
            raise StoreUnavailable("the disk is full")
        save(kind, key, value)

    monkeypatch.setattr(scene.ledger, "save_mark", refuse)
    assert scene.first_round().errors == []


def test_an_audit_stays_within_patrols_budget(scene: Scene) -> None:
    """What the budget does not cover is not asked, and never "absent"."""
    scene.github.remaining = 506
    reader = Reader(scene.clients.github, lambda _seconds: None)
    github = BudgetedGitHub(stoppable(scene.clients, lambda: False), reader)
    ending = BudgetedGitHub(stoppable(scene.clients, lambda: True), reader)
    known = reading(cast("GitHub", github), "acme/shop")
    for _ in range(2):
        with pytest.raises(ServiceError, match="Validation"):
            github.request("POST", "/graphql", body={"query": "", "variables": {}})
    before = scene.github.remaining
    for ask in (
        lambda: github.pull_request_files("acme/shop", 1),
        lambda: ending.request("POST", "/graphql", body={}),
    ):
        with pytest.raises(ServiceError):
            ask()
    assert scene.github.remaining == before
    answers = known.read(range(1, 9))
    assert {type(answer) for answer in answers.values()} == {UnknownState}
    assert scene.github.remaining >= 500
