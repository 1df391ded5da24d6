"""`from closeout import on, Run` is typed: a type checker accepts what is right and finds a wrong name.

Each wrong snippet is a file of its own, and all are checked by one run of mypy with the settings of a user who is strict.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RIGHT = """\
from closeout import Run, on
from closeout.testing import Played, deliveries, play


@on("pull_request.closed", branches=["develop"], repositories="acme/shop", timeout="2h", mode="dry-run")
def clean_up(run: Run) -> str:
    number: int = run.event["number"]
    started = run.record("drop", lambda: {"asked": number, "attempt": run.attempt})
    run.sleep("settle", 30)
    run.wait_until("gone", lambda: None if number else {"gone": True}, every=15)
    run.log(f"{run.run_id}: {started}")
    return f"{number} is gone"


@on("push", status=False, destructive=False)
def untyped(run):  # type: ignore[no-untyped-def]
    run.record("anything", print)


played: Played = play(clean_up, deliveries.pull_request(number=42))
print(clean_up, played.steps[0].plan[0].resource, played.statuses[-1].description)
"""
FUNCTION = 'from closeout import Run, on\n\n\n@on("push")\ndef f(run: Run) -> None:\n    '
WRONG = {
    "an import": ("from closeout import On\n", 'has no attribute "On"'),
    "a method": (FUNCTION + 'run.recrod("a", print)\n', '"Run" has no attribute "recrod"'),
    "a field": (FUNCTION + "print(run.evnt)\n", '"Run" has no attribute "evnt"'),
    "an argument of record": (
        FUNCTION + 'run.record("a", fnn=print)\n',
        'Unexpected keyword argument "fnn"',
    ),
    "a sleep without its time": (FUNCTION + 'run.sleep("a")\n', 'Missing positional argument "seconds"'),
    "a key of on": (FUNCTION.replace('"push"', '"push", brnaches="main"') + "...\n", '"brnaches"'),
    "a mode": (FUNCTION.replace('"push"', '"push", mode="dryrun"') + "...\n", 'Argument "mode" to "on"'),
    "a second parameter": (FUNCTION.replace("run: Run", "run: Run, more: int") + "...\n", "cannot be"),
    "another parameter": (FUNCTION.replace("run: Run", "run: str") + "...\n", "cannot be"),
    "what play returns": (
        "from closeout.testing import play\n\nprint(play('closeout.yaml', 'push').verdct)\n",
        '"Played" has no attribute "verdct"',
    ),
}


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check every file of a folder as a user of the package would, without this project's own settings."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", "cache", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What mypy says of all wrong snippets."""
    folder = tmp_path_factory.mktemp("wrong")
    for name, (text, _) in WRONG.items():
        (folder / f"{name.replace(' ', '_')}.py").write_text(text, "utf-8")
    return checked(folder).stdout.splitlines()


def test_a_right_automation_and_its_test_pass_a_strict_check(tmp_path: Path) -> None:
    """Annotated or not, a function that uses the documented names is accepted."""
    (tmp_path / "right.py").write_text(RIGHT, "utf-8")
    found = checked(tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_fails(name: str, complaints: list[str]) -> None:
    """The checker names what is wrong, in the file where it is."""
    file = f"{name.replace(' ', '_')}.py"
    about = [line for line in complaints if line.startswith(file)]
    assert any(WRONG[name][1] in line for line in about), "\n".join(about or complaints)
