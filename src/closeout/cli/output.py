"""What a person or a program reads: JSON, tables, times.

A table fits the terminal's width, 80 columns elsewhere, and cuts what does not fit. JSON is never cut, and has times in
ISO 8601.

Everything that a command prints goes through this module, which makes control characters visible: the title of a pull request
may hold escape sequences, links behind a text, and marks that reverse its direction.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from closeout.core.terminal import escaped, escaped_json
from closeout.core.units import DAY, HOUR, MINUTE, local_time

if TYPE_CHECKING:
    from closeout.config.findings import Finding

GAP = "  "
NARROWEST = 8
"""Characters to which a column may be cut, and no further."""
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
_OURS = f"\x1b[{int.from_bytes(os.urandom(8), 'big')};"
"""How closeout's own colours begin until they are written: with a number that nobody outside this process can know."""


def terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def say(text: str = "", stream: TextIO | None = None) -> None:
    """Write text to standard output, or to a `stream`, in the stream's encoding."""
    click.echo(_safe(text), file=stream)


def note(text: str) -> None:
    """Write text to standard error: for people, never for a program."""
    click.echo(_safe(text), err=True)


def print_json(value: Any) -> None:
    """Write one JSON document."""
    click.echo(escaped_json(json.dumps(value, indent=2, ensure_ascii=False)))


def print_json_line(value: Any) -> None:
    """Write one JSON value on one line, for output that grows."""
    click.echo(escaped_json(json.dumps(value, ensure_ascii=False)))


def print_document(text: bytes) -> None:
    r"""Write a JSON document unchanged, but on a terminal with control characters as `\u001b`."""
    click.echo(escaped_json(text.decode()) if terminal() else text)


def style(text: str, **how: Any) -> str:
    """Return text in a colour, as `click.style` does; the escape sequences are added when it is written."""
    return click.style(text, **how).replace("\x1b[", _OURS)


def word(text: str) -> str:
    """Colour a state or verdict; click drops the colour when the output is no terminal."""
    return style(text, fg=STYLES[text]) if text in STYLES else text


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, shrink: Sequence[int]) -> None:
    """Print rows under headings. When space is short, the widest of the columns `shrink` is cut first."""
    lines = [list(headings), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    while sum(widths) + len(GAP) * (len(widths) - 1) > columns():
        widest = max(shrink, key=lambda index: widths[index])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    for line in lines:
        cells = [cut(cell, width).ljust(width) for cell, width in zip(line, widths, strict=True)]
        cells[-1] = cells[-1].rstrip()
        say(GAP.join(cell.replace(cell.strip(), word(cell.strip()), 1) for cell in cells))


def print_findings(findings: Sequence[Finding], *, err: bool) -> None:
    """Print the errors of a configuration: `FILE:LINE:COL: message`, and indented below it the line, a caret and the fix.

    `check`, `serve` and every command that loads the file show them in the same way.
    """
    stream = sys.stderr if err else sys.stdout
    for finding in findings:
        say(_colour(finding) if stream.isatty() else finding.pretty(), stream)


def _colour(finding: Finding) -> str:
    """Return a finding for a terminal: in colour, with its sentences wrapped between words."""
    head, *rest = finding.pretty().splitlines()
    main = "yellow" if finding.severity == "warning" else "red"
    lines = [style(wrapped(head, following="  "), bold=True)]
    for line in rest:
        if line.strip(" |^~") == "" and "^" in line:
            lines.append(style(line, fg=main, bold=True))
        elif line.lstrip().startswith("fix:"):
            lines.append(style(wrapped(line.strip(), "  ", "    "), fg="green"))
        else:
            lines.append(line)
    return "\n".join((*lines, ""))


def columns() -> int:
    """Return how many columns a line may take: the terminal's, or 80."""
    return shutil.get_terminal_size((80, 24)).columns


def cut(text: str, width: int) -> str:
    """Return text of at most this width, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def wrapped(text: str, first: str = "", following: str = "") -> str:
    """Wrap text between words; a word that is longer than a line stays whole, so that it can be copied."""
    return textwrap.fill(
        text,
        min(columns(), 80) - 2,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )


def event(name: str, action: str | None) -> str:
    """Return an event as people name it: `push`, `pull_request closed`."""
    return f"{name} {action}" if action else name


def clean(text: str) -> str:
    """Return outside text as one line with control characters made visible; tabs become spaces, our own colours stay."""
    return _keeping_ours(text.replace("\t", "    "), _OURS)


def _safe(text: str) -> str:
    """Return text that is safe to write: line feeds and our own colours are its only control characters."""
    return "\n".join(_keeping_ours(line, "\x1b[") for line in text.split("\n"))


def _keeping_ours(text: str, colour: str) -> str:
    return escaped(text).replace(escaped(_OURS), colour)


def moment(epoch: float | None) -> str:
    """Return a time for people, local, to the second, with its zone; `-` for never."""
    return "-" if epoch is None else local_time(epoch)


def clock_time(epoch: float) -> str:
    """Return the time of day, local, with its zone."""
    return local_time(epoch).partition(" ")[2]


def ago(epoch: float | None, now: float) -> str:
    """Return how long ago that was, in one unit: `12s`, `5m`, `3h`, `2d`."""
    if epoch is None:
        return "-"
    seconds = max(0, int(now - epoch))
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds >= size:
            return f"{seconds // int(size)}{unit}"
    return f"{seconds}s"
