"""`closeout guard`: the real command between a fake GitHub and a ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.cli import exits
from closeout.ledger.sqlite import Ledger
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.machine import REPOSITORY, Machine
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

GUARD = ("guard", "--pull-request", f"{REPOSITORY}#17")


@pytest.fixture
def machine(tmp_path: Path, cloud: FakeAws) -> Iterator[Machine]:
    """A machine with an empty ledger and without a server; pull request #17 is open."""
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        github.world.open_pull(REPOSITORY, number=17, base="develop")
        scene = Machine(tmp_path, cloud, github)
        Ledger(scene.db, clock=HandClock()).open().close()
        yield scene


def test_every_answer_has_an_exit_code_and_a_sentence(machine: Machine) -> None:
    """Open, a teardown on its way, closed, and what GitHub does not say."""
    assert machine.closeout(*GUARD).stdout == "acme/shop#17 is open, and no teardown of it is on its way\n"
    with Ledger(machine.db, clock=HandClock()) as ledger:
        ledger.accept_wait(delivery(), [new_run("r1")])
    waits = machine.closeout("guard", "--pull-request", "https://github.com/acme/shop/pull/17", check=False)
    assert (waits.returncode, waits.stdout) == (
        exits.REFUSED,
        "acme/shop#17 is open, but a teardown is on its way: r1-1; do not deploy\n",
    )
    machine.github.world.change_pull(REPOSITORY, 17, "closed")
    closed = machine.closeout(*GUARD, "--json", check=False)
    assert closed.returncode == exits.REFUSED
    assert json.loads(closed.stdout) == {
        "verdict": "closed",
        "reason": "acme/shop#17 is closed; do not deploy",
    }
    machine.github.faults.add("status", status=502, times=0)
    unknown = machine.closeout(*GUARD, check=False)
    assert unknown.returncode == exits.UNAVAILABLE
    assert unknown.stdout.startswith("cannot tell whether acme/shop#17 is open; do not deploy: GitHub: GET")


def test_without_a_ledger_nobody_knows(machine: Machine) -> None:
    """A wrong path must not let a deploy begin."""
    told = machine.closeout(*GUARD, "--db", str(machine.folder / "other.db"), check=False)
    assert told.returncode == exits.UNAVAILABLE
    assert "There is no ledger at" in told.stdout
