"""`closeout status` over a ledger: what needs attention comes first, and decides the exit code."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from closeout.cli.main import main
from closeout.ledger.sqlite import Ledger
from closeout.ports import Ending
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

RUN = "pychgk" + "a" * 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with one queued run."""
    clock = HandClock()
    clock.time = time.time()
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        ledger.accept_wait(delivery(), [new_run(RUN, automation="clean")])
    return tmp_path / "ledger.db"


def status(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> tuple[int, str]:
    """Return the exit code and what was said, without a configuration."""
    code = main(["status", "--db", str(path), "--config", str(path.parent / "none.yaml"), *more])
    return code, capsys.readouterr().out


def test_nothing_needs_attention(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, and what is in progress."""
    code, said = status(capsys, path)
    assert code == 0
    assert said.splitlines()[:2] == [
        "No server runs on this ledger: start `closeout serve`.",
        "Nothing else needs you.",
    ]
    assert "does not run" in said
    assert RUN[:8] in said
    code, said = status(capsys, path, "--json")
    told = json.loads(said)
    assert (code, told["server"], told["needs"], told["running_count"]) == (0, False, [], 1)
    assert told["last_delivery"].endswith("Z")


def test_a_failed_run_needs_attention(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code shows it, and the text says why and what to do; a pause is shown too."""
    with Ledger(path, clock=HandClock()) as ledger:
        ledger.finish(1, Ending("failure", "the stack is left"), time.time())
    code, said = status(capsys, path)
    assert code == 1
    assert "the stack is left" in said
    assert f"  closeout runs show {RUN[:8]}\n" in said
    told = json.loads(status(capsys, path, "--json")[1])
    assert [need["text"] for need in told["needs"]] == ["the stack is left"]
    assert main(["pause", "--db", str(path), "--reason", "freeze"]) == 0
    capsys.readouterr()
    assert "freeze" in status(capsys, path)[1].splitlines()[2]
