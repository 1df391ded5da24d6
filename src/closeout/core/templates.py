"""`${{ expression }}` in texts: find where an expression begins and ends.

The check at load and the run both use this, so they never disagree. A `}}` inside a string literal or inside braces
of the expression does not end it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from closeout.core.errors import ExpressionError

OPEN, CLOSE = "${{", "}}"
_PATH = re.compile(r"(?<![:/])[/?#]")
"""Where a URL's path begins: at the first of these that is not part of `://`."""
_TOKEN = re.compile(
    r"""(?s)[{}]
    |(?<=[rR])(?P<raw>(?>\"{3}|'{3}|["'])).*?(?P=raw)
    |(?<![rR])(?P<quote>(?>\"{3}|'{3}|["']))(?:\\.|(?!(?P=quote)).)*+(?P=quote)
    |["']""",
    re.VERBOSE,
)
"""CEL tokens: a brace, a string literal (raw ones have no escapes), or the quote of a literal that does not end."""


class Part(NamedTuple):
    """A piece of a template: literal text, or the expression between `${{` and `}}`."""

    text: str
    expression: bool
    offset: int
    """The position of the piece in the template, in characters."""


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
    """Return the number of characters of a URL's template before its path, query or fragment."""
    for part in parts(template):
        found = None if part.expression else _PATH.search(part.text)
        if found:
            return part.offset + found.start()
    return len(template)


def expressions(template: str) -> tuple[str, ...]:
    """Return the expressions of a template, in order."""
    return tuple(part.text for part in parts(template) if part.expression)


def _end(template: str, position: int) -> int | None:
    """Return the position of the `}}` that closes the expression at `position`."""
    depth = 0
    for found in _TOKEN.finditer(template, position):
        match found[0]:
            case "{":
                depth += 1
            case "}":
                if depth == 0 and template.startswith(CLOSE, found.start()):
                    return found.start()
                depth -= 1
            case '"' | "'":
                return None
    return None
