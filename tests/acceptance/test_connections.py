"""A process with few files to open, and somebody who opens connections and says nothing."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

from tests.until import until

FILES = 128
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
automations:
  nothing:
    on: { push: {} }
    steps: [{ uses: shell, destructive: false, with: { argv: ['true'] } }]
"""


def test_silent_connections_leave_the_ledger_its_files(tmp_path: Path) -> None:
    """Over the limit a connection is closed unheard; the process itself can still open what it needs."""
    (tmp_path / "closeout.yaml").write_text(CONFIG, encoding="utf-8")
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "closeout", "serve", "--db", "closeout.db", "--port", "0"],
            cwd=tmp_path,
            stderr=output,
            env={**os.environ, "CLOSEOUT_WEBHOOK_SECRET": "a-secret-for-tests"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),  # noqa: PLW1509
        )
    silent: list[socket.socket] = []
    try:
        line = until(
            "the start", lambda: [text for text in log.read_text().splitlines() if "listens" in text]
        )[0]
        port = int(line.rsplit(":", 1)[1].split()[0].rstrip("/."))
        silent += [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(2 * FILES)]

        def closed() -> int:
            count = 0
            for connection in silent:
                connection.setblocking(False)
                try:
                    count += connection.recv(1) == b""
                except (BlockingIOError, ConnectionResetError):
                    continue
            return count

        until("the refusal of what is too much", closed, 8)
        open_files = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        assert open_files <= FILES * 3 // 4, f"{open_files} of {FILES} files are open"
    finally:
        for connection in silent:
            connection.close()
        server.terminate()
        assert server.wait(30) == 0
    assert "the schedule cannot be read" not in log.read_text()
