"""The man pages, one for each command of the first level, made from the same values as `--help`.

roff's man macros are simple enough to write here, and click has no maintained writer of them. `docs/generate.py` writes
the pages to docs/man and notices when they are out of date; the wheel installs them to share/man/man1.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from closeout import __version__
from closeout.cli import exits
from closeout.cli.commands import CONTEXT, Command
from closeout.cli.main import SECTIONS, closeout


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    root = click.Context(closeout, info_name="closeout", **CONTEXT)
    found = {"closeout.1": _page(closeout, root, "Run durable automation on GitHub events")}
    for section in SECTIONS.values():
        for name, entry in section.items():
            command = closeout.get_command(root, name)
            assert command is not None
            context = click.Context(command, info_name=name, parent=root)
            found[f"closeout-{name}.1"] = _page(command, context, entry.summary.rstrip("."))
    return found


def _page(command: click.Command, context: click.Context, summary: str) -> str:
    name = context.command_path.replace(" ", "-")
    lines = [
        '.\\" Written by docs/generate.py from the commands: change their help instead of this page.',
        f'.TH {_text(name.upper())} 1 "" "closeout {__version__}" "closeout manual"',
        ".nh",  # a name that is broken by a hyphen cannot be copied
        ".ad l",
        ".SH NAME",
        _text(f"{name} - {summary}"),
        ".SH SYNOPSIS",
        *_synopsis(command, context),
        ".SH DESCRIPTION",
        *_prose(command.help or ""),
    ]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_commands(command, context)]
    else:
        lines += [".SH OPTIONS", *_options(command, context)]
    if isinstance(command, Command) and command.examples:
        lines += [".SH EXAMPLES", ".nf", *map(_text, command.examples), ".fi"]
    lines += [".SH EXIT STATUS"]
    for code, meaning in exits.MEANINGS:
        lines += [".TP", f".B {code}", _text(meaning)]
    if command is not closeout:
        lines += [".SH SEE ALSO", ".BR closeout (1)"]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if group is closeout:
            yield from (".TP", f".BR closeout\\-{_text(name)} (1)", _text(closeout.entries[name].summary))
            continue
        yield f".SS {_text(inner.command_path)}"
        yield from _synopsis(command, inner)
        yield ".PP"
        yield from _prose(command.help or "")
        yield from _options(command, inner)


def _synopsis(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f".B {_text(context.command_path)}"
    yield _text(" ".join(command.collect_usage_pieces(context)))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1]:
            yield from (".TP", f".B {_text(record[0])}", _text(" ".join(record[1].split())))


def _prose(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.split()))


def _text(text: str) -> str:
    """Escape what roff would take for a request, an escape or a typographic hyphen."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
