"""Faults of the disk under a running server: what fails is refused, and the server is whole again after it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from closeout.adapters.ledger import Views
from tests.acceptance.test_cli_serve import Serving
from tests.acceptance.test_ledger_gone import answer, send

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2) is Linux's")


@contextmanager
def disk_errors(process: int) -> Iterator[None]:
    """Make every write of a process beyond a file's first 4 KB fail with EFBIG: SQLite calls it an I/O error."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """A server that has stored a delivery."""
    serving = Serving(tmp_path)
    try:
        assert send(serving, "g-before").status == 202
        yield serving
    finally:
        serving.end()


def test_a_command_after_an_io_error_leaves_the_servers_log_alone(server: Serving) -> None:
    """The server keeps SQLite's locks through the repair: a command that ends does not take itself for the last user."""
    with disk_errors(server.process.pid):
        assert send(server, "g-refused").status == 503
    for guid, command in (("g-1", "pause"), ("g-2", "resume")):
        assert server.cli(command).code == 0
        assert (server.folder / "closeout.db-wal").exists()
        assert send(server, guid).status == 202
    server.end()
    guids = {one.guid for one in Views(server.folder / "closeout.db").deliveries()}
    assert guids == {"g-before", "g-1", "g-2"}
