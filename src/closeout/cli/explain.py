"""`closeout explain`: which automations an event would start, and why it would not start the others.

It calls the functions that the receiver and a run call, so its answer is the same as theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from closeout.cli import exits, options, output
from closeout.cli.commands import command
from closeout.cli.event_source import EventSource, event_source

TEXTS = {
    "run": ("would run", "green", ""),
    "skip": ("would be skipped", "yellow", ""),
    "fail": ("would fail", "red", "; the run fails and deletes nothing"),
    "nothing": ("would not run", "yellow", ""),
    "unknown": ("unknown", "red", ""),
}
"""For each outcome (see `run.explain`) its words, their colour, and what follows the reason."""


@command(
    "explain",
    "closeout explain --pull-request acme/shop#17",
    "closeout explain --event pull_request --payload closed.json",
    "closeout explain --event push --payload - --json < push.json",
)
@event_source
@click.option(
    "--online",
    is_flag=True,
    help="Read a pull request's paths and earlier bases from GitHub if a filter needs them.  [default: with --pull-request]",
)
@options.as_json
def explain(*, source: EventSource, online: bool, as_json: bool) -> int:
    """Explain for each automation whether this event starts it, and why.

    Give the event as a payload (--event, --payload), or name a pull request (--pull-request). closeout then reads it
    from GitHub and builds its `closed` event; an open pull request counts as closed now, without a merge.

    A run whose condition is false is skipped; one whose condition cannot be evaluated fails. Exit code 1 if a run
    would fail, 4 if GitHub does not answer or does not say who closed the pull request. With --json: {"automations": [{"name",
    "matched", "outcome": "run|skip|fail|nothing|unknown", "reason"}]}, and the "code" of an error. --pull-request
    adds "pull_request" with its "name", "state" and "notes".
    """
    from closeout.wiring import preview

    rows = preview.explain(source.loaded, source.event, source.payload, online or bool(source.read))
    if as_json:
        output.print_json({"automations": rows} | source.read)
        return outcome(rows)
    for row in rows:
        words, colour, _ = TEXTS[row["outcome"]]
        output.say(f"{row['name']}: {output.style(words, fg=colour)}")
        output.say(output.wrapped(because(row), "  ", "  "))
    if not rows:
        output.note(f"{source.config} has no automation.")
    return outcome(rows)


def because(row: Mapping[str, Any]) -> str:
    """Return the reason for an outcome, and its consequence."""
    return output.clean(row["reason"] + TEXTS[row["outcome"]][2])


def outcome(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the exit code: 1 if a run would fail before its first step, 4 if that is unknown."""
    outcomes = {row["outcome"] for row in rows}
    if "fail" in outcomes:
        return exits.FAILED
    return exits.UNAVAILABLE if "unknown" in outcomes else exits.OK
