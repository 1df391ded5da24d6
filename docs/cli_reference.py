"""The page docs/reference/cli.md, from the commands themselves.

A page made from the same values as `--help` cannot leave out an option; a test compares it with the file.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from closeout.cli import exits
from closeout.cli.commands import CONTEXT, Command
from closeout.cli.main import SECTIONS, closeout

INTRODUCTION = """\
<!-- Written by docs/generate.py from the commands: change their help instead of this page. -->

# Command line

`closeout COMMAND --help` says the same as this page. Times in JSON are ISO 8601 in UTC; lists are complete
unless `--limit` cuts them. Tables are for people and fit 80 columns: read `--json` in programs.

What a program reads goes to standard output, everything else to standard error. Where a command could destroy
something, it shows what would happen and asks; without a terminal it needs `--yes`, or it ends with exit code 3
and has done nothing. Who asked (`user@host`) is kept in the ledger.

Runs act on AWS and GitHub from `closeout serve`, or from the stack on AWS, and never from a command. `runs cancel`,
`runs rerun`, `deliveries replay`, `orphans --clean`, `pause` and `resume` leave a request in the ledger, which the server takes within a
second; if none is running, they say so, and the request is carried out when one starts. With `--stack` they write it
into the stack's ledger at once, and start the worker where it is needed. `pause` and `resume` hold from the moment that
they are written. `webhook` and `secret` change what they name: hooks on GitHub, and the stack's own two secrets.

A command with `--stack` finds everything else in that CloudFormation stack's outputs, with the credentials and the region
that boto3 finds (`AWS_REGION` and `AWS_PROFILE` say which). What a rerun or a replay runs there is what was deployed last:
no file of this machine is read, and one that `--config` names is only compared with it.

## Environment

| variable | meaning |
| --- | --- |
| `CLOSEOUT_CONFIG` | the configuration, where `--config` is not given |
| `CLOSEOUT_DB` | the ledger, where `--db` is not given |
| `CLOSEOUT_DEBUG` | set: show the traceback of a bug in closeout |
| `AWS_REGION` | where the stack of `--stack` is; else the region of the profile |
| `NO_COLOR` | set: no colours |
"""


def page() -> str:
    """Return the reference page as Markdown."""
    parts = [INTRODUCTION, "\n".join(_exit_codes())]
    root = click.Context(closeout, info_name="closeout", **CONTEXT)
    for heading, section in SECTIONS.items():
        parts.append(f"## {heading}\n")
        for name in section:
            command = closeout.get_command(root, name)
            assert command is not None
            parts.extend(_command(command, click.Context(command, info_name=name, parent=root)))
    return "\n".join(parts).rstrip("\n") + "\n"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield "| code | meaning |"
    yield "| --- | --- |"
    for code, meaning in exits.MEANINGS:
        yield f"| {code} | {meaning} |"
    yield ""


def _command(command: click.Command, context: click.Context, level: int = 3) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"{'#' * level} closeout {context.command_path.removeprefix('closeout ')}\n"
    yield _prose(command.help or "") + "\n"
    if not isinstance(command, click.Group):
        yield f"```text\n{context.command_path} {usage}\n```\n"
        yield from _options(command, context)
    if isinstance(command, Command) and command.examples:
        yield "```console\n" + "\n".join(_prompted(command.examples)) + "\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, info_name=name, parent=context), level + 1)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [record for record in records if record is not None and record[1]]
    if not rows:
        return
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
    return "\n\n".join(re.sub(r"(?<![`\w-])(--[a-z][a-z-]*)", r"`\1`", part) for part in marked)
