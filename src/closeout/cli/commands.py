"""How a command presents itself: help with examples, and groups that import a command only when it is called.

Only click is imported here. Each `--help` ends with examples that can be pasted. The reference page
(`docs/cli_reference.py`) is made of the same values, so the two always agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class Command(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one to a line, unwrapped so that they can be copied."""
        del ctx
        if self.examples:
            with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Group(Command, click.Group):
    """A group of commands that live in one module (`runs`, `deliveries`, `actions`)."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were written."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its whole summary, because click would cut it."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=1_000)) for name, command in self.commands.items()]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown name raise `UsageError`, which names the nearest command."""
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(known)}."
        raise click.UsageError(f"No such command '{name}'.{hint}", ctx)


class Entry(NamedTuple):
    """Where a top-level command lives: `module` of this package, and the one line that `--help` shows."""

    module: str
    summary: str


class LazyGroup(Group):
    """The root: knows every command's name and summary, and imports a module only to call it.

    `sections` maps a heading to its commands.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, Entry]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = sections
        self.entries = {name: entry for section in sections.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every name, in the order of the sections."""
        del ctx
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; its attribute has the command's name."""
        del ctx
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(f"closeout.cli.{entry.module}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands from the table, importing none of them."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=entry.summary) for name, entry in self.entries.items()]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [item for item in commands if item.value.startswith(incomplete)] + options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections from the table, importing nothing."""
        del ctx
        for heading, section in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name, entry.summary) for name, entry in section.items()], col_max=14)


def command(name: str, *examples: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a top-level command. `main.SECTIONS` has its summary."""
    return click.command(name, cls=Command, examples=examples)


def group(name: str, *examples: str) -> Callable[[Callable[..., Any]], Group]:
    """Make a function a top-level group. `main.SECTIONS` has its summary."""
    return click.group(name, cls=Group, examples=examples)
