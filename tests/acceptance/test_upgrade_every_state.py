"""A ledger of the commit before, with runs in every state: it shows what that commit showed, and its runs go on.

The last commit whose code had the ledger below `adapters` wrote the rows. `ledger_of_schema_2.json` is what it showed of
them, and what its own code left in the ledger when it brought these runs to their end.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.json_times import with_iso_times
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.connection import open_writer
from closeout.testing.aws import FakeAws
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from tests.acceptance.machine import REPOSITORY, Machine
from tests.until import until
from tests.upgrade import CONFIG, FUNCTIONS, facts, known, same, told_again, write_ledger

FOLDER = Path(__file__).parent
ROWS = FOLDER / "ledger_of_schema_2.sql"
SHOWN: dict[str, Any] = json.loads((FOLDER / "ledger_of_schema_2.json").read_text("utf-8"))
SCHEMA = 2
KILLED = 1795826245.0
"""When the server of these rows was killed, and nobody had written more."""
IDS = {
    34: 1701011,
    35: 1701014,
    37: 1701024,
    38: 1701026,
    39: 1701028,
    40: 1701030,
    41: 1701033,
    42: 1701034,
    43: 1701035,
    44: 1701040,
}
"""Pull requests of the runs that have not finished, and GitHub's ids of them."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger with today's schema; no engine has touched its runs."""
    path = tmp_path_factory.mktemp("kept") / "closeout.db"
    write_ledger(path, ROWS, SCHEMA)
    open_writer(path).close()
    return path


def test_every_run_is_shown_as_the_commit_before_showed_it(kept: Path) -> None:
    """The list, each attempt with its steps and plans, its log, and the deliveries."""
    views = Views(kept)
    listed = [same(run.to_json()) for run in views.runs()]
    assert [facts(run) for run in listed] == [facts(run) for run in SHOWN["list"]]
    states = {(run["state"], run["verdict"]) for run in SHOWN["runs"].values()}
    assert states == {
        ("queued", None), ("running", None), ("waiting", None), ("finished", "success"),
        ("finished", "failure"), ("finished", "cancelled"), ("finished", "skipped"),
    }  # fmt: skip
    for execution, shown in SHOWN["runs"].items():
        run = views.run(shown["id"], shown["attempt"])
        assert run is not None
        assert facts(same(run.to_json())) == facts(shown), execution
        assert [line.to_json() for line in views.logs(execution)] == SHOWN["logs"][execution]
    assert [known(same(delivery.to_json())) for delivery in views.deliveries()] == SHOWN["deliveries"]


def test_a_closing_of_the_commit_before_has_its_run_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent again through its hook, or through another one: it finds the run that is named after its GUID."""
    path = tmp_path / "closeout.db"
    write_ledger(path, ROWS, SCHEMA)
    (tmp_path / "closeout.yaml").write_text(CONFIG, "utf-8")
    (tmp_path / "kept.py").write_text(FUNCTIONS, "utf-8")
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "kept", raising=False)
    automations = load(tmp_path / "closeout.yaml", builtin()).automations
    sys.modules.pop("kept", None)
    views = Views(path)
    with Ledger(path, clock=FakeClock(2e9)) as ledger:
        before = {run.execution for run in views.runs()}
        for delivery in SHOWN["deliveries"]:
            for hook in (delivery["hook"], "499999"):
                decision = told_again(automations, delivery, views.body(delivery["id"]), hook)
                assert decision.delivery is not None
                assert decision.delivery.closing is not None
                accepted = ledger.accept_wait(decision.delivery, decision.runs)
                assert (list(accepted.runs), accepted.duplicate) == (delivery["runs"], True), delivery
        assert {run.execution for run in views.runs()} == before


def test_metrics_count_what_the_commit_before_counted(kept: Path) -> None:
    """Only the age of the queue grows."""
    stats = Views(kept).stats()
    for name in ("runs_by_verdict", "runs_by_state", "step_durations"):
        counted = sorted([key, value] for key, value in stats[name].items())
        assert same(counted) == SHOWN["stats"][name]
    assert stats["suspects"] == SHOWN["stats"]["suspects"]


@pytest.fixture
def scene(tmp_path: Path, cloud: FakeAws) -> Any:
    """A machine with this configuration, its pull requests closed, and no server yet."""
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        scene = Machine(tmp_path, cloud, github, CONFIG)
        (tmp_path / "kept.py").write_text(FUNCTIONS, "utf-8")
        (tmp_path / "go").touch()
        scene.environment["NOTES"] = str(tmp_path / "notes")
        for number, identity in IDS.items():
            scene.open_pull(number, id=identity)
            github.world.change_pull(REPOSITORY, number, "closed")
        yield scene
        if scene.server is not None:
            scene.kill()


def test_the_command_line_prints_the_same_objects_with_times_in_iso_8601(scene: Machine) -> None:
    """`runs list`, `runs show` and `deliveries list`, over the ledger with today's schema, before an engine has touched it."""
    write_ledger(scene.db, ROWS, SCHEMA)
    open_writer(scene.db).close()
    runs = scene.closeout("runs", "list", "--db", str(scene.db), "--json")
    listed = json.loads(runs.stdout)
    assert [facts(run) for run in listed] == [facts(with_iso_times(run)) for run in SHOWN["list"]]
    waiting = SHOWN["list"][0]
    shown = scene.closeout("runs", "show", waiting["id"], "--db", str(scene.db), "--json")
    assert known(json.loads(shown.stdout)) == with_iso_times(SHOWN["runs"][waiting["execution"]])
    deliveries = scene.closeout("deliveries", "list", "--db", str(scene.db), "--json")
    assert [known(one) for one in json.loads(deliveries.stdout)] == [
        with_iso_times(one) for one in SHOWN["deliveries"]
    ]


