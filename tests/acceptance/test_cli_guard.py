"""`closeout guard`: the real command between a fake GitHub and a ledger."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.cli import exits
from closeout.ledger.sqlite import Ledger
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.machine import REPOSITORY, Machine
from tests.unit.adapters.workflow import OURS, public_key, token
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


def test_a_workflow_asks_the_server_with_its_token(machine: Machine) -> None:
    """About pull requests of the repository that its token is for, if an automation names that repository."""
    machine.start()
    machine.github.workflow_keys.append(public_key("ours", OURS))
    base = machine.hook_url.removesuffix("/webhook")
    issuer = f"{machine.github.url}/_services/token"
    number = machine.github.world.repository(REPOSITORY).id

    def status(**changed: Any) -> int:
        claims: dict[str, Any] = {"aud": base, "repository_id": str(number), **changed}
        headers = {"Authorization": f"Bearer {token(issuer, **claims)}"}
        request = urllib.request.Request(f"{base}/guard?pull-request=17", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.loads(answer.read())["verdict"] == "open"
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    try:
        assert status() == 200
        assert status(aud="https://elsewhere.example.com") == 401
        assert status(repository="stranger/shop") == 401
        assert status(repository_id="1") == 503  # a repository of the same name that was there before
        machine.github.world.change_pull(REPOSITORY, 17, "closed")
        assert status() == 409
    finally:
        machine.stop()
