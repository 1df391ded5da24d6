"""`closeout runs list` and `closeout deliveries list` with filters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from closeout.cli import exits
from closeout.cli.main import main
from closeout.ledger.sqlite import Ledger
from closeout.ports import Ending
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

CLEAN, TELL = "clean" + "a" * 21, "tell" + "b" * 22


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with a finished run for #17, and an open one for #18."""
    clock = HandClock()
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        ledger.accept_wait(delivery("g1"), [new_run(CLEAN, automation="clean")])
        ledger.finish(1, Ending("success", "deleted stack preview-17"), 1_100.0)
        clock.time += 86_400
        later = delivery("g2")._replace(number=18, received_at=clock.time)
        ledger.accept_wait(later, [new_run(TELL, automation="tell")])
    return tmp_path / "ledger.db"


def listed(capsys: pytest.CaptureFixture[str], path: Path, what: str, *options: str) -> list[str]:
    """Return the GUIDs that a list shows."""
    assert main([what, "list", "--db", str(path), "--json", *options]) == exits.OK
    return [row["guid"] for row in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    ("options", "guids"),
    [
        ((), ["g2", "g1"]),
        (("--pull-request", "17"), ["g1"]),
        (("--pull-request", "acme/shop#18"), ["g2"]),
        (("--repository", "acme/other"), []),
        (("--until", "1970-01-01T10:00Z"), ["g1"]),
        (("--since", "1970-01-01T10:00Z", "--repository", "acme/shop"), ["g2"]),
    ],
)
def test_runs_and_deliveries_take_the_same_filters(
    path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], guids: list[str]
) -> None:
    """All of them together."""
    assert listed(capsys, path, "runs", *options) == guids
    assert listed(capsys, path, "deliveries", *options) == guids


def test_each_list_has_filters_of_its_own(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words, automation, verdict and state of runs; event and GUID of deliveries."""
    assert listed(capsys, path, "runs", "--search", "Preview-17 stack") == ["g1"]
    assert listed(capsys, path, "runs", "--automation", "tell", "--state", "queued") == ["g2"]
    assert listed(capsys, path, "runs", "--automation", "tell", "--verdict", "success") == []
    assert listed(capsys, path, "deliveries", "--guid", "g2") == ["g2"]
    assert listed(capsys, path, "deliveries", "--event", "push") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("runs", "list", "--since", "yesterday"), "since is a time"),
        (("runs", "list", "--search", "…"), "letter or a digit"),
        (("deliveries", "list", "--pull-request", "shop"), "OWNER/REPO#N"),
        (("deliveries", "list", "--ignored", "--event", "push"), "takes no filter"),
    ],
)
def test_a_bad_filter_is_a_usage_error(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    """The message says what the option accepts."""
    assert main([*arguments, "--db", str(path)]) == exits.USAGE
    assert said in capsys.readouterr().err
