"""What a script gives to later steps: the lines that it wrote to a file, in the form of GitHub Actions.

`NAME=value` for one line, `NAME<<END`, lines, `END` for more.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from closeout.core.errors import ActionFailed

VARIABLES = ("CLOSEOUT_OUTPUT", "GITHUB_OUTPUT")
"""Name the file. The second is what scripts from a workflow and their libraries look for."""
LIMIT = 100_000
"""Bytes of the file: what is recorded of a step is read with its run."""
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,99})(=|<<)(.*)", re.DOTALL)


def parse(written: bytes) -> dict[str, str]:
    """Return the outputs by name; of two with one name the last. Raises `ActionFailed` for what is none."""
    if len(written) > LIMIT:
        raise ActionFailed(
            f"its outputs are longer than {LIMIT:,} bytes; write long texts to a place of your own"
        )
    try:
        lines = written.decode().split("\n")
    except UnicodeDecodeError:
        raise ActionFailed("its outputs are not UTF-8") from None
    found: dict[str, str] = {}
    rest = iter(enumerate(lines, start=1))
    for number, text in rest:
        line = text.removesuffix("\r")
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ActionFailed(f"line {number} of its outputs is not NAME=value")
        name, kind, value = match.groups()
        if kind == "<<":
            value = _until(value, rest, number)
        if "\0" in value:
            raise ActionFailed(f"the output `{name}` holds a NUL character")
        found[name] = value
    return found


def _until(end: str, rest: Iterator[tuple[int, str]], begun: int) -> str:
    """Return the lines up to the one that is `end`."""
    taken: list[str] = []
    for _, text in rest:
        if text.removesuffix("\r") == end:
            return "\n".join(taken)
        taken.append(text)
    raise ActionFailed(f"the output that begins on line {begun} has no line `{end[:100]}` to end it")
