"""Runs the real `closeout` as a process of its own, with nothing of the tests' environment but what is named.

`closeout` forks a process that has imported it already; `started` begins one from nothing, as a shell does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.acceptance.forked import run

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which closeout is importable and no setting of this machine leaks in."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLOSEOUT", "AWS"))}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", "COLUMNS": "80", **(extra or {})}


def closeout(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = 30.0,
) -> Result:
    """Run `closeout ARGUMENTS` and wait for it."""
    done = run(
        [str(argument) for argument in arguments],
        folder=cwd or Path.cwd(),
        environment=environment(env),
        stdin=stdin,
        seconds=timeout,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def started(*arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Result:
    """Run `python -m closeout ARGUMENTS` and wait for it."""
    done = subprocess.run(
        [sys.executable, "-m", "closeout", *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Result(done.returncode, done.stdout, done.stderr)
