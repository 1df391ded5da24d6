"""`closeout actions`: what a step can use, read from the registry itself.

No second description can go stale: inputs, permissions and examples are the action's own values.
"""

from __future__ import annotations

import json
from typing import Any

import click
from click.shell_completion import CompletionItem

from closeout.actions.permissions import needed
from closeout.actions.registry import builtin
from closeout.actions.spec import Action, Input
from closeout.cli import options, output, suggestions
from closeout.cli.commands import Group
from closeout.config.workflow_words import absent_action
from closeout.core.errors import UsageError
from closeout.core.units import spoken_duration


class ActionsGroup(Group):
    """`actions` alone is short for `actions list`, and `actions NAME` for `actions show NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read an action's name where a command is expected, unless it is nearly a command's name."""
        from difflib import get_close_matches

        if not args and not ctx.resilient_parsing:
            args = ["list"]
        elif args and not args[0].startswith("-") and not get_close_matches(args[0], self.commands):
            args = ["show", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the actions, too."""
        return super().shell_complete(ctx, incomplete) + suggestions.actions(ctx, None, incomplete)


@click.group(
    "actions", cls=ActionsGroup, examples=("closeout actions", "closeout actions show aws/s3-delete-objects")
)
def actions() -> None:
    """List the actions that steps can use, or describe one: its inputs, its permissions, an example.

    `closeout actions` alone lists them, and the name of an action describes it: you can leave out `list` and `show`.
    """


@actions.command("list", examples=("closeout actions list --json",))
@options.as_json
def list_(as_json: bool) -> None:
    """List every action with its one-line summary."""
    registry = builtin()
    if as_json:
        output.print_json([_to_json(action) for action in registry.values()])
        return
    output.table(
        ("USES", "DESTRUCTIVE", "SUMMARY"),
        [(action.uses, action.destructive, action.summary.rstrip(".")) for action in registry.values()],
        shrink=(2,),
    )


@actions.command("show", examples=("closeout actions show aws/cloudformation-delete-stack",))
@click.argument("name", shell_complete=suggestions.actions)
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Describe one action: inputs, permissions, limits, and a step to copy."""
    registry = builtin()
    absent = None if name in registry else absent_action(name)
    if absent is not None:
        raise UsageError("; ".join(absent))
    action = registry[name]
    if as_json:
        output.print_json(_to_json(action))
        return
    _describe(action)


def _describe(action: Action) -> None:
    output.say(output.style(action.uses, bold=True))
    output.say(output.wrapped(action.summary))
    _part("")
    output.say(_wrapped(action.description.strip()))
    _part("Inputs")
    for key, value in action.inputs.items():
        output.say(f"  {key}  ({_kind(value)})")
        output.say(output.wrapped(value.description, "      ", "      "))
    _part("Limits")
    output.say(f"  destructive: {action.destructive}; time limit: {spoken_duration(action.timeout)}")
    permissions = _permissions(action)
    if permissions:
        _part("Permissions")
    for permission in permissions:
        output.say(output.wrapped(f"{permission['system']}: {permission['reason']}", "  ", "    "))
        for name in permission["actions"]:
            output.say(f"    {name}")
    if action.example:
        _part("Example")
        output.say("\n".join(f"  {line}" for line in action.example.strip("\n").splitlines()))


def _wrapped(text: str) -> str:
    """Wrap paragraphs and `* ` items to 78 columns, each on its own."""
    blocks = []
    for paragraph in text.split("\n\n"):
        begin, *items = f"\n{paragraph}".split("\n* ")
        lines = [output.wrapped(" ".join(begin.split()))] if begin.strip() else []
        lines += [output.wrapped(" ".join(item.split()), "* ", "  ") for item in items]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _part(heading: str) -> None:
    output.say()
    if heading:
        output.say(output.style(heading, bold=True))


def _kind(value: Input) -> str:
    parts: list[str] = [value.type]
    if value.choices:
        parts.append("one of " + ", ".join(value.choices))
    if value.required:
        parts.append("required")
    elif value.default is not None:
        parts.append(f"default {json.dumps(value.default)}")
    if value.names:
        parts.append("names what the step acts on")
    if value.secret:
        parts.append("a secret reference")
    return ", ".join(parts)


def _permissions(action: Action) -> list[dict[str, Any]]:
    names = ("system", "actions", "resources", "reason")
    return [
        {name: getattr(need.permission, name) for name in names} | {"with": need.when}
        for need in needed(action)
    ]


def _to_json(action: Action) -> dict[str, Any]:
    names = ("uses", "summary", "description", "destructive", "needs_aws", "timeout")
    shown = ("type", "description", "required", "default", "names", "secret", "choices")
    return {
        **{name: getattr(action, name) for name in names},
        "inputs": {
            key: {name: getattr(value, name) for name in shown} for key, value in action.inputs.items()
        },
        "permissions": _permissions(action),
        "example": action.example,
    }
