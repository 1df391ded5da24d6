"""Which test executes which line, measured once and kept in a folder.

Also the pytest plugin that measures it: `coverage run … -m pytest -p tests.mutants.executed`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import coverage
import pytest

SECONDS = "CLOSEOUT_TEST_SECONDS"
"""The variable that names the file for the seconds of each test."""
SETTINGS = """[run]
source = closeout
relative_files = true
parallel = true
patch =
    subprocess
    fork
    _exit
disable_warnings = no-data-collected,module-not-imported
data_file = {folder}/coverage
"""
_seconds: defaultdict[str, float] = defaultdict(float)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count what runs until a test's fixtures are torn down as executed by the test."""
    measured = coverage.Coverage.current()
    if measured is not None:
        measured.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the seconds of a test and its fixtures."""
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish() -> None:
    """Write the seconds of all tests."""
    Path(os.environ[SECONDS]).write_text(json.dumps(_seconds), "utf-8")


def measure(folder: Path, tree: Path, tests: Iterable[str], jobs: int) -> None:
    """Run tests under coverage and keep in `folder` what each executes."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings"
    settings.write_text(SETTINGS.format(folder=folder.resolve()), "utf-8")
    command = [sys.executable, "-m", "coverage"]
    options = [f"--rcfile={settings.resolve()}"]
    pytest_run = [
        "-m",
        "pytest",
        "-q",
        "-n",
        str(jobs),
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.mutants.executed",
    ]
    environment = {**os.environ, SECONDS: str(folder.resolve() / "seconds")}
    subprocess.run([*command, "run", *options, *pytest_run, *tests], cwd=tree, env=environment, check=True)
    subprocess.run([*command, "combine", "-q", *options], cwd=tree, check=True)


class Executed:
    """What `measure` has kept."""

    def __init__(self, folder: Path) -> None:
        """Read it."""
        self.measured_at = (folder / "seconds").stat().st_mtime
        self._seconds: dict[str, float] = json.loads((folder / "seconds").read_text("utf-8"))
        self._data = coverage.CoverageData(str(folder / "coverage"))
        self._data.read()
        self._files: dict[str, dict[int, list[str]]] = {}

    def tests(self, path: str, lines: range | None = None) -> tuple[list[str], bool]:
        """Return the tests that execute one of a module's lines, quick files first, and whether something else does, too.

        Something else is an import, or a process that a test started.
        """
        if path not in self._files:
            self._files[path] = self._data.contexts_by_lineno(path)
        by_line = self._files[path]
        names = {name for line in lines or by_line for name in by_line.get(line, ())}
        elsewhere = "" in names
        names.discard("")
        files: defaultdict[str, float] = defaultdict(float)
        for name in names:
            files[_file(name)] += self._seconds.get(name, 0)
        return sorted(names, key=lambda name: (files[_file(name)], name)), elsewhere


def _file(test: str) -> str:
    return test.partition("::")[0]
