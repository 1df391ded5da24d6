"""Run pytest over a tree in a forked process, so that a mutant does not pay for importing pytest and its plugins.

The process is forked from one that has imported `PRELOADED`, and nothing of closeout: that comes from the tree.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PRELOADED = (
    "pytest", "hypothesis", "hypothesis.stateful", "xdist", "pytest_cov.plugin", "jinja2", "starlette.applications", "httptools",
    "uvloop", "lz4.block", "msgspec", "yaml", "celpy", "botocore.session", "boto3", "moto.server", "click", "jsonschema",
)  # fmt: skip
"""What tests import that is not ours. One that is missing in an environment is passed over."""
OURS = ("tests", "closeout", "docs", "schema", "bench")


class Failed:
    """A pytest plugin that writes the name of each test that fails, and of each file that cannot be read, to a file."""

    def __init__(self, names: str) -> None:
        """Begin the file."""
        self._names = Path(names)
        self._names.write_text("", "utf-8")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a test."""
        if report.failed:
            with self._names.open("a", encoding="utf-8") as file:
                file.write(f"{report.nodeid}\n")

    pytest_collectreport = pytest_runtest_logreport


def run(tree: str, tests: Sequence[str], output: str, options: Sequence[str]) -> None:
    """Run tests of a tree, write what pytest prints and what fails to files, and exit with its code."""
    failed = Failed(f"{output}.failed")
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS:
            del sys.modules[name]
    os.chdir(tree)
    os.environ["PYTHONPATH"] = f"{tree}/src"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    sys.path[:0] = [f"{tree}/src", tree]
    import pytest

    configured = ["-c", "cdk/pytest.ini"] if tests[0].startswith("cdk/") else []
    # With a seed, so that a mutant is caught each time or never: the properties draw the same examples.
    quick = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", "-n", "0", "--hypothesis-seed=0"]
    code = int(pytest.main([*quick, *options, *configured, *tests], [failed]))
    sys.stdout.flush()
    os._exit(code)  # threads that a test left behind must not hold up the next mutant
