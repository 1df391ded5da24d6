"""The core is light: standard library only, and what a receiver needs starts fast.

A receiver in a Lambda pays for every import at each cold start; those named here cost more than they give.
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT, listing, nodes, place, python_files

RECEIVER = ("errors", "signature", "payload", "delivery", "facts", "patterns", "triggers", "keys", "ids")
SLOW = (
    "dataclasses",
    "inspect",
    "asyncio",
    "logging",
    "urllib.parse",
    "difflib",
    "ipaddress",
    "tempfile",
)


def imported_by(*modules: str, package: str = "closeout.core") -> set[str]:
    """Every module that a fresh interpreter has loaded after importing these of the core."""
    code = "import sys\n" + "".join(f"import {package}.{name}\n" for name in modules) + "print(*sys.modules)"
    outcome = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(outcome.stdout.split())


def test_the_core_imports_the_standard_library_only() -> None:
    """Not even when a function is called: every import statement of the core is looked at."""
    strays = [
        f"{place(path, node.lineno)}: {name}"
        for path, node in nodes("src/closeout/core")
        for name in _names(node)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("closeout.core")
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not strays, listing(strays)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or "."] if isinstance(node, ast.ImportFrom) else []


def test_every_module_of_the_core_runs_without_any_package() -> None:
    """In an interpreter that sees no site-packages, all of the core can be imported."""
    names = [path.stem for path in python_files("src/closeout/core") if path.stem != "__init__"]
    assert {f"closeout.core.{name}" for name in names} <= imported_by(*names)


@pytest.mark.parametrize("name", RECEIVER)
def test_the_receivers_path_starts_fast(name: str) -> None:
    """Each module that a receiver imports leaves the slow parts of the standard library alone."""
    assert sorted(imported_by(name) & set(SLOW)) == []


def test_the_receiver_on_aws_starts_fast() -> None:
    """It imports `http.client` and `ssl`, and nothing slow besides what these need (see `make bench-cold`)."""
    heavy = {
        "dataclasses",
        "inspect",
        "asyncio",
        "logging",
        "difflib",
        "tempfile",
        "pathlib",
        "urllib.request",
    }
    assert sorted(imported_by("receive", package="closeout.lambdas") & heavy) == []
