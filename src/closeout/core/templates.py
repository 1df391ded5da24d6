"""`${{ expression }}` in texts: where an expression begins and where it ends.

That is decided here once, so that the check at load and the run never disagree about it: a `}}` inside a
string literal or inside braces of the expression does not end it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from closeout.core.errors import ExpressionError

OPEN, CLOSE = "${{", "}}"
_PATH = re.compile(r"(?<![:/])[/?#]")
"""Where a URL's path begins: at the first of these that is not part of `://`."""


class Part(NamedTuple):
    """A piece of a template: literal text, or the expression between `${{` and `}}`."""

    text: str
    expression: bool
    offset: int
    """Where the piece begins in the template, in characters."""


@lru_cache(maxsize=1_024)
def parts(template: str) -> tuple[Part, ...]:
    """Split a template. Raises `ExpressionError` for a `${{` without an end."""
    found: list[Part] = []
    position = 0
    while True:
        start = template.find(OPEN, position)
        if start < 0:
            if position < len(template):
                found.append(Part(template[position:], False, position))
            return tuple(found)
        if start > position:
            found.append(Part(template[position:start], False, position))
        end = _end(template, start + len(OPEN))
        if end is None:
            raise ExpressionError(f"`${{{{` at character {start + 1} has no `}}}}`")
        inner = template[start + len(OPEN) : end]
        lead = len(inner) - len(inner.lstrip())
        found.append(Part(inner.strip(), True, start + len(OPEN) + lead))
        position = end + len(CLOSE)


def before_path(template: str) -> int:
    """Return how many characters of a URL's template stand before its path, query or fragment."""
    for part in parts(template):
        found = None if part.expression else _PATH.search(part.text)
        if found:
            return part.offset + found.start()
    return len(template)


def expressions(template: str) -> tuple[str, ...]:
    """Return the expressions of a template, in order."""
    return tuple(part.text for part in parts(template) if part.expression)


def _end(template: str, position: int) -> int | None:
    """Return where the `}}` stands that closes the expression that begins at `position`."""
    depth = 0
    while position < len(template):
        character = template[position]
        if character in "\"'":
            closing = _string_end(template, position)
            if closing is None:
                return None
            position = closing
            continue
        if depth == 0 and template.startswith(CLOSE, position):
            return position
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        position += 1
    return None


def _string_end(template: str, position: int) -> int | None:
    """Return where the CEL string literal at `position` ends: `"…"`, `'…'`, triple quotes, or raw with an `r`."""
    quote = template[position]
    mark = quote * 3 if template.startswith(quote * 3, position) else quote
    raw = template[position - 1] in "rR"
    position += len(mark)
    while position < len(template):
        if template[position] == "\\" and not raw:
            position += 2
        elif template.startswith(mark, position):
            return position + len(mark)
        else:
            position += 1
    return None
