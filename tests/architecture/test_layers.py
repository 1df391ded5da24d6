"""Imports go downward only, as the contracts in pyproject.toml say."""

from __future__ import annotations

import graphlib
import subprocess
import sys
from pathlib import Path

import grimp

from tests.architecture.tree import ROOT


def test_every_import_contract_is_kept() -> None:
    """No layer imports one above or beside it, and the core imports the standard library only."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports inside functions count too; those for type checkers alone do not."""
    graph = grimp.build_graph("closeout", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle
