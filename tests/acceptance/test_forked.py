"""The processes of these tests begin with what the program imports: each import of it again costs half a second."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.acceptance import forked


def _has_imported(_arguments: list[str]) -> int:
    return 0 if {"closeout.server.app", "closeout.cli.serve", "boto3"} <= set(sys.modules) else 3


def test_a_forked_process_has_imported_the_program_before_its_main_begins(tmp_path: Path) -> None:
    """All tests of one process share one list of what is imported: whoever set another took this one away unnoticed."""
    run = forked.run(
        [], folder=tmp_path, environment=dict(os.environ), stdin="", seconds=60, main=_has_imported
    )
    assert run.returncode == 0
