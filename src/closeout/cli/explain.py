"""`closeout explain`: which automations an event would start, and for each of the others the reason why not.

It asks the same functions that the receiver and a run ask, so it cannot give another answer than they do.
"""

from __future__ import annotations

from pathlib import Path

import click

from closeout.cli import options, output
from closeout.cli.commands import Command


@click.command(
    "explain",
    cls=Command,
    short_help="Say which automations an event would start, and why not.",
    examples=(
        "closeout explain --event pull_request --payload closed.json",
        "closeout explain --event push --payload - --json < push.json",
    ),
)
@options.config
@options.event
@options.payload
@click.option(
    "--online", is_flag=True, help="Ask GitHub for a pull request's paths where a filter needs them."
)
@options.as_json
def explain(config: Path, event: str | None, payload: str | None, online: bool, as_json: bool) -> None:
    """Say for each automation whether this event would start it, and the reason.

    Exit code 0, whatever matched. With --json: {"automations": [{"name", "matched", "reason"}]}.
    """
    from closeout import wiring

    name, value = options.event_and_payload(event, payload)
    rows = wiring.explain(wiring.load(config), name, value, online)
    if as_json:
        output.print_json({"automations": rows})
        return
    for row in rows:
        mark = (
            click.style("would run", fg="green")
            if row["matched"]
            else click.style("would not run", fg="yellow")
        )
        output.say(f"{row['name']}: {mark}")
        output.say(click.wrap_text(output.clean(row["reason"]), 78, "  ", "  "))
    if not rows:
        output.note(f"{config} has no automation.")
