"""What this project imports of closeout, and what is written about its parameters."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from support import COMMITTED, ROOT

SOURCES = [*(ROOT / "closeout_cdk").rglob("*.py"), ROOT / "app.py", ROOT / "refresh_addresses.py"]
REFERENCE = ROOT.parent / "docs" / "reference" / "aws.md"


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, as `package.part`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[:2]) for name in found}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_only_what_is_pure_is_imported_of_closeout(path: Path) -> None:
    """Synthesis knows the core, the configuration and the actions; no engine, no adapter, no command."""
    ours = {name for name in imported(path) if name.split(".")[0] == "closeout"}
    assert ours <= {"closeout.core", "closeout.config", "closeout.actions", "closeout.stack"}


@pytest.mark.parametrize("key", COMMITTED)
def test_every_parameter_is_documented(key: str) -> None:
    """In the reference's table, with the default that is committed."""
    table = REFERENCE.read_text().partition("## Parameters")[2].partition("\n## ")[0]
    (row,) = (line for line in table.splitlines() if line.startswith(f"| `{key}` |"))
    assert row.split(" | ")[1] == f"`{json.dumps(COMMITTED[key])}`"
