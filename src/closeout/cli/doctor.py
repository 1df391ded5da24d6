"""`closeout doctor` and `closeout drill`: what is wrong between GitHub and a deletion, and how to fix it.

Both run the same registry of checks. The doctor runs them as the person who calls it, and changes nothing; the drill runs
them with the server's secrets and rights, and has GitHub send a ping.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from closeout.cli import exits, options, output
from closeout.cli.commands import command
from closeout.core.errors import UsageError
from closeout.core.units import counted

if TYPE_CHECKING:
    from closeout.checks.check import Check, Outcome

MARKS = {
    "fine": ("✓", "green"),
    "wrong": ("✗", "red"),
    "unknown": ("?", "yellow"),
    "skipped": ("-", "bright_black"),
}
WORDS = {"wrong": "wrong", "unknown": "could not run", "fine": "fine", "skipped": "not applicable"}
PATIENCE = 600.0
"""Seconds to wait for a server's drill."""


@command("doctor", "closeout doctor", "closeout doctor --config closeout.yaml --json")
@options.config
@options.db
@options.as_json
def doctor(*, config: Path, db: Path | None, as_json: bool) -> int:
    """Check the configuration, its secrets, GitHub's token and webhooks, AWS, this machine, the ledger and patrol.

    For each check it says whether all is fine, or what breaks and how to fix it. It changes nothing. It uses the
    environment of this shell: run it as the service's user, with the service's variables, or use `closeout drill`
    while the server runs.

    Exit code 0 if nothing is wrong, 1 if something is, 4 if a check could not run and none is wrong. With --json:
    {"checks": [{"id", "group", "ok": true, false or null, "state": "fine|wrong|unknown|skipped", "what", "breaks",
    "fix", "cause"}]}. The ids do not change. `unknown`: the check could not run. `skipped`: it does not apply.
    `cause` is the check to fix first.
    """
    return _report(_asked_here(config, options.ledger_path(db, config), pings=False), as_json=as_json)


@command("drill", "closeout drill", "closeout drill --json", "closeout drill --stack closed-pr-event-stack")
@options.config
@options.db
@click.option("--stack", "stack_name", metavar="NAME", help="Check a deployed stack instead.")
@options.as_json
def drill(*, config: Path, db: Path | None, stack_name: str | None, as_json: bool) -> int:
    """Ask GitHub to ping each webhook that leads here, then run the checks of `closeout doctor`.

    If a server runs on the ledger, it runs them, with its own secrets and rights, and this command waits. A server does so
    by itself once a day (`patrol: { drill: 1d }`) and reports in its log and its metrics what is wrong; so does a stack.

    With --stack it uses the deployed configuration, your AWS credentials and the stack's token. It checks the
    webhooks that lead to the stack, the token's rights, and whether the worker's role is in the right account and
    has the rights that it needs.

    Exit codes and --json are those of `closeout doctor`.
    """
    from closeout.cli import requests
    from closeout.ledger.sqlite import Requests
    from closeout.wiring.stack_checking import inspect_stack

    if stack_name is not None:
        if db is not None:
            raise UsageError("Give either --db, a ledger on this machine, or --stack, a deployed one's.")
        source = click.get_current_context().get_parameter_source("config")
        given = config if source is ParameterSource.COMMANDLINE else None
        checks = _shown(lambda on_start: inspect_stack(stack_name, given=given, on_start=on_start))
        return _report(checks, as_json=as_json)
    ledger = options.ledger_path(db, config)
    if ledger.exists() and Requests(ledger).server_running():
        rows = requests.via_server(ledger, "drill", PATIENCE)
    else:
        rows = _asked_here(config, ledger, pings=True)
    return _report(rows, as_json=as_json)


def _asked_here(config: Path, ledger: Path, *, pings: bool) -> Iterable[dict[str, Any]]:
    from closeout.server.details import BASE_SETTING
    from closeout.wiring.checking import inspect

    return _shown(lambda on_start: inspect(config, ledger, BASE_SETTING, pings=pings, on_start=on_start))


def _shown(
    inspect: Callable[[Callable[[Check], None]], Iterable[Outcome]],
) -> Iterable[dict[str, Any]]:
    """Yield the results as they come, and show on a terminal meanwhile which check runs."""
    on = sys.stderr.isatty()

    def line(text: str) -> None:
        if on:
            sys.stderr.write(f"\r\x1b[K{output.cut(text, output.columns() - 1)}")
            sys.stderr.flush()

    for outcome in inspect(lambda check: line(f"… {check.looks}")):
        line("")
        yield outcome.to_json()


def _report(rows: Iterable[dict[str, Any]], *, as_json: bool) -> int:
    """Print the results as they come; return the exit code."""
    found: list[dict[str, Any]] = []
    said: set[tuple[str, str]] = set()
    group = None
    for row in rows:
        found.append(row)
        key = (row["group"], row["what"])
        if as_json or row["cause"] or (row["state"] in ("skipped", "unknown") and key in said):
            continue
        said.add(key)
        if row["group"] != group:
            output.say(("\n" if group else "") + output.style(row["group"], bold=True))
            group = row["group"]
        _show(row)
    counts = {state: sum(row["state"] == state for row in found) for state in WORDS}
    if as_json:
        output.print_json({"checks": found})
    else:
        _show_waiting(found)
        output.say(
            "\n" + ", ".join(f"{count} {WORDS[state]}" for state, count in counts.items() if count) + "."
        )
    if counts["wrong"]:
        return exits.FAILED
    return exits.UNAVAILABLE if counts["unknown"] else exits.OK


def _show_waiting(found: list[dict[str, Any]]) -> None:
    """Say how many checks wait for others, instead of a line for each."""
    waiting = Counter(row["cause"] for row in found if row["cause"])
    if waiting:
        output.say()
    for cause, count in waiting.items():
        others = counted(count, "more check")
        output.say(f"{output.style('?', fg='yellow')} {others} could not run: first fix {cause}.")


def _show(row: dict[str, Any]) -> None:
    """Print one result: a mark and a sentence, and for a finding what breaks and how to fix it."""
    mark, colour = MARKS[row["state"]]
    name = f" [{row['id']}]" if row["state"] in ("wrong", "unknown") else ""
    lines = output.wrapped(output.clean(row["what"]) + name, f"  {mark} ", "    ")
    output.say(lines.replace(mark, output.style(mark, fg=colour), 1))
    if row["breaks"]:
        output.say(output.wrapped(output.clean(row["breaks"]), "      breaks: ", "              "))
    if row["fix"]:
        output.say(output.wrapped(output.clean(row["fix"]), "      fix:    ", "              "))
