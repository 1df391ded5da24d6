"""The page docs/reference/cli.md, from the commands themselves.

A page made from the same values as `--help` cannot leave out an option; a test compares it with the file.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import click

from closeout.cli import exits
from closeout.cli.commands import CONTEXT, Command
from closeout.cli.main import SECTIONS, closeout

Record: TypeAlias = tuple[str, str]
"""An option with its values, and its help."""
COMMON = 5
"""If so many commands describe an option in the same way, the page describes it once."""

INTRODUCTION = """\
<!-- Written by docs/generate.py from the commands: change their help instead of this page. -->

# Command line

`closeout COMMAND --help` shows the same. In programs, read `--json`: tables are for people. Times in JSON are ISO 8601 in
UTC. A list is complete unless you give `--limit`.

Results go to standard output, everything else to standard error. A command that could destroy something shows what would
happen and asks. Without a terminal it needs `--yes`; otherwise it does nothing and ends with exit code 3. The ledger records
who asked (`user@host`).

`closeout serve`, or the stack on AWS, carries out runs; a command never does. `runs cancel`, `runs rerun`, `deliveries replay`,
`orphans --clean`, `pause` and `resume` store a request in the ledger, and the server carries it out within a second. If no
server is running, the command says so, and the next server carries it out. With `--stack`, the command writes into the
stack's ledger and starts the worker if needed. `pause` and `resume` apply as soon as they are stored. `webhook` and `secret`
change webhooks at GitHub and the stack's two secrets directly.

A command with `--stack` reads everything else from the outputs of that CloudFormation stack. It uses the credentials and the
region that boto3 finds (`AWS_REGION`, `AWS_PROFILE`). A rerun or a replay there uses the configuration that was deployed last;
a file that you name with `--config` is only compared with it.

## Environment

| variable | meaning |
| --- | --- |
| `CLOSEOUT_CONFIG` | the configuration, where `--config` is not given |
| `CLOSEOUT_DB` | the ledger, where `--db` is not given |
| `CLOSEOUT_DEBUG` | set: show the traceback of a bug in closeout |
| `AWS_REGION` | the region of `--stack`; else the region of the profile |
| `NO_COLOR` | set: no colours |
"""


def page() -> str:
    """Return the reference page as Markdown."""
    root = click.Context(closeout, info_name="closeout", **CONTEXT)
    common = _common(root)
    parts = [INTRODUCTION, "\n".join(_exit_codes()), "\n".join(_common_options(common))]
    for heading, section in SECTIONS.items():
        parts.append(f"## {heading}\n")
        for name in section:
            command = closeout.get_command(root, name)
            assert command is not None
            parts.extend(_command(command, click.Context(command, info_name=name, parent=root), common))
    return "\n".join(parts).rstrip("\n") + "\n"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | meaning |"
    yield "| --- | --- |"
    for code, meaning in exits.MEANINGS:
        yield f"| {code} | {meaning} |"
    yield ""


def _common_options(common: Mapping[Record, str]) -> Iterator[str]:
    yield "## Common options\n"
    yield "Many commands take some of these. Each command names those that it takes.\n"
    yield from _table(common)


def _common(context: click.Context) -> Mapping[Record, str]:
    """Return the descriptions that `COMMON` or more commands give of an option, with the option's long name."""
    found = [record for command in _leaves(closeout, context) for record in _records(*command).items()]
    counted = Counter(record for record, _ in found)
    # An option that a command requires is part of the command: `--stack` alone has two meanings.
    return {
        record: name
        for record, name in found
        if counted[record] >= COMMON and not record[1].endswith("[required]")
    }


def _leaves(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    if not isinstance(command, click.Group):
        yield command, context
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None:
            yield from _leaves(inner, click.Context(inner, info_name=name, parent=context))


def _records(command: click.Command, context: click.Context) -> dict[Record, str]:
    """Return what the help of a command says about each of its options, with the option's long name."""
    shown = [(parameter.get_help_record(context), parameter) for parameter in command.params]
    return {record: max(parameter.opts, key=len) for record, parameter in shown if record and record[1]}


def _command(
    command: click.Command, context: click.Context, common: Mapping[Record, str], level: int = 3
) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"{'#' * level} closeout {context.command_path.removeprefix('closeout ')}\n"
    yield _prose(command.help or "") + "\n"
    if not isinstance(command, click.Group):
        if usage != "[OPTIONS]":
            yield f"```text\n{context.command_path} {usage}\n```\n"
        yield from _options(_records(command, context), common)
    if isinstance(command, Command) and command.examples and not isinstance(command, click.Group):
        yield "```console\n" + "\n".join(_prompted(command.examples)) + "\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(
                    inner, click.Context(inner, info_name=name, parent=context), common, level + 1
                )


def _options(rows: Mapping[Record, str], common: Mapping[Record, str]) -> Iterator[str]:
    own = [row for row in rows if row not in common]
    if own:
        yield from _table(own)
    shared = [f"`{name}`" for row, name in rows.items() if row in common]
    if shared:
        yield f"[Common options](#common-options): {', '.join(shared)}\n"


def _table(rows: Iterable[Record]) -> Iterator[str]:
    yield "| option | meaning |"
    yield "| --- | --- |"
    for names, meaning in rows:
        yield f"| `{_cell(names)}` | {_prose(_cell(meaning))} |"
    yield ""


def _prompted(examples: tuple[str, ...]) -> Iterator[str]:
    continued = False
    for line in examples:
        yield line if continued else f"$ {line}"
        continued = line.endswith("\\")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """Mark JSON shapes and option names as code, which --help shows bare; a paragraph is one line."""
    paragraphs = [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]
    marked = [re.sub(r"""(?<!\$)[\[{]["{].*[\]}]""", r"`\g<0>`", part) for part in paragraphs]
    return "\n\n".join(
        re.sub(r"(`[^`]*`)|(?<![\w-])(--[a-z][a-z-]*)", lambda found: found[1] or f"`{found[2]}`", part)
        for part in marked
    )
