"""The outputs of a script for later steps: the lines that it wrote to a file, in the format of GitHub Actions.

`NAME=value` for one line, `NAME<<END`, lines, `END` for more.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from closeout.actions.spec import Work
from closeout.core.errors import ActionFailed
from closeout.ports import Json

VARIABLES = ("CLOSEOUT_OUTPUT", "GITHUB_OUTPUT")
"""Variables with the file's name. Scripts from a workflow and their libraries use the second."""
LIMIT = 100_000
"""Bytes of the file, because a step's outputs are loaded with its run."""
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,99})(=|<<)(.*)", re.DOTALL)


def parse(written: bytes) -> dict[str, str]:
    """Return the outputs by name; the last one wins. Raises `ActionFailed` for an invalid line."""
    if len(written) > LIMIT:
        raise ActionFailed(f"its outputs are longer than {LIMIT:,} bytes; store long texts elsewhere")
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


def without_secrets(given: Mapping[str, Json], work: Work) -> dict[str, Json]:
    """Return the outputs without a secret, and name the others in the log. Call it only inside a recorded function.

    A secret is stored as `***`. A later step must not get this text, because a shell expands it to every file.
    """
    kept = {name: value for name, value in given.items() if not _holds_secret([name, value], work.clean)}
    for name in given.keys() - kept.keys():
        work.log(f"the output `{name}` holds a secret, so it is not stored and no later step gets it")
    return kept


def _holds_secret(value: Json, clean: Callable[[str], str]) -> bool:
    if isinstance(value, str):
        return clean(value) != value
    if isinstance(value, Mapping):
        return any(_holds_secret([name, part], clean) for name, part in value.items())
    return isinstance(value, list | tuple) and any(_holds_secret(part, clean) for part in value)


def _until(end: str, rest: Iterator[tuple[int, str]], begun: int) -> str:
    """Return the lines before the line `end`."""
    taken: list[str] = []
    for _, text in rest:
        if text.removesuffix("\r") == end:
            return "\n".join(taken)
        taken.append(text)
    raise ActionFailed(f"the output that begins on line {begun} has no line `{end[:100]}` to end it")
