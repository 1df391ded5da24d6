"""What tests of upgrades share: a kept ledger of SQLite, the configuration of its runs, and their user's code."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from closeout.core.automation import Automation
from closeout.intake import Decision, Receiver
from closeout.ledger.sqlite.connection import APPLICATION_ID, migrations
from closeout.testing.deliveries import signed_headers

REPOSITORY = "acme/shop"
MOMENT = re.compile(r"\b1\.?7958\d+(?:\.\d+)?(?:e\+09)?")
"""The times in kept rows."""
FUNCTIONS = """\
import os
from pathlib import Path

from closeout import on

NOTES = Path(os.environ["NOTES"])


def note(run, what):
    with NOTES.open("a") as file:
        file.write(f"{run.event['number']} {what}\\n")
    return what


def declared(name):
    return on(
        "pull_request.closed", name=name, branches=[f"b-{name}"], repositories=["acme/shop"],
        destructive=False, timeout="1h",
    )


@declared("waits")
def waits(run):
    first = run.record("first", lambda: note(run, "first"))
    run.sleep("nap", 0.01)
    heard = run.wait_until("ready", lambda: note(run, "ready"), every=1.0)
    return run.record("last", lambda: note(run, f"last after {first}, {heard}"))


@declared("stuck")
def stuck(run):
    run.record("before", lambda: note(run, "before"))
    run.record("slow", lambda: note(run, "slow"))
    return run.record("after", lambda: note(run, "after"))
"""
STEP = "{ uses: shell, destructive: %s, with: { argv: %s } }"
SCRIPT = "[sh, -c, 'echo begun-$CLOSEOUT_ATTEMPT; echo $CLOSEOUT_ATTEMPT >> tries; test -e go || sleep 100']"
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
modules: [kept]
automations:
""" + "".join(
    f"""\
  {name}:
    on: {{ pull_request: {{ types: [closed], branches: ['{branch}'] }} }}
    repositories: [{REPOSITORY}]
    {more}
    steps: [{STEP % (destructive, argv)}]
"""
    for name, branch, destructive, argv, more in (
        ("done", "b-done", "false", "['true']", ""),
        ("failed", "b-failed", "false", "['false']", ""),
        ("skipped", "b-skipped", "false", "['true']", "if: event.pull_request.title == 'never'"),
        ("grace", "b-grace", "true", "['true']", "grace: 1h"),
        ("script", "b-script", "false", SCRIPT, "concurrency: one"),
        ("hasty", "b-hasty", "false", SCRIPT, "concurrency: one\n    queue-timeout: 1s"),
        ("pausing", "b-pause", "true", "['true']", ""),
    )
)


def write_ledger(path: Path, rows: Path, schema: int, later: float = 0.0) -> None:
    """Write kept rows as a ledger of an older schema, with every time so much later."""
    text = rows.read_text("utf-8")
    if later:
        text = MOMENT.sub(lambda found: repr(float(found[0]) + later), text)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for number, statements in migrations()[:schema]:
            connection.executescript(f"{statements}; PRAGMA user_version = {number};")
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; BEGIN; {text} COMMIT")


def told_again(
    automations: Sequence[Automation], delivery: dict[str, Any], body: bytes, hook: str
) -> Decision:
    """Return what the receiver decides about a kept delivery that comes once more, through this hook."""
    headers = signed_headers(delivery["event"], body, "secret", delivery["guid"], int(hook))
    receiver = Receiver.of(automations, lambda: (b"secret",))
    return receiver.decide(
        {name.lower().encode(): value.encode() for name, value in headers.items()}, body, 2e9
    )


NEWER = frozenset(("heard", "closing", "reopened", "timeout", "queue_timeout"))
NEWER_OF_STEPS = frozenset(("code", "timeout", "outcomes"))
"""Keys of a shown run, delivery or step that the release before did not have."""


def same(value: Any) -> Any:
    """Return a value as JSON has it."""
    return json.loads(json.dumps(value))


def known(shown: dict[str, Any]) -> dict[str, Any]:
    """Return a shown run or delivery without what earlier releases did not show."""
    older = {name: value for name, value in shown.items() if name not in NEWER}
    if "steps" in older:
        older["steps"] = [
            {name: value for name, value in step.items() if name not in NEWER_OF_STEPS}
            for step in older["steps"]
        ]
    return older


def facts(run: dict[str, Any]) -> dict[str, Any]:
    """Return a shown run; of the sentence that says why it does not go on, only whether there is one: it may get better."""
    return {**known(run), "reason": run["reason"] is not None}
