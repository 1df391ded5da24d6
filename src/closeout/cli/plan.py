"""`closeout plan`: what the steps would change, as a run would freeze it now; nothing is changed.

`preview` prints what `runs rerun` and `deliveries replay` show before they ask. They ask even if it fails, because the
server, or the stack's worker, always makes its own plan, and its guards apply to that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from closeout.cli import exits, options, output
from closeout.cli.commands import command
from closeout.cli.event_source import EventSource, event_source
from closeout.cli.explain import because
from closeout.cli.ledger_option import CurrentConfig
from closeout.core.errors import CloseoutError
from closeout.core.payload import decode
from closeout.core.plan import REFUSALS, spoken_error, spoken_step
from closeout.wiring.preview import Planner
from closeout.wiring.preview import explain as why


@command(
    "plan",
    "closeout plan --pull-request acme/shop#17",
    "closeout plan --event pull_request --payload closed.json --json",
)
@event_source
@options.as_json
def plan(source: EventSource, as_json: bool) -> int:
    """Show the plan that each matching automation would apply on this event. Reads only.

    Give the event as a payload (--event, --payload), or name a pull request (--pull-request). closeout then reads it
    from GitHub and builds its `closed` event; an open pull request counts as closed now, without a merge.

    It reads the account with the same credentials as `serve`. It shows every line of a script. Exit code 3 if a
    guard rejects a plan, 1 if a step cannot be planned or a run would fail before its first step. With --json: {"automations": [{"name",
    "steps": [{"id", "uses", "changes": [{"verb", "resource", "reason"}]}]}]}; a step may also have "reason"
    (skipped) or "absent" (nothing is there to delete), and a step or an automation "error". --pull-request
    adds "pull_request" with its "name", "state" and "notes".
    """
    rows = Planner(source.loaded).plan(source.event, source.payload)
    if as_json:
        output.print_json({"automations": rows} | source.read)
    elif rows:
        show(rows)
    else:
        output.say("No automation matches; nothing would change.")
        for row in why(source.loaded, source.event, source.payload, True):
            output.say(output.wrapped(f"{row['name']}: {because(row)}", "  ", "    "))
    return outcome(rows)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print plans for a person, 80 columns wide; what cannot be planned is marked, and counted at the end."""
    for row in rows:
        mode = " (dry run)" if row.get("mode") == "dry-run" else ""
        output.say(output.style(row["name"], bold=True) + mode)
        if row.get("error"):
            output.say(_marked("would fail", spoken_error(row["error"])[1], "  "))
        for step in row["steps"]:
            output.say(f"  {step['id']}  {step['uses']}")
            for line in _step_lines(step):
                output.say(line)
    steps = [step for row in rows for step in row["steps"]]
    failed = sum(1 for step in steps if step.get("error"))
    if failed:
        which = f"{failed} of {len(steps)} steps" if len(steps) > 1 else "The step"
        output.say(output.style(f"{which} cannot be planned.", fg="red", bold=True))


def show_aside(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print plans on standard error, because they belong to a question and not to the output for a program."""
    with redirect_stdout(sys.stderr):
        show(rows)


def preview(current: CurrentConfig, event: str, body: bytes, *, only: str | None = None) -> None:
    """Print on standard error the current plan for an event (of the automation `only`), or why it cannot be shown."""
    try:
        rows = Planner(current.load(), code_here=current.code_here).plan(event, decode(body), only=only)
    except CloseoutError as error:
        output.note(f"The plan cannot be shown here: {error.message}")
        return
    if rows:
        show_aside(rows)
    else:
        output.note("Nothing: the current configuration does not match this event.")


def outcome(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return the exit code: 3 if a guard refused one, 1 if one could not be planned."""
    codes = {one["error"]["code"] for row in rows for one in (row, *row["steps"]) if one.get("error")}
    if codes & REFUSALS:
        return exits.REFUSED
    return exits.FAILED if codes else exits.OK


def _step_lines(step: Mapping[str, Any]) -> list[str]:
    said = spoken_step(step)
    if said is None:
        return [line for change in step["changes"] for line in change_lines(change, "    ")]
    word, text = said
    if word in ("refused", "error"):
        return [_marked(word, text, "    ")]
    return [output.wrapped(f"{word}: {output.clean(text)}" if word else output.clean(text), "    ", "    ")]


def change_lines(change: Mapping[str, Any], indent: str) -> list[str]:
    """Return a change for a person: the verb, the resource with every line of a script, and the reason."""
    first, *more = map(output.clean, change["resource"].split("\n"))
    verb = output.word(change["verb"])
    lines = [f"{indent}{verb}", *(f"{indent}  | {line}" for line in (first, *more))] if more else []
    lines = lines or [f"{indent}{verb} {first}"]
    if change["reason"]:
        inner = indent + "  "
        lines.append(output.wrapped(output.clean(change["reason"]), inner, inner))
    return lines


def _marked(word: str, message: str, indent: str) -> str:
    return output.style(output.wrapped(f"{word}: {output.clean(message)}", indent, indent), fg="red")
