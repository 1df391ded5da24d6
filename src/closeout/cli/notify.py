"""`closeout notify test`: send one message to each notifier, and say for each whether it arrived.

It reads the URLs with this shell's variables and rights, and needs neither a server nor a ledger. With `--stack` the stack's function sends them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from closeout.actions.registry import builtin
from closeout.cli import exits, options, output
from closeout.cli.commands import group
from closeout.config.load import load
from closeout.stack.problems import TEST
from closeout.wiring.notifying import try_all
from closeout.wiring.stack import open_stack


@group("notify", "closeout notify test --config closeout.yaml")
def notify() -> None:
    """Try the notifiers that the configuration names in `notify`."""


@notify.command(
    "test",
    examples=(
        "closeout notify test",
        "closeout notify test --config closeout.yaml --json",
        "closeout notify test --stack closed-pr-event-stack",
    ),
)
@options.config
@click.option("--stack", "stack_name", metavar="NAME", help="Let a deployed stack send them.")
@options.as_json
def test(*, config: Path, stack_name: str | None, as_json: bool) -> int:
    """Send one message to each notifier of the configuration, and say whether it arrived.

    Run it with the variables of the server. With --stack the stack's function sends them to the notifiers that were deployed.
    Exit code 0 if each took its message, 1 if a URL cannot be used or the configuration names no notifier, 4 if one cannot
    be read or reached. With --json: [{"notifier", "ok", "code", "error"}].
    """
    if stack_name is not None:
        rows = open_stack(stack_name).ask_notifiers(TEST)
        code = exits.OK if all(row["ok"] for row in rows) else exits.UNAVAILABLE
        add = (
            f"the stack {stack_name} has no notifier; add `notify: {{ to: ['aws-secretsmanager:NAME'] }}` or the ARN of a topic,"
            " and deploy it again"
        )
    else:
        results = try_all(load(config, builtin()))
        rows = [_row(target, error) for target, error in results]
        code = max((exits.code_for(error) for _, error in results if error), default=exits.OK)
        add = f"{config} names no notifier; add `notify: {{ to: ['env:NAME'] }}`"
    if as_json:
        output.print_json(rows)
    else:
        for row in rows:
            said = output.style("✓", fg="green") if row["ok"] else output.style("✗", fg="red")
            result = "took the message" if row["ok"] else output.clean(row["error"])
            output.say(f"{said} {row['notifier']}: {result}")
    if not rows:
        output.note(add)
    return code if rows else exits.FAILED


def _row(target: str, error: Any) -> dict[str, Any]:
    return {
        "notifier": target,
        "ok": error is None,
        "code": error.code if error else None,
        "error": error.message if error else None,
    }
