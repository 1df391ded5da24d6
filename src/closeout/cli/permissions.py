"""`closeout permissions`: the rights that a configuration needs, for review before anybody grants them.

The stack's roles are made of the same statements, so what is reviewed here is what is deployed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from closeout.actions.registry import builtin
from closeout.cli import options, output
from closeout.cli.commands import command
from closeout.config.load import load
from closeout.config.permissions import Statement, policy, roles, statements, unknown
from closeout.config.reading_rights import audit_statements

OWN = "closeout's own role"
PAGE = {"statuses": "Commit statuses", "repository_hooks": "Webhooks"}
"""GitHub's name, on the page for tokens, of a permission that the API names differently."""


@command(
    "permissions",
    "closeout permissions closeout.yaml",
    "closeout permissions closeout.yaml --audit",
    "closeout permissions closeout.yaml --json",
)
@options.config_argument
@click.option(
    "--audit", is_flag=True, help="Print what `closeout orphans` needs instead: rights to read only."
)
@options.as_json
def permissions(path: Path, audit: bool, as_json: bool) -> None:
    """Print what CONFIG (closeout.yaml) needs: an IAM policy for each role, and permissions of the GitHub token.

    They cover the actions that the steps use, and what patrol and `closeout guard` read from GitHub. A `${{ }}` in
    a name becomes a * in the ARN; a name must begin with at least three fixed characters. closeout does not know
    what shell, python and @on functions call: add that yourself. Reads the file only. Policies go to standard
    output, explanations to standard error.

    With --json: {"roles": [{"role": null or ARN, "policy": {...}, "statements": [{"actions", "resources", "reasons",
    "steps", "condition": {...} as in the policy}]}], "github": [{"actions", "resources", "reasons", "steps"}],
    "unknown": [...]}. The role null is closeout's own.
    """
    loaded = load(path, builtin())
    automations = loaded.automations
    if audit:
        found = audit_statements(automations, builtin())
    else:
        found = statements(automations, builtin(), loaded.settings.patrol)
    aside = () if audit else unknown(automations, builtin())
    if as_json:
        output.print_json(
            {
                "roles": [
                    {
                        "role": role,
                        "policy": policy(found, role),
                        "statements": [
                            _to_json(one) | {"condition": one.condition}
                            for one in found
                            if one.system == "aws" and one.role == role
                        ],
                    }
                    for role in roles(found)
                ],
                "github": [_to_json(one) for one in found if one.system == "github"],
                "unknown": list(aside),
            }
        )
        return
    for role in roles(found):
        output.note(output.style(f"IAM policy of {role or OWN}", bold=True))
        output.say(json.dumps(policy(found, role), indent=2))
        output.note("")
        _why([one for one in found if one.system == "aws" and one.role == role])
    if not roles(found):
        output.note("No step needs AWS.\n")
    output.note(output.style("GitHub token, fine-grained", bold=True))
    _why([one for one in found if one.system == "github"])
    if aside:
        text = f"Not included, because closeout cannot know it: what {', '.join(aside)} may call."
        output.note(output.wrapped(text))


def _why(found: Sequence[Statement]) -> None:
    """Print on standard error what each statement is for, so that the policy can be saved by itself."""
    for one in found:
        names = one.actions if one.system == "aws" else [_in_githubs_words(name) for name in one.actions]
        output.note(output.wrapped(", ".join(names), "  ", "    "))
        for resource in one.resources:
            output.note(f"    on {output.clean(resource)}")
        for condition in one.conditions:
            output.note(f"    if {condition.key} is {output.clean(' or '.join(condition.values))}")
        for reason in one.reasons:
            output.note(output.wrapped(f"to {reason.removeprefix('to ')}", "    ", "      "))
        output.note(output.wrapped(f"for {', '.join(one.steps)}", "    ", "      "))
    if not found:
        output.note("  nothing")
    output.note("")


def _in_githubs_words(permission: str) -> str:
    """Return `statuses:write` as GitHub's page for tokens writes it: `Commit statuses: write`."""
    name, _, level = permission.partition(":")
    shown = PAGE.get(name, name.replace("_", " ").capitalize())
    return f"{shown}: {level}"


def _to_json(one: Statement) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("actions", "resources", "reasons", "steps")}
