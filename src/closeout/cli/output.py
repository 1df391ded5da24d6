"""What a person or a program reads: JSON, tables, times.

rich is imported only when standard output is a terminal; a pipe gets plain columns that `cut` and `awk`
can take. JSON goes out whole, with times as seconds since the epoch.

Everything that a command prints leaves through this module, which shows what a terminal would obey: a title of a pull request
may hold escape sequences, links behind a text, and marks that turn its direction.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from closeout.core.terminal import escaped, escaped_json
from closeout.core.units import DAY, HOUR, MINUTE, spoken_duration

STYLES = {
    "success": "green",
    "failure": "red",
    "error": "red",
    "cancelled": "yellow",
    "skipped": "bright_black",
    "running": "cyan",
    "waiting": "blue",
    "queued": "bright_black",
    "pending": "bright_black",
    "delete": "red",
}
_RICH = {"bright_black": "dim"}
_OURS = f"\x1b[{int.from_bytes(os.urandom(8), 'big')};"
"""How a colour of ours begins until it is written: with a number that nobody outside of this process can know."""


def terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()


def say(text: str = "", stream: TextIO | None = None) -> None:
    """Write text to standard output, or to a `stream` in the encoding that it has."""
    click.echo(_safe(text), file=stream)


def note(text: str) -> None:
    """Write text to standard error: for people, never part of what a program reads."""
    click.echo(_safe(text), err=True)


def print_json(value: Any) -> None:
    """Write one JSON document."""
    click.echo(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))


def print_json_line(value: Any) -> None:
    """Write one JSON value on one line, for output that grows."""
    click.echo(escaped_json(json.dumps(value, ensure_ascii=False)))


def print_document(text: bytes) -> None:
    r"""Write a JSON document as it is; on a terminal with what a terminal would obey as `\u001b`."""
    click.echo(escaped_json(text.decode()) if terminal() else text)


def style(text: str, **how: Any) -> str:
    """Return text in a colour, as `click.style` does; it becomes one when it is written."""
    return click.style(text, **how).replace("\x1b[", _OURS)


def word(text: str) -> str:
    """Colour a state or verdict; click drops the colour when the output is no terminal."""
    return style(text, fg=STYLES[text]) if text in STYLES else text


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, fold: int = -1) -> None:
    """Print rows under headings. On a terminal column `fold` (the last) gives way when space is short."""
    lines = [[clean(cell) for cell in row] for row in rows]
    if terminal():
        _rich_table(headings, lines, fold % len(headings))
        return
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    for line in (list(headings), *lines):
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _rich_table(headings: Sequence[str], rows: list[list[str]], fold: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        grid.add_column(heading, no_wrap=index != fold, overflow="fold")
    for row in rows:
        styles = [STYLES.get(cell, "") for cell in row]
        grid.add_row(
            *(Text(cell, style=_RICH.get(style, style)) for cell, style in zip(row, styles, strict=True))
        )
    Console(highlight=False).print(grid)


def clean(text: str) -> str:
    """Return outside text as one line in which all shows; a tab becomes spaces, colours of ours stay."""
    return _keeping_ours(text.replace("\t", "    "), _OURS)


def _safe(text: str) -> str:
    """Return text as it may be written: its line feeds and our colours are the only controls in it."""
    return "\n".join(_keeping_ours(line, "\x1b[") for line in text.split("\n"))


def _keeping_ours(text: str, colour: str) -> str:
    return escaped(text).replace(escaped(_OURS), colour)


def moment(epoch: float | None) -> str:
    """Say when, in local time to the second; `-` for never."""
    return "-" if epoch is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))


def ago(epoch: float | None, now: float) -> str:
    """Say how long ago, in one unit: `12s`, `5m`, `3h`, `2d`."""
    if epoch is None:
        return "-"
    seconds = max(0, int(now - epoch))
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds >= size:
            return f"{seconds // int(size)}{unit}"
    return f"{seconds}s"


def duration(seconds: float | None) -> str:
    """Return a duration for people; `-` for none."""
    return "-" if seconds is None else spoken_duration(seconds)
