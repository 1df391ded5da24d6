"""What outsiders wrote, as commands print it: on a terminal it is shown, and nothing of it is obeyed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from closeout.adapters.clock import SystemClock
from closeout.core import ids
from closeout.core.records import NewDelivery, NewRun
from closeout.ledger.sqlite import Ledger
from closeout.ports import Ending
from closeout.testing import deliveries
from tests.acceptance.cli_process import environment

HOSTILE = "x\x1b[31m\x1b[8mhidden\x1b[2J\x1b]8;;http://evil.example\x07link\x1b]8;;\x07\x9b2J\x85\u202egnp\u2066\u200b\u2028\r\n2026 forged"
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
automations:
  tidy:
    on: { pull_request: { types: [closed] } }
    if: 'event.pull_request.title == "x" || event.pull_request.head.ref.nope'
    steps: [{ uses: shell, destructive: false, with: { argv: [echo], env: { TITLE: '${{ event.pull_request.title }}' } } }]
  other:
    on: { pull_request: { types: [closed] } }
    steps: [{ uses: shell, destructive: false, with: { argv: [echo], env: { TITLE: '${{ event.pull_request.title }}' } } }]
"""
OURS = re.compile(r"\x1b\[(?:0|1|2|4|3[0-7]|9[0-7])m")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, a payload, and a ledger with one run, all of whose texts are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "closeout.yaml").write_text(CONFIG, encoding="utf-8")
    payload = deliveries.pull_request(title=HOSTILE)
    payload["action"] = "closed"
    (folder / "payload.json").write_text(json.dumps(payload, ensure_ascii=False), encoding="utf-8")
    with Ledger(folder / "closeout.db", clock=SystemClock()) as ledger:
        body = json.dumps({"action": HOSTILE, "repository": {"full_name": f"acme/{HOSTILE}"}}).encode()
        delivery = NewDelivery(
            "1", "guid", "push", HOSTILE, f"acme/{HOSTILE}", body, False, time.time(), "github"
        )
        ledger.accept_wait(delivery, [NewRun(ids.run_id("guid", "tidy"), "tidy", None, "{}", 60.0)])
        (pending,) = ledger.pending(0)
        ledger.write(pending.execution, HOSTILE, HOSTILE)
        ledger.finish(pending.number, Ending("failure", HOSTILE), time.time())
    return folder


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """Run a command whose standard output and error are a terminal; return what that terminal got."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "closeout", *arguments]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment({"TERM": "xterm", "COLUMNS": "80"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    got = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # how a terminal says that nobody writes to it any more
            break
        if not piece:
            break
        got += piece
    os.close(ours)
    process.wait(30)
    return got.decode().replace("\r\n", "\n")


COMMANDS = (
    "runs list",
    f"runs show {ids.run_id('guid', 'tidy')}",
    f"runs show {ids.run_id('guid', 'tidy')} --json",
    f"runs logs {ids.run_id('guid', 'tidy')}",
    "deliveries list",
    "deliveries show 1",
    "deliveries show 1 --payload",
    "explain --event pull_request --payload payload.json",
    "plan --event pull_request --payload payload.json",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_fact_is_obeyed_by_a_terminal(folder: Path, command: str) -> None:
    """Only our own colours are; and no text begins a line of its own."""
    got = on_a_terminal(folder, *command.split())
    assert "defect" not in got
    plain = OURS.sub("", got)
    assert [character for character in plain.replace("\n", "") if not character.isprintable()] == []
    assert not any(line.startswith("2026 forged") for line in plain.splitlines()), plain
    shown = "hidden" in plain or "\\x1b[8mhi\u2026" in plain  # in a column it may be cut
    assert shown or "logs" in command or "explain" in command


def test_an_argument_that_is_no_text_is_the_callers_mistake(folder: Path) -> None:
    """Not a defect of closeout; nothing is asked of the server."""
    done = subprocess.run(
        [sys.executable, "-m", "closeout", "pause", "--db", "closeout.db", "--reason", b"caf\xe9"],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, b"is not UTF-8 text" in done.stderr) == (2, True), done.stderr
