"""The processes of these tests begin with what the program imports: each import of it again costs half a second."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import forks
from tests.acceptance import forked


def _has_imported(_arguments: list[str]) -> int:
    return 0 if {"closeout.server.app", "closeout.cli.serve", "boto3"} <= set(sys.modules) else 3


def test_a_forked_process_has_imported_the_program_before_its_main_begins(tmp_path: Path) -> None:
    """All tests of one process share one list of what is imported: whoever set another took this one away unnoticed."""
    run = forked.run(
        [], folder=tmp_path, environment=dict(os.environ), stdin="", seconds=60, main=_has_imported
    )
    assert run.returncode == 0


def test_threads_that_begin_processes_read_the_exit_code_of_each() -> None:
    """One of eighty had 255 as long as nothing kept the threads apart."""

    def ended(_number: int) -> int | None:
        process = forked.PROCESSES.Process(target=os._exit, args=(7,))
        forks.begin(process)
        return forks.exit_code(process, 60)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ended, range(120))) == {7}
