"""`closeout check`: report every mistake in a configuration at once, before it does harm.

It reads only the file: no secret, no network, no account.
"""

from __future__ import annotations

from pathlib import Path

from closeout.actions.registry import builtin
from closeout.cli import exits, options, output
from closeout.cli.commands import command
from closeout.config import bases
from closeout.config.inverses import StepInventory, inventories
from closeout.config.load import inspect


@command("check", "closeout check closeout.yaml", "closeout check closeout.yaml --json")
@options.config_argument
@options.as_json
def check(path: Path, as_json: bool) -> int:
    """Check CONFIG (closeout.yaml) and print every error as FILE:LINE:COL: message.

    Below each error, indented, are the line of the file, a caret and the fix. Exit code 0 if `closeout serve`
    accepts the file (there may be warnings), 1 if not. With --json: {"valid": bool, "findings": [{"file", "line",
    "column", "code", "severity", "message", "fix"}], "inventory": [{"automation", "step", "inventory": bool,
    "reason"}], "bases": [{"automation", "bases": "ever|at-close", "reason"}]}; "on_aws" says why a step has neither
    audit nor rechecks on AWS.

    If the file has no errors, it also shows which destructive steps `closeout orphans` can audit, and why not the
    others; which of them have neither audit nor rechecks on AWS; and which bases count for an automation that
    filters the base of closed pull requests.
    """
    registry = builtin()
    loaded, found = inspect(path, registry)
    errors = sum(finding.severity == "error" for finding in found)
    steps = inventories(loaded.automations, registry) if loaded and not errors else ()
    counted = [
        {"automation": one.name, "bases": one.bases, "reason": why}
        for one in (loaded.automations if loaded else ())
        if (why := bases.shown(one, registry)) is not None
    ]
    if as_json:
        output.print_json(
            {
                "valid": not errors,
                "findings": [finding.to_json() for finding in found],
                "inventory": [step.to_json() for step in steps],
                "bases": counted,
            }
        )
    else:
        output.print_findings(found, err=False)
        count = f"{errors or 'no'} error{'' if errors == 1 else 's'}"
        output.note(f"{path}: {count}." if found else f"{path}: fine.")
        for one in counted:
            said = f"{one['automation']}: {one['reason']} (bases: {one['bases']})"
            output.note(output.wrapped(said, "  ", "    "))
        for step in steps:
            output.note(output.wrapped(_inventory(step), "  ", "    "))
    return exits.FAILED if errors else exits.OK


def _inventory(one: StepInventory) -> str:
    place = f"{one.automation.name}/{one.step.id}"
    found = "what it would delete" if one.reason is None else f"nothing, because {one.reason}"
    limit = "" if one.on_aws is None else f"; {one.on_aws}"
    return f"{place}: `closeout orphans` lists {found}{limit}."