def test_every_run_of_the_commit_before_goes_on_and_repeats_nothing(scene: Machine) -> None:
    """Each run that had not finished ends as it would have, and the requests that nobody had taken are taken."""
    write_ledger(scene.db, ROWS, SCHEMA, time.time() - KILLED)
    soon = time.time() + 1.0
    with closing(sqlite3.connect(scene.db)) as connection, connection:
        connection.execute(
            "UPDATE run SET wake = ? WHERE automation = 'grace' AND state = 'waiting'", (soon,)
        )
        connection.execute(
            "UPDATE operation SET wake = ? WHERE name = 'grace' AND state = 'waiting'", (soon,)
        )
    before = _operations(scene.db)
    scene.start()
    views = Views(scene.db)

    def only_held_ones_left() -> bool:
        runs = views.runs()
        left = {run.number for run in runs if run.state != "finished"}
        return len(runs) == 15 and left == {32, 34, 40, 41, 42, 43, 44}

    until("the end of all that no pause holds", only_held_ones_left)
    assert not (scene.folder / "tries").exists(), "the pause of the commit before still holds"
    paused = [("pending", f"paused: {SHOWN['paused']}")]
    until("a status that says who paused", lambda: scene.statuses(f"{44:040x}") == paused)
    scene.closeout("resume", "--db", str(scene.db))
    scene.finished(15)
    assert scene.stop() == 0
    ended = {(run.number, run.attempt): (run.automation, run.verdict) for run in views.runs()}
    assert ended == {
        (31, 1): ("done", "success"),
        (32, 3): ("failed", "failure"),
        (33, 1): ("skipped", "skipped"),
        (34, 1): ("grace", "success"),
        (35, 1): ("grace", "cancelled"),
        (36, 1): ("grace", "cancelled"),
        (37, 1): ("waits", "success"),
        (38, 1): ("stuck", "success"),
        (39, 1): ("stuck", "cancelled"),
        (40, 1): ("script", "success"),
        (41, 1): ("script", "success"),
        (42, 1): ("script", "success"),
        (43, 1): ("hasty", "success"),
        (44, 1): ("pausing", "success"),
        (45, 1): ("hasty", "failure"),
    }, scene.log()
    after = _operations(scene.db)
    assert {name: after[name] for name in before} == before, "what was recorded stays"
    notes = (scene.folder / "notes").read_text("utf-8").splitlines()
    assert [line for line in notes if line.startswith("37")] == ["37 ready", "37 last after first, ready"]
    assert [line for line in notes if line.startswith("38")] == ["38 slow", "38 after"]
    assert not [line for line in notes if line.startswith("39")], "a cancelled run begins nothing"
    tries = (scene.folder / "tries").read_text("utf-8").split()
    assert sorted(tries) == ["1", "1", "2", "2"], "both scripts that were cut off know it"
    assert _left(scene.db) == SHOWN["left"]
    _check_statuses(scene)


def _operations(path: Path) -> dict[tuple[int, str], tuple[Any, ...]]:
    """Return what is recorded of runs, with times and results."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT run, name, position, kind, state, result, tries, started_at, ended_at FROM operation"
            " WHERE state <> 'waiting'"
        )
        return {(row[0], row[1]): row[2:] for row in rows}


def _left(path: Path) -> dict[str, Any]:
    """Return what is stored in words of ours: how runs stand, their operations in order, settings and requests."""
    with closing(sqlite3.connect(path)) as connection:
        runs = connection.execute(
            "SELECT run_id || '-' || attempt, state, turn, verdict, alone, concurrency FROM run"
        )
        operations: dict[str, list[str]] = {}
        for execution, text in connection.execute(
            "SELECT run_id || '-' || attempt, name || ' ' || kind || ' ' || o.state"
            " FROM operation o JOIN run ON number = run ORDER BY run, position"
        ):
            operations.setdefault(execution, []).append(text)
        return {
            "runs": {execution: values for execution, *values in runs},
            "operations": operations,
            "settings": [
                name
                for (name,) in connection.execute(
                    # New are where Details links begin, how many runs found nothing, and until when rechecks were made.
                    "SELECT name FROM setting WHERE name NOT IN ('details-base', 'pages-base', 'rechecked-until')"
                    " AND name NOT LIKE 'empty-runs/%' ORDER BY name"
                )
            ],
            "requests": [
                list(row)
                for row in connection.execute("SELECT kind, target, outcome FROM request ORDER BY id")
            ],
        }


def _check_statuses(scene: Machine) -> None:
    """Each run that went on has posted its end once; those that had finished have posted nothing."""

    def last(number: int) -> tuple[str, str]:
        return scene.statuses(f"{number:040x}")[-1]

    for number in (34, 40, 41, 42, 43, 44):
        assert last(number) == ("success", "shell-1: exit code 0"), number
    assert last(37) == ("success", "last after first, ready")
    assert last(38) == ("success", "after")
    assert last(35)[0] == "error"
    assert last(35)[1].startswith("cancelled by ada: left open")
    assert last(39)[1].startswith("cancelled by grace@ci")
    assert last(32) == ("failure", "shell-1: exit code 1")
    for number in (31, 33, 36, 45):
        assert scene.statuses(f"{number:040x}") == [], number
